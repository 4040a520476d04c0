"""Input and output of the vectorised rules: list columns as flat arrays, and findings that name the first wrong rows.

Legend: R rows of a block, K values of a position, P positions of all rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.shards import leaf

LISTED = 5  # rows that are named for each broken rule of a file; the count has all of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A rule that rows of a block break. Its id is "<column>.<what>"."""

    rule: str
    rows: list[int]  # numbers (in the file) of the first LISTED rows that break it
    found: list[str]  # what was found in each of these rows
    expected: str
    count: int  # number of rows of the block that break it


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A list column: row r is values[offsets[r]:offsets[r + 1]]."""

    values: NDArray[Any]
    offsets: NDArray[np.int64]  # [R+1] from 0
    numbers: NDArray[np.int64]  # [R] row numbers in the file

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[R] values in each row."""
        return np.diff(self.offsets)

    def row(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of the block that each value belongs to."""
        return np.searchsorted(self.offsets, index, side="right") - 1

    def place(self, index: int) -> int:
        """A value's place within its row, from 0."""
        return index - int(self.offsets[np.searchsorted(self.offsets, index, side="right") - 1])

    def id_at(self, index: int) -> str:
        """A value and its place, for people."""
        return f"id {self.values[index]} at place {self.place(index)}"

    def value_at(self, index: int) -> str:
        """A number and its place, for people."""
        return f"{self.values[index]:.5g} at place {self.place(index)}"


def list_of(table: pa.Table, name: str, numbers: NDArray[np.int64]) -> ListColumn:
    """A list column of a table. `numbers` [R] are the numbers of its rows in the file."""
    values, offsets = leaf(table[name])
    return ListColumn(values[offsets[0] : offsets[-1]], (offsets - offsets[0]).astype(np.int64), numbers)


def finding(
    rule: str,
    numbers: NDArray[np.int64],
    wrong: NDArray[np.int64],
    found: Callable[[int], str],
    expected: str,
    column: ListColumn | None = None,
) -> Iterator[Finding]:
    """A finding if `wrong` is not empty. `wrong` are rows of the block, or with `column` indices of that column's values."""
    if len(wrong):
        rows, first = np.unique(wrong if column is None else column.row(wrong), return_index=True)
        shown = [found(int(index)) for index in wrong[first[:LISTED]]]
        yield Finding(rule=rule, rows=numbers[rows[:LISTED]].tolist(), found=shown, expected=expected, count=len(rows))


def positions(wrong_KP: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The positions at which something is wrong. If nothing is wrong, as usual, this costs one pass."""
    return np.flatnonzero(wrong_KP.any(axis=0)) if wrong_KP.any() else np.zeros(0, dtype=np.int64)


def null_rows(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """[R] rows that are null or contain a null. Files of other writers can have them; the contract allows none."""
    null = np.zeros(len(column), dtype=np.bool_)
    if column.null_count:
        null |= column.is_null().to_numpy()
    if pa.types.is_list(column.type) and column.type.value_field.nullable:
        inner = pc.list_flatten(column)
        if inner.null_count:
            null[pc.list_parent_indices(column).filter(inner.is_null()).to_numpy()] = True
    return null


def show(values: NDArray[Any]) -> str:
    """The first values of an array, for people."""
    shown = ", ".join(f"{value:.5g}" if values.dtype.kind == "f" else str(value) for value in values[:8])
    return f"[{shown}{', …' if len(values) > 8 else ''}]"
