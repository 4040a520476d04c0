"""The contract's rules for single rows, vectorised over a block of rows.

This file has the rules for names, windows and masks; label_rules.py has those for labels. Legend: R rows of the block, T tokens of a
row, N tokens of all rows, M masked positions of a row, P masked positions of all rows, K top-k logits of a masked position.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.contract import SCHEMA
from data.validation.findings import Finding, ListColumn, finding, list_of, null_rows
from data.validation.label_rules import check_labels, check_union
from data.validation.sampled_rules import check_sampled_labels
from vocab.roles import FIRST_PIECE, UNION_ROLES


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the rules need to know in addition to the rows."""

    top_k: int  # ids of each masked position; if they are sampled, the draws
    sampled: bool  # whether they were drawn, and the logits are the logarithms of their shares
    in_steps: bool  # whether the top-k logits are rounded to 8-bit levels
    max_length: int  # tokens of a window, special tokens included
    mask_rates: tuple[float, ...]  # of each copy of a window
    whole_word: bool
    complete: bool  # every piece of the teacher is in the union: then each token can be masked that is no special token
    union_size: int | None  # number of ids of the union that the teacher knows; None: not checked


def check_rows(table: pa.Table, first_row: int, limits: Limits) -> Iterator[Finding]:
    """Check every rule that needs only one row. `table` has the contract's columns; its first row has the number `first_row`."""
    numbers = np.arange(first_row, first_row + table.num_rows)
    whole = np.ones(table.num_rows, dtype=np.bool_)
    for name in SCHEMA.names:
        null = null_rows(table[name])
        yield from finding(f"{name}.null", numbers, np.flatnonzero(null), lambda r: "a null", "no null anywhere")
        whole &= ~null
    if not whole.all():  # the other rules cannot judge a null
        table, numbers = table.filter(pa.array(whole)), numbers[whole]
    tokens, masks = list_of(table, "input_ids", numbers), list_of(table, "mask_positions", numbers)
    yield from _check_names(table, numbers)
    yield from _check_masks(tokens, masks)
    special, hidden = _inner_special(tokens, masks)
    yield from _check_tokens(tokens, special, hidden, limits)
    yield from _check_share(tokens, masks, special[~hidden], table["window"].to_numpy(), limits)
    aligned = np.ones(table.num_rows, dtype=np.bool_)
    for name, width in (("label_ids", 1), ("label_logits", 1), ("topk_ids", limits.top_k), ("topk_logits", limits.top_k)):
        lengths = list_of(table, name, numbers).lengths
        right = lengths == width * masks.lengths
        yield from finding(
            f"{name}.length",
            numbers,
            np.flatnonzero(~right),
            lambda r, lengths=lengths: f"{lengths[r]} values for {masks.lengths[r]} masked positions",  # type: ignore[misc]
            "one a masked position" if width == 1 else f"{width} a masked position (the identity's top_k)",
        )
        aligned &= right
    if not aligned.all():  # the labels of the other rows can still be checked
        table, numbers = table.filter(pa.array(aligned)), numbers[aligned]
    if limits.sampled:
        yield from check_sampled_labels(table, numbers, limits.top_k, limits.union_size)
    else:
        yield from check_labels(table, numbers, limits.top_k, limits.union_size, in_steps=limits.in_steps)


def _check_names(table: pa.Table, numbers: NDArray[np.int64]) -> Iterator[Finding]:
    empty = np.flatnonzero(pc.equal(pc.binary_length(table["doc_id"]), 0).to_numpy())
    yield from finding("doc_id.empty", numbers, empty, lambda r: "an empty string", "the article's id")
    try:
        table["doc_id"].validate(full=True)
    except pa.ArrowInvalid:
        raw = table["doc_id"].cast(pa.binary()).to_pylist()
        broken = np.array([r for r, value in enumerate(raw) if value.decode(errors="ignore").encode() != value], dtype=np.int64)
        yield from finding("doc_id.text", numbers, broken, lambda r: repr(raw[r]), "UTF-8 text")
    window = table["window"].to_numpy()
    yield from finding("window.negative", numbers, np.flatnonzero(window < 0), lambda r: str(window[r]), "0 or more")


