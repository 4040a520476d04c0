"""Held-out scores against the plain model, row by row; and a recipe's student in its run folder, from training to scores."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from data.atomic import replace_folder
from data.contract import ShardPath
from data.identity import shard_identity
from data.manifest import write_manifest
from data.recipe import Recipe, Student
from data.recipe_file import load_recipe
from data.run import Run
from data.shards import Shard, leaf, list_shards, open_shard, read_shards, write_shard
from student.heldout import Heldout, Score, mean_rdt, relative_deviation, score, score_table
from student.model import new_student
from student.train_student import evaluate_student, student_table, train_student
from tests.support.factories import two_language_recipe
from tests.support.student_shards import V, make_shards, table
from vocab.errors import InputError
from vocab.folder import build_vocabulary
from vocab.roles import UNION_ROLES
from vocab.teacher_vocabulary import read_teacher
from vocab.union import Union


def small_model() -> Any:
    shape = Student(architecture="bert", layers=1, hidden_size=16, heads=2)
    return new_student(shape, vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0)


def by_hand(model: Any, shards: list[Shard]) -> dict[str, float]:
    """One pair's figures, a row at a time through the plain model."""
    sums = {"positions": 0.0, "student_loss": 0.0, "student_accuracy": 0.0, "teacher_loss": 0.0, "teacher_accuracy": 0.0}
    model.eval()
    for shard in shards:
        columns = open_shard(shard.location).read()
        parts = {name: leaf(columns.column(name)) for name in columns.column_names if name not in ("doc_id", "window")}
        for row in range(shard.rows):
            values = {name: torch.from_numpy(flat[at[row] : at[row + 1]].astype(float)) for name, (flat, at) in parts.items()}
            with torch.no_grad():
                logits_TV = model(input_ids=values["input_ids"].long()[None]).logits[0]
            gold_M = values["label_ids"].long()
            log_p_MV = torch.log_softmax(logits_TV[values["mask_positions"].long()].double(), 1)
            sums["positions"] += len(gold_M)
            sums["student_loss"] -= float(log_p_MV.gather(1, gold_M[:, None]).sum())
            sums["student_accuracy"] += float((log_p_MV.argmax(1) == gold_M).sum())
            sums["teacher_loss"] -= float(values["label_logits"].sum())
            sums["teacher_accuracy"] += float((values["topk_ids"].reshape(len(gold_M), -1)[:, 0] == gold_M).sum())
    return {name: value if name == "positions" else value / sums["positions"] for name, value in sums.items()}


def test_scores_equal_those_by_hand(tmp_path: Path) -> None:
    shards = make_shards(tmp_path, {("de", "a"): [30, 9], ("de", "b"): [20], ("en", "a"): [25]})
    model = small_model()
    heldout = score(model, shards, tokens_per_batch=200)
    assert [(row.language, row.teacher) for row in heldout.scores] == [("de", "a"), ("de", "b"), ("en", "a")]
    for row in heldout.scores:
        mine = [shard for shard in shards if (shard.path.language, shard.path.teacher) == (row.language, row.teacher)]
        for name, value in by_hand(model, mine).items():
            assert getattr(row, name) == pytest.approx(value, rel=1e-5), name
        assert row.teacher_accuracy
        assert row.rdt == pytest.approx(100 * (row.student_accuracy - row.teacher_accuracy) / row.teacher_accuracy)
    assert score(model, shards[::-1], tokens_per_batch=200) == heldout
    assert score(model, shards, tokens_per_batch=2000).scores[0].student_loss == pytest.approx(heldout.scores[0].student_loss)


def test_a_models_mode_is_put_back(tmp_path: Path) -> None:
    model = small_model().train()
    score(model, make_shards(tmp_path, {("de", "a"): [5]}))
    assert model.training


def test_gold_only_shards_have_no_teacher_side(tmp_path: Path) -> None:
    heldout = score(small_model(), make_shards(tmp_path, {("de", "gold"): [12]}, gold_only=True))
    row = heldout.scores[0]
    assert row.student_loss > 0
    assert (row.teacher_loss, row.teacher_accuracy, row.rdt, heldout.mean_rdt) == (None, None, None, None)


def test_no_shard_is_refused() -> None:
    with pytest.raises(InputError, match="heldout"):
        score(small_model(), [])


def test_rdt_is_a_mean_over_languages() -> None:
    assert relative_deviation(0.33, 0.30) == pytest.approx(10.0)
    assert relative_deviation(0.27, 0.30) == pytest.approx(-10.0)
    assert relative_deviation(0.1, 0.0) is None

    def pair(language: str, rdt: float | None) -> Score:
        return Score(
            language=language,
            teacher="t",
            positions=1,
            student_loss=1.0,
            student_accuracy=0.5,
            teacher_loss=1.0,
            teacher_accuracy=0.5,
            rdt=rdt,
        )

    assert mean_rdt([pair("de", 10.0), pair("de", 20.0), pair("en", -5.0), pair("fi", None)]) == pytest.approx(5.0)


