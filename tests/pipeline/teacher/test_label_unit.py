"""Poison articles, counters and metrics of a unit: with teachers and tokenizers that really fail."""

import json
import shutil
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.ml.inference.base import RunInference
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models

from data.examples import Alphabet, Example
from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.run import Run
from data.shards import leaf, list_shards, open_shard, read_shards
from data.tokenise import LONGEST_ARTICLE, tokenise
from data.validation.validate import validate
from pipeline.beam.launch import run_pipeline
from pipeline.beam.teacher_steps import TeacherHandler, WriteShard
from pipeline.predict import predict
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.label_unit import _begin, _common_reason, _finish, label_unit
from pipeline.teacher.labels import take_positions
from pipeline.teacher.loaded import LoadedTeacher
from pipeline.teacher.model import TeacherModel
from pipeline.teacher.plan import make_plan
from pipeline.teacher.to_union import Spelling
from pipeline.teacher.windows import Windows
from pipeline.vocabulary import make_vocabulary
from tests.support.factories import SPECIAL, TEXTS, article_shard, articles, save_teacher, two_language_recipe, word_pieces
from vocab.errors import InputError
from vocab.folder import load_map
from vocab.teacher_vocabulary import read_teacher

POISON = "☠"


def poisoned_recipe(folder: Path, *, poison: int, **settings: Any) -> Recipe:
    """A teacher whose logits are not finite in windows that hold POISON: in `poison` of 60 articles, which stand side by side."""
    texts = [*articles("en", 60)]
    for index in range(poison):
        texts[7 + index] = f"{POISON} {texts[7 + index]}" * 12  # more than one window
    article_shard(folder / "corpora/en.parquet", texts, rows_per_group=20)
    pieces = [*SPECIAL, *word_pieces(TEXTS["en"]), POISON]
    teacher = save_teacher(folder / "teacher", pieces)
    weights = load_file(teacher / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    config = json.loads((teacher / "config.json").read_text())
    (teacher / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    weights["cls.predictions.decoder.weight"] = weights[name].clone()  # the head is whole
    weights["cls.predictions.decoder.bias"] = weights["cls.predictions.bias"].clone()
    weights[name][-1] = torch.nan
    save_file(weights, teacher / "model.safetensors", metadata={"format": "pt"})
    content: dict[str, Any] = {
        "name": "poisoned",
        "teachers": [{"name": "t", "model": "teacher", "languages": ["en"]}],
        "corpora": {"en": "corpora/en.parquet"},
        "examples": {"max_length": 24},
        "predict": {"top_k": 4, "dtype": "float32", "unit_articles": 20, "tokens_per_batch": 256, **settings},
    }
    return parse_recipe(content, folder=folder)


def test_a_poison_article_is_set_aside(tmp_path: Path) -> None:
    recipe = poisoned_recipe(tmp_path, poison=2, max_quarantined=0.1)
    run = tmp_path / "run"
    make_vocabulary(Run(recipe=recipe, folder=run))
    result = predict(Run(recipe=recipe, folder=run), show_progress=False)
    folder = run / "predictions"
    assert validate(str(folder)).sound
    entries = [json.loads(line) for line in (folder / "_quarantine.jsonl").read_text().splitlines()]
    assert [entry["doc_id"] for entry in entries] == ["en-7", "en-8"]
    assert all("logits are not finite" in entry["reason"] for entry in entries)
    rows = Counter(row for location in list_shards(str(folder)) for row in open_shard(location).read()["doc_id"].to_pylist())
    assert set(rows) == {f"en-{index}" for index in range(60) if index not in (7, 8)}
    manifest = json.loads((folder / "_manifest.json").read_text())
    totals = manifest["totals"]
    assert (totals["articles"], totals["quarantined_articles"], totals["rows"]) == (60, 2, result.rows)
    assert totals["windows"] == totals["rows"] == sum(rows.values())
    lengths = [np.diff(leaf(open_shard(location).read()["input_ids"])[1]) for location in list_shards(str(folder))]
    assert totals["tokens"] == np.concatenate(lengths).sum()
    # Labels that stay are those of a run that never saw the poison.
    clean = poisoned_recipe(tmp_path / "clean", poison=0)
    make_vocabulary(Run(recipe=clean, folder=tmp_path / "clean/run"))
    predict(Run(recipe=clean, folder=tmp_path / "clean/run"), show_progress=False)
    for ours, theirs in zip(list_shards(str(folder)), list_shards(str(tmp_path / "clean/run/predictions")), strict=True):
        one, other = open_shard(ours).read(), open_shard(theirs).read()
        other = other.filter(np.isin(other["doc_id"].to_pylist(), ["en-7", "en-8"], invert=True))
        assert one["input_ids"].equals(other["input_ids"])
        assert np.allclose(leaf(one["label_logits"])[0].astype(float), leaf(other["label_logits"])[0].astype(float), atol=2e-3)


def test_an_article_that_no_memory_holds_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a stated length. The limit is lowered here: twelve million characters take two gigabytes."""
    assert LONGEST_ARTICLE == 12_000_000
    monkeypatch.setattr("data.tokenise.LONGEST_ARTICLE", 2_000)
    recipe = two_language_recipe(tmp_path)
    file = tmp_path / "corpora/en/part0.parquet"
    texts = pq.read_table(file)["text"].to_pylist()
    article_shard(file, [texts[0] * 100, *texts[1:]], rows_per_group=10)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"))
    predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    (entry,) = [json.loads(line) for line in (tmp_path / "run/predictions/_quarantine.jsonl").read_text().splitlines()]
    assert "characters, more than 2,000: divide it" in entry["reason"]
    assert validate(str(tmp_path / "run/predictions")).sound


def test_too_many_poison_articles_fail_the_job(tmp_path: Path) -> None:
    recipe = poisoned_recipe(tmp_path, poison=3, max_quarantined=0.1)
    run = tmp_path / "run"
    make_vocabulary(Run(recipe=recipe, folder=run))
    with pytest.raises(
        InputError, match=r"'t' failed on 3 of the 20 articles of a unit, the first 'en-7' .*max_quarantined = 0\.1"
    ):
        predict(Run(recipe=recipe, folder=run), show_progress=False)
    assert not (run / "predictions/_manifest.json").exists()
    again = recipe.model_copy(update={"predict": recipe.predict.model_copy(update={"max_quarantined": 0.15})})
    again._folder = recipe.folder
    assert predict(Run(recipe=again, folder=run), show_progress=False).units == 3


def test_a_window_that_the_teacher_raises_on_costs_its_article_alone(tmp_path: Path) -> None:
    recipe = poisoned_recipe(tmp_path, poison=0)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"))
    teacher_map = load_map(tmp_path / "run/vocab", "t")
    vocabulary = read_teacher(tmp_path / "teacher", "t")
    teacher = LoadedTeacher(
        model=TeacherModel(tmp_path / "teacher", "t", teacher_map, "float32"),
        vocabulary=vocabulary,
        alphabet=Alphabet(roles=vocabulary.roles, maskable=teacher_map.predictable),
        spelling=Spelling.of(teacher_map, longest=22),
        load_seconds=0.0,
    )
    block = []
    for doc_id, ids in (("a", [2, 9, 10, 3]), ("b", [2, 11, 9999, 3]), ("b", [2, 11, 12, 3]), ("c", [2, 12, 13, 3])):
        array = np.array(ids, dtype=np.uint32)  # 9999 has no embedding
        block.append(Example(doc_id=doc_id, window=0, input_ids=array, mask_positions=np.array([1]), label_ids=array[1:2]))
    quarantine: dict[str, str] = {}
    unit = make_plan(Run(recipe=recipe, folder=tmp_path / "run"), {"t": {}}).units[0]
    labels = _finish(block, _begin(Windows.of(block), teacher, recipe), teacher, recipe, unit, quarantine)
    assert quarantine == {"b": "the teacher failed: index out of range in self"}
    assert labels.finite_M.tolist() == [True, False, False, True]
    alone = teacher.label([block[0], block[3]], recipe)
    assert np.array_equal(take_positions(labels, labels.finite_M).ids_MK, alone.ids_MK)


def test_one_reason_for_most_long_articles_is_the_teachers_fault() -> None:
    """Six of seven long articles fail at different positions; three short ones are fine."""
    ids = [f"long-{index}" for index in range(7)] + [f"short-{index}" for index in range(30)]
    tokens = np.array([66] * 7 + [20] * 30)
    failed = {f"long-{index}": f"the teacher failed: index {index} is out of range" for index in range(6)}
    found = _common_reason(ids, tokens, failed)
    assert found.startswith(
        "failed on 6 of the 7 articles with windows of 66 tokens or more, for one reason (the teacher failed: index 0"
    )
    others = {doc_id: f"the teacher failed: {doc_id.translate(str.maketrans('0123456', 'abcdefg'))}" for doc_id in failed}
    assert _common_reason(ids, tokens, others) == ""  # reasons of their own
    few = dict([*failed.items()][:4])
    assert _common_reason(ids, tokens, few) == ""
    short = {f"short-{index}": "the teacher failed: x" for index in range(6)}
    assert _common_reason(ids, tokens, short) == ""  # 6 of 37


@pytest.mark.parametrize("size", [1, 5])
def test_an_article_that_the_tokenizer_fails_on(size: int) -> None:
    """A Unigram without an unknown token: the library raises on a character that it does not have, for the whole batch."""
    tokenizer = Tokenizer(models.Unigram([("a", -1.0), ("b", -2.0)], None, False))
    given = [(str(index), "ab" * index if index != 3 else "ax") for index in range(1, 1 + size)] if size > 1 else [("3", "ax")]
    counters: Counter[str] = Counter()
    failed: dict[str, str] = {}
    found = {
        doc_id: len(ids) for doc_id, ids, _ in chain.from_iterable(tokenise(given, tokenizer, False, counters, failed.setdefault))
    }
    assert found == {doc_id: len(text) for doc_id, text in given if doc_id != "3"}
    assert [*failed] == ["3"]
    assert failed["3"].startswith("the tokenizer failed: ")
    assert counters["articles"] == size
    with pytest.raises(Exception, match="unk_id"):
        [*tokenise(given, tokenizer, False, counters)]


def test_the_manifest_counts_by_teacher_and_language(tmp_path: Path) -> None:
    recipe = poisoned_recipe(tmp_path, poison=0)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"))
    predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    shards = read_shards(list_shards(str(tmp_path / "run/predictions")))
    (row,) = json.loads((tmp_path / "run/predictions/_manifest.json").read_text())["languages"]
    logits = np.concatenate([leaf(open_shard(shard.location).read()["label_logits"])[0] for shard in shards])
    assert (row["teacher"], row["language"], row["units"], row["articles"]) == ("t", "en", 3, 60)
    assert row["loss"] == pytest.approx(-logits.astype(np.float64).mean(), abs=1e-4)
    assert row["masked_positions"] == len(logits)
    assert row["tokens_per_second"] > 0
    assert (row["mass_dropped"], row["mass_merged"]) == (0, 0)


def test_a_unit_is_counted_in_beam_metrics(tmp_path: Path) -> None:
    recipe = poisoned_recipe(tmp_path, poison=1)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"))
    identity = teacher_identity(Run(recipe=recipe, folder=tmp_path / "run"), "t")
    teacher_map = load_map(tmp_path / "run/vocab", "t")
    teacher = TeacherHandler(recipe, "t", teacher_map, identity, threads=0).load_model()
    units = make_plan(Run(recipe=recipe, folder=tmp_path / "run"), {"t": identity}).units
    labelled = [label_unit(unit, teacher, teacher_map, recipe) for unit in units]

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create(labelled) | beam.ParDo(WriteShard(identity, recipe))

    found = run_pipeline(build, []).metrics().query(MetricsFilter().with_namespace("mergedistill.t.en"))
    counters = {metric.key.metric.name: metric.committed for metric in found["counters"]}
    assert (counters["units"], counters["articles"], counters["quarantined_articles"]) == (3, 60, 1)
    assert counters["masked_positions"] == sum(unit.report["masked_positions"] for unit in labelled)
    spread = {metric.key.metric.name: metric.committed for metric in found["distributions"]}
    assert spread["loss_millinats"].max == round(1e3 * max(unit.report["loss"] for unit in labelled))
    assert spread["tokens_per_second"].count == spread["teacher_load_milliseconds"].count == 3


class SharedTeacher(TeacherHandler):
    """As on a GPU with several worker processes."""

    def share_model_across_processes(self) -> bool:
        return True


def test_a_teacher_that_another_process_holds(tmp_path: Path) -> None:
    recipe = poisoned_recipe(tmp_path, poison=0)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"))
    identity = teacher_identity(Run(recipe=recipe, folder=tmp_path / "run"), "t")
    teacher_map = load_map(tmp_path / "run/vocab", "t")
    units = make_plan(Run(recipe=recipe, folder=tmp_path / "run"), {"t": identity}).units

    def build(pipeline: beam.Pipeline) -> None:
        handler: Any = SharedTeacher(recipe, "t", teacher_map, identity, threads=1)
        labelled = pipeline | beam.Create([[unit] for unit in units]) | RunInference(handler.with_no_batching())
        _ = labelled | beam.ParDo(WriteShard(identity, recipe))

    run_pipeline(build, [])
    shared = [open_shard(location).read() for location in list_shards(str(tmp_path / "run/predictions"))]
    shutil.rmtree(tmp_path / "run/predictions")
    predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    alone = [open_shard(location).read() for location in list_shards(str(tmp_path / "run/predictions"))]
    assert len(shared) == 3
    for one, other in zip(shared, alone, strict=True):
        assert all(one[name].equals(other[name]) for name in ("doc_id", "input_ids", "mask_positions", "label_ids"))
        assert np.allclose(leaf(one["topk_logits"])[0].astype(float), leaf(other["topk_logits"])[0].astype(float), atol=2e-2)


def test_memory_that_runs_out_is_no_articles_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's own error on a CPU, which is a plain RuntimeError."""
    recipe = poisoned_recipe(tmp_path, poison=0, max_quarantined=1.0)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"))
    monkeypatch.setattr(TeacherModel, "begin", lambda *_: torch.empty(1 << 50))
    with pytest.raises(InputError, match=r"'t': out of memory .*; lower predict\.tokens_per_batch, found 256"):
        predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    assert list_shards(str(tmp_path / "run/predictions")) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"units": [{}]}'])
def test_a_damaged_manifest_is_written_again(tmp_path: Path, content: str) -> None:
    recipe = poisoned_recipe(tmp_path, poison=0)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"))
    predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    manifest = tmp_path / "run/predictions/_manifest.json"
    whole = manifest.read_text()
    manifest.write_text(content)
    assert predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False).computed == 0
    assert manifest.read_text() == whole
