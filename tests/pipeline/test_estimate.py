"""Estimates against what they estimate: FLOPs against torch's own count, a sample against its corpus, the whole against a real run."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode
from transformers import AlbertConfig, AutoConfig, AutoModelForMaskedLM, BertConfig, DistilBertConfig, ElectraConfig, RoFormerConfig

from cli import main
from data.articles import read_articles
from data.recipe import Recipe
from data.recipe_file import parse_recipe, save_recipe
from data.run import Run
from data.shards import leaf, list_shards, open_shard, read_shards, write_shard
from pipeline.beam.teacher_steps import TeacherHandler
from pipeline.estimate import estimate, render
from pipeline.forecast.article_sample import DRAWS, PLACES, RowGroup, draw_sample
from pipeline.forecast.flops import encoder_flops, head_flops
from pipeline.predict import predict
from pipeline.teacher.label_unit import Labelled, LoadedTeacher
from pipeline.teacher.model import length_batches
from pipeline.teacher.plan import Unit
from pipeline.vocabulary import make_vocabulary
from tests.support.factories import TEXTS, article_shard, articles, two_language_recipe
from vocab.errors import InputError

SIZES = {"num_hidden_layers": 3, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 200}


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(**SIZES, intermediate_size=160),
        RoFormerConfig(**SIZES, intermediate_size=256),
        AlbertConfig(**SIZES, intermediate_size=256, embedding_size=32),  # layers that share their weights count each time
        ElectraConfig(**SIZES, intermediate_size=256, embedding_size=64),
        DistilBertConfig(n_layers=3, dim=64, n_heads=4, hidden_dim=160, vocab_size=200),
    ],
    ids=lambda config: config.model_type,
)
def test_the_formula_counts_what_torch_counts(config: AutoConfig) -> None:
    """Two windows of 40 tokens, the head at every position."""
    model = AutoModelForMaskedLM.from_config(config, attn_implementation="eager").eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(input_ids=torch.ones((2, 40), dtype=torch.int64))
    embedding = getattr(config, "embedding_size", None) or config.hidden_size
    projection = 80 * 2 * embedding * config.hidden_size if embedding != config.hidden_size else 0  # which the formula leaves out
    counted = counter.get_total_flops() - projection
    assert encoder_flops(config, np.array([40, 40])).sum() + 80 * head_flops(config) == pytest.approx(counted, rel=1e-6)


def skewed_corpus(folder: Path, seed: int) -> list[RowGroup]:
    """3,000 articles in 60 row groups, of heavy-tailed lengths: long ones first, as in a real dump."""
    generator = np.random.default_rng(seed)
    lengths = np.sort(generator.lognormal(5, 1.3, 3000).astype(int))[::-1] // generator.integers(1, 4, 3000)
    texts = [chr(97 + index % 26) * int(length) for index, length in enumerate(lengths)]
    location = str(article_shard(folder / f"{seed}.parquet", texts, rows_per_group=50))
    sizes = [sum(map(len, texts[start : start + 50])) for start in range(0, 3000, 50)]
    return [RowGroup(location=location, index=index, articles=50, text_bytes=size) for index, size in enumerate(sizes)]


def test_a_sample_stands_for_its_corpus(tmp_path: Path) -> None:
    """Windows of 512 bytes, from half of the row groups: within a tenth, and in the 95% interval nearly always."""
    covered = []
    for seed in range(12):
        groups = skewed_corpus(tmp_path, seed)
        sample = draw_sample(groups, max_length=128)
        assert sample.row_groups <= PLACES
        assert len(sample.articles) <= PLACES * DRAWS
        total, width = sample.total(np.array([-(-len(text) // 512) for _, text in sample.articles]))
        actual = sum(-(-len(text) // 512) for _, text in read_articles(groups[0].location))
        assert total == pytest.approx(actual, rel=0.1)
        covered.append(abs(total - actual) <= width)
    assert sum(covered) >= 10
    assert width < 0.1 * total


def test_what_footers_say_wrongly_is_made_up_for(tmp_path: Path) -> None:
    """A column of few different texts is kept as a dictionary, and its size in the footer says little of the text."""
    texts = [text * (1 + index % 7) for index, text in enumerate(["one ", "two ", "three "] * 200)]
    location = str(article_shard(tmp_path / "a.parquet", texts, rows_per_group=100))
    sample = draw_sample([RowGroup(location=location, index=i, articles=100, text_bytes=60) for i in range(6)], max_length=2)
    total, width = sample.total(np.array([len(text) for _, text in sample.articles]))
    assert not sample.whole
    assert total == pytest.approx(sum(map(len, texts)), rel=0.1)
    assert width < 0.1 * total


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
    estimates = estimate(recipe, trial_seconds=0.5, show_progress=False)
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
        for name, value in actual.items():
            assert getattr(found.survey, name) == pytest.approx(value, rel=0.1), (found.language, found.heldout, name)
        assert found.survey.error < 0.1
        assert found.survey.rate is not None


def test_a_unit_of_a_sample_is_as_the_corpus_is(tmp_path: Path) -> None:
    """Lengths in the corpus' proportions and in mixed order; and another unit has other articles."""
    counts = np.where(np.random.default_rng(1).random(3000) < 0.05, 400, 8)
    texts = [f"{index} " + "wort " * count for index, count in enumerate(counts)]
    article_shard(tmp_path / "a.parquet", texts, rows_per_group=50)
    groups = [
        RowGroup(location=str(tmp_path / "a.parquet"), index=index, articles=50, text_bytes=len("".join(texts[50 * index :][:50])))
        for index in range(60)
    ]
    sample = draw_sample(groups, max_length=16)
    lengths = np.array([len(text.split()) for _, text in sample.articles])
    one, other = lengths[sample.unit(600)], sample.unit(600, 1)
    assert one.mean() == pytest.approx(counts.mean(), rel=0.1)
    assert lengths.mean() > 2 * counts.mean()
    assert abs(np.flatnonzero(one > 100).mean() / 600 - 0.5) < 0.1
    assert set(sample.unit(600).tolist()) != set(other.tolist())