# A run folder: a real union of two teachers, and shards with the identity that predict gives them.


def predict(recipe: Recipe, union: Union, folder: Path, rows: int, *, changes: dict[str, Any] | None = None) -> None:
    for teacher, language in (("bert-en", "en"), ("bert-de", "de")):
        link = union.link(teacher)
        identity = shard_identity(recipe, dtype="float32", union=link.fingerprint, tokenizer=link.tokenizer, weights=teacher)
        identity |= changes or {}
        content = table(rows, seed=rows, vocab_size=union.size)
        path = ShardPath(language=language, teacher=teacher, name="part0-00000").below(str(folder))
        write_shard(
            path,
            content,
            identity=identity,
            unit={"corpus": "part0", "first_row_group": 0, "row_groups": 1},
            report={"masked_positions": 0, "counters": {"windows": rows}},
        )
    write_manifest(str(folder), recipe, read_shards(list_shards(str(folder))))


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    files = {"heldout": {"en": "corpora/en/part1.parquet", "de": "corpora/de/part1.parquet"}}
    return two_language_recipe(tmp_path, **files)  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path, recipe: Recipe) -> Path:
    folder = tmp_path / "run"
    teachers = [read_teacher(Path(recipe.locate(teacher.model)), teacher.name) for teacher in recipe.teachers]
    union, _ = build_vocabulary(teachers, folder / "vocab", recipe.examples.max_length, replace_folder)
    predict(recipe, union, folder / "predictions", 40)
    predict(recipe, union, folder / "heldout", 15)
    return folder


def test_a_recipes_student_from_training_to_scores(recipe: Recipe, run: Path) -> None:
    result = train_student(Run(recipe=recipe, folder=run), progress=False)
    assert result.metrics["step"] == 4
    assert AutoTokenizer.from_pretrained(run / "student").mask_token == "[MASK]"
    assert AutoModelForMaskedLM.from_pretrained(run / "student").config.model_type == "roformer"
    assert load_recipe(run / "student/recipe.toml").train == recipe.train
    heldout = evaluate_student(Run(recipe=recipe, folder=run))
    written = json.loads((run / "student/heldout.json").read_text())
    assert written["mean_rdt"] == heldout.mean_rdt
    assert [row["language"] for row in written["scores"]] == ["de", "en"]
    assert train_student(Run(recipe=recipe, folder=run), resume=True, progress=False).already_finished


def test_a_run_holds_several_students(recipe: Recipe, run: Path) -> None:
    gold = recipe.model_copy(update={"train": recipe.train.model_copy(update={"labels": "gold"})})
    train_student(Run(recipe=recipe, folder=run), progress=False)
    train_student(Run(recipe=gold, folder=run), "gold", progress=False)
    assert evaluate_student(Run(recipe=gold, folder=run), "gold") != evaluate_student(Run(recipe=recipe, folder=run))
    with pytest.raises(InputError, match=r"train\.labels: found gold\+teacher, expected gold"):
        train_student(Run(recipe=gold, folder=run), resume=True, progress=False)


def test_the_table_shows_the_other_students_of_the_run(recipe: Recipe, run: Path) -> None:
    ours = Run(recipe=recipe, folder=run)
    gold = Run(recipe=recipe.model_copy(update={"train": recipe.train.model_copy(update={"labels": "gold"})}), folder=run)
    first = student_table(ours, train_student(ours, progress=False))
    assert [column.name for column in first.columns][2:] == [
        "teacher_loss",
        "teacher_accuracy",
        "student_loss",
        "student_accuracy",
        "rdt_student",
    ]
    (run / "student/heldout.json").rename(run / "kept.json")
    alone = student_table(gold, train_student(gold, "gold", progress=False))
    assert "rdt_student" not in [column.name for column in alone.columns]  # it has no scores now
    (run / "kept.json").rename(run / "student/heldout.json")
    both = student_table(gold, train_student(gold, "gold", resume=True, progress=False))
    assert [column.name for column in both.columns][-2:] == ["rdt_student", "rdt_gold"]
    shown = [dict(zip([column.name for column in table.columns], table.rows[0], strict=True)) for table in (first, both)]
    assert shown[0].items() <= shown[1].items()
    assert both.facts["already_finished"] is True
    assert both.result == f"{run / 'gold'}: was trained already, 4 steps"
    unscored = recipe.model_copy(update={"heldout": {}})
    assert not student_table(Run(recipe=unscored, folder=run), train_student(ours, resume=True, progress=False)).rows


