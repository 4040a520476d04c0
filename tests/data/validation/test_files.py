"""Faults of a file: its bytes, its columns and types, its footer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.contract import CHECKSUM_KEY, IDENTITY_KEY, REPORT_KEY, SCHEMA, UNIT_KEY
from tests.support.faults import TARGET, check, copy_sound, edit_row, expect, rewrite
from tests.support.shard_factory import make_shard, sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_sound(tmp_path)


# Faults of a file's bytes


@pytest.mark.parametrize("column", SCHEMA.names)
@pytest.mark.parametrize("group", [0, 1])
def test_flipped_bit_in_a_page(folder: Path, column: str, group: int) -> None:
    file = folder / TARGET
    chunk = pq.read_metadata(file).row_group(group).column(SCHEMA.names.index(column))
    flip(file, chunk.data_page_offset + chunk.total_compressed_size - (chunk.data_page_offset - first_page(chunk)) - 1)
    report = check(folder)
    expect(report, "file.damaged", TARGET, column, None)
    assert f"row group {group} (rows {8 * group} to" in report.faults[0].found


def first_page(chunk: Any) -> int:
    return chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset


def flip(file: Path, offset: int, bit: int = 0) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 1 << bit
    file.write_bytes(content)


def test_flipped_bits_anywhere(tmp_path: Path) -> None:
    """A flipped bit of the pages, their headers or the footer is a fault, or changes no row that a reader sees."""
    file = Path(make_shard(str(tmp_path), articles=3))
    whole, table = file.read_bytes(), pq.read_table(file)
    rng = np.random.default_rng(0)
    for offset in rng.choice(len(whole), 250, replace=False).tolist():
        flip(file, offset, int(rng.integers(8)))
        if check(tmp_path).sound:
            assert pq.read_table(file).equals(table), f"byte {offset} of {len(whole)}"
        file.write_bytes(whole)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"PAR1",
        lambda content: b"doc_id,window\n" * 100,
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:-8] + b"\xff\xff\xff\x7f" + content[-4:],
        lambda content: content[:-300] + bytes(292) + content[-8:],
    ],
    ids=["empty", "magic", "text", "half", "short", "footer length", "footer zeroed"],
)
def test_no_whole_parquet(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    (folder / TARGET).write_bytes(damage((folder / TARGET).read_bytes()))
    expect(check(folder), "file.unreadable", TARGET, None, None)


# Faults of a file's frame


def retype(name: str, kind: pa.DataType, nullable: bool = False) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.column_names.index(name)
        return table.set_column(index, pa.field(name, kind, nullable=nullable), table[name].cast(kind))

    return change


def list_type(kind: pa.DataType, name: str = "element") -> pa.DataType:
    return pa.list_(pa.field(name, kind, nullable=False))


SCHEMA_FAULTS = [
    ("schema.columns", "label_logits", lambda table: table.drop_columns(["label_logits"])),
    ("schema.columns", "text", lambda table: table.append_column("text", table["doc_id"])),
    ("schema.columns", "gold", lambda table: table.rename_columns(["gold" if n == "label_ids" else n for n in table.column_names])),
    ("schema.order", None, lambda table: table.select(table.column_names[::-1])),
    ("schema.type", "window", retype("window", pa.int64())),
    ("schema.type", "input_ids", retype("input_ids", list_type(pa.int64()))),
    ("schema.type", "topk_logits", retype("topk_logits", list_type(pa.float16()))),
    ("schema.type", "label_ids", retype("label_ids", list_type(pa.int32()))),
    ("schema.type", "mask_positions", retype("mask_positions", list_type(pa.uint32()))),
    ("schema.type", "topk_ids", retype("topk_ids", pa.large_list(pa.field("element", pa.uint32(), nullable=False)))),
    ("schema.type", "doc_id", retype("doc_id", pa.large_string())),
    ("schema.type", "doc_id", retype("doc_id", pa.string(), nullable=True)),
]


@pytest.mark.parametrize(("rule", "column", "change"), SCHEMA_FAULTS, ids=[f"{f[0]}-{i}" for i, f in enumerate(SCHEMA_FAULTS)])
def test_other_schema(folder: Path, rule: str, column: str | None, change: Callable[[pa.Table], pa.Table]) -> None:
    rewrite(folder / TARGET, change)
    expect(check(folder), rule, TARGET, column, None)


def write_plain(file: Path, metadata: dict[bytes, bytes], row_group_size: int | None = None) -> None:
    """Write a shard's table again by pyarrow alone, under other metadata."""
    table = pq.read_table(file).replace_schema_metadata(metadata)
    with pq.ParquetWriter(str(file), table.schema) as writer:
        writer.write_table(table, row_group_size=row_group_size)


def test_other_nested_name(folder: Path) -> None:
    kind = list_type(pa.uint32(), "item")
    table = pq.read_table(folder / TARGET)
    fields = [pa.field("input_ids", kind, nullable=False) if field.name == "input_ids" else field for field in table.schema]
    changed = pa.Table.from_arrays(
        [table[f.name].combine_chunks().cast(f.type) for f in fields], schema=pa.schema(fields, metadata=table.schema.metadata)
    )
    pq.write_table(changed, folder / TARGET, use_compliant_nested_type=False)
    expect(check(folder), "schema.type", TARGET, "input_ids", None, alone=False)


