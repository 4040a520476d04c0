"""Faults of rows: each rule on values is broken by one changed value, written by the real writer, and named where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.contract import SCHEMA
from data.validation.validate import render
from tests.support.faults import BESIDE, TARGET, check, copy_sound, edit_row, expect, rewrite
from tests.support.shard_factory import UNION_SIZE, make_identity, make_shard, make_table

OUTSIDE = UNION_SIZE - 1  # a piece that no top k of the planted rows holds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_sound(tmp_path)


# Faults of one row: (rule, column, change, whether no other rule sees it). A position is freed first where its gold id would be in the way.


def free_gold(row: dict[str, Any]) -> None:
    """Make the first masked position's gold id one that is not among its top k."""
    row["label_ids"][0], row["label_logits"][0] = OUTSIDE, np.float16(-50)


def inner(row: dict[str, Any]) -> int:
    """A place inside the window that is no masked position."""
    return next(place for place in range(1, len(row["input_ids"]) - 1) if place not in row["mask_positions"])


def put(column: str, index: int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        if column.startswith("topk"):
            free_gold(row)
        row[column][index] = value

    return change


def put_inner(value: int) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["input_ids"].__setitem__(inner(row), value)


def put_label(value: int) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        free_gold(row)
        row["label_ids"][0] = value

    return change


def show_all(row: dict[str, Any]) -> None:
    for position, gold in zip(row["mask_positions"], row["label_ids"], strict=True):
        row["input_ids"][position] = gold


def move(index: int, place: Callable[[dict[str, Any]], int]) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        show_all(row)
        row["mask_positions"][index] = place(row)

    return change


def lengthen(column: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row[column].append(value)


def lengthen_window(row: dict[str, Any]) -> None:
    row["input_ids"][-1:] = [7] * 24 + [3]


def no_masks(row: dict[str, Any]) -> None:
    show_all(row)
    for column in SCHEMA.names[3:]:
        row[column] = []


def one_more_mask(row: dict[str, Any]) -> None:
    row["mask_positions"] = list(range(1, len(row["input_ids"]) - 1))
    wanted = len(row["mask_positions"])
    row["input_ids"][1:-1] = [7] * wanted
    for column in SCHEMA.names[4:]:
        width = 4 if column.startswith("topk") else 1
        row[column] = row[column][:width] * wanted


def topk(ids: list[int], logits: list[float]) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        free_gold(row)
        row["topk_ids"][:4], row["topk_logits"][:4] = ids, np.array(logits, np.float16)

    return change


def gold_in_topk(row: dict[str, Any]) -> None:
    row["label_ids"][0], row["label_logits"][0] = row["topk_ids"][1], row["topk_logits"][1] - np.float16(0.25)


def gold_above(row: dict[str, Any]) -> None:
    topk([20, 10, 30, 40], [-2, -3, -4, -5])(row)
    row["label_logits"][0] = np.float16(-4.75)  # above the last of the top k, in 8-bit steps, too


ROW_FAULTS = [
    ("doc_id.empty", "doc_id", lambda row: row.update(doc_id=""), True),
    ("window.negative", "window", lambda row: row.update(window=-1), True),
    ("input_ids.length", "input_ids", lengthen_window, True),
    ("input_ids.length", "input_ids", lambda row: row.update(input_ids=[2, 3]), False),
    ("input_ids.length", "input_ids", lambda row: row.update(input_ids=[]), False),
    ("input_ids.begin", "input_ids", put("input_ids", 0, 7), True),
    ("input_ids.end", "input_ids", put("input_ids", -1, 7), True),
    ("input_ids.special", "input_ids", put_inner(0), True),
    ("input_ids.special", "input_ids", put_inner(2), True),
    ("input_ids.special", "input_ids", put_inner(3), True),
    ("input_ids.mask", "input_ids", put_inner(4), True),
    ("input_ids.unknown", "input_ids", lambda row: row["input_ids"].__setitem__(row["mask_positions"][0], 1), True),
    ("input_ids.union", "input_ids", put_inner(UNION_SIZE), True),
    ("mask_positions.none", "mask_positions", no_masks, True),
    ("mask_positions.order", "mask_positions", move(1, lambda row: row["mask_positions"][0]), True),
    ("mask_positions.range", "mask_positions", move(0, lambda row: 0), True),
    ("mask_positions.range", "mask_positions", move(-1, lambda row: len(row["input_ids"]) - 1), True),
    ("mask_positions.range", "mask_positions", move(-1, lambda row: 65_535), True),
    ("mask_positions.share", "mask_positions", one_more_mask, True),
    ("label_ids.length", "label_ids", lengthen("label_ids", 9), True),
    ("label_ids.special", "label_ids", put_label(1), True),
    ("label_ids.union", "label_ids", put_label(UNION_SIZE), True),
    ("label_logits.length", "label_logits", lengthen("label_logits", np.float16(-50)), True),
    ("label_logits.finite", "label_logits", put("label_logits", 0, np.float16(np.nan)), True),
    ("label_logits.finite", "label_logits", put("label_logits", 0, np.float16(-np.inf)), True),
    ("label_logits.positive", "label_logits", put("label_logits", 0, np.float16(0.5)), False),
    ("label_logits.grid", "label_logits", put("label_logits", 0, np.float32(-50.0001)), False),
    ("topk_logits.grid", "topk_logits", put("topk_logits", 3, np.float32(-50.0001)), True),
    ("topk_logits.grid", "topk_logits", put("topk_logits", 3, np.float32(-70_000)), False),
    ("topk_logits.grid", "topk_logits", put("topk_logits", 0, np.float32(-(2.0**-20) * (1 + 2**-10))), False),
    ("label_logits.topk", "label_logits", gold_in_topk, True),
    ("label_logits.rank", "label_logits", gold_above, True),
    ("topk_ids.length", "topk_ids", lambda row: row["topk_ids"].pop(), True),
    ("topk_ids.special", "topk_ids", put("topk_ids", 3, 4), True),
    ("topk_ids.union", "topk_ids", put("topk_ids", 3, UNION_SIZE), True),
    ("topk_ids.distinct", "topk_ids", topk([20, 10, 20, 40], [-2, -3, -4, -5]), True),
    ("topk_logits.length", "topk_logits", lengthen("topk_logits", np.float16(-50)), True),
    ("topk_logits.finite", "topk_logits", put("topk_logits", 3, np.float16(-np.inf)), True),
    ("topk_logits.finite", "topk_logits", put("topk_logits", 2, np.float16(np.nan)), True),
    ("topk_logits.positive", "topk_logits", put("topk_logits", 0, np.float16(0.01)), False),
    ("topk_logits.order", "topk_logits", topk([20, 10, 30, 40], [-2, -4, -3, -5]), True),
    ("topk_logits.ties", "topk_logits", topk([20, 10, 30, 40], [-2, -2, -4, -5]), True),
    ("topk_logits.mass", "topk_logits", topk([10, 20, 30, 40], [-0.5, -0.5, -1, -1]), True),
]


@pytest.mark.parametrize("row", [0, 10], ids=["first", "in a later row group"])
@pytest.mark.parametrize(("rule", "column", "change", "alone"), ROW_FAULTS, ids=[f"{f[0]}-{i}" for i, f in enumerate(ROW_FAULTS)])
def test_fault_of_a_row(
    folder: Path, rule: str, column: str, change: Callable[[dict[str, Any]], None], alone: bool, row: int
) -> None:
    rewrite(folder / TARGET, lambda table: edit_row(table, row, change))
    report = check(folder)
    expect(report, rule, TARGET, column, row, alone=alone)
    fault = next(fault for fault in report.faults if fault.rule == rule)
    assert fault.doc_id == pq.read_table(folder / TARGET)["doc_id"][row].as_py()
    assert fault.count == 1


def test_window_twice_in_a_file(folder: Path) -> None:
    rewrite(folder / TARGET, lambda table: pa.concat_tables([table, table.slice(2, 1)]))
    report = check(folder)
    expect(report, "rows.unique", TARGET, None, pq.read_metadata(folder / TARGET).num_rows - 1)
    assert "row 2" in report.faults[0].found


def test_window_twice_across_files(folder: Path) -> None:
    table = pq.read_table(folder / TARGET)
    place = table["window"].to_pylist().index(0, 4)  # the first window of an article: alone it is a complete article
    row = table.slice(place, 1)
    rewrite(folder / BESIDE, lambda table: pa.concat_tables([table, row]))
    report = check(folder)
    expect(report, "rows.unique", BESIDE, None, pq.read_metadata(folder / BESIDE).num_rows - 1)
    assert f"row {place} of {TARGET}" in report.faults[0].found
    rewrite(folder / "language=en/teacher=mbert/en-0-0.parquet", lambda table: pa.concat_tables([table, row]))
    assert {fault.file for fault in check(folder).faults} == {BESIDE}, "another teacher may have the window too"


def test_masking_missing(tmp_path: Path) -> None:
    file = Path(make_shard(str(tmp_path), identity=make_identity(examples_maskings=3)))
    rewrite(file, lambda table: pa.concat_tables([table.slice(0, 7), table.slice(8)]))
    expect(check(tmp_path), "window.maskings", TARGET, "window", 6)


def test_doc_id_that_is_no_text(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        raw = [value.encode() for value in table["doc_id"].to_pylist()]
        raw[9] = b"caf\xe9"
        binary = pa.array(raw, pa.binary())
        return table.set_column(0, SCHEMA.field(0), pa.StringArray.from_buffers(len(raw), *binary.buffers()[1:]))

    rewrite(folder / TARGET, change)
    expect(check(folder), "doc_id.text", TARGET, "doc_id", 9)


def test_top_k_other_than_the_footers(folder: Path) -> None:
    rewrite(folder / TARGET, lambda table: make_table(make_identity(top_k=5), name="other"))
    report = check(folder)
    expect(report, "topk_ids.length", TARGET, "topk_ids", 0, alone=False)
    expect(report, "topk_logits.length", TARGET, "topk_logits", 0, alone=False)


@pytest.mark.parametrize("column", SCHEMA.names)
def test_null(folder: Path, column: str) -> None:
    schema = pa.schema([field.with_nullable(field.name == column) for field in SCHEMA])
    rewrite(folder / TARGET, lambda table: edit_row(table, 9, lambda row: row.update({column: None}), schema))
    report = check(folder)
    expect(report, f"{column}.null", TARGET, column, 9, alone=False)
    expect(report, "schema.type", TARGET, column, None, alone=False)


def test_null_in_a_list(folder: Path) -> None:
    field = pa.field("label_ids", pa.list_(pa.field("element", pa.uint32())), nullable=False)
    schema = SCHEMA.set(SCHEMA.get_field_index("label_ids"), field)
    rewrite(folder / TARGET, lambda table: edit_row(table, 9, put("label_ids", 0, None), schema))
    expect(check(folder), "label_ids.null", TARGET, "label_ids", 9, alone=False)


def test_many_rows_are_counted_and_the_first_listed(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        for row in range(1, 12):
            table = edit_row(table, row, put("input_ids", 0, 7))
        return table

    rewrite(folder / TARGET, change)
    report = check(folder)
    assert [(fault.row, fault.count) for fault in report.faults] == [(row, 11) for row in range(1, 6)]
    assert "and 6 more, 11 in all" in render(report)


@pytest.mark.parametrize(
    ("rule", "column", "change"),
    [
        ("topk_logits.steps", "topk_logits", topk([20, 10, 30, 40], [-2, -2.01, -4, -5])),
        ("label_logits.topk", "label_logits", gold_in_topk),
        ("label_logits.rank", "label_logits", gold_above),
        ("topk_logits.positive", "topk_logits", put("topk_logits", 0, np.float16(0.01))),
        ("topk_logits.finite", "topk_logits", put("topk_logits", 3, np.float16(-np.inf))),
    ],
)
def test_fault_of_a_row_in_steps(tmp_path: Path, rule: str, column: str, change: Callable[[dict[str, Any]], None]) -> None:
    identity = make_identity(logits="8-bit")
    make_shard(str(tmp_path), identity=identity, table=edit_row(make_table(identity), 2, change))
    expect(check(tmp_path), rule, TARGET, column, 2, alone=False)


def test_repeated_id_in_a_wide_top_k(tmp_path: Path) -> None:
    def repeat(row: dict[str, Any]) -> None:
        free_gold(row)
        row["topk_ids"][39] = row["topk_ids"][3]

    identity = make_identity(top_k=40)
    make_shard(str(tmp_path), identity=identity, table=edit_row(make_table(identity), 2, repeat))
    expect(check(tmp_path), "topk_ids.distinct", TARGET, "topk_ids", 2)
