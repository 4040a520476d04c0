"""The shard contract: what the writer writes is what every reader reads, and the validator agrees with a slow reading of the rules."""

import importlib.util
import itertools
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import shards, upgrade
from data.contract import CHECKSUM_KEY, IDENTITY_KEY, SCHEMA, UNIT_KEY, ShardPath, parse_path
from data.shards import check_identity, list_shards, read_shard, read_shards
from data.validation.validate import validate
from tests.support.shard_factory import UNION_SIZE, make_folder, make_identity, make_shard, make_table, make_vocabulary
from vocab.errors import InputError


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    identity = make_identity()
    table = make_table(identity, articles=30)
    location = make_shard(str(tmp_path), table=table)
    file = pq.ParquetFile(location)
    assert file.schema_arrow.equals(SCHEMA)
    assert [str(field) for field in file.schema_arrow] == [str(field) for field in SCHEMA]
    assert file.read().equals(table)
    assert [file.schema.column(index).path for index in range(8)] == ["doc_id", "window"] + [
        f"{n}.list.element" for n in SCHEMA.names[2:]
    ]
    shard = read_shard(location)
    assert (shard.identity, shard.rows, shard.path) == (
        identity,
        table.num_rows,
        ShardPath(language="de", teacher="gbert", name="de-0-0"),
    )
    assert shard.bytes == Path(location).stat().st_size
    check_identity(shard, identity)
    with pytest.raises(InputError, match="seed: found 0, expected 1"):
        check_identity(shard, identity | {"seed": 1})


def test_two_writes_are_one_content(tmp_path: Path) -> None:
    first, second = (Path(make_shard(str(tmp_path / name))).read_bytes() for name in ("a", "b"))
    assert first == second
    assert not list(tmp_path.rglob("*.partial"))


def test_footers_are_read_side_by_side(tmp_path: Path) -> None:
    locations = make_folder(str(tmp_path))
    assert list_shards(str(tmp_path)) == sorted(locations)
    assert [shard.location for shard in read_shards(sorted(locations))] == sorted(locations)


@pytest.mark.parametrize("value", [b"{", b"\xff"])
def test_damaged_footer_is_an_input_error(tmp_path: Path, value: bytes) -> None:
    location = make_shard(str(tmp_path))
    table = pq.read_table(location)
    pq.write_table(table.replace_schema_metadata(dict(table.schema.metadata) | {IDENTITY_KEY: value}), location)
    with pytest.raises(InputError, match="footer"):
        read_shard(location)


@pytest.mark.parametrize(("key", "says"), [(CHECKSUM_KEY, "lacks mergedistill.checksum"), (UNIT_KEY, "footer is damaged")])
def test_footer_under_another_checksum_is_refused(tmp_path: Path, key: bytes, says: str) -> None:
    location = make_shard(str(tmp_path))
    table = pq.read_table(location)
    metadata = dict(table.schema.metadata)
    metadata = {name: value for name, value in metadata.items() if name != key} | ({key: b"{}"} if key == UNIT_KEY else {})
    pq.write_table(table.replace_schema_metadata(metadata), location)
    with pytest.raises(InputError, match=rf"{says}.*predict` again"):
        read_shard(location)


