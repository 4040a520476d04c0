"""The ready recipes of data/recipes: the paper's nine students and their small twins, which differ only where the paper says."""

from pathlib import Path
from typing import Any

import pytest

from data.bilingual_recipe import Distillation
from data.contract import HELDOUT, PREDICTIONS
from data.recipe import Recipe
from data.recipe_file import load_any_recipe, load_bilingual_recipe, load_recipe
from data.run import Run
from tests.support.paths import ROOT

FOLDER = ROOT / "data/recipes"
DISJOINT = ("similar", "dissimilar")
OVERLAPPING = ("muril", "mbert", "both-all", "both-best", "sm1", "sm2", "sm3")
MURIL = {"bn", "en", "gu", "hi", "kn", "ml", "mr", "ne", "pa", "ta", "te", "ur"}
# BERT's list of languages in the order of its names, each as the code of its Wikipedia; Chinese is there twice. The last two are only in
# the cased model.
BERT_LIST = """
    af sq ar an hy ast az ba eu bar be bn bpy bs br bg my ca ceb ce zh zh cv hr cs da nl en et fi fr gl ka de el gu ht he hi hu is io id ga
    it ja jv kn kk ky ko la lv lt lmo nds lb mk mg ms ml mr min ne new no nn oc fa pms pl pt pa ro ru sco sr sh scn sk sl azb es su sw sv tl
    tg ta tt te tr uk ur uz vi vo war cy fy pnb yo th mn
"""
MBERT = BERT_LIST.split()


def ready(name: str) -> Recipe:
    return load_recipe(FOLDER / f"{name}.toml")


def content(name: str, *without: str) -> dict[str, Any]:
    """What a recipe says, without its name and the given keys of [train]."""
    found = ready(name).model_dump(exclude={"name"})
    for key in without:
        del found["train"][key]
    return found


def test_every_student_of_the_paper_has_a_recipe_and_a_small_twin() -> None:
    names = {path.stem for path in FOLDER.glob("*.toml")}
    assert names - {"bistil", "bistil-small"} == {
        "demo",
        *(name + twin for name in (*DISJOINT, *OVERLAPPING) for twin in ("", "-small")),
    }
    for name in names:
        assert load_any_recipe(FOLDER / f"{name}.toml").name == name


def test_the_bilingual_recipe_has_the_values_of_the_paper() -> None:
    recipe, small = (load_bilingual_recipe(FOLDER / f"{name}.toml") for name in ("bistil", "bistil-small"))
    assert recipe.train.steps * recipe.train.batch_size * recipe.examples.max_length == 409_600_000
    assert (recipe.student.reduction, recipe.student.layers, recipe.train.learning_rate) == (2, "regular", 1e-4)
    assert recipe.train.model_dump(exclude={"precision"}) == Distillation().model_dump(exclude={"precision"})
    assert set(recipe.corpora) == {"en", "tr"}
    assert small.model_dump(include={"student"}) == recipe.model_dump(include={"student"})


def test_the_languages_of_mbert_and_muril() -> None:
    assert len(MBERT) == 104
    wikipedias = set(MBERT)
    assert len(wikipedias) == 103
    for name in OVERLAPPING:
        assert set(ready(name).corpora) == wikipedias
    teachers = ready("both-all").teachers
    assert [set(teacher.languages) for teacher in teachers] == [wikipedias, MURIL]
    assert len(MURIL) == 12
    assert [set(teacher.languages) for teacher in ready("muril").teachers] == [wikipedias - MURIL, MURIL]
    assert all(place == f"wikipedia/20231101.{code}/*.parquet" for code, place in ready("mbert").corpora.items())


def test_the_disjoint_teachers_have_a_language_each() -> None:
    languages = {"similar": ["en", "de", "it", "es"], "dissimilar": ["ar", "en", "fi", "tr", "zh"]}
    languages |= {"similar-small": ["en", "de"], "dissimilar-small": ["ar", "en", "zh"]}
    for name, expected in languages.items():
        assert [teacher.languages for teacher in ready(name).teachers] == [[language] for language in expected]


@pytest.mark.parametrize("twin", ["", "-small"])
def test_the_overlapping_students_differ_only_where_the_paper_says(twin: str) -> None:
    muril, mbert, both_all, both_best, sm1, sm2, sm3 = (ready(name + twin) for name in OVERLAPPING)
    assert content(f"sm2{twin}", "labels") == content(f"muril{twin}", "labels")
    assert content(f"sm3{twin}") == content(f"muril{twin}")
    assert content(f"both-best{twin}", "teacher_choice") == content(f"both-all{twin}", "teacher_choice")
    assert (both_all.train.teacher_choice, both_best.train.teacher_choice) == ("all", "best-article")
    assert [recipe.train.labels for recipe in (muril, mbert, sm1, sm2, sm3)] == ["gold+teacher"] * 2 + ["gold"] * 2 + [
        "gold+teacher"
    ]
    broad, special = both_all.teachers
    assert set(special.languages) < set(broad.languages) == set(both_all.corpora)
    given = [[set(teacher.languages) for teacher in recipe.teachers] for recipe in (muril, mbert, sm1)]
    whole, own = set(broad.languages), set(special.languages)
    assert given == [[whole - own, own], [whole, set()], [whole]]
    for recipe in (muril, mbert, both_best, sm2, sm3):  # one union
        assert [(one.name, one.model) for one in recipe.teachers] == [(one.name, one.model) for one in both_all.teachers]
    assert [teacher.name for teacher in sm1.teachers] == [broad.name]
    for section in ("corpora", "heldout", "vocabulary", "examples", "predict", "student", "seed"):
        assert len({str(getattr(ready(name + twin), section)) for name in OVERLAPPING}) == 1


@pytest.mark.parametrize("twin", ["", "-small"])
def test_the_overlapping_students_share_the_predictions_of_both_all(twin: str) -> None:
    runs = {name: Run(recipe=ready(name + twin), folder=Path(name)) for name in OVERLAPPING}
    for split in (PREDICTIONS, HELDOUT):
        assert len({run.shards(split) for run in runs.values()}) == 1
        assert {pair for run in runs.values() for pair in run.pairs(split)} == {*runs["both-all"].pairs(split)}


def test_the_students_of_the_paper_are_of_one_kind() -> None:
    """One shape, one schedule, from random weights; and so are the small ones, for a tenth of their teachers' tokens.

    But for the two of disjoint teachers that are ready for use: these begin from a teacher.
    """
    for twin, tokens in (("", {}), ("-small", {"similar": 30e6, "dissimilar": 45e6} | dict.fromkeys(OVERLAPPING, 36e6))):
        names = [name + twin for name in (*DISJOINT, *OVERLAPPING)]
        shapes = [ready(name).student.model_copy(update={"initialise": ""}) for name in names]
        assert len({str((shape, ready(name).examples)) for shape, name in zip(shapes, names, strict=True)}) == 1
        assert len({str(sorted(content(name, "labels", "teacher_choice", "steps")["train"].items())) for name in names}) == 1
        begun = [name for name in names if ready(name).student.initialise != "random"]
        assert begun == ([] if twin else [*DISJOINT])
        for name, number in tokens.items():
            train = ready(name + twin).train
            assert train.steps * train.tokens_per_batch == pytest.approx(number / 10, rel=0.005)
