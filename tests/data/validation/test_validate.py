"""The validator on folders: sound ones pass, faults of place and company are named, and what cannot be read is said so."""

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.contract import SCHEMA
from data.validation.folder_rules import UnionFacts
from data.validation.validate import render, validate
from tests.support.faults import BESIDE, TARGET, VOCABULARY, check, copy_sound, expect, rewrite
from tests.support.shard_factory import UNION_SIZE, make_identity, make_shard, sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_sound(tmp_path)


def test_sound_shards_pass(folder: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    report = validate(str(folder), vocabulary=VOCABULARY, manifest=False, on_file=lambda *progress: seen.append(progress))
    assert (report.faults, report.notes, report.exit_code) == ([], [], 0)
    assert [done for done, *_ in seen] == [1, 2, 3, 4, 5]
    assert {name for *_, name in seen} == {str(file.relative_to(folder)) for file in folder.rglob("*.parquet")}
    tables = {file: pq.read_table(file) for file in folder.rglob("*.parquet")}
    assert report.rows == sum(table.num_rows for table in tables.values())
    assert report.masked_positions == sum(len(row) for t in tables.values() for row in t["mask_positions"].to_pylist())
    assert report.bytes == sum(file.stat().st_size for file in tables)
    assert sorted((language, teacher) for language, of in report.languages.items() for teacher in of) == [
        ("de", "gbert"),
        ("de", "mbert"),
        ("en", "mbert"),
    ]
    assert render(report).endswith("sound: every rule of the contract holds on every row")


@pytest.mark.parametrize(
    "changes",
    [
        {"top_k": 1},
        {"top_k": 40},
        {"logits": "8-bit"},
        {"logits": "8-bit", "top_k": 40},
        {"examples_maskings": 3},
        {"examples_masking": "whole-word", "examples_mask_rate": 0.5},
        {"examples_max_length": 8, "examples_mask_rate": 0.01},
        {"examples_max_length": 200, "examples_mask_rate": 0.99},
    ],
)
def test_sound_under_other_settings(tmp_path: Path, changes: dict[str, Any]) -> None:
    make_shard(str(tmp_path), identity=make_identity(**changes))
    assert check(tmp_path).sound


@pytest.mark.parametrize("column", [name for name in SCHEMA.names if name not in ("doc_id", "window")])
def test_a_null_inside_a_list_is_a_fault(folder: Path, column: str) -> None:
    table = pq.ParquetFile(folder / TARGET).read()
    fields = [
        field.with_type(pa.list_(pa.field("element", field.type.value_type))) if pa.types.is_list(field.type) else field
        for field in table.schema
    ]
    rows = table.to_pylist()
    rows[1][column][0] = None
    schema = pa.schema(fields, metadata=table.schema.metadata)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / TARGET, row_group_size=8)
    rules = {(fault.rule, fault.row) for fault in check(folder).faults}
    assert (f"{column}.null", 1) in rules


def test_a_file_name_that_is_no_utf8(folder: Path) -> None:
    os.close(os.open(os.fsencode(folder) + b"/language=de/\xff.parquet", os.O_CREAT))
    report = check(folder)
    assert report.exit_code == 2
    assert "name is not UTF-8" in (report.error or "")


# Faults of where a file lies, and of what lies beside it


@pytest.mark.parametrize(
    ("place", "rule", "column"),
    [
        ("de-0-0.parquet", "file.path", None),
        ("teacher=gbert/language=de/de-0-0.parquet", "file.path", None),
        ("old/language=de/teacher=gbert/de-0-0.parquet", "file.path", None),
        ("language=DE/teacher=gbert/de-0-0.parquet", "file.path", "language"),
        ("language=de/teacher=g bert/de-0-0.parquet", "file.path", "teacher"),
        ("language=fr/teacher=gbert/de-0-0.parquet", "unit.path", "unit.language"),
        ("language=de/teacher=mbert/de-9-0.parquet", "unit.path", "unit.teacher"),
        ("language=de/teacher=gbert/de-0.parquet", "file.name", "unit.corpus"),
        ("language=de/teacher=gbert/de-1-00000.parquet", "file.name", "unit.corpus"),
        ("language=de/teacher=gbert/de-0-00000.parquet", None, None),
        ("language=de/teacher=gbert/de-0-5.parquet", "file.name", "unit.first_row_group"),
        ("language=de/teacher=gbert/shard.parquet", "file.name", "unit.first_row_group"),
    ],
)
def test_file_out_of_place(folder: Path, place: str, rule: str | None, column: str | None) -> None:
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / TARGET).rename(folder / place)
    report = check(folder)
    if rule is None:  # zeros may stand before the number
        assert report.sound
    else:
        expect(report, rule, place, column, None, alone=False)


