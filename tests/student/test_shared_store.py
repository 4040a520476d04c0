"""Recipes that share predict.store: a teacher is paid once for all, and each student reads only what its recipe names."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import main
from data.contract import HELDOUT, PREDICTIONS
from data.manifest import MANIFEST, listed_shards
from data.recipe import Recipe
from data.recipe_file import load_recipe, parse_recipe, save_recipe
from data.run import Run
from data.shards import list_shards
from data.validation.folder_rules import union_facts
from data.validation.validate import validate
from pipeline.audit import audit
from pipeline.dry_run import dry_run
from pipeline.estimate import estimate
from pipeline.predict import PredictResult, predict
from pipeline.vocabulary import make_vocabulary
from pipeline.vocabulary_report import report_vocabulary
from student.predictions import left_out, student_shards
from student.train_student import student_table, train_student
from tests.support.factories import article_shard, articles, two_language_recipe
from vocab.errors import InputError
from vocab.folder import load_union

# What each recipe's teachers label: `broad` knows both languages, `special` is the second teacher of German.
LANGUAGES = {"both": (["en", "de"], ["de"]), "split": (["en"], ["de"]), "broad": (["en", "de"], []), "alone": (["en", "de"], None)}


def recipe_of(folder: Path, name: str, **sections: Any) -> Recipe:
    """One of the recipes, all with one store beside them."""
    base = two_language_recipe(folder) if not (folder / "teachers").exists() else None
    for language in ("en", "de"):
        if not (folder / f"heldout/{language}.parquet").exists():
            article_shard(folder / f"heldout/{language}.parquet", [f"{text} ." for text in articles(language, 5)])
    content = base.model_dump() if base else json.loads((folder / "base.json").read_text())
    (folder / "base.json").write_text(json.dumps(content))
    broad, special = LANGUAGES[name]
    content["name"] = name
    content["teachers"] = [{"name": "broad", "model": "teachers/en", "languages": broad}]
    if special is not None:
        content["teachers"].append({"name": "special", "model": "teachers/de", "languages": special})
    content["heldout"] = {language: f"heldout/{language}.parquet" for language in ("en", "de")}
    content["predict"] |= {"store": "shared"}
    content["train"] |= {"labels": "gold" if name == "alone" else "gold+teacher"}
    return parse_recipe(content | sections, folder=folder)


def run_of(folder: Path, name: str, **sections: Any) -> Run:
    return Run(recipe=recipe_of(folder, name, **sections), folder=folder / f"run-{name}")


def predicted(run: Run) -> PredictResult:
    make_vocabulary(run, show_progress=False)
    return predict(run, show_progress=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a recipe with all the labels has filled."""
    folder = tmp_path_factory.mktemp("shared")
    assert predicted(run_of(folder, "both")).computed == 3 * 4 + 3
    return folder


def pairs(locations: list[str]) -> set[tuple[str, str]]:
    return {(place.split("teacher=")[1].split("/")[0], place.split("language=")[1].split("/")[0]) for place in locations}


@pytest.mark.parametrize("name", ["split", "broad", "alone"])
def test_a_recipe_of_a_part_pays_no_teacher_and_reads_only_its_part(folder: Path, name: str) -> None:
    run = run_of(folder, name)
    assert sum(row.units for row in estimate(run.recipe, show_progress=False).rows) == 0  # before there is a run
    result = predicted(run)
    assert (result.computed, result.units) == (0, 8)
    assert {(row["teacher"], row["language"]) for row in result.languages} == set(run.pairs(PREDICTIONS))
    assert sum(row.units for row in dry_run(run)) == 0
    for split in (PREDICTIONS, HELDOUT):
        union = load_union(run.vocabulary)
        shards = student_shards(run, split, union)
        assert pairs([shard.location for shard in shards]) == set(run.pairs(split))
        assert listed_shards(run.shards(split)) == set(list_shards(run.shards(split)))
        report = validate(run.shards(split), vocabulary=union_facts(run.vocabulary))
        assert report.faults == []
        assert any("special" in note for note in report.notes) == (name == "alone")
    assert audit(run, rows=4, show_progress=False).sound
    report_vocabulary(run, show_progress=False)
    table = student_table(run, train_student(run, progress=False))
    assert len(table.rows) == 3
    assert all(row[3] is not None for row in table.rows[:2])


