"""Rows that validate refuses do not train a student: the reader names file, column and row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from data.contract import SCHEMA
from data.shards import list_shards, open_shard, read_shard, read_shards, write_shard
from student.training.row_checks import UnsoundRows
from student.training.rows import read_row_group
from tests.support.student_shards import V, make_shards
from tests.support.training import fit
from vocab.errors import InputError

COLUMNS = ["input_ids", "mask_positions", "label_ids", "topk_ids", "topk_logits", "label_logits"]
Row = dict[str, Any]


def put(column: str, place: int, value: Any) -> Callable[[Row], None]:
    return lambda row: row[column].__setitem__(place, value)


FAULTS: list[tuple[str, Callable[[Row], None], str]] = [
    ("input_ids", lambda row: row.update(input_ids=row["input_ids"][:2]), "less than 3 tokens"),
    ("input_ids", put("input_ids", 1, V), "of another vocabulary"),
    ("mask_positions", lambda row: row.update(mask_positions=[]), "no masked position"),
    ("mask_positions", put("mask_positions", 0, 0), "outside of the window"),
    ("mask_positions", put("mask_positions", -1, 65_000), "outside of the window"),
    ("mask_positions", lambda row: row["mask_positions"].insert(0, row["mask_positions"][-1]), "do not increase"),
    ("label_ids", lambda row: row["label_ids"].append(9), "1 for each masked position"),
    ("label_ids", put("label_ids", 0, 4), "special token"),
    ("label_ids", put("label_ids", 0, V + 7), "of another vocabulary"),
    ("label_logits", put("label_logits", 0, float("nan")), "no normalised logit"),
    ("topk_ids", lambda row: row["topk_ids"].pop(), "4 for each masked position"),
    ("topk_ids", put("topk_ids", 2, 0), "special token"),
    ("topk_ids", put("topk_ids", 2, 2**32 - 1), "of another vocabulary"),
    ("topk_logits", lambda row: row.update(topk_logits=[]), "for each masked position"),
    ("topk_logits", put("topk_logits", 1, float("-inf")), "no normalised logit"),
    ("topk_logits", put("topk_logits", 1, 0.5), "no normalised logit"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_shards(tmp_path / "predictions", {("de", "a"): [40]})
    return tmp_path


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table]) -> str:
    (location,) = list_shards(str(folder / "predictions"))
    shard, table = read_shard(location), open_shard(location).read()
    with mock.patch("data.shards.ROW_GROUP_ROWS", 16):
        write_shard(location, change(table), identity=shard.identity, unit=shard.unit, report=shard.report)
    return location


@pytest.mark.parametrize(("column", "change", "reason"), FAULTS, ids=[f"{fault[0]}-{index}" for index, fault in enumerate(FAULTS)])
def test_a_fault_of_a_row(folder: Path, column: str, change: Callable[[Row], None], reason: str) -> None:
    def edit(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        change(rows[27])
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    location = rewrite(folder, edit)
    shard = read_shard(location)
    read_row_group(shard, 0, COLUMNS, V)
    with pytest.raises(UnsoundRows, match=reason) as found:
        read_row_group(shard, 1, COLUMNS, V)
    assert found.value.location == location
    assert (found.value.column, found.value.row) == (column, 27) or "position" in reason
    if column != "label_logits":  # which only evaluation reads
        with pytest.raises(UnsoundRows, match=f"{location}: column"):
            fit(folder, folder / "out")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("kind", ["type", "null", "null inside"])
def test_a_fault_of_a_column(folder: Path, column: str, kind: str) -> None:
    def edit(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        value = SCHEMA.field(column).type.value_type
        if kind == "type":
            value = pa.int64() if pa.types.is_integer(value) else pa.float64()
        elif kind == "null":
            rows[5][column] = None
        else:
            rows[5][column][0] = None
        field = pa.field(column, pa.list_(pa.field("element", value)))
        return pa.Table.from_pylist(rows, schema=table.schema.set(table.schema.get_field_index(column), field))

    location = rewrite(folder, edit)
    with pytest.raises(UnsoundRows, match=f"column '{column}'"):
        read_row_group(read_shard(location), 0, COLUMNS, V)


def test_a_shard_that_was_replaced_while_training(folder: Path) -> None:
    (shard,) = read_shards(list_shards(str(folder / "predictions")))
    read_row_group(shard, 0, COLUMNS, V)
    write_shard(shard.location, open_shard(shard.location).read(), identity=shard.identity, unit=shard.unit, report={"again": 1})
    with pytest.raises(InputError, match="the file was replaced since training began"):
        read_row_group(shard, 0, COLUMNS, V)


def test_sound_rows_pass_as_they_are(folder: Path) -> None:
    (shard,) = read_shards(list_shards(str(folder / "predictions")))
    table = pa.concat_tables([read_row_group(shard, group, COLUMNS, V) for group in range(shard.row_groups)])
    assert table.equals(open_shard(shard.location).read().select(COLUMNS))
    gold = read_row_group(shard, 0, COLUMNS[:3], V)
    assert gold.num_rows == 16
    assert np.diff(gold["label_ids"].chunk(0).offsets.to_numpy()).min() >= 1


def test_a_shard_that_vanished_while_training(folder: Path) -> None:
    (shard,) = read_shards(list_shards(str(folder / "predictions")))
    Path(shard.location).unlink()
    with pytest.raises(InputError, match="is no longer there; expected the file that was found at the start: put it back"):
        read_row_group(shard, 0, COLUMNS, V)
