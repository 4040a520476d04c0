"""Bytes a masked position, by column and encoding, on real teachers' output: python -m tests.benchmarks.bench_size [PREDICTIONS…]

PREDICTIONS: folders of shards in the precision float16, one for each k. Without any: the demo's run, else a small teacher that is trained
here for about a minute on the bundled sample. Rates are of one core, in millions of masked positions a second; baseline: Arrow's own
defaults.
"""

import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.contract import SCHEMA
from data.logits import in_steps
from data.shards import encoding, leaf, list_column, list_shards, read_shard, row_group_rows
from tests.support.paths import ROOT

FILES, ROWS = 3, 8192  # of each folder, of each file
DISTILLKIT = "DistillKit, as published, k = 50 (snappy; polynomial logits, bit-packed ids)", 114.0
TRIED = {
    "ids": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT", "dictionary"],
    "logits": ["PLAIN", "BYTE_STREAM_SPLIT", "dictionary"],
}
CODECS = [("snappy", None), ("zstd", 1), ("zstd", 3), ("zstd", 9), ("zstd", 15), ("zstd", 19), ("brotli", 9)]


LEAVES = {field.name: f"{field.name}.list.element" for field in SCHEMA if pa.types.is_list(field.type)}
VERSION_1 = {
    "compression": "zstd",
    "compression_level": 9,
    "use_dictionary": ["doc_id", LEAVES["topk_ids"]],
    "column_encoding": {
        LEAVES[name]: encoding
        for name, encoding in (
            ("input_ids", "BYTE_STREAM_SPLIT"),
            ("label_ids", "BYTE_STREAM_SPLIT"),
            ("mask_positions", "DELTA_BINARY_PACKED"),
            ("label_logits", "PLAIN"),
            ("topk_logits", "PLAIN"),
        )
    },
}


def _version_1(table: pa.Table) -> pa.Table:
    half = pa.list_(pa.field("element", pa.float16(), nullable=False))
    fields = [field.with_type(half) if field.name.endswith("logits") else field for field in SCHEMA]
    return table.replace_schema_metadata(None).cast(pa.schema(fields))


def written(tables: Iterable[pa.Table], rows: int, **options: Any) -> list[bytes]:
    files = []
    for table in tables:
        out = io.BytesIO()
        pq.write_table(table, out, row_group_size=rows, write_page_checksum=True, **options)
        files.append(out.getvalue())
    return files


def measure(name: str, tables: list[pa.Table], positions: int, rows: int, **options: Any) -> None:
    started = time.perf_counter()
    files = written(tables, rows, **options)
    write = time.perf_counter() - started
    reads = []
    for _ in range(3):
        started = time.perf_counter()
        for file in files:
            opened = pq.ParquetFile(pa.BufferReader(file), page_checksum_verification=True)
            for group in range(opened.metadata.num_row_groups):
                opened.read_row_group(group, use_threads=False)
        reads.append(time.perf_counter() - started)
    size = sum(map(len, files)) / positions
    print(f"{name:62}{size:8.2f}{positions / write / 1e6:8.2f}{positions / min(reads) / 1e6:8.1f}", flush=True)


def head(title: str) -> None:
    print(f"\n{title:62}{'bytes':>8}{'write':>8}{'read':>8}")


def stepped(table: pa.Table, k: int) -> pa.Table:
    """The table as `predict.logits = "8-bit"` makes it."""
    ids, offsets = leaf(table["topk_ids"])
    for name, values in zip(
        ("topk_ids", "topk_logits"),
        in_steps(ids.reshape(-1, k), leaf(table["topk_logits"])[0].astype(np.float16).reshape(-1, k)),
        strict=True,
    ):
        table = table.set_column(
            SCHEMA.get_field_index(name),
            SCHEMA.field(name),
            list_column(values.ravel(), np.diff(offsets), name),  # type: ignore[attr-defined]
        )
    return table


def error(exact: list[pa.Table], rounded: list[pa.Table], k: int) -> None:
    """What the steps cost: of logits, of probabilities, and of the renormalised top k (the teacher that a student sees)."""
    x, y = (np.concatenate([leaf(t["topk_logits"])[0] for t in ts]).astype(np.float64) for ts in (exact, rounded))
    p, q = np.exp(x), np.exp(y)
    lost = p.reshape(-1, k).sum(axis=1) - q.reshape(-1, k).sum(axis=1)
    p_MK, q_MK = p.reshape(-1, k), q.reshape(-1, k)  # which ids stand where says nothing here: both are sorted
    p_MK, q_MK = p_MK / p_MK.sum(axis=1, keepdims=True), q_MK / q_MK.sum(axis=1, keepdims=True)
    kl = (p_MK * np.log(p_MK / q_MK)).sum(axis=1)
    print(
        f"8-bit steps at k = {k}: logit off by {np.abs(x - y).max():.3f} at most, probability by {np.abs(p - q).max():.4f} at most "
        f"({np.abs(p - q).mean():.5f} on average); mass of the top k less by {lost.mean():.4f} on average; "
        f"KL of the renormalised top k {kl.mean():.1e} nats on average, {np.quantile(kl, 0.99):.1e} at the 99th percentile"
    )