def test_hours_count_what_articles_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units whose seconds are set by their articles and tokens: the sample's long articles must not hide what the short ones cost."""
    generator = np.random.default_rng(0)
    counts = np.where(generator.random(1500) < 0.05, 400, 8)
    texts = [" ".join(generator.choice(" ".join(TEXTS["en"]).split(), count)) for count in counts]
    article_shard(tmp_path / "en.parquet", texts, rows_per_group=50)
    run_inference, labelled_texts = TeacherHandler.run_inference, []

    def timed(
        handler: TeacherHandler, batch: Sequence[Unit], model: LoadedTeacher, _arguments: object = None
    ) -> Iterator[Labelled]:
        for labelled in run_inference(handler, batch, model):
            labelled_texts.append([text for _, text in read_articles(batch[0].corpus, range(batch[0].row_groups))])
            counters = labelled.report["counters"]
            labelled.report["seconds"] = 0.001 * counters["articles"] + 0.00001 * counters["tokens"]
            yield labelled

    weighed: list[str] = []

    def weigh(location: str, table: pa.Table, **facts: Any) -> None:
        weighed.extend(table["doc_id"].to_pylist())
        write_shard(location, table, **facts)

    monkeypatch.setattr(TeacherHandler, "run_inference", timed)
    monkeypatch.setattr("pipeline.forecast.trial_unit.write_shard", weigh)
    recipe = two_language_recipe(
        tmp_path,
        teachers=[{"name": "bert-en", "model": "teachers/en", "languages": ["en"]}],
        corpora={"en": "en.parquet"},
        predict={"top_k": 4, "dtype": "float32", "unit_articles": 500},
    )
    [found] = estimate(recipe, trial_seconds=100, show_progress=False)
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
        for batch in length_batches(tokens_W.tolist(), recipe.predict.tokens_per_batch):
            longest = np.full(len(batch), tokens_W[batch].max())
            padded += encoder_flops(config, longest).sum() - encoder_flops(config, tokens_W[batch]).sum()
    return {"flops": own, "flops_with_padding": own + padded}


def test_only_what_is_missing_is_estimated(recipe: Recipe, tmp_path: Path) -> None:
    small = parse_recipe(recipe.model_dump() | {"corpora": recipe.heldout, "heldout": {}}, folder=recipe.folder)
    make_vocabulary(Run(recipe=small, folder=tmp_path), show_progress=False)
    before = estimate(small, folder=tmp_path, trial_seconds=0.1, show_progress=False)
    predict(Run(recipe=small, folder=tmp_path), teachers=["bert-en"], show_progress=False)
    english, german = estimate(small, folder=tmp_path, trial_seconds=0.1, show_progress=False)
    assert (english.units, english.finished, english.survey.articles, english.survey.hours) == (0, 1, 0, 0)
    assert (german.units, german.finished, german.survey.windows) == (1, 0, before[1].survey.windows)
    assert render([english, german])[-1][1:5] == render([german])[0][1:5]


def test_a_given_rate_needs_no_weights(recipe: Recipe, tmp_path: Path) -> None:
    for name in ("teachers", "many", "heldout"):
        shutil.copytree(recipe.folder / name, tmp_path / name)
    moved = parse_recipe(recipe.model_dump(), folder=tmp_path)
    with_weights = estimate(moved, rate=1e9, trial_seconds=0.1, show_progress=False)
    for weights in tmp_path.glob("teachers/*/model.safetensors"):
        weights.unlink()
    without = estimate(moved, rate=1e9, show_progress=False)
    for one, other in zip(with_weights, without, strict=True):
        assert (one.survey.windows, one.survey.flops, one.survey.hours) == (
            other.survey.windows,
            other.survey.flops,
            other.survey.hours,
        )
        assert one.survey.hours == pytest.approx((one.survey.flops + one.survey.padding_flops) / 1e9 / 3600)
        assert one.survey.bytes
        assert other.survey.bytes is None
    assert [row[6] for row in render(without)] == ["–"] * 5
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
