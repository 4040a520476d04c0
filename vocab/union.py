"""The union vocabulary: append-only, with a chained fingerprint, one link a teacher.

Teachers are merged in recipe order; each adds its new pieces after the ones that stand. So the ids of a prefix of the teachers
never change, and shards made under the prefix stay valid when a teacher is added.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vocab.roles import SPECIAL_TOKENS, UNION_ROLES, Roles
from vocab.teacher_vocabulary import TeacherVocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One teacher's place in the chain."""

    teacher: str
    size: int  # of the union, this teacher's pieces included
    fingerprint: str  # sha256 of the link before and of the pieces that this teacher added
    tokenizer: str  # fingerprint of the teacher's tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherMap:
    """Teacher id → union id, for one teacher. V rows of the teacher's head."""

    teacher: str
    union_ids: NDArray[np.uint32]  # [V] total: an id that has no place in the union maps to unk
    predictable: NDArray[np.bool_]  # [V] may be a label or a prediction: has a piece of its own in the union


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
        """sha256 of the whole union: the last link of the chain."""
        return self.links[-1].fingerprint if self.links else chain("", self.pieces)

    def link(self, teacher: str) -> Link:
        return next(link for link in self.links if link.teacher == teacher)

    def begins_with(self, other: "Union") -> bool:
        """Whether `other` is a prefix of this union, teacher by teacher."""
        return self.links[: len(other.links)] == other.links


def merge(union: Union, vocabulary: TeacherVocabulary) -> tuple[Union, TeacherMap]:
    """The union with one teacher's new pieces appended, and the teacher's map into it."""
    ids = {piece: index for index, piece in enumerate(union.pieces)}
    union_ids = np.full(len(vocabulary.pieces), UNION_ROLES.unk, dtype=np.uint32)
    for own, shared in zip(vocabulary.roles, UNION_ROLES, strict=True):
        union_ids[own] = shared
    predictable = np.zeros(len(vocabulary.pieces), dtype=np.bool_)
    for index, piece in enumerate(vocabulary.pieces):
        if piece is not None:
            union_ids[index] = ids.setdefault(piece, len(ids))
            predictable[index] = True
    pieces = tuple(ids)
    link = Link(
        teacher=vocabulary.name,
        size=len(pieces),
        fingerprint=chain(union.fingerprint, pieces[union.size :]),
        tokenizer=vocabulary.tokenizer_fingerprint,
    )
    grown = Union(pieces=pieces, links=(*union.links, link))
    return grown, TeacherMap(teacher=vocabulary.name, union_ids=union_ids, predictable=predictable)


def merge_all(vocabularies: Sequence[TeacherVocabulary]) -> tuple[Union, list[TeacherMap]]:
    """The union of teachers in order, and each one's map."""
    union, maps = Union(), []
    for vocabulary in vocabularies:
        union, teacher_map = merge(union, vocabulary)
        maps.append(teacher_map)
    return union, maps


def chain(previous: str, pieces: Sequence[str]) -> str:
    """The fingerprint of a link: sha256 of the one before it and of the pieces that it adds."""
    return hashlib.sha256(json.dumps([previous, list(pieces)], ensure_ascii=True).encode()).hexdigest()