def compare(folder: str, tried: bool) -> None:
    by_language: dict[str, list[str]] = {}
    for location in list_shards(folder):
        by_language.setdefault(location.split("language=")[1].split("/")[0], []).append(location)
    files = [locations[0] for locations in by_language.values()][:FILES]
    k = int(
        pq.read_metadata(files[0]).row_group(0).column(6).num_values / pq.read_metadata(files[0]).row_group(0).column(4).num_values
    )
    tables = [pq.read_table(file, partitioning=None).select(SCHEMA.names).slice(0, ROWS) for file in files]
    tables = [table.replace_schema_metadata(None).combine_chunks() for table in tables]
    steps = [stepped(table, k) for table in tables]
    positions = sum(len(leaf(table["label_ids"])[0]) for table in tables)
    rows = min(row_group_rows(table) for table in tables)
    print(f"\n== {folder}: k = {k}, {positions:,} masked positions of {', '.join(by_language)}, {rows:,} rows a row group")
    if tried:
        for name in SCHEMA.names[2:]:
            head(name)
            columns = [table.select([name]) for table in tables]
            for way in TRIED["logits" if name.endswith("logits") else "ids"]:
                for codec, level in CODECS:
                    if name in ("label_logits", "label_ids", "mask_positions") and (codec, level) not in (("zstd", 1), ("zstd", 9)):
                        continue  # they are small, and no level helps them
                    path = f"{name}.list.element"
                    how = (
                        {"use_dictionary": [path]}
                        if way == "dictionary"
                        else {"use_dictionary": False, "column_encoding": {path: way}}
                    )
                    label = f"  {way.lower()}, {codec}{'' if level is None else f' {level}'}"
                    measure(label, columns, positions, rows, compression=codec, compression_level=level, **how)
            if name == "topk_logits":
                for way in TRIED["logits"]:
                    how = {"use_dictionary": way == "dictionary"}  # type: ignore[assignment]
                    columns = [table.select([name]) for table in steps]
                    measure(
                        f"  8-bit steps, {way.lower()}, zstd 9",
                        columns,
                        positions,
                        rows,
                        compression="zstd",
                        compression_level=9,
                        **how,
                    )
    head(f"whole shards, k = {k}")
    measure("  baseline: Arrow's defaults (dictionary, snappy)", tables, positions, rows)
    measure(
        "  as version 1 (float16 logits, byte-stream-split ids)",
        [_version_1(table) for table in tables],
        positions,
        rows,
        **VERSION_1,
    )
    measure("  float16", tables, positions, rows, **_options(tables[0], in_steps=False))
    measure("  8-bit steps", steps, positions, rows, **_options(steps[0], in_steps=True))
    if k == 50:
        print(f"  {DISTILLKIT[0]:60}{DISTILLKIT[1]:8.2f}")
    for smaller in (1024, 4 * rows) if tried else ():
        measure(f"  float16, {smaller:,} rows a row group", tables, positions, smaller, **_options(tables[0], in_steps=False))
    error(tables, steps, k)
    whole = [read_shard(file) for file in files]
    size, groups = sum(shard.bytes for shard in whole), sum(shard.row_groups for shard in whole)
    print(f"files of {size / len(whole) / 1e6:.1f} MB and {groups / len(whole):.1f} row groups, {size / groups / 1e6:.1f} MB each")


def _options(table: pa.Table, *, in_steps: bool) -> dict[str, Any]:
    return {key: value for key, value in encoding(table.schema, in_steps=in_steps).items() if key != "write_page_checksum"}


def own_output(folder: Path) -> list[str]:
    """Predictions of small teachers at k = 8 and k = 50, made of the bundled sample."""

    def run(*arguments: str) -> None:
        subprocess.run(
            [str(Path(sys.executable).with_name("mergedistill")), *arguments], cwd=folder, check=True, capture_output=True
        )

    run("prepare", str(ROOT / "data/sample/de.train.xml.bz2"), "--language", "de", "--out", "corpora/de")
    run(
        "pretrain",
        "corpora/de/*.parquet",
        "--language",
        "de",
        "--out",
        "teachers/de",
        "--vocab-size",
        "4000",
        "--hidden-size",
        "128",
        "--steps",
        "200",
    )
    for k in (8, 50):
        (folder / f"k{k}.toml").write_text(
            f'name = "k{k}"\n[[teachers]]\nname = "small-de"\nmodel = "teachers/de"\nlanguages = ["de"]\n'
            f'[corpora]\nde = "corpora/de/*.parquet"\n[predict]\ntop_k = {k}\nunit_articles = 4000\n'
        )
        run("vocab", f"k{k}.toml", "--out", f"k{k}")
        run("predict", f"k{k}.toml", "--out", f"k{k}")
    return [str(folder / f"k{k}/predictions") for k in (8, 50)]


def main() -> None:
    folders = sys.argv[1:]
    demo = ROOT / "runs/demo/predictions"
    with tempfile.TemporaryDirectory() as scratch:
        if not folders:
            folders = [str(demo)] if demo.exists() else own_output(Path(scratch))
        for index, folder in enumerate(folders):
            compare(folder, tried=index == 0)


if __name__ == "__main__":
    main()
