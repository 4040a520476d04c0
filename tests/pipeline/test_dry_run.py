"""`predict --dry-run` says what predict would do, and does nothing."""

from pathlib import Path

import pytest

from data.recipe import Recipe
from data.run import Run
from data.shards import list_shards
from pipeline.dry_run import dry_run, work_table
from tests.support.runs import build_union, changed, launch
from vocab.errors import InputError


def test_before_between_and_after(recipe: Recipe, tmp_path: Path) -> None:
    run = Run(recipe=recipe, folder=tmp_path / "run")
    with pytest.raises(InputError, match="mergedistill vocab"):
        dry_run(run)
    build_union(recipe, run.folder)
    before = sorted(tmp_path.rglob("*"))
    work = dry_run(run)
    assert [(row.teacher, row.language, row.units, row.finished, row.articles) for row in work] == [
        ("bert-en", "en", 4, 0, 40),
        ("bert-de", "de", 4, 0, 40),
    ]
    assert all(row.bytes is row.seconds is None for row in work)
    assert sorted(tmp_path.rglob("*")) == before
    text = work_table(run, work).text()
    assert "8 units to compute, nothing was run" in text
    assert "mergedistill estimate" in text
    launch(recipe, run.folder)
    shards = list_shards(run.predictions)
    sizes = {shard: Path(shard).stat().st_size for shard in shards}
    for shard in shards[:3]:  # of bert-de
        Path(shard).unlink()
    english, german = dry_run(run)
    assert (english.units, english.finished, english.bytes) == (0, 4, 0)
    assert (german.units, german.finished, german.articles) == (3, 1, 30)
    assert german.bytes == 3 * sizes[shards[3]]
    assert german.seconds is not None
    assert [row.teacher for row in dry_run(run, ["bert-en"])] == ["bert-en"]
    with pytest.raises(InputError, match="top_k"):
        dry_run(Run(recipe=changed(recipe, predict=recipe.predict.model_dump() | {"top_k": 3}), folder=run.folder))
