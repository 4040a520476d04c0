"""Planting faults: a sound folder to copy, a shard written again with something changed, and what the report must then say."""

import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import data
from data.contract import IDENTITY_KEY, REPORT_KEY, SCHEMA, UNIT_KEY
from data.shards import open_shard, write_shard
from data.validation.folder_rules import UnionFacts
from data.validation.validate import Report, render, validate
from tests.support.shard_factory import make_folder, make_vocabulary

TARGET = "language=de/teacher=gbert/de-0-0.parquet"
BESIDE = "language=de/teacher=gbert/de-0-2.parquet"
KEYS = {"identity": IDENTITY_KEY, "unit": UNIT_KEY, "report": REPORT_KEY}
VOCABULARY = make_vocabulary("gbert", "mbert")
REPORT_SCHEMA = Draft202012Validator(json.loads((Path(data.__file__).parent / "validation/report.schema.json").read_text()))


@functools.cache
def _sound() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="sound-")
    with mock.patch("data.shards.ROW_GROUP_ROWS", 8):
        make_folder(folder.name)
    return folder


def copy_sound(to: Path) -> Path:
    """A copy of a sound folder, below `to`; its shards have row groups of eight rows."""
    return Path(shutil.copytree(_sound().name, to / "predictions"))


def check(folder: Path, vocabulary: UnionFacts | None = VOCABULARY, sample: int | None = None, manifest: bool = False) -> Report:
    """Validate (the shards alone, unless `manifest`), and hold the report itself to its schema."""
    report = validate(str(folder), vocabulary=vocabulary, workers=1, sample=sample, manifest=manifest)
    REPORT_SCHEMA.validate(json.loads(json.dumps(report.to_json())))
    assert (report.exit_code == 0) == report.sound
    return report


def footer(file: Path) -> dict[str, dict[str, Any]]:
    metadata = pq.read_metadata(file).metadata
    return {name: json.loads(metadata[key]) for name, key in KEYS.items()}


def rewrite(file: Path, change: Callable[[pa.Table], pa.Table] = lambda table: table, **changes: dict[str, Any]) -> None:
    """Write a shard again by the real writer, its table or fields of its footer changed; its footer counts what it then holds."""
    table = change(open_shard(str(file)).read())
    parts = footer(file)
    parts["report"]["rows"] = table.num_rows
    parts["report"]["counters"]["windows"] = table.num_rows // parts["identity"]["examples.maskings"]
    if "doc_id" in table.column_names:
        parts["unit"]["articles"] = len(table["doc_id"].cast(pa.binary()).drop_null().unique())
    if "mask_positions" in table.column_names:
        parts["report"]["masked_positions"] = sum(len(row or ()) for row in table["mask_positions"].to_pylist())
    for name, fields in changes.items():
        parts[name] |= fields
    with mock.patch("data.shards.ROW_GROUP_ROWS", 8):
        write_shard(str(file), table, **parts)


def edit_row(table: pa.Table, row: int, change: Callable[[dict[str, Any]], None], schema: pa.Schema = SCHEMA) -> pa.Table:
    rows = table.to_pylist()
    change(rows[row])
    return pa.Table.from_pylist(rows, schema=schema)


def expect(report: Report, rule: str, file: str, column: str | None, row: int | None, *, alone: bool = True) -> None:
    """The report names the fault; `alone`: and nothing else."""
    named = [(fault.rule, fault.file, fault.column, fault.row) for fault in report.faults]
    assert (rule, file, column, row) in named
    assert report.exit_code == 1
    assert rule in render(report)
    assert file in render(report)
    if alone:
        assert {(found, where) for found, where, *_ in named} == {(rule, file)}
