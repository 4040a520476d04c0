"""How often two tokenizers segment a word in the same way, and how many pieces of a text training never showed.

For every tokenizer, a word is a run of letters and digits with their marks and joiners, one CJK character, or one other character that
is not white space.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocab.roles import UNION_ROLES
from vocab.routed import Segmentation

Segmenter = Callable[[Sequence[str]], list[Segmentation]]

_CJK = "\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_MARKS = "".join(char for char in map(chr, range(0x300, 0x1_0000)) if unicodedata.category(char) in ("Mn", "Mc"))
WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}](?:[^\W{_CJK}]|[{_MARKS}\u00ad\u200c\u200d])*|[^\w\s]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """The text of one language, tokenized by one teacher (routed) and by the student's two tokenizers. Shares are between 0 and 1."""

    language: str
    teacher: str
    words: int
    union_as_routed: float  # share of words that the union's tokenizer segments in the same way as the routed one
    restricted_as_routed: float
    union_as_restricted: float
    routed_pieces: float  # a word
    union_pieces: float
    restricted_pieces: float
    routed_unknown: float  # share of pieces that are unk
    union_unknown: float
    restricted_unknown: float
    never_trained: float  # share of the union tokenizer's pieces that training never showed
    never_here: float  # … that training never showed in this language


def hf_segmenter(tokenizer: Any) -> Segmenter:
    """A segmenter from a fast tokenizer whose ids are union ids, such as the student's."""

    def segment(texts: Sequence[str]) -> list[Segmentation]:
        backend = tokenizer.backend_tokenizer
        backend.encode_special_tokens = True
        return [Segmentation.of(encoding) for encoding in backend.encode_batch(list(texts), add_special_tokens=False)]

    return segment


def measure_agreement(
    language: str,
    teacher: str,
    texts: Sequence[str],
    *,
    routed: Segmenter,
    union: Segmenter,
    restricted: Segmenter,
    trained: NDArray[np.bool_],
    trained_here: NDArray[np.bool_],
) -> Agreement:
    """Compare the three tokenizers on texts.

    trained [V]       the pieces that training showed
    trained_here [V]  the pieces that training showed in this language
    """
    words = [[match.span() for match in WORD.finditer(text)] for text in texts]
    count = max(1, sum(map(len, words)))
    routed_all, union_all, restricted_all = routed(texts), union(texts), restricted(texts)
    same = np.zeros(3)
    for spans, *three in zip(words, routed_all, union_all, restricted_all, strict=True):
        by_routed, by_union, by_restricted = (words_of(spans, segmentation) for segmentation in three)
        same[0] += sum(a == b for a, b in zip(by_union, by_routed, strict=True))
        same[1] += sum(a == b for a, b in zip(by_restricted, by_routed, strict=True))
        same[2] += sum(a == b for a, b in zip(by_union, by_restricted, strict=True))
    ids = [
        np.concatenate([part.ids for part in parts] or [np.zeros(0, np.uint32)])
        for parts in (routed_all, union_all, restricted_all)
    ]
    known = ids[1][ids[1] != UNION_ROLES.unk]
    unknown = [_share(part == UNION_ROLES.unk) for part in ids]
    return Agreement(
        language=language,
        teacher=teacher,
        words=sum(map(len, words)),
        union_as_routed=float(same[0]) / count,
        restricted_as_routed=float(same[1]) / count,
        union_as_restricted=float(same[2]) / count,
        routed_pieces=len(ids[0]) / count,
        union_pieces=len(ids[1]) / count,
        restricted_pieces=len(ids[2]) / count,
        routed_unknown=unknown[0],
        union_unknown=unknown[1],
        restricted_unknown=unknown[2],
        never_trained=_share(~trained[known]),
        never_here=_share(~trained_here[known]),
    )


def words_of(spans: Sequence[tuple[int, int]], segmentation: Segmentation) -> list[tuple[int, ...]]:
    """The ids of the pieces that overlap each word. Spans and pieces are in the order of the text."""
    ids, offsets = segmentation.ids.tolist(), segmentation.offsets.tolist()
    found, first = [], 0
    for begin, end in spans:
        while first < len(ids) and offsets[first][1] <= begin:
            first += 1
        last = first
        while last < len(ids) and offsets[last][0] < end:
            last += 1
        found.append(tuple(ids[first:last]))
    return found


def _share(holds: NDArray[np.bool_]) -> float:
    return float(np.mean(holds)) if len(holds) else 0.0
