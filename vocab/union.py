"""The union vocabulary: append-only, with a chain of fingerprints that has one link for each teacher.

Teachers are merged in recipe order, and each adds its new pieces after the existing ones. So the ids of the first teachers never change,
and their shards stay valid when a teacher is added.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocab.roles import SPECIAL_TOKENS, UNION_ROLES, Roles
from vocab.spelling import spell_with
from vocab.teacher_vocabulary import TeacherVocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One teacher's place in the chain."""

    teacher: str
    size: int  # of the union, including this teacher's pieces
    fingerprint: str  # sha256 of the previous link and of the pieces that this teacher added
    tokenizer: str  # the fingerprint of the teacher's tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherMap:
    """Teacher id → union id, for one teacher. V rows of the teacher's head."""

    teacher: str
    union_ids: NDArray[np.uint32]  # [V] an id that is not in the union maps to unk
    predictable: NDArray[np.bool_]  # [V] its piece is in the union, so it can be a label or a prediction
    real: NDArray[np.bool_]  # [V] has a piece, in the union or not, so it counts in the teacher's softmax
    lengths: NDArray[
        np.int64
    ]  # [V] number of union ids that the id becomes in an input: 1, or more if a piece that is not in the union is spelled
    spelled: NDArray[np.uint32]  # [sum of lengths] these union ids, one id after the other

    def equals(self, other: "TeacherMap") -> bool:
        """Whether all arrays are the same."""
        return all(np.array_equal(getattr(self, field), getattr(other, field)) for field in self.__slots__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Union:
    """The union vocabulary. Piece i has id i; the first are the special tokens, in the order of SPECIAL_TOKENS."""

    pieces: tuple[str, ...] = tuple(SPECIAL_TOKENS.values())
    links: tuple[Link, ...] = ()

    @property
    def size(self) -> int:
        return len(self.pieces)

    @property
    def roles(self) -> Roles:
        return UNION_ROLES

    @property
    def fingerprint(self) -> str:
        """sha256 of the complete union: the last link of the chain."""
        return self.links[-1].fingerprint if self.links else chain("", self.pieces)

    def link(self, teacher: str) -> Link:
        return next(link for link in self.links if link.teacher == teacher)

    def begins_with(self, other: "Union") -> bool:
        """Whether the teachers of `other` are the first teachers of this union, with the same pieces."""
        return self.links[: len(other.links)] == other.links


def merge(union: Union, vocabulary: TeacherVocabulary, keep: NDArray[np.bool_] | None = None) -> tuple[Union, TeacherMap]:
    """The union with one teacher's new pieces appended, and the teacher's map into it.

    keep [V]: the new pieces that the union takes (all by default). A piece that is in the union already is always used.
    """
    ids = {piece: index for index, piece in enumerate(union.pieces)}
    for index, piece in enumerate(vocabulary.pieces):
        if piece is not None and (keep is None or keep[index]):
            ids.setdefault(piece, len(ids))
    pieces = tuple(ids)
    link = Link(
        teacher=vocabulary.name,
        size=len(pieces),
        fingerprint=chain(union.fingerprint, pieces[union.size :]),
        tokenizer=vocabulary.tokenizer_fingerprint,
    )
    grown = Union(pieces=pieces, links=(*union.links, link))
    return grown, _map(vocabulary, ids)


def map_into(union: Union, vocabulary: TeacherVocabulary) -> TeacherMap:
    """A teacher's map into an existing union. It follows from the teacher's tokenizer and the pieces up to the teacher's link."""
    pieces = union.pieces[: union.link(vocabulary.name).size]
    return _map(vocabulary, {piece: index for index, piece in enumerate(pieces)})


def _map(vocabulary: TeacherVocabulary, ids: Mapping[str, int]) -> TeacherMap:
    union_ids = np.array([ids.get(piece, UNION_ROLES.unk) if piece else UNION_ROLES.unk for piece in vocabulary.pieces], np.uint32)
    for own, shared in zip(vocabulary.roles, UNION_ROLES, strict=True):
        union_ids[own] = shared
    real = np.array([piece is not None for piece in vocabulary.pieces], np.bool_)
    predictable = np.array([piece is not None and piece in ids for piece in vocabulary.pieces], np.bool_)
    dropped = {index: spell_with(str(vocabulary.pieces[index]), ids) for index in np.flatnonzero(real & ~predictable).tolist()}
    lengths = np.ones(len(union_ids), np.int64)
    spelled = union_ids
    if any(dropped.values()):
        parts = [dropped.get(index) or [shared] for index, shared in enumerate(union_ids.tolist())]
        lengths = np.array([len(part) for part in parts], np.int64)
        spelled = np.array([shared for part in parts for shared in part], np.uint32)
    return TeacherMap(
        teacher=vocabulary.name,
        union_ids=union_ids,
        predictable=predictable,
        real=real,
        lengths=lengths,
        spelled=spelled,
    )


def spell_out(
    ids: NDArray[np.integer[Any]], lengths_V: NDArray[np.int64], starts_V: NDArray[np.int64], spelled: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The union ids for a teacher's ids [T], and the number of union ids for each of them [T].

    starts_V: the place in `spelled` where the union ids of each id begin
    """
    lengths_T = lengths_V[ids]
    within = np.arange(int(lengths_T.sum())) - np.repeat(np.cumsum(lengths_T) - lengths_T, lengths_T)
    return spelled[np.repeat(starts_V[ids], lengths_T) + within], lengths_T


def merge_all(vocabularies: Sequence[TeacherVocabulary]) -> tuple[Union, list[TeacherMap]]:
    """The union of teachers, in their order, and the map of each."""
    union, maps = Union(), []
    for vocabulary in vocabularies:
        union, teacher_map = merge(union, vocabulary)
        maps.append(teacher_map)
    return union, maps


def chain(previous: str, pieces: Sequence[str]) -> str:
    """The fingerprint of a link: sha256 of the previous link and of the pieces that it adds."""
    return hashlib.sha256(json.dumps([previous, list(pieces)], ensure_ascii=True).encode()).hexdigest()