@pytest.mark.parametrize("name", ["vocab", "predictions", "a/b", ".hidden"])
def test_a_student_needs_a_folder_of_its_own(recipe: Recipe, run: Path, name: str) -> None:
    with pytest.raises(InputError, match="folder of its own"):
        train_student(Run(recipe=recipe, folder=run), name)


def test_missing_predictions_are_named(recipe: Recipe, run: Path) -> None:
    next((run / "predictions/language=de/teacher=bert-de").iterdir()).unlink()
    with pytest.raises(InputError, match=r"no predictions of teacher 'bert-de' on 'de'.*mergedistill predict"):
        train_student(Run(recipe=recipe, folder=run))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 9}, "seed: found 9, expected 0"),
        ({"examples.max_length": 99}, "examples.max_length: found 99, expected 24"),
        ({"union": "0" * 64}, "union: found 0000"),
        ({"teacher.tokenizer": "0" * 64}, "teacher.tokenizer: found 0000"),
        ({"top_k": 5}, "top_k: found 5, expected 4"),
    ],
)
def test_predictions_of_other_settings_are_refused(recipe: Recipe, run: Path, changes: dict[str, Any], field: str) -> None:
    from vocab.folder import load_union

    predict(recipe, load_union(run / "vocab"), run / "predictions", 20, changes=changes)
    with pytest.raises(InputError, match=field):
        train_student(Run(recipe=recipe, folder=run))


def test_one_teachers_shards_of_two_weights_are_refused(recipe: Recipe, run: Path) -> None:
    from vocab.folder import load_union

    link = load_union(run / "vocab").link("bert-en")
    identity = shard_identity(recipe, dtype="float32", union=link.fingerprint, tokenizer=link.tokenizer, weights="other")
    path = ShardPath(language="en", teacher="bert-en", name="part1-00000").below(str(run / "predictions"))
    write_shard(path, table(5, vocab_size=40), identity=identity, unit={}, report={})
    with pytest.raises(InputError, match=r"teacher\.weights: found other, expected bert-en"):
        train_student(Run(recipe=recipe, folder=run))


def test_an_untrained_student_is_not_scored(recipe: Recipe, run: Path) -> None:
    with pytest.raises(InputError, match="mergedistill train"):
        evaluate_student(Run(recipe=recipe, folder=run))


def test_a_cache_that_predict_has_not_finished_is_refused(recipe: Recipe, run: Path) -> None:
    """One shard of each teacher is there, and another that no manifest lists: a launch was killed."""
    extra = ShardPath(language="en", teacher="bert-en", name="part9-00000").below(str(run / "predictions"))
    identity = read_shards(list_shards(str(run / "predictions")))[1].identity
    write_shard(extra, table(5, vocab_size=40), identity=identity, unit={}, report={})
    with pytest.raises(InputError, match=r"found 3 shards .* its manifest lists 2; predict has not finished"):
        train_student(Run(recipe=recipe, folder=run), progress=False)
    (run / "predictions/_manifest.json").unlink()
    with pytest.raises(InputError, match=r"found no _manifest\.json"):
        train_student(Run(recipe=recipe, folder=run), progress=False)


def test_many_students_have_a_row_each() -> None:
    def heldout(accuracies: dict[str, float]) -> Heldout:
        scores = tuple(
            Score(
                language=language,
                teacher="t",
                positions=10,
                student_loss=2.0 + accuracy,
                student_accuracy=accuracy,
                teacher_loss=1.0,
                teacher_accuracy=0.5,
                rdt=relative_deviation(accuracy, 0.5),
            )
            for language, accuracy in accuracies.items()
        )
        return Heldout(scores=scores, mean_rdt=mean_rdt(scores))

    students = {name: heldout({"de": value, "en": value / 2}) for name, value in (("one", 0.5), ("two", 0.4), ("three", 0.6))}
    made = score_table(students)
    assert [column.name for column in made.columns] == ["student", "loss", "accuracy", "rdt", "rdt_de_t", "rdt_en_t"]
    assert made.rows[0] == ["the teachers", 1.0, 0.5, None, None, None]
    assert made.rows[2] == ["two", pytest.approx(2.3), pytest.approx(0.3), *map(pytest.approx, (-40.0, -20.0, -60.0))]
    wide = {f"{name}{index}": heldout({f"l{i}": 0.5 for i in range(9)}) for index, name in enumerate(students)}
    assert all(len(row) == len(score_table(wide).columns) == 4 for row in score_table(wide).rows)
