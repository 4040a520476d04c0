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
    sizes = [AutoModelForMaskedLM.from_pretrained(bilingual / name).num_parameters() for name in ("trimmed", "student")]
    assert f"{sizes[0]:,} → {sizes[1]:,}" in table
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
    text = page_of([run], tmp_path / "page.html").text("main")
    assert "not finished: 25 steps of 40" in text
    assert "4 → 2, regular" in text
    assert f"mergedistill distil RECIPE --out {run} --resume" in text
    shutil.rmtree(run / "trimmed")
    (run / "student/metrics.jsonl").unlink()
    assert "not finished: – steps of 40" in page_of([run], tmp_path / "page.html").text("main")


@pytest.mark.parametrize(
    "change",
    [{"mean_loss": "low"}, {"mean_loss": None}, {"languages": []}, {"languages": {"de": {"loss": 1.0}}}, {"languages": {"de": 3}}],
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
