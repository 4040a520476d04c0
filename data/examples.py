"""Masked examples: articles → windows of tokens → masked positions with gold labels. Plain functions on arrays and strings.

The masks of a window are drawn from SHAKE-256 over (seed, doc_id, window, masking). So they are the same on every machine and runner,
in any process and order, and with every version of numpy. Legend: T tokens, M masked positions, V the teacher's vocabulary.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.contract import GOLD_SCHEMA
from data.masking import corrupt, select_tokens, select_words
from data.random_bits import random_bits
from data.recipe import Examples as ExampleSettings
from data.shards import list_column
from data.tokenise import Failed, tokenise
from vocab.roles import Roles


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One masked window. Its ids are of the vocabulary that tokenised it."""

    doc_id: str
    window: int  # window of the article × maskings + masking
    input_ids: NDArray[np.uint32]  # [T] masks applied
    mask_positions: NDArray[np.uint16]  # [M] strictly increasing
    label_ids: NDArray[np.uint32]  # [M] gold ids


@dataclass(frozen=True, kw_only=True)
class Alphabet:
    """What masking needs to know about a vocabulary."""

    roles: Roles
    maskable: NDArray[np.bool_]  # [V] ids that can be a gold label: not special tokens, and not ids without a place in the union
    lengths: NDArray[np.int64] | None = (
        None  # [V] number of places that an id takes in a window, 1 for maskable ids; None: 1 for every id
    )

    @cached_property
    def replacements(self) -> NDArray[np.uint32]:
        """The ids that can replace the token of a masked position at random (10% of the positions, as in BERT)."""
        return np.flatnonzero(self.maskable).astype(np.uint32)


def make_examples(
    articles: Iterable[tuple[str, str]],
    tokenizer: Any,
    alphabet: Alphabet,
    settings: ExampleSettings,
    seed: int,
    counters: Counter[str],
    failed: Failed | None = None,
) -> Iterator[Example]:
    """The masked examples of (doc_id, text) articles, in order.

    tokenizer  the backend of a fast tokenizer (tokenizers.Tokenizer)
    counters   these counts are added: articles, characters, windows, tokens (with special tokens, once for each masking),
               masked_positions, unknown_tokens, windows_without_maskable_token, articles_without_windows
    failed     called for an article on which the tokenizer fails; without it, the exception is raised

    A window takes at most `settings.max_length` places. A token takes one place, unless the alphabet has lengths. The first token is cls
    and the last one sep. A window without a maskable token (such as an article of unknown emoji) gives no example.
    """
    roles = alphabet.roles
    special_V = np.zeros(len(alphabet.maskable), dtype=np.bool_)
    special_V[[roles.pad, roles.cls, roles.sep, roles.mask]] = True
    for articles_A in tokenise(articles, tokenizer, settings.masking == "whole-word", counters, failed):
        ids = np.concatenate([ids for _, ids, _ in articles_A])
        # Some tokenizers turn a quoted "<mask>" into the special token in any case. In an article it is an unknown word.
        ids[special_V[ids]] = roles.unk
        counters["unknown_tokens"] += int(np.count_nonzero(ids == roles.unk))
        words = np.concatenate([words for _, _, words in articles_A])
        places: list[tuple[str, int]] = []  # (doc_id, window of the article) of each window
        cuts: list[tuple[int, int]] = []
        first = 0
        for doc_id, article, _ in articles_A:
            inside = ids[first : first + len(article)]
            for window, (start, stop) in enumerate(cut_windows(inside, settings.max_length - 2, alphabet.lengths)):
                places.append((doc_id, window))
                cuts.append((first + start, first + min(stop, len(article))))
            first += len(article)
        counters["articles_without_windows"] += len(articles_A)  # but for those that _mask finds windows of
        if cuts:
            yield from _mask(ids, words, places, cuts, alphabet, settings, seed, counters)


