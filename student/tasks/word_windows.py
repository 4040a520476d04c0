"""Sentences of words → windows of pieces, in which each word has one place where its tag is predicted; and the tags back, word by word.

Each word is tokenised alone, as given: words, not white space, are what treebanks and gold tags are about. No word is ever lost: a word
without a piece (such as an emoji that a tokenizer strips) becomes one unknown piece, and so does a word that fits no window. A sentence
that is too long is cut between words. Its tags are joined again before anything is scored.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vocab.roles import Roles

# Words → the ids of each, without special tokens; none for a word that the tokenizer drops.
WordIds: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[int]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class WordWindow:
    """A run of words of one sentence."""

    sentence: int
    input_ids: tuple[int, ...]  # cls, the pieces of the words, sep
    heads: tuple[int, ...]  # the place of each word's first piece


def make_windows(
    sentences: Sequence[Sequence[str]], ids_of: WordIds, roles: Roles, max_length: int, counters: Counter[str]
) -> list[WordWindow]:
    """The windows of all sentences, in order. A sentence of no words gives none.

    max_length  places of a window, special tokens included; at least 3
    counters    these counts are added: words, pieces, words_without_piece, words_too_long, split_sentences
    """
    assert max_length >= 3, "cls, a piece, sep"
    windows = []
    for number, words in enumerate(sentences):
        room, places = max_length - 2, [_pieces(ids, roles.unk, max_length - 2, counters) for ids in ids_of(words)]
        assert len(places) == len(words), "ids for each word"
        counters["words"] += len(words)
        runs: list[list[Sequence[int]]] = []
        free = 0
        for pieces in places:
            counters["pieces"] += len(pieces)
            if not runs or len(pieces) > free:
                runs.append([])
                free = room
            runs[-1].append(pieces)
            free -= len(pieces)
        counters["split_sentences"] += len(runs) > 1
        windows += [_window(number, run, roles) for run in runs]
    return windows


def join_tags(windows: Sequence[WordWindow], tags: Sequence[Sequence[str]], sentences: int) -> list[list[str]]:
    """The tags of each sentence, from those of the windows' words. A window with more or fewer tags than words is an AssertionError."""
    joined: list[list[str]] = [[] for _ in range(sentences)]
    for window, found in zip(windows, tags, strict=True):
        assert len(found) == len(window.heads), "a tag for each word"
        joined[window.sentence] += found
    return joined


def _pieces(ids: Sequence[int], unknown: int, room: int, counters: Counter[str]) -> Sequence[int]:
    if not ids:
        counters["words_without_piece"] += 1
    elif len(ids) > room:
        counters["words_too_long"] += 1
    else:
        return ids
    return (unknown,)


def _window(sentence: int, run: Sequence[Sequence[int]], roles: Roles) -> WordWindow:
    ids, heads = [roles.cls], []
    for pieces in run:
        heads.append(len(ids))
        ids += pieces
    return WordWindow(sentence=sentence, input_ids=(*ids, roles.sep), heads=tuple(heads))
