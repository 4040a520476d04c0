"""The merges of BPE: through which pieces a word goes until it is one piece.

BPE begins with the characters of a word. Each step merges the neighbours whose merge comes first in the list (of equal ones, the leftmost)
until no merge fits. Two facts follow, on which trimming rests:

1. The merges within the place of a final piece are those of the piece's text alone. Its neighbours never took part, because a merge with
   them would have crossed the place's border, and the border is there at the end. So the path of each piece is known without a corpus.
2. If a list of merges loses some, and the merges of all steps of a word are still in it, in their order, the word's segmentation does not
   change. At each step the old choice was the first among all fitting merges. It is still there, so it is the first among fewer. At the
   end nothing fitted, so nothing fits among fewer.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any


def merge_pairs(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The merges in a BPE's state (of tokenizer.json), in their order. Older files write a pair as one string with a space."""
    return [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ", 1)) for pair in model["merges"]]


def merge_ranks(model: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """(left, right) → its place in the list. Of a pair that is there twice, the last place holds, as in the tokenizers library."""
    return {pair: rank for rank, pair in enumerate(merge_pairs(model))}


def merge_path(text: str, ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """All pieces that BPE goes through for a text, its characters and its last pieces included."""
    parts = list(text)
    path = set(parts)
    while len(parts) > 1:
        fitting = [(ranks[pair], place) for place, pair in enumerate(pairwise(parts)) if pair in ranks]
        if not fitting:
            break
        place = min(fitting)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
        path.add(parts[place])
    return path
