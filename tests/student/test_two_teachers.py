"""Two teachers of one language, from one cache: all their rows, the better one of each article, the better one of the language."""

import math

import pytest

from data.recipe import Recipe
from data.run import Run
from data.shards import list_shards, read_shards
from pipeline.predict import predict
from student.train_student import student_table, train_student
from student.training.metrics import read_rows
from tests.support.factories import article_shard, articles, two_language_recipe
from tests.support.runs import build_union, changed
from vocab.errors import InputError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("both")
    recipe = two_language_recipe(folder)
    article_shard(folder / "heldout/en.parquet", [f"{text} ." for text in articles("en", 9)])
    teachers = [teacher | {"languages": ["en"]} for teacher in recipe.model_dump()["teachers"]]
    recipe = changed(recipe, teachers=teachers, corpora={"en": recipe.corpora["en"]}, heldout={"en": "heldout/en.parquet"})
    build_union(recipe, folder / "run")
    predict(Run(recipe=recipe, folder=folder / "run"), show_progress=False)
    return Run(recipe=recipe, folder=folder / "run")


def with_choice(run: Run, choice: str, **train: object) -> Run:
    settings = run.recipe.model_dump()["train"] | {"teacher_choice": choice} | train
    recipe: Recipe = changed(run.recipe, train=settings)
    return Run(recipe=recipe, folder=run.folder)


def test_three_students_of_one_cache(run: Run) -> None:
    rows = {}
    for choice in ("all", "best-article", "best-language"):
        chosen = with_choice(run, choice)
        result = train_student(chosen, choice, progress=False)
        table = student_table(chosen, result)
        last = read_rows(run.student(choice))[-1]
        rows[choice] = last["rows"] / last["epochs"]["en"]  # rows of one epoch
        said = [note for note in table.notes if note.startswith(f"{choice}: rows in en of bert-en ")]
        assert bool(said) == (choice != "all") == ("won" in last)
        if choice == "best-language":
            assert sorted(last["won"]["en"].values()) == [0.0, 1.0]
    assert rows["all"] == pytest.approx(2 * rows["best-language"], rel=0.2)  # their tokenisations differ
    assert rows["best-article"] < 0.7 * rows["all"]
    again = train_student(with_choice(run, "best-article"), "best-article", resume=True, progress=False)
    assert again.already_finished
    with pytest.raises(InputError, match=r"train.teacher_choice: found best-article, expected best-language"):
        train_student(with_choice(run, "best-language"), "best-article", resume=True, progress=False)


def test_students_with_seeds_of_their_own_share_a_cache(run: Run) -> None:
    """train.seed changes the student and not what the cache depends on."""
    weights = {}
    for name, settings in {"own": {}, "same": {"seed": run.recipe.seed}, "other": {"seed": 7}}.items():
        chosen = with_choice(run, "all", steps=3, **settings)
        train_student(chosen, f"seed-{name}", progress=False)
        weights[name] = (run.student(f"seed-{name}") / "model.safetensors").read_bytes()
    assert weights["own"] == weights["same"] != weights["other"]
    with pytest.raises(InputError, match=r"seed: found 7, expected 8"):
        train_student(with_choice(run, "all", steps=3, seed=8), "seed-other", resume=True, progress=False)


def test_epochs_are_those_of_the_chosen_rows(run: Run) -> None:
    """As many that the order of long and short rows makes no difference."""
    result = train_student(with_choice(run, "best-language", epochs=60, warmup_steps=0), "epochs", progress=False)
    assert read_rows(run.student("epochs"))[-1]["epochs"]["en"] == pytest.approx(60, rel=0.15)
    assert result.steps == math.ceil(60 * _tokens(run, "bert-en") / 512)


def _tokens(run: Run, teacher: str) -> int:
    return sum(s.report["counters"]["tokens"] for s in read_shards(list_shards(run.predictions)) if s.path.teacher == teacher)