def test_one_unit_twice(folder: Path) -> None:
    shutil.copy(folder / TARGET, folder / "language=de/teacher=gbert/again-0.parquet")
    report = check(folder)
    expect(report, "unit.overlap", TARGET, "unit.first_row_group", None, alone=False)
    expect(report, "rows.unique", TARGET, None, 0, alone=False)
    rows = pq.read_metadata(folder / TARGET).num_rows
    assert next(fault.count for fault in report.faults if fault.rule == "rows.unique") == rows


def test_units_that_overlap(folder: Path) -> None:
    rewrite(folder / TARGET, unit={"row_groups": 3})
    expect(check(folder), "unit.overlap", BESIDE, "unit.first_row_group", None)


def test_top_k_differs_between_files(folder: Path) -> None:
    name = "language=en/teacher=mbert/en-0-0.parquet"
    make_shard(str(folder), language="en", teacher="mbert", corpus="en-0", identity=make_identity("mbert", top_k=8))
    expect(check(folder), "identity.folder", name, "identity.top_k", None)


def test_other_union(folder: Path) -> None:
    links = dict(VOCABULARY.links)
    links["gbert"] = (UNION_SIZE, sha256("another union"))
    report = check(folder, UnionFacts(size=UNION_SIZE, links=links))
    expect(report, "identity.union", TARGET, "identity.union", None, alone=False)
    assert {fault.file.split("/")[1] for fault in report.faults} == {"teacher=gbert"}


def test_teachers_that_the_vocabulary_lacks(folder: Path) -> None:
    """Several recipes can share a store: what another one added is noted. A vocabulary of none of the teachers is another run's."""
    links = {name: link for name, link in VOCABULARY.links.items() if name != "gbert"}
    report = check(folder, UnionFacts(size=UNION_SIZE, links=links))
    assert report.sound
    assert any("the vocabulary has no teacher gbert: the ids and the union of 3 shards" in note for note in report.notes)
    strange = UnionFacts(size=UNION_SIZE, links={"other": VOCABULARY.links["gbert"]})
    expect(check(folder, strange), "identity.union", TARGET, "teacher", None, alone=False)


def test_ids_are_held_to_the_teachers_own_link(folder: Path) -> None:
    links = dict(VOCABULARY.links)
    links["gbert"] = (1000, links["gbert"][1])
    report = check(folder, UnionFacts(size=UNION_SIZE, links=links))
    assert {fault.rule for fault in report.faults} == {"input_ids.union", "label_ids.union", "topk_ids.union"}
    assert check(folder, vocabulary=None).sound


# What breaks no rule, and what cannot be read


def test_notes(folder: Path) -> None:
    (folder / "language=de/teacher=gbert/.de-0-9.parquet.1a2b3c4d.partial").write_bytes(b"PAR1")
    make_shard(str(folder), first_row_group=6, table=SCHEMA.empty_table())
    report = check(folder, vocabulary=None)
    assert report.sound
    left, empty, gap = (
        next((note for note in report.notes if word in note), "") for word in ("partial", "without rows", "row groups 4 to 5")
    )
    assert left.startswith("language=de/teacher=gbert/.de-0-9")
    assert "de-0-6.parquet" in empty
    assert gap
    assert any("no vocabulary" in note for note in report.notes)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("missing", "missing"),
        (TARGET, "Not a directory"),
        ("..", "RUN/predictions"),
        ("language=de", "language=…"),
        ("nothing", "no Parquet"),
    ],
)
def test_cannot_be_read(folder: Path, place: str, says: str) -> None:
    (folder / "nothing").mkdir()
    report = check(folder / place)
    assert report.exit_code == 2
    assert report.error is not None
    assert says in report.error
    assert report.error in render(report)
