"""Every rule that needs only one shard: it can be opened, its schema and footer are right, each of its rows is right."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.contract import IDENTITY_KEY, REPORT_KEY, SCHEMA, UNIT_KEY, ShardPath
from data.shards import Shard, UnreadableShard, group_rows, open_shard
from data.storage_faults import storage_fault
from data.validation.findings import null_rows
from data.validation.footer_rules import FrameFault, check_path, check_schema, read_footer
from data.validation.row_rules import Limits, check_rows
from data.validation.shard_check import ShardCheck
from data.validation.unit_rules import check_shown, check_unit, count_shown
from data.validation.window_rules import WindowNumbers, check_windows, encode, read_names
from vocab.errors import InputError, first_line

BLOCK_ROWS = 1024  # checked at once; their arrays fit into the cache of a core, those of a row group would not


def check_shard(
    location: str,
    name: str,
    path: ShardPath,
    size: int,
    union_size: int | None,
    groups: Container[int] | None = None,
    *,
    complete: bool = False,
) -> ShardCheck:
    """Check one shard: its schema, its footer, and the rows of all row groups (or only of those in `groups`).

    complete: every piece of the teacher is in the union

    Never raises for the content of a file: what cannot be read is a fault. Raises InputError if the storage does not answer.
    """
    check = ShardCheck(location=location, name=name, path=path, bytes=size)
    frame: list[FrameFault] = []
    try:
        file = open_shard(location)
        frame += check_schema(file)
        parts = read_footer(file.metadata, frame)
    except UnreadableShard as error:
        check.fault(
            "file.unreadable", None, f"{size:,} bytes that are not a complete Parquet file ({error.reason})", "a Parquet file"
        )
        return check
    except InputError:
        raise  # the storage does not answer: not a fault of the file
    except Exception as error:  # a damaged footer can raise any exception, and must never pass
        check.fault("file.unreadable", None, f"a damaged footer ({first_line(error)})", "a Parquet file")
        return check
    check.identity, check.unit = parts[IDENTITY_KEY], parts[UNIT_KEY]
    for fault in (*frame, *check_path(path, check.unit)):
        check.fault(*fault)
    report = parts[REPORT_KEY]
    if check.identity is not None and check.unit is not None and report is not None and not check.faults:
        check.shard = Shard(
            location=location,
            path=path,
            identity=check.identity,
            unit=check.unit,
            report=report,
            group_rows=group_rows(file.metadata),
            bytes=size,
        )
    legible = _legible(file.schema_arrow)
    _check_groups(check, file, union_size, legible, groups, complete, report)
    whole = check.row_groups_read == check.row_groups
    if report is not None and legible and whole and not any(fault.rule == "file.damaged" for fault in check.faults):
        for key, counted in (("rows", check.rows), ("masked_positions", check.masked_positions)):
            if report[key] != counted:
                check.fault(f"report.{key}", f"report.{key}", f"{report[key]:,} in the footer", f"{counted:,}, as the file holds")
    return check


def _check_groups(
    check: ShardCheck,
    file: pq.ParquetFile,
    union_size: int | None,
    legible: bool,
    groups: Container[int] | None,
    complete: bool,
    report: dict[str, Any] | None,
) -> None:
    """Read every page, a row group at a time (only `groups` if given), and check the rows. A damaged row group is a fault of its own.

    If the columns are not those of the contract (`legible` is False), only the pages are checked.
    """
    windows = WindowNumbers()
    first = 0
    check.row_groups = file.metadata.num_row_groups
    for group in range(check.row_groups):
        rows = file.metadata.row_group(group).num_rows
        if groups is not None and group not in groups:
            first += rows
            continue
        check.row_groups_read += 1
        check.rows += rows
        try:
            table = file.read_row_group(group, use_threads=False)
            if table.num_rows != rows:
                raise OSError(f"{table.num_rows:,} rows in the pages, {rows:,} in the footer")
        except Exception as error:  # a flipped bit can raise any exception, and must never pass
            if failure := storage_fault(check.name, error):
                raise failure from None
            where = f"row group {group} (rows {first:,} to {first + rows - 1:,})"
            for column, reason in _damaged_columns(file, group) or [(None, first_line(error))]:
                check.fault("file.damaged", column, f"{where}: {reason}", "pages as they were written")
        else:
            if legible:
                names = table.select(["doc_id", "window"]).append_column("row", pa.array(np.arange(first, first + rows)))
                windows.add(group, names)
                limits = _limits(check.identity, table, union_size, complete)
                for start in range(0, rows, BLOCK_ROWS):
                    check.row_faults(check_rows(table.slice(start, BLOCK_ROWS), first + start, limits), names)
                check.masked_positions += pc.sum(pc.list_value_length(table["mask_positions"])).as_py() or 0
                whole = table.select(["input_ids", "mask_positions", "label_ids"])
                null_R = np.any([null_rows(column) for column in whole.columns], axis=0)
                if null_R.any():
                    whole = whole.filter(pa.array(~null_R))
                masks, gold, total = count_shown(whole)
                check.masks_shown, check.gold_shown, check.shown = (
                    check.masks_shown + masks,
                    check.gold_shown + gold,
                    check.shown + total,
                )
        first += rows
    check.empty = first == 0
    if first != file.metadata.num_rows:
        found = f"{file.metadata.num_rows:,} rows in the footer, {first:,} in its row groups"
        check.fault("file.damaged", None, found, "the same number")
    if windows.groups:
        table = names = None
        pa.default_memory_pool().release_unused()  # the memory of the row groups serves the rules of all rows
        _check_windows(check, file, windows, groups, report)


def _check_windows(
    check: ShardCheck,
    file: pq.ParquetFile,
    windows: WindowNumbers,
    groups: Container[int] | None,
    report: dict[str, Any] | None,
) -> None:
    """The rules for the windows of all row groups that were read together.

    Articles are told apart by the hashes of their names. If that finds a fault, the names are read again and compared themselves.
    """
    # The maskings of a window can be in two row groups.
    maskings = check.identity["examples.maskings"] if check.identity is not None and groups is None else 1

    def unit_faults(article_R: NDArray[np.int64], window_R: NDArray[np.int64], names: Sequence[object]) -> list[FrameFault]:
        # Rows with other faults cannot be counted against the unit.
        if check.identity is None or check.faults or groups is not None or check.unit is None or report is None:
            return []
        return [*check_unit(article_R, window_R, names, maskings, check.unit, report)]

    article_R, window_R, check.articles = windows.numbered()
    row_R = np.arange(len(article_R))
    if [*check_windows(article_R, window_R, row_R, maskings)] or unit_faults(article_R, window_R, check.articles.tolist()):
        names = read_names(file, windows.groups)
        article_R, articles = encode(names["doc_id"])
        window_R = names["window"].to_numpy().astype(np.int64)
        check.row_faults(check_windows(article_R, window_R, names["row"].to_numpy(), maskings), names)
        for fault in unit_faults(article_R, window_R, [name.decode(errors="replace") for name in articles.to_pylist()]):
            check.fault(*fault)
    if check.identity is not None and not check.faults:
        for fault in check_shown(check.masks_shown, check.gold_shown, check.shown, check.identity["top_k"]):
            check.fault(*fault)


def _legible(found: pa.Schema) -> bool:
    """Whether the rows can be checked: all columns exist with their types, in any order, nullable or not."""
    return all(found.names.count(field.name) == 1 and _bare(found.field(field.name).type) == _bare(field.type) for field in SCHEMA)


def _bare(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind.value_type) if pa.types.is_list(kind) else kind


def _limits(identity: dict[str, Any] | None, table: pa.Table, union_size: int | None, complete: bool) -> Limits:
    if identity is not None:
        return Limits(
            top_k=identity["top_k"],
            sampled=identity.get("selection") == "sampled",
            in_steps=identity["logits"] == "8-bit",
            max_length=identity["examples.max_length"],
            mask_rates=tuple(rates if isinstance(rates := identity["examples.mask_rate"], list) else [rates]),
            whole_word=identity["examples.masking"] == "whole-word",
            complete=complete,
            union_size=union_size,
        )
    # The footer is wrong already. The rows are checked for what any identity allows.
    masked, top = (pc.sum(pc.list_value_length(table[name])).as_py() or 0 for name in ("mask_positions", "topk_ids"))
    top_k = max(1, round(top / max(1, masked)))
    return Limits(
        top_k=top_k,
        sampled=False,
        in_steps=False,
        max_length=65_535,
        mask_rates=(1.0,),
        whole_word=True,
        complete=False,
        union_size=union_size,
    )


def _damaged_columns(file: pq.ParquetFile, group: int) -> list[tuple[str | None, str]]:
    """The columns of a row group that cannot be read, and the reasons."""
    damaged: list[tuple[str | None, str]] = []
    for name in file.schema_arrow.names:
        try:
            file.read_row_group(group, columns=[name], use_threads=False)
        except Exception as error:
            damaged.append((name, first_line(error)))
    return damaged
