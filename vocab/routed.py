"""Routed tokenisation, for text in a known language: the teacher of that language tokenizes, and its ids are mapped into the union.

So a text is segmented exactly as the student saw it in training. Pieces that other teachers added to the union have no influence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS, UNION_ROLES
from vocab.union import TeacherMap, spell_out


@dataclass(frozen=True, kw_only=True, slots=True)
class Segmentation:
    """A text as n pieces with union ids, without special tokens."""

    ids: NDArray[np.uint32]  # [n]
    offsets: NDArray[np.int64]  # [n, 2] first character in the text, and the one after the last
    word_ids: NDArray[np.int64]  # [n] the number of the word that each piece belongs to, as the tokenizer counts words; −1: none

    @classmethod
    def of(cls, encoding: Any) -> "Segmentation":
        """The segmentation of an encoding of the tokenizers library; the ids are not changed."""
        return cls(
            ids=np.array(encoding.ids, dtype=np.uint32),
            offsets=np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2),
            word_ids=np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64),
        )

    def with_special_tokens(self) -> NDArray[np.uint32]:
        """[n + 2] the ids with cls before and sep after them, as the student expects them."""
        return np.concatenate(([UNION_ROLES.cls], self.ids, [UNION_ROLES.sep])).astype(np.uint32)


class RoutedTokenizer:
    """The tokenizer of one teacher, with union ids as output."""

    def __init__(self, backend: Tokenizer, teacher_map: TeacherMap):
        """`backend` is the teacher's own (a fast tokenizer's backend_tokenizer)."""
        self._backend, self._map = backend, teacher_map
        self._backend.no_truncation()
        self._backend.no_padding()
        self._starts = np.cumsum(teacher_map.lengths) - teacher_map.lengths

    def __call__(self, texts: Sequence[str]) -> list[Segmentation]:
        """The segmentation of each text. A piece that is not in the union becomes the pieces that spell it, all with its offsets."""
        self._backend.encode_special_tokens = True  # a text that quotes "[MASK]" does not contain the mask token
        return [self._routed(encoding) for encoding in self._backend.encode_batch(list(texts), add_special_tokens=False)]

    def _routed(self, encoding: Any) -> Segmentation:
        own = Segmentation.of(encoding)
        ids, lengths = spell_out(own.ids, self._map.lengths, self._starts, self._map.spelled)
        ids[ids < len(SPECIAL_TOKENS)] = UNION_ROLES.unk  # a quoted "<mask>" is an unknown word
        return Segmentation(ids=ids, offsets=np.repeat(own.offsets, lengths, axis=0), word_ids=np.repeat(own.word_ids, lengths))


def load_routed(folder: Path, teacher: str) -> RoutedTokenizer:
    """The routed tokenizer of one teacher of a run. It needs only the folder RUN/vocab."""
    from vocab.folder import load_map

    path = folder / "teachers" / f"{teacher}.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the tokenizer of teacher '{teacher}': run `mergedistill vocab` again")
    return RoutedTokenizer(Tokenizer.from_file(str(path)), load_map(folder, teacher))
