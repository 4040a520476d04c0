"""Parts that a run does not have yet are named with the command that makes them; damaged files are shown as far as they go, or refused."""

import json
import shutil
from pathlib import Path

import pytest

from data.manifest import MANIFEST
from student.heldout import FILE as SCORES
from student.training.metrics import FILE as METRICS
from tests.support.report import Page, add_evaluation, add_student, copy_run, page_of
from vocab.errors import InputError


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return copy_run(whole, tmp_path / "copy")


def show(run: Path) -> Page:
    return page_of([run], run.parent / "page.html")


def test_only_a_vocabulary(run: Path) -> None:
    for part in run.iterdir():
        if part.name != "vocab":
            shutil.rmtree(part) if part.is_dir() else part.unlink()
    page = show(run)
    commands = page.text("code")
    for verb in ("predict RECIPE --out", "train RECIPE --out", "evaluate udpos --model"):
        assert f"mergedistill {verb}" in commands, verb
    assert "bert-en" in page.text("svg", "text")
    assert "No student was trained yet." in page.text("header")


def test_only_stage_1(run: Path) -> None:
    for name in ("student", "student-gold", "evaluation"):
        shutil.rmtree(run / name)
    page = show(run)
    assert "bert-en, bert-de" in page.text("table")  # the recipe is in the manifest
    assert "this command trains one:" in page.text("main").lower()
    assert "probability in the top k" in page.text("table")


def test_no_vocabulary(run: Path) -> None:
    shutil.rmtree(run / "vocab")
    assert f"mergedistill vocab RECIPE --out {run}" in show(run).text("code")


def test_predictions_that_are_not_finished(run: Path) -> None:
    (run / "predictions" / MANIFEST).unlink()
    text = show(run).text("main")
    assert "predict has not finished" in text
    assert "bert-de" in text


def test_a_teacher_without_predictions(run: Path) -> None:
    manifest = run / "predictions" / MANIFEST
    content = json.loads(manifest.read_text())
    content["languages"] = [row for row in content["languages"] if row["teacher"] == "bert-en"]
    manifest.write_text(json.dumps(content))
    assert "there are no predictions yet of bert-de on de" in show(run).text("main")


def test_a_cache_that_was_removed_to_save_space(run: Path) -> None:
    for file in (run / "predictions").rglob("*.parquet"):
        file.unlink()
    text = show(run).text("main")
    assert "shards of the sample could not be read" in text
    assert "masked positions" in text  # the manifest still tells of them


def test_an_unfinished_student(run: Path) -> None:
    add_student(run, "half", finished=False)
    page = show(run)
    assert "not finished: 30 steps of 40" in page.text("table")
    assert f"mergedistill train RECIPE --out {run} --student half --resume" in page.text("code")


@pytest.mark.parametrize("rest", [b'{"step": 50, "tok', b"\xff\xfe\x00", b"7"])
def test_a_cut_line_of_the_metrics(run: Path, rest: bytes) -> None:
    with (run / "student" / METRICS).open("ab") as file:
        file.write(rest)
    page = show(run)
    assert "student: metrics.jsonl has a line that cannot be read; the rows before it are shown." in page.text("main")
    assert "20,000" in page.text("table")  # tokens of step 40


def test_metrics_that_are_no_numbers_are_left_out(run: Path) -> None:
    (run / "student" / METRICS).write_text('{"step": 1, "gold_loss": NaN, "tokens": "x"}\n{"step": 2, "loss": null}\n')
    assert "Training" in show(run).text("h2")


def test_a_student_without_rows(run: Path) -> None:
    for name in ("student", "student-gold"):
        (run / name / METRICS).unlink()
    assert "No student has a row in metrics.jsonl yet" in show(run).text("main")


@pytest.mark.parametrize("content", ['{"scores": [', "[]", '{"scores": [{}], "mean_rdt": 1}', "number"])
def test_damaged_scores(run: Path, content: str) -> None:
    file = run / "student" / SCORES
    if content == "number":
        file.write_text(file.read_text().replace("0.4", '"0.4"'))
    else:
        file.write_text(content)
    with pytest.raises(InputError, match=r"student/heldout\.json: is not as `mergedistill train` writes it; remove it"):
        show(run)


def test_scores_of_gold_only_shards(run: Path) -> None:
    """No teacher was run, so there is no deviation from one."""
    shutil.rmtree(run / "student-gold")
    file = run / "student" / SCORES
    content = json.loads(file.read_text())
    unknown = dict.fromkeys(("teacher_loss", "teacher_accuracy", "rdt"))
    file.write_text(json.dumps({"scores": [score | unknown for score in content["scores"]], "mean_rdt": None}))
    page = show(run)
    assert "no deviation from a teacher" in page.text("header")
    plots = [attributes["aria-label"] for attributes in page.attributes("svg") if "aria-label" in attributes]
    assert "Held-out accuracy, by language" in plots
    assert "RDT of held-out accuracy, by language" not in plots


@pytest.mark.parametrize("change", [{"languages": 3}, {"languages": [{}]}, {"identities": []}])
def test_a_manifest_that_is_none(run: Path, change: dict[str, object]) -> None:
    manifest = run / "predictions" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(InputError, match=r"_manifest\.json: is not as `mergedistill predict` writes it; remove it"):
        show(run)


def test_a_cut_result_of_a_task(run: Path) -> None:
    file = run / "evaluation/udpos.json"
    file.write_text(file.read_text()[:300])
    with pytest.raises(InputError, match=r"udpos\.json: is not the JSON that this program wrote"):
        show(run)


def test_results_are_found_below_the_run_and_nothing_else_is_taken_for_one(run: Path) -> None:
    add_evaluation(run / "evaluation/routed", "mine/student", better=3)
    (run / "qa.json").write_text('{"data": []}')  # a data set
    add_evaluation(run / "student/checkpoints/old", "mine/old")
    add_evaluation(run / "predictions/of", "mine/old")
    add_evaluation(run / "a/b/c/d/e", "mine/deep")
    text = show(run).text("main")
    assert "in evaluation/routed/udpos.json" in text
    assert "mine/old" not in text
    assert "mine/deep" not in text
    assert "student (evaluation/routed)" in text.replace("mine/", "")  # the legend tells two results of one task apart


def test_the_probability_in_the_top_k_is_that_of_the_shards(whole: Path, page: Page) -> None:
    """Every row group of such small shards but a few is in the sample; by hand from the first unit of each."""
    import numpy as np

    from data.shards import leaf, open_shard

    units = json.loads((whole / "predictions" / MANIFEST).read_text())["units"]
    for language in ("de", "en"):
        own = [unit["path"] for unit in units if unit["language"] == language]
        chosen = np.unique(np.linspace(0, len(own) - 1, 4).round().astype(int))
        tables = [open_shard(str(whole / "predictions" / own[place])).read_row_group(0) for place in chosen]
        total = sum(float(np.exp(leaf(table["topk_logits"])[0].astype(float)).sum()) for table in tables)
        mass = total / sum(len(leaf(table["label_logits"])[0]) for table in tables)
        assert 0.05 < mass <= 1.001
        assert f"{mass:.1%}" in page.text("table")
