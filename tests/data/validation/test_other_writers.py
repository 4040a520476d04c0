"""Sound shards, whoever wrote them: any codec, page, encoding, size of row groups and order of rows. None is a false alarm."""

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from data.shards import open_shard, write_shard
from tests.support.faults import check, copy_sound, footer

PLAIN: dict[str, Any] = {"write_page_checksum": True, "store_schema": True}


@pytest.mark.parametrize("codec", ["NONE", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4"])
@pytest.mark.parametrize(
    "options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}, {"write_page_checksum": False}], ids=str
)
def test_any_codec_and_page(codec: str, options: dict[str, Any], tmp_path: Path) -> None:
    folder = copy_sound(tmp_path)
    for file in folder.rglob("*.parquet"):
        table, parts = open_shard(str(file)).read(), footer(file)
        with mock.patch("data.shards.encoding", return_value=PLAIN | {"compression": codec} | options):
            write_shard(str(file), table, **parts)
    report = check(folder)
    assert (report.sound, report.faults) == (True, [])


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_any_order_and_row_groups(rows: int, tmp_path: Path) -> None:
    folder, rng = copy_sound(tmp_path), np.random.default_rng(rows)
    for file in folder.rglob("*.parquet"):
        table, parts = open_shard(str(file)).read(), footer(file)
        with mock.patch("data.shards.ROW_GROUP_ROWS", rows):
            write_shard(str(file), table.take(rng.permutation(table.num_rows)), **parts)
    assert check(folder).faults == []
