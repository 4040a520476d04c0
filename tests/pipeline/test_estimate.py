"""Estimates against a real run."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from transformers import AutoConfig

from cli import main
from data.articles import read_articles
from data.flops import encoder_flops, head_flops
from data.recipe import Recipe
from data.recipe_file import parse_recipe, save_recipe
from data.run import Run
from data.shards import leaf, list_shards, open_shard, read_shards, write_shard
from pipeline.estimate import COLUMNS, estimate
from pipeline.forecast.article_sample import DRAWS, PLACES
from pipeline.predict import predict
from pipeline.teacher.label_unit import Labelled, label_unit
from pipeline.teacher.loaded import LoadedTeacher
from pipeline.teacher.plan import Unit
from pipeline.teacher.windows import length_batches
from pipeline.vocabulary import make_vocabulary
from tests.support.factories import TEXTS, article_shard, articles, two_language_recipe
from vocab.errors import InputError
from vocab.union import TeacherMap


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """More articles than a sample holds, their lengths heavy-tailed, and a few held-out ones."""
    folder = tmp_path_factory.mktemp("estimate")
    generator = np.random.default_rng(0)
    for language in ("en", "de"):
        for part in range(2):
            counts = np.minimum(generator.lognormal(1, 1, 500).astype(int) + 1, 60)
            texts = [" ".join(generator.choice(TEXTS[language], count)) for count in counts]
            article_shard(folder / f"many/{language}/part{part}.parquet", texts, rows_per_group=25)
        article_shard(folder / f"heldout/{language}.parquet", articles(language, 9))
    many = {language: f"many/{language}/*.parquet" for language in ("en", "de")}
    heldout = {language: f"heldout/{language}.parquet" for language in ("en", "de")}
    settings = {"top_k": 4, "dtype": "float32", "unit_articles": 250, "tokens_per_batch": 256}
    return two_language_recipe(folder, corpora=many, heldout=heldout, predict=settings)


def test_an_estimate_is_within_a_tenth_of_the_run(recipe: Recipe, tmp_path: Path) -> None:
    estimates = estimate(recipe, trial_seconds=0.5, show_progress=False).rows
    make_vocabulary(Run(recipe=recipe, folder=tmp_path), show_progress=False)
    predict(Run(recipe=recipe, folder=tmp_path), show_progress=False)
    assert [(e.teacher, e.language, e.heldout) for e in estimates] == [
        ("bert-en", "en", False), ("bert-en", "en", True), ("bert-de", "de", False), ("bert-de", "de", True)
    ]  # fmt: skip
    for found in estimates:
        folder = tmp_path / ("heldout" if found.heldout else "predictions")
        shards = [shard for shard in read_shards(list_shards(str(folder))) if shard.path.language == found.language]
        assert found.units == len(shards)
        assert (
            found.survey.articles == sum(shard.report["counters"]["articles"] for shard in shards) == (9 if found.heldout else 1000)
        )
        assert found.survey.articles_read <= PLACES * DRAWS
        actual = {
            "windows": sum(shard.rows for shard in shards),
            "masked_positions": sum(shard.report["masked_positions"] for shard in shards),
            "bytes": sum(shard.bytes for shard in shards),
            **flops(recipe, found.teacher, [shard.location for shard in shards]),
        }
        estimated = asdict(found.survey) | {"flops_with_padding": found.survey.flops + found.survey.padding_flops}
        for name, value in actual.items():
            assert estimated[name] == pytest.approx(value, rel=0.1), (found.language, found.heldout, name)
        assert found.survey.error < 0.1
        assert found.survey.rate is not None


def test_hours_count_what_articles_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units whose seconds are set by their articles and tokens: the sample's long articles must not hide what the short ones cost."""
    generator = np.random.default_rng(0)
    counts = np.where(generator.random(1500) < 0.05, 400, 8)
    texts = [" ".join(generator.choice(" ".join(TEXTS["en"]).split(), count)) for count in counts]
    article_shard(tmp_path / "en.parquet", texts, rows_per_group=50)
    labelled_texts = []

    def timed(unit: Unit, teacher: LoadedTeacher, teacher_map: TeacherMap, recipe: Recipe, *_: Any) -> Labelled:
        labelled = label_unit(unit, teacher, teacher_map, recipe)
        labelled_texts.append([text for _, text in read_articles(unit.corpus, range(unit.row_groups))])
        counters = labelled.report["counters"]
        labelled.report["seconds"] = 0.001 * counters["articles"] + 0.00001 * counters["tokens"]
        return labelled

    weighed: list[str] = []

    def weigh(location: str, table: pa.Table, **facts: Any) -> None:
        weighed.extend(table["doc_id"].to_pylist())
        write_shard(location, table, **facts)

    for place in ("pipeline.forecast.survey", "pipeline.beam.teacher_steps"):
        monkeypatch.setattr(f"{place}.label_unit", timed)
    monkeypatch.setattr("pipeline.forecast.survey.write_shard", weigh)
    recipe = two_language_recipe(
        tmp_path,
        teachers=[{"name": "bert-en", "model": "teachers/en", "languages": ["en"]}],
        corpora={"en": "en.parquet"},
        predict={"top_k": 4, "dtype": "float32", "unit_articles": 500},
    )
    [found] = estimate(recipe, trial_seconds=100, show_progress=False).rows
    tried = labelled_texts[-1]
    assert np.mean([len(text) for text in tried]) == pytest.approx(np.mean([len(text) for text in texts]), rel=0.1)
    assert len(tried) == 500 > len(set(tried))
    assert set(weighed) <= {doc_id for doc_id, _ in read_articles(str(tmp_path / "en.parquet"))}  # no copies, which compress better
    make_vocabulary(Run(recipe=recipe, folder=tmp_path), show_progress=False)
    predict(Run(recipe=recipe, folder=tmp_path), show_progress=False)
    shards = read_shards(list_shards(str(tmp_path / "predictions")))
    assert found.survey.hours == pytest.approx(sum(shard.report["seconds"] for shard in shards) / 3600, rel=0.1)
    assert found.survey.bytes == pytest.approx(sum(shard.bytes for shard in shards), rel=0.1)


