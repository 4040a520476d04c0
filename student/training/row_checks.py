"""What a row group must have before the student learns from it: the contract's columns, no null, and lists that fit together.

These are the checks that cost little beside decoding. `mergedistill validate` checks every rule.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.contract import SCHEMA
from data.shards import leaf
from data.validation.unit_rules import check_shown, count_shown
from vocab.errors import InputError
from vocab.roles import FIRST_PIECE

_POSITIVE = 2.0**-10  # the rounding of a normalised logit that is 0


class UnsoundRows(InputError):
    """A row group that `predict` cannot have written, or that was changed since training began."""

    def __init__(self, location: str, column: str, row: int | None, reason: str) -> None:
        where = f"column '{column}'" + ("" if row is None else f", row {row:,}")
        super().__init__(f"{location}: {where}: {reason}; `mergedistill validate` says more: nothing of this row group was used")
        self.location, self.column, self.row = location, column, row


def check_rows(table: pa.Table, location: str, first_row: int, vocab_size: int, first_piece: int = FIRST_PIECE) -> None:
    """Raise UnsoundRows for the first fault of a row group.

    first_row    the number of its first row in the file
    first_piece  ids below it are special tokens, which are never labels; 0 for ids that are not a union's

    The long columns are only looked at for their smallest and largest values, unless these are wrong.
    """

    def refuse(column: str, wrong: NDArray[np.bool_], offsets: NDArray[np.integer] | None, reason: str) -> None:
        if wrong.any():
            at = int(np.argmax(wrong))
            row = at if offsets is None else int(np.searchsorted(offsets, at, side="right")) - 1
            raise UnsoundRows(location, column, first_row + row, reason)

    for name in table.column_names:
        found, wanted = table.schema.field(name).type, SCHEMA.field(name).type
        if _bare(found) != _bare(wanted):
            raise UnsoundRows(location, name, None, f"found the type {found}, expected {wanted}")
        column = table.column(name)
        if column.null_count:
            refuse(name, column.is_null().to_numpy(), None, "found a null")
        if pa.types.is_list(found) and any(chunk.values.null_count for chunk in column.chunks):
            raise UnsoundRows(location, name, None, "found a null inside a list")
    if not table.num_rows:
        return
    lists = {name: leaf(table.column(name)) for name in table.column_names if pa.types.is_list(table.schema.field(name).type)}
    lengths = np.diff(lists["input_ids"][1]).astype(np.int64)
    refuse("input_ids", lengths < 3, None, "found a window of less than 3 tokens")
    if "mask_positions" in lists:
        _check_masks(lists, lengths, refuse, first_piece)
        if first_piece and "label_ids" in lists:
            masked = np.diff(lists["mask_positions"][1])
            top_k = int(np.diff(lists["topk_ids"][1])[0] // masked[0]) if "topk_ids" in lists else 1
            for *_, found, expected in check_shown(*count_shown(table), top_k):
                raise UnsoundRows(location, "input_ids", first_row, f"in its row group {found}; expected {expected}")
    for name, (values, at) in lists.items():
        if name.endswith("_ids") and values.max() >= vocab_size:
            refuse(name, values >= vocab_size, at, f"found an id of another vocabulary; expected ids below {vocab_size}")


def _check_masks(
    lists: Mapping[str, tuple[NDArray[Any], NDArray[np.int32]]],
    lengths: NDArray[np.int64],
    refuse: Callable[..., None],
    first_piece: int,
) -> None:
    """Masked positions are inside their windows, and each has its labels."""
    places, places_at = lists["mask_positions"]
    masked = np.diff(places_at)
    refuse("mask_positions", masked == 0, None, "found no masked position")
    last = np.repeat(lengths - 2, masked)
    refuse("mask_positions", (places < 1) | (places > last), places_at, "found a position outside of the window")
    falls = np.zeros(len(places), np.bool_)
    falls[1:] = places[1:] <= places[:-1]
    falls[places_at[:-1]] = False
    refuse("mask_positions", falls, places_at, "found positions that do not increase")
    for name, (values, at) in lists.items():
        if name in ("input_ids", "mask_positions"):
            continue
        each = np.diff(at)
        top_k = int(each[0] // masked[0]) if name.startswith("topk") else 1
        refuse(name, (each != top_k * masked) | (each == 0), None, f"found a list that is not {top_k} for each masked position")
        if name.endswith("_ids"):
            if values.min() < first_piece:
                refuse(name, values < first_piece, at, "found the id of a special token")
        elif not (values.max() <= _POSITIVE and values.min() > -np.inf):  # a NaN is in both, and is neither
            wrong = ~(values <= _POSITIVE) | ~np.isfinite(values)
            refuse(name, wrong, at, "found no normalised logit (a finite number, 0 or less)")
    if "topk_ids" in lists and "topk_logits" in lists:
        differ = np.diff(lists["topk_ids"][1]) != np.diff(lists["topk_logits"][1])
        refuse("topk_logits", differ, None, "found more or fewer than the topk_ids")


def _bare(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind.value_type) if pa.types.is_list(kind) else kind
