"""Training that was killed and resumed; checkpoints that are damaged, foreign or cannot be written."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM

from student.training.checkpoint import list_checkpoints
from student.training.metrics import read_rows
from tests.support.paths import ROOT
from tests.support.stopping import kill_when
from tests.support.student_shards import make_shards
from tests.support.training import SHAPE, assert_same_rows, fit
from vocab.errors import InputError

PROGRAM = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
import student.training.loop as module
from tests.support.stopping import stop_after
from tests.support.training import fit
if {steps} is not None:
    stop_after(module.Accelerator, "clip_grad_norm_", {steps})
fit(Path({run!r}), Path({out!r}), resume={resume})
"""


def start(run: Path, out: Path, *, resume: bool, steps: int | None = None, **options: Any) -> subprocess.Popen[str]:
    """Train in a process of its own; with `steps`, it makes so many of them and waits to be killed."""
    script = PROGRAM.format(paths=[str(ROOT)], run=str(run), out=str(out), resume=resume, steps=steps)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=environment, **options)


def test_a_killed_run_resumes_as_if_it_had_never_stopped(run: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    kill_when(lambda: len(read_rows(out)) == 2, start(run, out, resume=False, steps=9))  # a checkpoint at step 6, rows at 4 and 8
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')  # as a write cut short
    kill_when(lambda: len(read_rows(out)) == 5, start(run, out, resume=True, steps=15))  # from 6 to 21
    result = fit(run, out, resume=True)
    assert result.resumed_from == 18
    assert_same_rows(out, whole)
    ours, theirs = (AutoModelForMaskedLM.from_pretrained(folder).state_dict() for folder in (out, whole))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-5, rtol=1e-5)


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(run: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "torn")
    (out / "model.safetensors").unlink()
    torn = out / "checkpoints" / ".step-00000030.partial"
    torn.mkdir()
    (torn / "state.json").write_text("{")
    assert fit(run, out, resume=True).resumed_from == 24
    assert_same_rows(out, whole)


def test_resume_without_a_checkpoint_starts_from_the_beginning(
    run: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(run, tmp_path / "new", resume=True).resumed_from is None
    assert "starting from the beginning" in capsys.readouterr().err
    assert_same_rows(tmp_path / "new", whole)


def test_a_finished_student_is_left_as_it_is(run: Path, whole: Path) -> None:
    before = (whole / "model.safetensors").stat().st_mtime_ns
    result = fit(run, whole, resume=True)
    assert result.already_finished
    assert result.metrics["step"] == 30
    assert (whole / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_in_use_is_refused(run: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--resume"):
        fit(run, whole)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("")
    for resume in (False, True):
        with pytest.raises(InputError, match="not empty"):
            fit(run, tmp_path / "mine", resume=resume)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"learning_rate": 1e-3}, "train.learning_rate: found 0.002, expected 0.001"),
        ({"shape": SHAPE.model_copy(update={"layers": 2})}, "student.layers: found 1, expected 2"),
        ({"predictions": "others"}, "shards: found"),
    ],
)
def test_another_students_checkpoint_is_refused(
    run: Path, whole: Path, tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    if not (run / "others").exists():
        make_shards(run / "others", {("de", "a"): [120, 61], ("en", "b"): [40]})
    out = shutil.copytree(whole, tmp_path / "other")
    (out / "model.safetensors").unlink()
    with pytest.raises(InputError, match=field):
        fit(run, out, resume=True, **changes)
    (out / "student.json").unlink()  # the checkpoint itself is checked too
    with pytest.raises(InputError):
        fit(run, out, resume=True, **changes)


def test_logging_more_often_is_no_other_student(run: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "often")
    (out / "model.safetensors").unlink()
    fit(run, out, resume=True, log_steps=1, checkpoint_steps=100)
    assert [row["step"] for row in read_rows(out)][-6:] == [25, 26, 27, 28, 29, 30]


def flip(file: Path, place: int) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.pt", "state.json", "checksums.json", "config.json"])
@pytest.mark.parametrize("damage", ["a bit", "cut", "gone"])
def test_a_damaged_checkpoint_is_passed_over(
    run: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, damage: str
) -> None:
    """Resumed from the one before it, the student is the same."""
    out = shutil.copytree(whole, tmp_path / "damaged")
    (out / "model.safetensors").unlink()
    newest = list_checkpoints(out)[-1]
    size = (newest / file).stat().st_size
    if damage == "gone":
        (newest / file).unlink()
    elif damage == "cut":
        os.truncate(newest / file, size // 2)
    else:
        flip(newest / file, size * 3 // 4)
    sound = file == "checksums.json" and damage == "gone"  # as a checkpoint of an earlier release
    assert fit(run, out, resume=True).resumed_from == (24 if sound else 18)
    assert sound or f"{newest}: is damaged (" in capsys.readouterr().err
    assert_same_rows(out, whole)


def test_without_a_sound_checkpoint_nothing_is_resumed(run: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "damaged")
    (out / "model.safetensors").unlink()
    for checkpoint in list_checkpoints(out):
        flip(checkpoint / "model.safetensors", -9)
    with pytest.raises(InputError, match="all 2 checkpoints are damaged"):
        fit(run, out, resume=True)


def test_a_full_disk_leaves_the_earlier_checkpoint(run: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "full")
    (out / "model.safetensors").unlink()
    shutil.rmtree(list_checkpoints(out)[-1])
    limit = 150_000  # bytes a file: less than the weights take

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(run, out, resume=True, preexec_fn=small_disk)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "InputError" in errors
    assert "step-00000018 is complete" in errors
    assert [path.name for path in list_checkpoints(out)] == ["step-00000018"]
    assert not list((out / "checkpoints").glob(".*"))
    fit(run, out, resume=True)
    assert_same_rows(out, whole)
