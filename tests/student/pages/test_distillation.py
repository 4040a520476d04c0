"""The page of a run of `distil`, alone and beside other runs."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForMaskedLM

from student.training.evaluation import FILE as LOOKS
from student.training.metrics import read_rows
from tests.support.report import add_evaluation, copy_run, page_of
from vocab.errors import InputError


@pytest.fixture
def run(bilingual: Path, tmp_path: Path) -> Path:
    return copy_run(bilingual, tmp_path / "en-de")


def test_a_run_of_distil_has_its_own_sections(bilingual: Path, tmp_path: Path) -> None:
    page = page_of([bilingual], tmp_path / "page.html")
    assert page.text("h2").split("\n") == ["Bilingual distillation", "Tasks"]
    best = min(read_rows(bilingual / "student", LOOKS), key=lambda look: (look["mean_loss"], look["step"]))
    german, table = best["languages"]["de"], page.text("table")
    assert f"de {german['mlm_loss']:.2f} (teacher {german['teacher_mlm_loss']:.2f})" in page.text("p")
    for value in (
        f"{german['hidden_loss']:.5f}",
        f"{german['teacher_mlm_accuracy']:.1%}",
        f"the student after {best['step']} steps",
    ):
        assert value in table
    assert "4 → 2, regular" in table
    assert f"--model {bilingual}/student --sparse 0.08" in page.text("code")
    sizes = [AutoModelForMaskedLM.from_pretrained(bilingual / name).num_parameters() for name in ("trimmed", "student")]
    assert f"parameters of the trimmed teacher\n{sizes[0]:,}\nparameters of the student\n{sizes[1]:,}" in table
    assert {"de: student", "en: teacher"} <= set(page.text("li").split("\n"))


def test_beside_other_runs(whole: Path, run: Path, tmp_path: Path) -> None:
    other = copy_run(run, tmp_path / "again")
    add_evaluation(run / "evaluation", "en-de/student")
    page = page_of([run, whole, other], tmp_path / "page.html")
    assert page.text("h2").split("\n")[:3] == ["Recipe and students", "Held-out scores", "Bilingual distillation"]
    assert "Masked-LM loss on the validation windows of again" in page.text("figcaption")
    assert "en-de: evaluation" in page.text("table")
    assert "mergedistill train RECIPE" not in page.text("code")  # a run of distil lacks nothing that the other kind has
    assert len(set(page.ids())) == len(page.ids())


def test_a_run_that_was_stopped(run: Path, tmp_path: Path) -> None:
    (run / "student/model.safetensors").unlink()
    (run / "student/config.json").unlink()
    rows = (run / "student/metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "student/metrics.jsonl").write_text("".join(rows[:25]) + '{"step": 26, "lo')
    (run / "student" / LOOKS).unlink()
    shutil.rmtree(run / "student/best")
    text = page_of([run], tmp_path / "page.html").text("main")
    assert "not finished: 25 steps of 40" in text
    assert "4 → 2, regular" in text
    assert f"mergedistill distil RECIPE --out {run} --resume" in text
    shutil.rmtree(run / "trimmed")
    (run / "student/metrics.jsonl").unlink()
    assert "not finished: – steps of 40" in page_of([run], tmp_path / "page.html").text("main")


@pytest.mark.parametrize(
    "change",
    [
        {"mean_loss": "low"},
        {"mean_loss": None},
        {"mean_loss": 10**400},
        {"languages": []},
        {"languages": {}},
        {"languages": {"de": {"loss": 1.0}}},
        {"languages": {"de": 3}},
    ],
)
def test_a_look_that_is_not_as_it_was_written(run: Path, tmp_path: Path, change: dict[str, object]) -> None:
    looks = read_rows(run / "student", LOOKS)
    (run / "student" / LOOKS).write_text("".join(json.dumps(look) + "\n" for look in [*looks[:-1], looks[-1] | change]))
    with pytest.raises(InputError, match=r"evaluations\.jsonl: step 40 is not as `mergedistill distil` writes it"):
        page_of([run], tmp_path / "page.html")


def test_weights_that_are_cut(run: Path, tmp_path: Path) -> None:
    weights = run / "student/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match=r"student/model\.safetensors: cannot be read"):
        page_of([run], tmp_path / "page.html")


def test_the_student_that_is_kept_is_the_one_in_best(run: Path, tmp_path: Path) -> None:
    looks = read_rows(run / "student", LOOKS)
    (run / "student/best/best.json").write_text(json.dumps({"step": 20, "mean_loss": looks[1]["mean_loss"]}))
    page = page_of([run], tmp_path / "page.html")
    assert "the student after 20 steps" in page.text("table")
    assert f"{looks[1]['languages']['de']['hidden_loss']:.5f}" in page.text("table")
    (run / "student" / LOOKS).write_text(json.dumps(looks[0]) + "\n{broken\n" + json.dumps(looks[1]) + "\n")
    page = page_of([run], tmp_path / "page.html")
    assert "evaluations.jsonl has a line that cannot be read; the rows before it are shown." in page.text("p")
    assert "The student has no scores on validation windows yet." in page.text("p")  # those of step 20 are lost
    assert "the student after 20 steps" in page.text("table")


def test_rows_that_cannot_be_read_or_shown(run: Path, tmp_path: Path) -> None:
    metrics = run / "student/metrics.jsonl"
    rows = metrics.read_text().splitlines()
    metrics.write_text("\n".join([*rows[:10], "{broken", *rows[10:]]) + "\n")
    assert "metrics.jsonl has a line that cannot be read" in page_of([run], tmp_path / "page.html").text("p")
    metrics.write_text(
        "\n".join([*rows, json.dumps({"step": 41, "tokens": 2560.5, "seconds": None, "hidden_loss": 10**400})]) + "\n"
    )
    assert "tokens\n2,560\nseconds\n–" in page_of([run], tmp_path / "page.html").text("table")


def test_only_the_run_s_own_student_is_shown(run: Path, tmp_path: Path) -> None:
    before = page_of([run], tmp_path / "page.html").html
    copy_run(run / "student", run / "student-old")
    (run / "student-old" / LOOKS).write_text('{"step": 40, "mean_loss": 0.0}\n')
    assert page_of([run], tmp_path / "page.html").html == before


def test_a_trimmed_teacher_of_another_recipe_is_not_shown(run: Path, tmp_path: Path) -> None:
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("trim = true", "trim = false"))
    table = page_of([run], tmp_path / "page.html").text("table")
    assert "parameters of the trimmed teacher\nit is not trimmed" in table


def test_what_is_missing_is_said(run: Path, tmp_path: Path) -> None:
    shutil.move(run / "recipe.toml", tmp_path / "recipe.toml")
    with pytest.raises(
        InputError, match=r"recipe\.toml: found no such file; expected the recipe of the bilingual student in student/"
    ):
        page_of([run], tmp_path / "page.html")
    with pytest.raises(InputError, match="found the recipe of a bilingual student and no student"):
        page_of([tmp_path], tmp_path / "page.html")
