"""Decoded rows as flat numpy arrays: those of a row group without a copy, and rows of many row groups gathered in a new order.

Legend: R rows, M masked positions of all rows, K top-k labels a position, L values of a column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.shards import leaf

NAME_COLUMNS = ("doc_id", "window")  # for messages
_PER_TOKEN = "input_ids"
_PER_MASK = "mask_positions"  # every other list has one value, or K, for each masked position


class Columns:
    """Lists as values and offsets: the values of row r are values[offsets[r]:offsets[r + 1]]."""

    def __init__(
        self,
        leaves: dict[str, tuple[NDArray[Any], NDArray[np.integer]]],
        languages: NDArray[np.int16],
        names: dict[str, pa.Array] | None = None,
    ) -> None:
        self.rows = len(languages)
        self.leaves = leaves
        self.languages = languages  # [R] the number of each row's language
        self.names = names or {}

    @classmethod
    def of(cls, table: pa.Table) -> "Columns":
        """The columns of a table, not copied if it has one chunk."""
        lists = [name for name in table.column_names if pa.types.is_list(table.schema.field(name).type)]
        names = {name: table.column(name).combine_chunks() for name in NAME_COLUMNS if name in table.column_names}
        return cls({name: leaf(table.column(name)) for name in lists}, np.zeros(table.num_rows, np.int16), names)

    def lengths(self, name: str = _PER_TOKEN) -> NDArray[np.integer]:
        """The number of values of each row, [R]."""
        return np.diff(self.leaves[name][1])

    def values(self, name: str, begin: int, end: int) -> NDArray[Any]:
        """The values of rows begin to end, flat."""
        values, offsets = self.leaves[name]
        return values[offsets[begin] : offsets[end]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picked:
    """Rows of several row groups, in an order, before anything is copied."""

    sources: tuple[Columns, ...]
    source_R: NDArray[np.int64]  # which source has the row
    row_R: NDArray[np.int64]  # and where in it

    @classmethod
    def all_of(cls, source: Columns) -> "Picked":
        """All rows of one source."""
        return cls(sources=(source,), source_R=np.zeros(source.rows, np.int64), row_R=np.arange(source.rows))

    @classmethod
    def join(cls, parts: Sequence["Picked"]) -> "Picked":
        """The rows of all parts, one part after the other."""
        first = np.cumsum([0, *(len(part.sources) for part in parts)])
        return cls(
            sources=tuple(source for part in parts for source in part.sources),
            source_R=np.concatenate([part.source_R + before for part, before in zip(parts, first, strict=False)]),
            row_R=np.concatenate([part.row_R for part in parts]),
        )

    def take(self, index: NDArray[np.int64] | slice) -> "Picked":
        """Rows by their place."""
        return Picked(sources=self.sources, source_R=self.source_R[index], row_R=self.row_R[index])

    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each row, [R]."""
        found_R = np.zeros(len(self.row_R), np.int64)
        for source, at in self._by_source():
            found_R[at] = source.lengths()[self.row_R[at]]
        return found_R

    def gather(self, languages: NDArray[np.int16]) -> Columns:
        """The rows, copied once. `languages` [R]: the number of each row's language."""
        parts = [*self._by_source()]
        leaves: dict[str, tuple[NDArray[Any], NDArray[np.integer]]] = {}
        for key in (_PER_TOKEN, _PER_MASK):
            names_of_key = [name for name in parts[0][0].leaves if (name == _PER_TOKEN) == (key == _PER_TOKEN)]
            if not names_of_key:
                continue
            offsets, places = self._places(parts, key)
            for name in names_of_key:
                values = [_by_place(source, name, key) for source, _ in parts]
                taken = [np.take(found, source_L, axis=0) for found, (source_L, _) in zip(values, places, strict=True)]
                flat = taken[0]
                if len(taken) > 1:
                    flat = np.empty((int(offsets[-1]), flat.shape[1]), flat.dtype)
                    for found, (_, target_L) in zip(taken, places, strict=True):
                        flat[target_L] = found
                leaves[name] = flat.reshape(-1), offsets * flat.shape[1]
        names = {}
        for name in parts[0][0].names:
            order = np.argsort(np.concatenate([at for _, at in parts]))
            names[name] = pa.concat_arrays([source.names[name].take(pa.array(self.row_R[at])) for source, at in parts]).take(order)
        return Columns(leaves, languages, names)

    def _by_source(self) -> list[tuple[Columns, NDArray[np.int64]]]:
        """Each source that has rows, and the places of its rows."""
        order = np.argsort(self.source_R, kind="stable")
        cuts = np.searchsorted(self.source_R[order], np.arange(len(self.sources) + 1))
        found = ((source, order[cuts[n] : cuts[n + 1]]) for n, source in enumerate(self.sources))
        return [(source, at) for source, at in found if len(at)]

    def _places(
        self, parts: list[tuple[Columns, NDArray[np.int64]]], key: str
    ) -> tuple[NDArray[np.int64], list[tuple[NDArray[np.int64], NDArray[np.int64] | slice]]]:
        """The offsets [R + 1] of the gathered rows, and for each source: from where, to where its values are copied."""
        lengths_R = np.zeros(len(self.row_R), np.int64)
        for source, at in parts:
            lengths_R[at] = source.lengths(key)[self.row_R[at]]
        offsets = np.concatenate(([0], np.cumsum(lengths_R)))
        places: list[tuple[NDArray[np.int64], NDArray[np.int64] | slice]] = []
        for source, at in parts:
            begin_R = source.leaves[key][1][self.row_R[at]].astype(np.int64) - source.leaves[key][1][0]
            target = slice(None) if len(parts) == 1 else _ranges(offsets[at], lengths_R[at])
            places.append((_ranges(begin_R, lengths_R[at]), target))
        return offsets, places


def _by_place(source: Columns, name: str, key: str) -> NDArray[Any]:
    """The values of a column at each token, or at each masked position: [L, 1], or [M, K]."""
    values, offsets = source.leaves[name]
    places = int(source.leaves[key][1][-1] - source.leaves[key][1][0])
    return values[offsets[0] : offsets[-1]].reshape(places, -1)


def _ranges(begin_R: NDArray[np.int64], lengths_R: NDArray[np.int64]) -> NDArray[np.int64]:
    """begin, begin + 1, … of each row, as many as its length."""
    before_R = np.cumsum(lengths_R) - lengths_R
    return np.repeat(begin_R - before_R, lengths_R) + np.arange(int(lengths_R.sum()))