def flops(recipe: Recipe, teacher: str, locations: list[str]) -> dict[str, float]:
    """The FLOPs that a teacher's shards took, from the lengths of their rows."""
    config = AutoConfig.from_pretrained(recipe.folder / recipe.teacher(teacher).model)
    own = padded = 0.0
    for location in locations:
        table = open_shard(location).read()
        tokens_W = np.diff(leaf(table["input_ids"])[1]).astype(np.int64)
        own += encoder_flops(config, tokens_W).sum() + leaf(table["label_ids"])[1][-1] * head_flops(config)
        for batch in length_batches(tokens_W, int(recipe.predict.tokens_per_batch)):
            longest = np.full(len(batch), tokens_W[batch].max())
            padded += encoder_flops(config, longest).sum() - encoder_flops(config, tokens_W[batch]).sum()
    return {"flops": own, "flops_with_padding": own + padded}


def test_only_what_is_missing_is_estimated(recipe: Recipe, tmp_path: Path) -> None:
    small = parse_recipe(recipe.model_dump() | {"corpora": recipe.heldout, "heldout": {}}, folder=recipe.folder)
    make_vocabulary(Run(recipe=small, folder=tmp_path), show_progress=False)
    before = estimate(small, folder=tmp_path, trial_seconds=0.1, show_progress=False).rows
    predict(Run(recipe=small, folder=tmp_path), teachers=["bert-en"], show_progress=False)
    after = estimate(small, folder=tmp_path, trial_seconds=0.1, show_progress=False)
    english, german = after.rows
    assert (english.units, english.finished, english.survey.articles, english.survey.hours) == (0, 1, 0, 0)
    assert (german.units, german.finished, german.survey.windows) == (1, 0, before[1].survey.windows)
    shown = after.table()
    assert shown.rows[-1][1:5] == shown.rows[1][1:5]
    assert "; 1 units are there already" in shown.notes[0]
    assert shown.result == f"Next: mergedistill predict RECIPE --out {tmp_path}"
    predict(Run(recipe=small, folder=tmp_path), show_progress=False)
    complete = estimate(small, folder=tmp_path, trial_seconds=0.1, show_progress=False).table()
    assert complete.result == f"Next: mergedistill validate {tmp_path / 'predictions'}"