FOOTER_FAULTS = [
    ("footer.missing", "identity", lambda m: m.pop(IDENTITY_KEY)),
    ("footer.missing", "unit", lambda m: m.pop(UNIT_KEY)),
    ("footer.missing", "report", lambda m: m.pop(REPORT_KEY)),
    ("footer.missing", "checksum", lambda m: m.pop(CHECKSUM_KEY)),
    ("footer.json", "report", lambda m: m.update({REPORT_KEY: b'{"rows": 3'})),
    ("footer.json", "identity", lambda m: m.update({IDENTITY_KEY: b"\xff\xfe"})),
    ("footer.json", "unit", lambda m: m.update({UNIT_KEY: b"[1, 2]"})),
]


@pytest.mark.parametrize(("rule", "column", "change"), FOOTER_FAULTS)
def test_damaged_footer(folder: Path, rule: str, column: str, change: Callable[[dict[bytes, bytes]], None]) -> None:
    metadata = {key: value for key, value in pq.read_metadata(folder / TARGET).metadata.items() if key.startswith(b"mergedistill")}
    change(metadata)
    write_plain(folder / TARGET, metadata)
    expect(check(folder), rule, TARGET, column, None)


@pytest.mark.parametrize("key", [IDENTITY_KEY, UNIT_KEY, REPORT_KEY])
def test_footer_that_its_checksum_does_not_know(folder: Path, key: bytes) -> None:
    metadata = dict(pq.read_metadata(folder / TARGET).metadata)
    metadata[key] = metadata[key].replace(b"{", b"{ ", 1)  # the same JSON, other bytes
    write_plain(folder / TARGET, metadata, row_group_size=8)
    expect(check(folder), "footer.checksum", TARGET, "checksum", None)


def test_rows_that_the_checksum_does_not_know(folder: Path) -> None:
    metadata = dict(pq.read_metadata(folder / TARGET).metadata)
    write_plain(folder / TARGET, metadata, row_group_size=8)
    assert check(folder).sound, "other encodings are no fault"
    write_plain(folder / TARGET, metadata, row_group_size=7)
    expect(check(folder), "footer.checksum", TARGET, "checksum", None)


FIELD_FAULTS = [
    ("footer.version", "identity.schema_version", {"identity": {"schema_version": 3}}),
    ("footer.version", "identity.schema_version", {"identity": {"schema_version": None}}),
    ("footer.field", "identity.top_k", {"identity": {"top_k": True}}),
    ("footer.field", "identity.top_k", {"identity": {"top_k": 0}}),
    ("footer.field", "identity.seed", {"identity": {"seed": "0"}}),
    ("footer.field", "identity.examples.mask_rate", {"identity": {"examples.mask_rate": 1.5}}),
    ("footer.field", "identity.examples.masking", {"identity": {"examples.masking": "span"}}),
    ("footer.field", "identity.teacher.weights", {"identity": {"teacher.weights": "main"}}),
    ("footer.field", "unit.row_groups", {"unit": {"row_groups": 0}}),
    ("footer.field", "unit.corpus_fingerprint", {"unit": {"corpus_fingerprint": ""}}),
    ("footer.field", "report.rows", {"report": {"rows": -1}}),
    ("report.rows", "report.rows", {"report": {"rows": 3}}),
    ("report.masked_positions", "report.masked_positions", {"report": {"masked_positions": 3}}),
    ("unit.path", "unit.language", {"unit": {"language": "fr"}}),
    ("unit.path", "unit.teacher", {"unit": {"teacher": "mbert"}}),
    ("file.name", "unit.first_row_group", {"unit": {"first_row_group": 1, "row_groups": 1}}),
    ("identity.folder", "identity.seed", {"identity": {"seed": 1}}),
    ("identity.folder", "identity.dtype", {"identity": {"dtype": "float32"}}),
    ("identity.folder", "identity.examples.max_length", {"identity": {"examples.max_length": 32}}),
    ("identity.folder", "identity.extra", {"identity": {"extra": 1}}),
    ("identity.teacher", "identity.teacher.weights", {"identity": {"teacher.weights": sha256("other")}}),
    ("identity.teacher", "identity.teacher.tokenizer", {"identity": {"teacher.tokenizer": sha256("other")}}),
    ("unit.corpus", "unit.corpus_fingerprint", {"unit": {"corpus_fingerprint": sha256("other")}}),
]


@pytest.mark.parametrize(("rule", "column", "changes"), FIELD_FAULTS, ids=[f"{f[0]}-{i}" for i, f in enumerate(FIELD_FAULTS)])
def test_field_of_the_footer(folder: Path, rule: str, column: str, changes: dict[str, dict[str, Any]]) -> None:
    if rule == "unit.corpus":  # a majority is needed to say which state is the odd one
        make_shard(str(folder), first_row_group=4)
    rewrite(folder / TARGET, **changes)  # type: ignore[arg-type]
    expect(check(folder), rule, TARGET, column, None)


def test_rows_are_judged_without_an_identity(folder: Path) -> None:
    def repeat(row: dict[str, Any]) -> None:
        row["topk_ids"][1] = row["topk_ids"][0]

    rewrite(folder / TARGET, lambda table: edit_row(table, 9, repeat), identity={"top_k": "4"})
    expect(check(folder), "topk_ids.distinct", TARGET, "topk_ids", 9, alone=False)
