"""Rows gathered from many tables, against a loop over rows."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data.contract import SCHEMA
from student.training.columns import Columns, Picked

LISTS = ("input_ids", "mask_positions", "label_ids", "topk_ids", "topk_logits")
K = 3


def make_table(rng: np.random.Generator, rows: int, name: str) -> pa.Table:
    lengths, masked = rng.integers(3, 9, rows), rng.integers(1, 4, rows)
    sizes = {"input_ids": lengths, "mask_positions": masked, "label_ids": masked, "topk_ids": masked * K, "topk_logits": masked * K}
    content = {key: [rng.integers(0, 99, size).tolist() for size in sizes[key]] for key in LISTS}
    content |= {"doc_id": [f"{name}-{row}" for row in range(rows)], "window": list(range(rows))}
    return pa.table(content, schema=pa.schema([SCHEMA.field(key) for key in (*LISTS, "doc_id", "window")]))


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 99), st.booleans())
def test_gathered_rows_are_those_of_a_loop(sizes: list[int], seed: int, sliced: bool) -> None:
    rng = np.random.default_rng(seed)
    tables = [make_table(rng, rows + 2 * sliced, str(number)) for number, rows in enumerate(sizes)]
    if sliced:  # offsets that do not begin at 0
        tables = [table.slice(1, rows) for table, rows in zip(tables, sizes, strict=True)]
    every = [row for table in tables for row in table.to_pylist()]
    if not every:
        return
    parts = [Picked.all_of(Columns.of(table)) for table in tables]
    order = rng.integers(0, len(every), rng.integers(1, 20))  # a row may come twice
    languages = rng.integers(0, 3, len(order)).astype(np.int16)
    picked = Picked.join(parts).take(order)
    assert picked.lengths().tolist() == [len(every[row]["input_ids"]) for row in order]
    columns = picked.gather(languages)
    assert columns.rows == len(order)
    assert columns.languages.tolist() == languages.tolist()
    for key in LISTS:
        found = [columns.values(key, row, row + 1).tolist() for row in range(columns.rows)]
        assert found == [every[row][key] for row in order], key
    for key in ("doc_id", "window"):
        assert columns.names[key].to_pylist() == [every[row][key] for row in order]


def test_gold_columns_alone_are_gathered() -> None:
    table = make_table(np.random.default_rng(0), 4, "a").select(["input_ids"])
    columns = Picked.all_of(Columns.of(table)).take(slice(2, 4)).gather(np.zeros(2, np.int16))
    assert [columns.values("input_ids", row, row + 1).tolist() for row in range(2)] == table["input_ids"].to_pylist()[2:]
