"""One shard under every rule that needs no other shard: it opens, its frame is the contract's, each of its rows is legal."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.contract import IDENTITY_KEY, REPORT_KEY, SCHEMA, UNIT_KEY, ShardPath
from data.findings import LISTED, Finding
from data.footer_rules import FrameFault, check_path, check_schema, read_footer
from data.rules import Limits, check_rows
from data.shards import open_shard
from data.validation_report import Fault
from vocab.errors import InputError
from vocab.roles import UNION_ROLES

_ROW_RULE_COLUMN = {"rows": None}  # rules on whole rows have no column of their own


@dataclass(kw_only=True, slots=True)
class ShardCheck:
    """What one shard holds, and what is wrong with it."""

    location: str
    name: str  # below the folder of predictions
    path: ShardPath
    bytes: int
    faults: list[Fault] = field(default_factory=list)
    identity: dict[str, Any] | None = None  # None if not whole
    unit: dict[str, Any] | None = None
    rows: int = 0
    masked_positions: int = 0
    masks_shown: int = 0  # masked positions that show the mask token
    articles: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # hashes of its doc_ids, this process's

    def fault(self, rule: str, column: str | None, found: str, expected: str) -> None:
        """Note a fault of the file as a whole."""
        self.faults.append(Fault(rule=rule, file=self.name, column=column, found=found, expected=expected))


def check_shard(location: str, name: str, path: ShardPath, size: int, union_size: int | None) -> ShardCheck:
    """Check one shard. Never raises for what a file holds: whatever cannot be read is a fault."""
    check = ShardCheck(location=location, name=name, path=path, bytes=size)
    try:
        file = open_shard(location)
        frame: list[FrameFault] = list(check_schema(file))
        parts = read_footer(file.metadata.metadata or {}, frame)
    except InputError as error:
        reason = str(error).partition("(")[2].rpartition(")")[0] or str(error)
        check.fault("file.unreadable", None, f"{size:,} bytes that are no whole Parquet file ({reason})", "a Parquet file")
        return check
    except Exception as error:  # a damaged footer can raise anything, and must never pass
        check.fault("file.unreadable", None, f"a damaged footer ({_first_line(error)})", "a Parquet file")
        return check
    check.identity, check.unit = parts[IDENTITY_KEY], parts[UNIT_KEY]
    for fault in (*frame, *check_path(path, check.unit)):
        check.fault(*fault)
    readable = not any(rule.startswith("schema.") for rule, *_ in frame) or _same_but_nulls(file.schema_arrow)
    _check_groups(check, file, readable, union_size)
    report = parts[REPORT_KEY]
    intact = readable and not any(fault.rule == "file.damaged" for fault in check.faults)
    if report is not None and intact:
        for key, counted in (("rows", check.rows), ("masked_positions", check.masked_positions)):
            if report[key] != counted:
                check.fault(f"report.{key}", f"report.{key}", f"{report[key]:,} in the footer", f"{counted:,}, as the file holds")
    return check


def doc_hashes(doc_ids: pa.Array) -> NDArray[np.int64]:
    """A 64-bit hash of each doc_id: Python's own (SipHash), so it compares within this process only."""
    return np.fromiter(map(hash, doc_ids.cast(pa.binary()).to_pylist()), dtype=np.int64, count=len(doc_ids))


def _check_groups(check: ShardCheck, file: pq.ParquetFile, readable: bool, union_size: int | None) -> None:
    """Read every page, a row group at a time, and check the rows; a row group that cannot be read is a fault, the others go on."""
    counts: Counter[str] = Counter()
    listed: dict[str, list[Fault]] = {}
    keys: list[pa.Table] = []
    first = 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        try:
            table = file.read_row_group(group, use_threads=False)
            if table.num_rows != rows:
                raise OSError(f"{table.num_rows} rows in the pages, {rows} in the footer")
            if readable:
                table = table.select(SCHEMA.names)
                findings = list(check_rows(table, first, _limits(check, table, union_size)))
        except Exception as error:  # a flipped bit can raise anything
            for column, reason in _damaged_columns(file, group) or [(None, _first_line(error))]:
                check.fault("file.damaged", column, f"row group {group} (rows {first}–{first + rows - 1}): {reason}", "pages as written")
        else:
            if readable:
                keys.append(table.select(["doc_id", "window"]).append_column("row", pa.array(np.arange(first, first + rows))))
                _count(check, table)
                for item in findings:
                    _collect(check, item, table, first, counts, listed)
        first += rows
    if keys:
        names = pa.concat_tables(keys).drop_null()
        for item in _check_windows(check, names):
            _collect(check, item, names, None, counts, listed)
    if first != file.metadata.num_rows:
        check.fault("file.damaged", None, f"{file.metadata.num_rows:,} rows in the footer, {first:,} in its row groups", "the same number")
    check.rows = first
    for rule, faults in listed.items():
        check.faults += [_with_count(fault, counts[rule]) for fault in faults]


def _limits(check: ShardCheck, table: pa.Table, union_size: int | None) -> Limits:
    if check.identity is not None:
        return Limits(
            top_k=check.identity["top_k"],
            max_length=check.identity["examples.max_length"],
            mask_rate=check.identity["examples.mask_rate"],
            whole_word=check.identity["examples.masking"] == "whole-word",
            union_size=union_size,
        )
    # The footer is at fault already; its rows are still held to what any identity allows.
    masked, top = (pc.sum(pc.list_value_length(table[name])).as_py() or 0 for name in ("mask_positions", "topk_ids"))
    return Limits(top_k=max(1, round(top / max(1, masked))), max_length=65_535, mask_rate=1.0, whole_word=True, union_size=union_size)


def _check_windows(check: ShardCheck, names: pa.Table) -> Iterator[Finding]:
    """Windows of the file are unique, and each is there in every masking. `names` has doc_id, window and row."""
    encoded = pc.dictionary_encode(names["doc_id"].cast(pa.binary()).combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    check.articles = np.unique(doc_hashes(encoded.dictionary))
    window, row = names["window"].to_numpy().astype(np.int64), names["row"].to_numpy()
    key = (encoded.indices.to_numpy().astype(np.int64) << 32) + window
    if not (key[1:] > key[:-1]).all():
        order = np.argsort(key, kind="stable")
        again = np.flatnonzero(key[order[1:]] == key[order[:-1]]) + 1
        if len(again):
            first_row = dict(zip(order[again].tolist(), row[order[again - 1]].tolist(), strict=True))
            rows = np.sort(order[again])
            shown = [f"the same doc_id and window as in row {first_row[int(r)]}" for r in rows[:LISTED]]
            yield Finding(rule="rows.unique", rows=row[rows[:LISTED]].tolist(), found=shown, expected="each window once", count=len(rows))
    maskings = check.identity["examples.maskings"] if check.identity is not None else 1
    if maskings > 1:
        whole = (encoded.indices.to_numpy().astype(np.int64) << 32) + window // maskings
        _, first, size = np.unique(whole[np.unique(key, return_index=True)[1]], return_index=True, return_counts=True)
        index = np.sort(np.unique(key, return_index=True)[1][first[size != maskings]])
        counted = dict(zip(np.unique(key, return_index=True)[1][first].tolist(), size.tolist(), strict=True))
        shown = [f"{counted[int(i)]} maskings of this window" for i in index[:LISTED]]
        if len(index):
            wanted = f"{maskings} (examples.maskings)"
            yield Finding(rule="window.maskings", rows=row[index[:LISTED]].tolist(), found=shown, expected=wanted, count=len(index))
