"""Routed tokenisation, for text whose language is known: the language's own teacher tokenizes, and its ids are mapped into the union.

So a text is segmented exactly as the student saw it in training, whatever pieces the other teachers brought into the union.
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
    """A text in union ids. n pieces, no special tokens."""

    ids: NDArray[np.uint32]  # [n]
    offsets: NDArray[np.int64]  # [n, 2] characters of the text: from, to
    word_ids: NDArray[np.int64]  # [n] which word of the tokenizer each piece lies in; −1: of none

    @classmethod
    def of(cls, encoding: Any) -> "Segmentation":
        """An encoding of the tokenizers library, its ids as they are."""
        return cls(
            ids=np.array(encoding.ids, dtype=np.uint32),
            offsets=np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2),
            word_ids=np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64),
        )

    def with_special_tokens(self) -> NDArray[np.uint32]:
        """[cls] … [sep], what the student takes: [n + 2]."""
        return np.concatenate(([UNION_ROLES.cls], self.ids, [UNION_ROLES.sep])).astype(np.uint32)


class RoutedTokenizer:
    """One teacher's tokenizer, its output in union ids."""

    def __init__(self, backend: Tokenizer, teacher_map: TeacherMap):
        """`backend` is the teacher's own (a fast tokenizer's backend_tokenizer)."""
        self._backend, self._map = backend, teacher_map
        self._backend.no_truncation()
        self._backend.no_padding()
        self._starts = np.cumsum(teacher_map.lengths) - teacher_map.lengths

    def __call__(self, texts: Sequence[str]) -> list[Segmentation]:
        """Each text's segmentation. A piece that the union dropped becomes the pieces that spell it, each with the whole's offsets."""
        self._backend.encode_special_tokens = True  # a text that quotes "[MASK]" is about the token
        return [self._routed(encoding) for encoding in self._backend.encode_batch(list(texts), add_special_tokens=False)]

    def _routed(self, encoding: Any) -> Segmentation:
        own = Segmentation.of(encoding)
        ids, lengths = spell_out(own.ids, self._map.lengths, self._starts, self._map.spelled)
        ids[ids < len(SPECIAL_TOKENS)] = UNION_ROLES.unk  # a text that quotes "<mask>" says an unknown word, and no more
        return Segmentation(ids=ids, offsets=np.repeat(own.offsets, lengths, axis=0), word_ids=np.repeat(own.word_ids, lengths))


def load_routed(folder: Path, teacher: str) -> RoutedTokenizer:
    """The routed tokenizer of one teacher of a run, from RUN/vocab alone."""
    from vocab.folder import load_map

    path = folder / "teachers" / f"{teacher}.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the tokenizer of teacher '{teacher}': run `mergedistill vocab` again")
    return RoutedTokenizer(Tokenizer.from_file(str(path)), load_map(folder, teacher))
