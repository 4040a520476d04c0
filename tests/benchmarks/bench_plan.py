"""Planning and listing for resume: 10,000 units (1,000 input shards of ten row groups), with none, half and all of them on disk.

The shards are small and real: each is written with the identity, the unit and the report of its own unit in its footer, and with
as many row groups as a unit of a thousand articles has. "listed" is what a launch reads once more when it has finished.
"""

import tempfile
import time
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

from data.articles import SCHEMA as ARTICLES
from data.contract import PREDICTIONS, SCHEMA
from data.identity import Identity, shard_identity
from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.run import Run
from data.shards import list_shards, read_shards, write_shard
from pipeline.teacher.plan import Unit, make_plan

INPUTS, ROW_GROUPS, WINDOWS = 1_000, 10, 4
ROW = {
    "doc_id": "1",
    "window": 0,
    "input_ids": [2, 4, 3],
    "mask_positions": [1],
    "label_ids": [9],
    "label_logits": [-1.0],
    "topk_ids": [9],
    "topk_logits": [-1.0],
}


def article_shards(folder: Path) -> None:
    for number in range(INPUTS):
        names = [f"{number}-{row}" for row in range(ROW_GROUPS)]
        table = pa.table({"id": names, "url": names, "title": names, "text": names}, schema=ARTICLES)
        pq.write_table(table, folder / f"dewiki-{number:05d}.parquet", row_group_size=1)


def predict_all(units: tuple[Unit, ...], identity: Identity) -> None:
    """What a job leaves of units."""
    table = pa.Table.from_pylist([ROW] * WINDOWS, schema=SCHEMA)
    counters = {"articles": 1000, "windows": WINDOWS, "masked_positions": WINDOWS}
    report = {"rows": WINDOWS, "masked_positions": WINDOWS, "seconds": 1.0, "computation": "0" * 32, "counters": counters}
    with mock.patch("data.shards.ROW_GROUP_ROWS", 1), mock.patch("data.atomic.sync"):  # nothing here must outlive a power cut
        for unit in units:
            write_shard(unit.output, table, identity=identity, unit=unit.facts(), report=report)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "corpora").mkdir()
        article_shards(folder / "corpora")
        recipe: Recipe = parse_recipe(
            {
                "name": "plan",
                "teachers": [{"name": "t", "model": "t", "languages": ["de"]}],
                "corpora": {"de": "corpora/*.parquet"},
                "predict": {"unit_articles": 1, "top_k": 1},
            },
            folder=folder,
        )
        identity = shard_identity(recipe, dtype="float32", union="0" * 64, tokenizer="1" * 64, weights="2" * 64)
        print(f"{'on disk':>8}{'units':>8}{'plan: seconds':>15}{'units/s':>9}{'listed: seconds':>17}")
        units = make_plan(Run(recipe=recipe, folder=name), {"t": identity}).units  # type: ignore[arg-type]
        standing = 0
        for share in (0, 0.5, 1):
            wanted = int(share * len(units))
            predict_all(units[standing:wanted], identity)
            standing = wanted
            started = time.perf_counter()
            plan = make_plan(Run(recipe=recipe, folder=name), {"t": identity})  # type: ignore[arg-type]
            seconds = time.perf_counter() - started
            assert plan.finished == standing
            started = time.perf_counter()
            assert len(read_shards(list_shards(str(folder / PREDICTIONS)))) == standing
            listed = time.perf_counter() - started
            print(f"{standing:>8,}{len(units):>8,}{seconds:>15.2f}{len(units) / seconds:>9,.0f}{listed:>17.2f}")


if __name__ == "__main__":
    main()