def test_a_teacher_that_the_run_lacks_is_estimated_before_vocab(recipe: Recipe, tmp_path: Path) -> None:
    """The finished units of the others stay finished, and the run is not changed."""
    content = recipe.model_dump() | {"corpora": recipe.heldout, "heldout": {}}
    both = parse_recipe(content, folder=recipe.folder)
    english = {"teachers": content["teachers"][:1], "corpora": {"en": content["corpora"]["en"]}}
    first = parse_recipe(content | english, folder=recipe.folder)
    make_vocabulary(Run(recipe=first, folder=tmp_path), show_progress=False)
    predict(Run(recipe=first, folder=tmp_path), show_progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = estimate(both, folder=tmp_path, trial_seconds=0.1, show_progress=False)
    assert [(row.teacher, row.units, row.finished) for row in found.rows] == [("bert-en", 0, 1), ("bert-de", 1, 0)]
    assert found.table().result == f"Next: mergedistill vocab RECIPE --out {tmp_path}"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    inserted = parse_recipe(content | {"teachers": content["teachers"][::-1]}, folder=recipe.folder)
    with pytest.raises(InputError, match="write the recipe's teachers in the order bert-en, bert-de"):
        estimate(inserted, folder=tmp_path, trial_seconds=0.1, show_progress=False)


def test_a_given_rate_needs_no_weights(recipe: Recipe, tmp_path: Path) -> None:
    for name in ("teachers", "many", "heldout"):
        shutil.copytree(recipe.folder / name, tmp_path / name)
    moved = parse_recipe(recipe.model_dump(), folder=tmp_path)
    with_weights = estimate(moved, rate=1e9, trial_seconds=0.1, show_progress=False)
    for weights in tmp_path.glob("teachers/*/model.safetensors"):
        weights.unlink()
    without = estimate(moved, rate=1e9, show_progress=False)
    for one, other in zip(with_weights.rows, without.rows, strict=True):
        assert (one.survey.windows, one.survey.flops, one.survey.hours) == (
            other.survey.windows,
            other.survey.flops,
            other.survey.hours,
        )
        assert one.survey.hours == pytest.approx((one.survey.flops + one.survey.padding_flops) / 1e9 / 3600)
        assert one.survey.bytes
        assert other.survey.bytes is None
    table = without.table()
    assert [table.columns[6].show(row[6]) for row in table.rows] == ["–"] * 5
    assert [row["mb"] for row in json.loads(table.json())["rows"]] == [None] * 5
    with pytest.raises(InputError, match="found no weights"):
        estimate(moved, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heldout", "many", "teachers"]


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    save_recipe(two_language_recipe(tmp_path, articles_each=20), tmp_path / "recipe.toml")
    command = ["estimate", str(tmp_path / "recipe.toml"), "--rate", "0.5", "--set", "vocabulary.method=trimmed"]
    shown = CliRunner().invoke(main, command)
    assert shown.exit_code == 0, shown.output
    assert [line.split("  ")[0] for line in shown.stdout.splitlines()[2:5]] == ["en (bert-en)", "de (bert-de)", "all"]
    assert "From 40 of 40 articles; 0 units are there already. TFLOPS: as given" in shown.stdout
    assert "still to be chosen (trimmed)" in shown.stdout
    assert shown.stdout.endswith("Next: mergedistill vocab RECIPE --out RUN\n")


def test_figures_keep_three_digits() -> None:
    megabytes = next(column for column in COLUMNS if column.heading == "MB")
    assert [megabytes.show(value) for value in (0.00123456, 1.59, 99.96, 123456.7, None)] == [
        "0.00123",
        "1.59",
        "100",
        "123,457",
        "–",
    ]