def _mask(
    ids: NDArray[np.int64],
    words: NDArray[np.int64],
    places: list[tuple[str, int]],
    cuts: list[tuple[int, int]],
    alphabet: Alphabet,
    settings: ExampleSettings,
    seed: int,
    counters: Counter[str],
) -> Iterator[Example]:
    """The examples of some articles. All their windows are masked together: a few operations on arrays, however many windows there are.

    ids, words  of all the articles, one after the other
    places      (doc_id, window of the article) of each window
    cuts        (start, stop) of each window in `ids`

    Legend: W windows, R rows (each window with a maskable token, `maskings` times), C candidates of a window, M masked positions.
    """
    starts_W, stops_W = np.array(cuts, dtype=np.int64).T
    candidates = np.flatnonzero(alphabet.maskable[ids])  # indices into `ids`
    first_W = np.searchsorted(candidates, starts_W)
    count_W = np.searchsorted(candidates, stops_W) - first_W
    used = np.flatnonzero(count_W)
    counters["windows_without_maskable_token"] += len(cuts) - len(used)
    counters["windows"] += len(used)
    counters["articles_without_windows"] -= len({places[window][0] for window in used.tolist()})
    if not len(used):
        return
    window_R = np.repeat(used, settings.copies)
    rate_R = np.tile(settings.rates, len(used))
    count_R, width = count_W[window_R], int(count_W.max())
    order_RC = np.full((len(window_R), width), np.iinfo(np.uint64).max, dtype=np.uint64)  # who is masked
    change_RC = np.zeros_like(order_RC)  # what a masked token becomes
    for row, (window, count) in enumerate(zip(window_R.tolist(), count_R.tolist(), strict=True)):
        bits = random_bits(2 * count, seed, *places[window], row % settings.copies)
        order_RC[row, :count], change_RC[row, :count] = bits[:count], bits[count:]
    if settings.masking == "whole-word":
        chosen_RC = np.zeros(order_RC.shape, dtype=np.bool_)
        for row, (window, count) in enumerate(zip(window_R.tolist(), count_R.tolist(), strict=True)):
            groups = words[candidates[first_W[window] : first_W[window] + count]]
            chosen_RC[row, select_words(groups, rate_R[row], order_RC[row, :count])] = True
    else:
        chosen_RC = select_tokens(count_R, rate_R, order_RC)
    row_M, column_M = np.nonzero(chosen_RC)
    masked_R = chosen_RC.sum(axis=1)
    ends_R = np.cumsum(masked_R)
    change_M = change_RC[row_M, np.arange(len(row_M)) - (ends_R - masked_R)[row_M]]

    start_R, tokens_R = starts_W[window_R], (stops_W - starts_W)[window_R] + 2  # with cls and sep
    stop_R = np.cumsum(tokens_R)
    tokens = np.empty(stop_R[-1], dtype=np.uint32)
    inside = np.arange(len(tokens)) + np.repeat(start_R - (stop_R - tokens_R) - 1, tokens_R)  # indices into `ids`
    tokens[:] = ids.take(inside, mode="clip")
    tokens[stop_R - tokens_R], tokens[stop_R - 1] = alphabet.roles.cls, alphabet.roles.sep
    position_M = candidates[first_W[window_R][row_M] + column_M] - start_R[row_M] + 1
    flat_M = position_M + (stop_R - tokens_R)[row_M]
    corrupted = corrupt(tokens, flat_M, alphabet.roles.mask, alphabet.replacements, change_M)
    positions, labels = position_M.astype(np.uint16), tokens[flat_M]
    counters["tokens"] += len(tokens)
    counters["masked_positions"] += len(row_M)
    parts = zip(
        window_R.tolist(), (stop_R - tokens_R).tolist(), stop_R.tolist(), (ends_R - masked_R).tolist(), ends_R.tolist(), strict=True
    )
    for row, (window, begin, end, first, last) in enumerate(parts):
        doc_id, number = places[window]
        yield Example(
            doc_id=doc_id,
            window=number * settings.copies + row % settings.copies,
            input_ids=corrupted[begin:end],
            mask_positions=positions[first:last],
            label_ids=labels[first:last],
        )


def cut_windows(ids: NDArray[np.int64], body: int, lengths: NDArray[np.int64] | None) -> Iterator[tuple[int, int]]:
    """(start, stop) of each window of an article's ids [T]. Each window takes as many ids as fit into `body` places.

    lengths [V]: number of places of each id, at most `body`; None: one for every id
    """
    if lengths is None:
        yield from ((start, start + body) for start in range(0, len(ids), body))
        return
    ends_T = np.cumsum(lengths[ids])
    start = 0
    while start < len(ids):
        before = ends_T[start - 1] if start else 0
        stop = int(np.searchsorted(ends_T, before + body, side="right"))
        assert stop > start, f"an id takes {ends_T[start] - before} places; no window has more than {body}"
        yield start, stop
        start = stop


def gold_table(examples: list[Example]) -> pa.Table:
    """Examples as a table with the contract's gold columns. The ids are not changed."""
    return flat_gold_table(
        examples,
        input_ids=_flat([example.input_ids for example in examples]),
        lengths=np.array([len(example.input_ids) for example in examples], dtype=np.int64),
        mask_positions=_flat([example.mask_positions for example in examples]),
        label_ids=_flat([example.label_ids for example in examples]),
        masked=np.array([len(example.mask_positions) for example in examples], dtype=np.int64),
    )


def flat_gold_table(
    examples: list[Example],
    *,
    input_ids: NDArray[Any],
    lengths: NDArray[np.int64],
    mask_positions: NDArray[Any],
    label_ids: NDArray[Any],
    masked: NDArray[np.int64],
) -> pa.Table:
    """The same from arrays that hold all examples, one after the other, with the lengths of each; only the names are the examples'."""
    columns = [
        pa.array([example.doc_id for example in examples], pa.string()),
        pa.array([example.window for example in examples], pa.int32()),
        list_column(input_ids, lengths, "input_ids"),
        list_column(mask_positions, masked, "mask_positions"),
        list_column(label_ids, masked, "label_ids"),
    ]
    return pa.Table.from_arrays(columns, schema=GOLD_SCHEMA)


def _flat(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint32)
