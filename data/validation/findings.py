"""What a vectorised rule works on and what it yields: list columns as flat arrays, and findings that name the first rows at fault.

Legend: R rows of a block (a row group), K values a position, P positions of all its rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.shards import leaf

LISTED = 5  # rows named for each rule that a file breaks; the count says how many there are


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One rule that rows of a block break. Its id is "<column>.<what>"."""

    rule: str
    rows: list[int]  # row numbers in the file of the first LISTED rows that break it
    found: list[str]  # in each of them
    expected: str
    count: int  # rows of the block that break it


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
        """The block's row that each value lies in."""
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
    """A table's list column; `numbers` [R] are its rows' numbers in the file."""
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
    """A finding, if anything is wrong. `wrong` holds rows of the block, or with `column` indices of that column's values."""
    if len(wrong):
        rows, first = np.unique(wrong if column is None else column.row(wrong), return_index=True)
        shown = [found(int(index)) for index in wrong[first[:LISTED]]]
        yield Finding(rule=rule, rows=numbers[rows[:LISTED]].tolist(), found=shown, expected=expected, count=len(rows))


def positions(wrong_KP: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The positions at which anything is wrong; the usual answer, none, costs one pass."""
    return np.flatnonzero(wrong_KP.any(axis=0)) if wrong_KP.any() else np.zeros(0, dtype=np.int64)


def null_rows(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """[R] rows that are null or hold a null. The contract's columns cannot; another writer's can."""
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