def test_a_row_group_is_bounded_in_rows_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(make_identity(), articles=30)
    rows = [[10] * (table.num_rows // 10) + [table.num_rows % 10] * (table.num_rows % 10 > 0)]
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 10)
    found = [_group_rows(make_shard(str(tmp_path / "rows"), table=table))]
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", table.nbytes // table.num_rows * 5)
    found.append(_group_rows(make_shard(str(tmp_path / "bytes"), table=table)))
    assert found[0] == rows[0]
    assert max(found[1]) <= 5
    assert sum(found[1]) == table.num_rows


def _group_rows(location: str) -> list[int]:
    footer = pq.read_metadata(location)
    return [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]


@pytest.mark.parametrize(
    "path", ["x.parquet", "language=de/x.parquet", "teacher=a/language=de/x.parquet", "language=de/teacher=a/x.txt"]
)
def test_paths_without_partition_keys(path: str) -> None:
    assert parse_path(path) is None


@pytest.mark.parametrize("logits", ["float16", "8-bit"])
def test_duckdb_reads_the_folder(tmp_path: Path, logits: str) -> None:
    make_folder(str(tmp_path), logits=logits)
    report = validate(str(tmp_path), vocabulary=make_vocabulary("gbert", "mbert"))
    source = f"read_parquet('{tmp_path}/**/*.parquet', hive_partitioning = true)"
    counted = duckdb.sql(  # type: ignore[union-attr]
        f"select language, teacher, count(*), sum(len(mask_positions)) from {source} group by all order by all"
    ).fetchall()
    assert counted == [
        (language, teacher, totals.rows, totals.masked_positions)
        for language, teachers in sorted(report.languages.items())
        for teacher, totals in sorted(teachers.items())
    ]
    query = f"select max(list_sum(list_transform(topk_logits, lambda x: exp(x))) / len(mask_positions)) from {source}"
    assert duckdb.sql(query).fetchall()[0][0] <= 1.01, "the logits are the numbers that they are"  # type: ignore[union-attr]


ENGINES = {
    "duckdb": 'import duckdb, sys; print(*duckdb.sql(f"select count(*), sum(len(mask_positions)), max(list_max(topk_logits)) "\n'
    "f\"from read_parquet('{sys.argv[1]}/**/*.parquet', hive_partitioning = true)\").fetchall()[0])",
    "pandas": "import pandas, sys; t = pandas.read_parquet(sys.argv[1])\n"
    "print(len(t), t.mask_positions.map(len).sum(), max(max(x) for x in t.topk_logits))",
    "polars": "import polars, sys; t = polars.read_parquet(sys.argv[1] + '/**/*.parquet', hive_partitioning=True)\n"
    "print(len(t), t['mask_positions'].list.len().sum(), t['topk_logits'].list.max().max())",
    "pyspark": "import sys, pyspark; from pyspark.sql import SparkSession; b = SparkSession.builder.master('local[1]')\n"
    "if pyspark.__version__ < '4.3': b = b.config('spark.sql.parquet.enableNestedColumnVectorizedReader', 'false')\n"
    "s = b.getOrCreate()\n"
    "s.read.parquet(sys.argv[1]).createOrReplaceTempView('t')\n"
    "q = 'select count(*), sum(size(mask_positions)), max(array_max(topk_logits)), max(array_max(input_ids)) from t'\n"
    "print(*s.sql(q).first()[:3])",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("logits", ["float16", "8-bit"])
def test_any_engine_reads_the_same(tmp_path: Path, engine: str, logits: str) -> None:
    """With its default settings, Spark from 4.3 on. Engines that are not installed here are skipped; Spark needs Java too."""
    if importlib.util.find_spec(engine) is None or (engine == "pyspark" and shutil.which("java") is None):
        pytest.skip(f"{engine} is not installed")
    make_folder(str(tmp_path), logits=logits)
    totals = [totals for teachers in validate(str(tmp_path)).languages.values() for totals in teachers.values()]
    done = subprocess.run([sys.executable, "-c", ENGINES[engine], str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, masks, largest = done.stdout.split()
    assert (int(rows), int(masks)) == (sum(one.rows for one in totals), sum(one.masked_positions for one in totals))
    tables = [shards.open_shard(location).read() for location in list_shards(str(tmp_path))]
    assert float(largest) == pytest.approx(max(float(shards.leaf(table["topk_logits"])[0].max()) for table in tables), rel=1e-6)


def test_no_column_has_an_encoding_that_sparks_reader_lacks(tmp_path: Path) -> None:
    """Spark 4.3 reads byte-stream-split for floats only."""
    for logits in ("float16", "8-bit"):
        group = pq.read_metadata(make_shard(str(tmp_path / logits), identity=make_identity(logits=logits))).row_group(0)
        for column in map(group.column, range(group.num_columns)):
            known = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "DELTA_BINARY_PACKED"}
            assert set(column.encodings) <= known | ({"BYTE_STREAM_SPLIT"} if column.physical_type == "FLOAT" else set())


def version_1(location: str) -> pa.Table:
    """Write a shard again as version 1 had it. Returns its rows."""
    shard, table = read_shard(location), pq.read_table(location, partitioning=None).replace_schema_metadata(None)
    half = pa.list_(pa.field("element", pa.float16(), nullable=False))
    fields = [field.with_type(half) if field.name.endswith("logits") else field for field in SCHEMA]
    old = table.cast(pa.schema(fields))
    shards.write_shard(
        location, old, identity=shard.identity | {"schema_version": 1}, unit=shard.unit, report=shard.report | {"seconds": 1.5}
    )
    return table


def test_version_1_is_refused_and_upgraded_without_a_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locations = make_folder(str(tmp_path))
    rows = {location: version_1(location) for location in locations[:2]}
    with pytest.raises(InputError, match=r"schema_version: found 1, expected 2: .*data\.upgrade.* runs no teacher"):
        read_shard(locations[0])
    faults = {(fault.rule, fault.column) for fault in validate(str(tmp_path)).faults}
    assert ("footer.version", "identity.schema_version") in faults
    upgrade.main([str(tmp_path)])
    assert "2 shards are of version 2 now" in capsys.readouterr().out
    for location, table in rows.items():
        shard = read_shard(location)
        assert pq.read_table(location, partitioning=None).equals(table)
        assert (shard.identity, shard.report["seconds"]) == (make_identity("gbert"), 1.5)
    upgrade.main([str(tmp_path)])
    assert "0 shards are" in capsys.readouterr().out
    Path(locations[0]).write_bytes(Path(locations[0]).read_bytes()[:-9])
    with pytest.raises(SystemExit) as exit_info:
        upgrade.main([str(tmp_path)])
    assert exit_info.value.code == 2


def legal(rows: list[dict[str, Any]], identity: dict[str, Any]) -> bool:
    """The contract's rules on rows, slowly, written from the contract and not from the validator."""
    k = identity["top_k"]
    windows: dict[str, list[int]] = {}
    for row in rows:
        windows.setdefault(row["doc_id"], []).append(row["window"])
    if len(windows) != ARTICLES or any(sorted(found) != [*range(len(found))] for found in windows.values()):
        return False
    return all(
        row["doc_id"] != "" and row["window"] >= 0 and _legal_window(row, identity) and _legal_labels(row, k) for row in rows
    )


def _legal_window(row: dict[str, Any], identity: dict[str, Any]) -> bool:
    ids, masks = row["input_ids"], row["mask_positions"]
    if not 3 <= len(ids) <= identity["examples.max_length"] or ids[0] != 2 or ids[-1] != 3 or not masks:
        return False
    if any(later <= earlier for earlier, later in itertools.pairwise(masks)) or masks[0] < 1 or masks[-1] > len(ids) - 2:
        return False
    for place, token in enumerate(ids[1:-1], start=1):
        allowed = token == 4 or token >= 5 if place in masks else token == 1 or token >= 5
        if not allowed or token >= UNION_SIZE:
            return False
    can_be = sum(place in masks or token >= 5 for place, token in enumerate(ids[1:-1], start=1))
    return len(masks) == max(1, round(identity["examples.mask_rate"] * can_be))


def _legal_labels(row: dict[str, Any], k: int) -> bool:
    masked = len(row["mask_positions"])
    if any(len(row[name]) != masked for name in ("label_ids", "label_logits")):
        return False
    if any(len(row[name]) != masked * k for name in ("topk_ids", "topk_logits")):
        return False
    for index in range(masked):
        gold, gold_logit = row["label_ids"][index], float(row["label_logits"][index])
        ids = row["topk_ids"][index * k : (index + 1) * k]
        logits = [float(value) for value in row["topk_logits"][index * k : (index + 1) * k]]
        if not all(5 <= token < UNION_SIZE for token in [gold, *ids]) or len(set(ids)) < k:
            return False
        if not all(math.isfinite(x) and x <= 2**-10 for x in [gold_logit, *logits]):
            return False
        best_first = sorted(zip(logits, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
        if [token for _, token in best_first] != ids or [x for x, _ in best_first] != logits:
            return False
        if gold in ids:
            if logits[ids.index(gold)] != gold_logit:
                return False
        elif gold_logit > float(np.nextafter(np.float16(logits[-1]), np.float16(np.inf))):
            return False
        mass = sum(math.exp(x) for x in logits) + (0 if gold in ids else math.exp(gold_logit))
        if mass > 1 + 2**-11 * max(1, math.log(k + 1)) + 2**-23 * (k + 1) + 2**-10:
            return False
    return True


IDENTITY = make_identity()
ARTICLES = 4
TABLE = make_table(IDENTITY, articles=ARTICLES)
RANGES = {"window": 2**31 - 1, "input_ids": 2**32 - 1, "mask_positions": 2**16 - 1, "label_ids": 2**32 - 1, "topk_ids": 2**32 - 1}


@st.composite
def corruptions(draw: st.DrawFn) -> tuple[str, int, Any]:
    """(column, row, value) of a change of one value of the table: another value, one more or one less in a list."""
    column, row = draw(st.sampled_from(SCHEMA.names)), draw(st.integers(0, TABLE.num_rows - 1))
    old = TABLE[column][row].as_py()
    if column == "doc_id":
        return column, row, draw(st.sampled_from(["", "another", *TABLE["doc_id"].to_pylist()]))
    if column == "window":
        return column, row, draw(st.integers(-2, 4) | st.integers(-RANGES[column], RANGES[column]))
    if column.endswith("logits"):
        near = st.sampled_from([np.float16(x) for row in TABLE[column].to_pylist() for x in row])
        value = draw(near | st.floats(width=16).map(np.float16) | st.floats(-12, 0.125, width=16).map(np.float16))
    else:
        near = st.integers(0, 6) | st.integers(0, 25) | st.sampled_from(old) | st.integers(UNION_SIZE - 2, UNION_SIZE + 1)  # type: ignore[assignment,operator]
        value = draw(near | st.integers(0, RANGES[column]))  # type: ignore[operator]
    new, index = list(old), draw(st.integers(0, len(old) - 1))
    kind = draw(st.sampled_from(["change", "change", "change", "insert", "delete"]))
    new[index : index + (kind != "insert")] = [] if kind == "delete" else [value]
    return column, row, new


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corruption=corruptions())
def test_a_corrupted_value_passes_only_if_it_is_legal(tmp_path: Path, corruption: tuple[str, int, Any]) -> None:
    column, row, value = corruption
    rows = TABLE.to_pylist()
    rows[row][column] = value
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    make_shard(str(tmp_path), table=table, articles=ARTICLES)
    report = validate(str(tmp_path), vocabulary=make_vocabulary("gbert"), workers=1, manifest=False)
    assert report.sound == legal(table.to_pylist(), IDENTITY), json.dumps(report.to_json()["faults"], indent=1)
    assert all(fault.row == row or fault.rule in ("rows.unique", "unit.articles", "window.missing") for fault in report.faults)


def test_the_slow_rules_let_sound_tables_pass() -> None:
    assert legal(TABLE.to_pylist(), IDENTITY)
