"""Looks at held-out articles while a student trains: rows, the best student, trackers; and the same after kills and resumes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForMaskedLM

from data.shards import list_shards, read_shards
from student.heldout import score
from student.training.evaluation import FILE, Evaluations, best_look
from student.training.metrics import read_rows
from student.training.trackers import flat
from tests.support.student_shards import make_shards
from tests.support.training import assert_same_rows, fit
from vocab.errors import InputError

TIMES = ("tokens_per_second", "stream_wait_share", "seconds")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    make_shards(folder / "predictions", {("de", "a"): [60], ("en", "b"): [50]})
    make_shards(folder / "heldout", {("de", "a"): [12], ("en", "b"): [10]})
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer/tokenizer.json").write_text("{}")
    return folder


def evaluator(run: Path, losses: list[float] | None = None) -> Any:
    """The student's real scores; with `losses`, these as mean losses, look by look."""
    shards, given = read_shards(list_shards(str(run / "heldout"))), iter(losses or ())

    def evaluate(model: Any) -> dict[str, Any]:
        heldout = score(model, shards, tokens_per_batch=200)
        return {**heldout.to_json(), "mean_loss": next(given) if losses else heldout.mean_loss}

    return evaluate


def looks(out: Path) -> list[dict[str, Any]]:
    return read_rows(out, FILE)


def test_a_row_for_each_look_with_the_scores_of_that_moment(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fit(run, out, evaluate=evaluator(run), eval_steps=8)
    assert [row["step"] for row in looks(out)] == [8, 16, 24, 30]
    last = looks(out)[-1]
    again = score(AutoModelForMaskedLM.from_pretrained(out), read_shards(list_shards(str(run / "heldout"))), tokens_per_batch=200)
    assert last["mean_loss"] == pytest.approx(again.mean_loss, abs=1e-5)
    found = {(one["language"], one["teacher"]): one for one in last["scores"]}
    assert set(found) == {("de", "a"), ("en", "b")}
    for one in again.scores:
        row = found[one.language, one.teacher]
        for name in ("student_loss", "student_accuracy", "kl", "student_mass", "teacher_mass"):
            assert row[name] == pytest.approx(getattr(one, name), abs=1e-5), name
        assert 0 < row["kl"] < 20
        assert 0 < row["student_mass"] < row["teacher_mass"] < 1


def test_looking_changes_no_step(run: Path, tmp_path: Path) -> None:
    fit(run, tmp_path / "plain")
    fit(run, tmp_path / "watched", evaluate=evaluator(run), eval_steps=3)
    assert_same_rows(tmp_path / "watched", tmp_path / "plain")
    one, other = (AutoModelForMaskedLM.from_pretrained(tmp_path / name).state_dict() for name in ("plain", "watched"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_best_student_is_kept(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fit(run, out, evaluate=evaluator(run, [5.0, 3.0, 4.0, 3.0]), eval_steps=8)
    assert json.loads((out / "best/best.json").read_text()) == {"step": 16, "mean_loss": 3.0}
    assert best_look(out)["step"] == 16  # type: ignore[index]
    assert (out / "best/tokenizer.json").exists()
    best, last = (AutoModelForMaskedLM.from_pretrained(folder).state_dict() for folder in (out / "best", out))
    assert any(not torch.equal(best[key], last[key]) for key in best)
    fit(run, tmp_path / "short", steps=16, learning_rate_schedule="wsd", decay_share=0.01)
    assert not (tmp_path / "short/best").exists()  # no looks, no best


def test_a_resumed_run_has_the_same_looks(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(run, tmp_path / "whole", evaluate=evaluator(run), eval_steps=4)

    class Killed(Exception):
        pass

    out = tmp_path / "killed"
    for stops in (7, 13, 17, 22, 29):
        count = 0
        real = torch.optim.AdamW.step

        def step(self: Any, *args: Any, stops: int = stops, real: Any = real, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count > stops - 6 * ((stops - 1) // 6):
                raise Killed
            return real(self, *args, **kwargs)

        with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012
            patch.setattr(torch.optim.AdamW, "step", step)
            fit(run, out, evaluate=evaluator(run), eval_steps=4, resume=out.exists())
    fit(run, out, evaluate=evaluator(run), eval_steps=4, resume=True)
    expected, found = looks(tmp_path / "whole"), looks(out)
    assert [row["step"] for row in found] == [row["step"] for row in expected] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert [row["mean_loss"] for row in found] == pytest.approx([row["mean_loss"] for row in expected], abs=1e-6)
    whole, again = (json.loads((folder / "best/best.json").read_text()) for folder in (tmp_path / "whole", out))
    assert whole["step"] == again["step"]


def curves(out: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows, by name and step."""
    events = EventAccumulator(str(out / "logs"))
    events.Reload()
    return {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}


@pytest.mark.parametrize("row", [{"step": 20}, {"step": 20, "mean_loss": "low"}, {"step": 20, "mean_loss": 10**400}])
def test_a_look_without_a_mean_loss_decides_nothing(tmp_path: Path, row: dict[str, Any]) -> None:
    (tmp_path / FILE).write_text("".join(json.dumps(one) + "\n" for one in ({"step": 10, "mean_loss": 3.0}, row)))
    for use in (lambda: best_look(tmp_path), lambda: Evaluations(tmp_path, lambda _: {}, tmp_path, 20)):
        with pytest.raises(InputError, match=r"evaluations\.jsonl: the row of step 20 has no number as its mean_loss"):
            use()


def test_tensorboard_shows_the_metrics(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fit(run, out, evaluate=evaluator(run), eval_steps=10, trackers=["tensorboard"])
    shown = curves(out)
    for row in read_rows(out):
        assert shown["loss"][row["step"]] == pytest.approx(row["loss"], rel=1e-5)
        assert shown["epochs/de"][row["step"]] == pytest.approx(row["epochs"]["de"], rel=1e-5)
    assert shown["heldout/mean_loss"] == {row["step"]: pytest.approx(row["mean_loss"], rel=1e-5) for row in looks(out)}
    assert shown["heldout/de/a/kl"][30] == pytest.approx(looks(out)[-1]["scores"][0]["kl"], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("tensorbord", "found 'tensorbord'; expected some of aim, clearml, comet_ml"), ("wandb", "pip install wandb")],
)
def test_trackers_that_are_not_there(run: Path, tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"train.trackers: .*{reason}"):
        fit(run, tmp_path / "out", trackers=[name])


def test_numbers_of_a_row() -> None:
    row = {"step": 3, "epochs": {"de": 0.5}, "name": "x", "scores": [{"language": "de", "teacher": "a", "loss": 2.0, "rdt": None}]}
    assert flat(row) == {"step": 3.0, "epochs/de": 0.5, "de/a/loss": 2.0}
