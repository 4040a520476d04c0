"""A teacher with languages = []: its pieces join the union, and every command leaves the rest of it alone. It has no weights here."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForMaskedLM, AutoTokenizer

from data.contract import HELDOUT, PREDICTIONS
from data.recipe import Recipe
from data.run import Run
from data.shards import list_shards, read_shards
from data.validation.folder_rules import union_facts
from data.validation.validate import validate
from pipeline.audit import audit
from pipeline.dry_run import dry_run
from pipeline.estimate import estimate
from pipeline.predict import predict
from pipeline.vocabulary import make_vocabulary
from pipeline.vocabulary_report import report_vocabulary
from student.model_card import CARD
from student.tasks.reading import student_reader
from student.train_student import student_table, train_student
from tests.support.factories import article_shard, articles, save_teacher, two_language_recipe
from tests.support.runs import changed, load_vocab
from vocab.errors import InputError
from vocab.folder import load_map, load_union

SHAPE = {"architecture": "bert", "layers": 1, "hidden_size": 32, "heads": 2, "intermediate_size": 64, "dropout": 0.0}


def pieces_too(recipe: Recipe, languages: list[str], **sections: Any) -> Recipe:
    """bert-en labels English; bert-de has these languages."""
    english, german = recipe.model_dump()["teachers"]
    return changed(recipe, teachers=[english | {"languages": ["en"]}, german | {"languages": languages}], **sections)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run, from the vocabulary to a student."""
    folder = tmp_path_factory.mktemp("only")
    recipe = two_language_recipe(folder, student=SHAPE)
    article_shard(folder / "heldout/en.parquet", [f"{text} ." for text in articles("en", 6)])
    english = {"corpora": {"en": recipe.corpora["en"]}, "heldout": {"en": "heldout/en.parquet"}}
    recipe = pieces_too(recipe, [], **english)
    (folder / "teachers/de/model.safetensors").unlink()
    run = Run(recipe=recipe, folder=folder / "run")
    make_vocabulary(run, show_progress=False)
    assert predict(run, show_progress=False).computed == 4 + 1
    student_table(run, train_student(run, progress=False))
    return run


def test_the_union_has_its_pieces(run: Run) -> None:
    union = load_union(run.vocabulary)
    assert [link.teacher for link in union.links] == ["bert-en", "bert-de"]
    own = load_map(run.vocabulary, "bert-de").union_ids
    german = load_vocab(run.recipe.folder / "teachers/de")
    assert union.pieces[own[german["Fluss"]]] == "Fluss"
    student = AutoModelForMaskedLM.from_pretrained(run.student())
    assert student.config.vocab_size == union.size > union.links[0].size
    assert AutoTokenizer.from_pretrained(run.student()).tokenize("Fluss") == ["Fluss"]


def test_it_labels_nothing(run: Run) -> None:
    for split in (PREDICTIONS, HELDOUT):
        assert {shard.path.teacher for shard in read_shards(list_shards(run.shards(split)))} == {"bert-en"}
        assert validate(run.shards(split), vocabulary=union_facts(run.vocabulary)).faults == []
    assert {row.teacher for row in estimate(run.recipe, show_progress=False).rows} == {"bert-en"}
    assert {row.teacher for row in estimate(run.recipe, folder=run.folder, show_progress=False).rows} == {"bert-en"}
    assert {row.teacher for row in dry_run(run)} == {"bert-en"}
    assert audit(run, rows=4, show_progress=False).sound
    for refused in (lambda: dry_run(run, ["bert-de"]), lambda: predict(run, teachers=["bert-en", "bert-de"], show_progress=False)):
        with pytest.raises(InputError, match="teacher 'bert-de' labels nothing"):
            refused()


def test_the_report_says_that_its_pieces_were_never_trained(run: Run) -> None:
    report = report_vocabulary(run, show_progress=False)
    assert report.counted == "predictions"
    assert {(row.language, row.teacher) for row in report.agreement} == {("en", "bert-en")}
    assert report.trained < load_union(run.vocabulary).links[0].size


def test_a_student_takes_rows_only_from_those_that_label(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    begun = Run(recipe=changed(run.recipe, student=SHAPE | {"initialise": "teachers"}), folder=run.folder)
    train_student(begun, "begun", progress=False)
    said = capsys.readouterr().err
    union = load_union(run.vocabulary)
    missing = union.size - union.links[0].size
    assert f"{missing} drawn, since no teacher has the piece among those that label (bert-de gives no rows: languages = [])" in said


def test_the_card_names_it(run: Run) -> None:
    card = ModelCard.load(run.student() / CARD)
    assert "| bert-de | `teachers/de` | none: only its vocabulary | not stated |" in card.text
    assert card.data.language == ["en"]


def test_routed_tokens_are_those_of_the_teacher_that_labels(run: Run) -> None:
    [own] = student_reader(run.student(), "routed", "en").texts(["The river"])
    [named] = student_reader(run.student(), "routed", "en", route="bert-de").texts(["Der Fluss"])
    union = load_union(run.vocabulary)
    assert [union.pieces[index] for index in own.ids] == ["The", "river"]
    assert [union.pieces[index] for index in named.ids] == ["Der", "Fluss"]
    with pytest.raises(InputError, match="no teacher of the recipe reads 'de'"):
        student_reader(run.student(), "routed", "de")


def test_it_can_label_later(run: Run, tmp_path: Path) -> None:
    """The union does not change, so only its own units are computed."""
    folder = run.recipe.folder
    pieces = [token for token, _ in sorted(load_vocab(folder / "teachers/de").items(), key=lambda item: item[1])]
    corpora = {language: f"corpora/{language}/*.parquet" for language in ("en", "de")}
    later = Run(recipe=pieces_too(run.recipe, ["de"], corpora=corpora), folder=run.folder)
    before = load_union(run.vocabulary)
    make_vocabulary(later, show_progress=False)
    assert load_union(run.vocabulary) == before
    with pytest.raises(InputError, match="no weights"):
        predict(later, show_progress=False)
    save_teacher(folder / "teachers/de", pieces, head_rows=120, seed=2)
    assert predict(later, show_progress=False).computed == 4
