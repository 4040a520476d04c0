"""The rules for windows: each window is there once in a file, in every masking, and once in the files of a teacher and language.

A 64-bit hash of each article's name finds candidates, within a file and between files, so no name is held in memory: a row needs 8 bytes,
and an article 8. Where the hashes show a fault, the names are read again and compared themselves. Legend: R rows, A articles.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.shards import open_shard
from data.validation.findings import LISTED, Finding

_CANDIDATES = 1 << 20  # articles that are compared at once: limits the memory if a partition is there twice


@dataclass(frozen=True, kw_only=True, slots=True)
class Articles:
    """The articles of one file, for the comparison between files."""

    location: str
    name: str  # path relative to the folder of predictions
    hashes: NDArray[np.int64]  # sorted, each hash once; valid only in this process


class WindowNumbers:
    """The article, as a number, and the window of each row, row group after row group."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self._articles: list[NDArray[np.int32]] = []  # [R] places in the hashes of all row groups
        self._windows: list[NDArray[np.int32]] = []
        self._hashes: list[NDArray[np.int64]] = []  # an article of two row groups is there twice
        self._hashed = 0

    def add(self, group: int, names: pa.Table) -> None:
        """Add the columns doc_id and window of row group `group`. Rows with a null do not count: another rule finds them."""
        names = names.drop_null()
        article_R, dictionary = encode(names["doc_id"])
        self._articles.append((article_R + self._hashed).astype(np.int32))
        self._windows.append(names["window"].to_numpy())
        self._hashes.append(_hash(dictionary))
        self._hashed += len(dictionary)
        self.groups.append(group)

    def numbered(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """[R] the number of each row's article, [R] its window, [A] the articles' hashes, sorted; valid only in this process."""
        hashes_A, number = np.unique(np.concatenate(self._hashes), return_inverse=True)
        return number[np.concatenate(self._articles)], np.concatenate(self._windows).astype(np.int64), hashes_A


def read_names(file: pq.ParquetFile, groups: Container[int]) -> pa.Table:
    """doc_id, window and number of each row without a null, of the row groups in `groups`."""
    tables, first = [], 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if group in groups:
            names = file.read_row_group(group, columns=["doc_id", "window"], use_threads=False)
            tables.append(names.append_column("row", pa.array(np.arange(first, first + rows))))
        first += rows
    return pa.concat_tables(tables).drop_null()


def check_windows(
    article_R: NDArray[np.int64], window_R: NDArray[np.int64], row_R: NDArray[np.int64], maskings: int
) -> Iterator[Finding]:
    """Findings on all rows of a file: the number of each row's article (see `encode`), its window, and its own number."""
    key_R = (article_R << 32) + window_R
    order = np.argsort(key_R, kind="stable")
    again = np.flatnonzero(key_R[order[1:]] == key_R[order[:-1]]) + 1
    if len(again):
        rows, earlier = row_R[order[again]], row_R[order[again - 1]]
        listed = np.argsort(rows)[:LISTED]
        shown = [f"the doc_id and window of row {number:,}" for number in earlier[listed]]
        yield Finding(rule="rows.unique", rows=rows[listed].tolist(), found=shown, expected="each window once", count=len(rows))
    if maskings > 1:
        once = np.delete(order, again)
        whole = (article_R[once] << 32) + window_R[once] // maskings
        _, start, size = np.unique(whole, return_index=True, return_counts=True)
        wrong = np.flatnonzero(size != maskings)
        if len(wrong):
            rows = row_R[once[start[wrong]]]
            listed = np.argsort(rows)[:LISTED]
            shown = [f"{number} of this window's maskings" for number in size[wrong][listed]]
            wanted = f"{maskings} (examples.maskings)"
            yield Finding(rule="window.maskings", rows=rows[listed].tolist(), found=shown, expected=wanted, count=len(wrong))


def check_across(files: Sequence[Articles]) -> Iterator[tuple[str, Finding, list[tuple[str, int]]]]:
    """Find windows that an earlier file also has. `files` are those of one teacher and language.

    Yields (file, finding, doc_id and window of each row that the finding lists).
    """
    if not files:
        return
    hashes = np.sort(np.concatenate([file.hashes for file in files]))
    twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    found: dict[int, tuple[list[int], list[str], list[tuple[str, int]]]] = {}
    counts: dict[int, int] = {}
    for start in range(0, len(twice), _CANDIDATES):
        for file, number, other, other_number, doc_id, window in _repeated(files, twice[start : start + _CANDIDATES]):
            counts[file] = counts.get(file, 0) + 1
            rows, shown, names = found.setdefault(file, ([], [], []))
            if len(rows) < LISTED:
                rows.append(number)
                shown.append(f"the doc_id and window of row {other_number:,} of {files[other].name}")
                names.append((doc_id, window))
    for file, (rows, shown, names) in sorted(found.items()):
        expected = "each window once within a teacher and language"
        yield files[file].name, Finding(rule="rows.unique", rows=rows, found=shown, expected=expected, count=counts[file]), names


def _repeated(files: Sequence[Articles], candidates: NDArray[np.int64]) -> Iterator[tuple[int, int, int, int, str, int]]:
    """(file, row, earlier file, its row, doc_id, window) for each row whose window an earlier file also has."""
    tables = []
    for index, file in enumerate(files):
        if np.isin(file.hashes, candidates, assume_unique=True).any():
            names = open_shard(file.location).read(columns=["doc_id", "window"], use_threads=False)
            article_R, dictionary = encode(names["doc_id"])
            rows = np.flatnonzero(np.isin(_hash(dictionary), candidates)[article_R])
            table = pa.table({"doc_id": names["doc_id"].cast(pa.binary()), "window": names["window"]}).take(pa.array(rows))
            table = table.append_column("row", pa.array(rows)).append_column("file", pa.array(np.full(len(rows), index)))
            tables.append(table)
    names = pa.concat_tables(tables)
    article_R, dictionary = encode(names["doc_id"])
    window_R, row_R, file_R = (names[name].to_numpy().astype(np.int64) for name in ("window", "row", "file"))
    key_R = (article_R << 32) + window_R
    order = np.argsort(key_R, kind="stable")  # files in order within a key
    head = np.flatnonzero(np.diff(key_R[order], prepend=key_R[order[0]] - 1))  # where the rows of each key begin
    first = np.repeat(order[head], np.diff(np.append(head, len(order))))  # the first row with the same key
    for one, other in sorted(zip(order.tolist(), first.tolist(), strict=True)):
        if file_R[one] != file_R[other]:  # two equal windows of one file are reported for that file
            text = dictionary[int(article_R[one])].as_py().decode(errors="replace")
            yield int(file_R[one]), int(row_R[one]), int(file_R[other]), int(row_R[other]), text, int(window_R[one])


def encode(doc_ids: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.Array]:
    """[R] the number of each article in a dictionary of doc_ids, and the dictionary, as bytes (they may not be UTF-8)."""
    encoded = pa.chunked_array(doc_ids.cast(pa.binary()), pa.binary()).combine_chunks().dictionary_encode()
    assert isinstance(encoded, pa.DictionaryArray)
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _hash(dictionary: pa.Array) -> NDArray[np.int64]:
    return np.fromiter(map(hash, dictionary.to_pylist()), dtype=np.int64, count=len(dictionary))