def _check_masks(tokens: ListColumn, masks: ListColumn) -> Iterator[Finding]:
    """Check mask_positions against the lengths of the windows."""
    numbers, position_P = masks.numbers, masks.values.astype(np.int64)
    yield from finding("mask_positions.none", numbers, np.flatnonzero(masks.lengths == 0), lambda r: "none", "at least one")
    last_P = np.repeat(tokens.lengths - 2, masks.lengths)
    yield from finding(
        "mask_positions.range",
        numbers,
        np.flatnonzero((position_P < 1) | (position_P > last_P)),
        lambda i: f"{position_P[i]} in a window of {last_P[i] + 2} tokens",
        "1 to T − 2: never the window's first or last token",
        masks,
    )
    falls_P = np.zeros(len(position_P), dtype=np.bool_)
    falls_P[1:] = position_P[1:] <= position_P[:-1]
    starts = masks.offsets[:-1]
    falls_P[starts[starts < len(position_P)]] = False  # the first position of a row follows no other
    yield from finding(
        "mask_positions.order",
        numbers,
        np.flatnonzero(falls_P),
        lambda i: f"{position_P[i]} after {position_P[i - 1]}",
        "strictly increasing",
        masks,
    )


def _check_tokens(tokens: ListColumn, special: NDArray[np.int64], hidden: NDArray[np.bool_], limits: Limits) -> Iterator[Finding]:
    """Check input_ids: their number, their first and last token, and the special tokens inside (see `_inner_special`)."""
    ids_N, lengths, numbers = tokens.values, tokens.lengths, tokens.numbers
    wrong = np.flatnonzero((lengths < 3) | (lengths > limits.max_length))
    wanted = f"3 to {limits.max_length} (examples.max_length)"
    yield from finding("input_ids.length", numbers, wrong, lambda r: f"{lengths[r]} tokens", wanted)
    filled = lengths > 0
    for rule, name, index, role in (
        ("begin", "cls", tokens.offsets[:-1][filled], UNION_ROLES.cls),
        ("end", "sep", tokens.offsets[1:][filled] - 1, UNION_ROLES.sep),
    ):
        wrong = index[ids_N[index] != role]
        yield from finding(f"input_ids.{rule}", numbers, wrong, tokens.id_at, f"the {name} token, id {role}", tokens)
    kind = ids_N[special]
    for rule, wrong, wanted in (
        ("special", (kind != UNION_ROLES.unk) & (kind != UNION_ROLES.mask), "no pad, cls or sep token inside the window"),
        ("mask", (kind == UNION_ROLES.mask) & ~hidden, "the mask token at mask_positions only"),
        ("unknown", (kind == UNION_ROLES.unk) & hidden, "the mask token or a piece at a masked position"),
    ):
        yield from finding(f"input_ids.{rule}", numbers, special[wrong], tokens.id_at, wanted, tokens)
    yield from check_union("input_ids", tokens, limits.union_size)


def _check_share(
    tokens: ListColumn, masks: ListColumn, fixed_tokens: NDArray[np.int64], window_R: NDArray[np.int32], limits: Limits
) -> Iterator[Finding]:
    """Check the share of masked tokens. Not for whole words, because the first word can fill its window.

    If the union lacks pieces of the teacher, some tokens spell such a piece. They cannot be masked, and nothing in a row shows them.
    """
    if limits.whole_word:
        return
    fixed = np.bincount(tokens.row(fixed_tokens), minlength=len(tokens.lengths))
    rate_R = np.array(limits.mask_rates)[window_R % len(limits.mask_rates)]
    most = np.maximum(1, np.rint(rate_R * (tokens.lengths - 2 - fixed)))
    judged = (tokens.lengths >= 3) & (tokens.lengths <= limits.max_length) & (masks.lengths > 0)  # other rules name the others
    wrong = (masks.lengths != most) if limits.complete else (masks.lengths > most)
    yield from finding(
        "mask_positions.share",
        tokens.numbers,
        np.flatnonzero(wrong & judged),
        lambda r: f"{masks.lengths[r]} of {tokens.lengths[r] - 2 - fixed[r]} tokens that can be masked",
        f"examples.mask_rate {', '.join(f'{rate:g}' for rate in limits.mask_rates)} of them, rounded, or one",
    )


def _inner_special(tokens: ListColumn, masks: ListColumn) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Special tokens inside their row, which most rules are about, and which of them are masked positions."""
    special = np.flatnonzero(tokens.values < FIRST_PIECE)
    edge_N = np.zeros(len(tokens.values), dtype=np.bool_)
    filled = tokens.lengths > 0
    edge_N[tokens.offsets[:-1][filled]] = True
    edge_N[tokens.offsets[1:][filled] - 1] = True
    special = special[~edge_N[special]]
    masked_N = edge_N  # no longer needed: reuse its memory
    masked_N[:] = False
    index_P = np.repeat(tokens.offsets[:-1], masks.lengths) + masks.values
    masked_N[index_P[index_P < np.repeat(tokens.offsets[1:], masks.lengths)]] = True
    return special, masked_N[special]