def test_train_says_what_it_leaves_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert left_out(run_of(folder, "both"), PREDICTIONS) == ""
    run = run_of(folder, "split")
    predicted(run)
    said = "not read: 4 shards that this recipe does not name (broad on de)"
    assert said in left_out(run, PREDICTIONS)
    train_student(run, "again", progress=False)
    assert capsys.readouterr().err.count(said) == 1


def test_the_order_of_the_recipes_does_not_matter(tmp_path: Path) -> None:
    """Each computes only what is missing, and the recipes in the manifest name every shard that it lists."""
    for name, computed in (("split", 10), ("both", 5), ("broad", 0), ("alone", 0), ("split", 0)):
        run = run_of(tmp_path, name)
        assert predicted(run).computed == computed
        assert validate(run.predictions, vocabulary=union_facts(run.vocabulary)).faults == []
    manifest = json.loads(Path(run.predictions, MANIFEST).read_text())
    assert (manifest["recipe"]["name"], [other["name"] for other in manifest["other_recipes"]]) == ("split", ["alone"])
    assert {unit["path"].split("/")[0] for unit in manifest["units"]} == {"language=en", "language=de"}
    predicted(run_of(tmp_path, "both"))
    assert "other_recipes" not in json.loads(Path(run.predictions, MANIFEST).read_text())


def test_a_part_that_is_not_finished_stays_unlisted(folder: Path, tmp_path: Path) -> None:
    """Another recipe's half-made part is in no manifest, though its teacher is this recipe's too."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    run = run_of(tmp_path, "split")
    predicted(run)
    for split in (PREDICTIONS, HELDOUT):
        Path(run.shards(split), MANIFEST).unlink()
    Path(run.predictions, "language=de/teacher=broad/part0-00000.parquet").unlink()
    predicted(run)
    listed = listed_shards(run.predictions)
    assert listed is not None
    assert pairs([*listed]) == set(run.pairs(PREDICTIONS))
    assert len(student_shards(run, PREDICTIONS, load_union(run.vocabulary))) == 8
    whole = run_of(tmp_path, "both")
    with pytest.raises(InputError, match="predict has not finished"):
        student_shards(whole, PREDICTIONS, load_union(whole.vocabulary))
    assert predicted(whole).computed == 1


def test_a_store_of_other_settings_is_refused_before_a_teacher_is_paid(folder: Path, tmp_path: Path) -> None:
    """Also if no shard of the recipe's own languages is there: one teacher has one identity in a store."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for split in (PREDICTIONS, HELDOUT):
        shutil.rmtree(tmp_path / "shared" / split / "language=en")
        shutil.rmtree(tmp_path / "shared" / split / "language=de/teacher=special")
    run = run_of(tmp_path, "split", seed=5)
    make_vocabulary(run, show_progress=False)
    with pytest.raises(InputError, match="seed: found 0, expected 5"):
        predict(run, show_progress=False)
    assert pairs(list_shards(run.predictions)) == {("broad", "de")}


def test_a_saved_recipe_has_the_same_store(folder: Path, tmp_path: Path) -> None:
    run = run_of(folder, "both")
    save_recipe(run.recipe, tmp_path / "elsewhere/recipe.toml")
    assert Run(recipe=load_recipe(tmp_path / "elsewhere/recipe.toml"), folder=tmp_path).predictions == run.predictions
    elsewhere = run.recipe.model_copy(update={"predict": run.recipe.predict.model_copy(update={"store": "s3://bucket/x"})})
    save_recipe(elsewhere, tmp_path / "s3.toml")
    assert load_recipe(tmp_path / "s3.toml").predict.store == "s3://bucket/x"


def test_run_trains_from_a_store_with_more_than_its_vocabulary(folder: Path) -> None:
    save_recipe(recipe_of(folder, "alone"), folder / "alone.toml")
    result = CliRunner().invoke(main, ["run", str(folder / "alone.toml"), "--out", str(folder / "whole")])
    assert result.exit_code == 0, result.output
    assert "sound" in result.output
