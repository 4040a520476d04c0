"""Training: what it leaves, exact resumption after kill -9, refusals, full disks, several processes."""

import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from data.recipe import Student, Train
from data.shards import list_shards, read_shards
from student.model import new_student
from student.training.checkpoint import list_checkpoints
from student.training.loop import TrainResult, make_optimizer, train
from student.training.metrics import read_rows
from student.training.schedule import gold_weight, learning_rate
from tests.support.factories import save_tokenizer
from tests.support.paths import ROOT
from tests.support.student_shards import V, make_shards
from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS, UNION_ROLES

SETTINGS = Train(
    steps=30,
    tokens_per_batch=400,
    tokens_per_microbatch=200,
    warmup_steps=5,
    learning_rate=2e-3,
    log_steps=4,
    checkpoint_steps=6,
    precision="float32",
)
SHAPE = Student(architecture="bert", layers=1, hidden_size=16, heads=2, dropout=0.1)
TIMINGS = ("tokens_per_second", "stream_wait_share", "seconds")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with predictions and a tokenizer."""
    folder = tmp_path_factory.mktemp("run")
    make_shards(folder / "predictions", {("de", "a"): [120, 60], ("en", "b"): [40]})
    save_tokenizer(folder / "tokenizer", [*SPECIAL_TOKENS.values(), "word"])
    return folder


def fit(
    run: Path, out: Path, *, resume: bool = False, shape: Student = SHAPE, predictions: str = "predictions", **changes: Any
) -> TrainResult:
    torch.set_num_threads(1)
    model = new_student(shape, vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0)
    return train(
        model,
        read_shards(list_shards(str(run / predictions))),
        SETTINGS.model_copy(update=changes),
        out,
        tokenizer=run / "tokenizer",
        max_length=24,
        seed=1,
        identity={"union": "u" * 64, **{f"student.{key}": value for key, value in shape.model_dump().items()}},
        resume=resume,
        progress=False,
    )


@pytest.fixture(scope="module")
def whole(run: Path) -> Path:
    """The student of an undisturbed run."""
    return fit(run, run / "whole").out


def measured(out: Path) -> list[dict[str, Any]]:
    """The rows of the metrics without their timings."""
    return [{key: value for key, value in row.items() if key not in TIMINGS} for row in read_rows(out)]


def assert_same_rows(found: Path, expected: Path) -> None:
    assert [row["step"] for row in measured(found)] == [row["step"] for row in measured(expected)]
    for one, other in zip(measured(found), measured(expected), strict=True):
        for key, value in other.items():
            assert one[key] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value), (one["step"], key)


def test_the_result_is_an_hf_folder(run: Path, whole: Path) -> None:
    model = AutoModelForMaskedLM.from_pretrained(whole)
    assert model.config.vocab_size == V
    assert AutoTokenizer.from_pretrained(whole).mask_token_id == UNION_ROLES.mask
    assert [path.name for path in list_checkpoints(whole)] == ["step-00000018", "step-00000024"]
    assert not [path for path in whole.rglob("*") if "partial" in path.name]
    assert AutoModelForMaskedLM.from_pretrained(list_checkpoints(whole)[0]).config.vocab_size == V


def test_metrics_rows(whole: Path) -> None:
    rows = read_rows(whole)
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert list(rows[0])[-3:] == list(TIMINGS)
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.05
    assert rows[-1]["lambda"] == pytest.approx(29 / 30, abs=1e-6)
    assert rows[-1]["rows"] == sum(round(share * size) for share, size in zip(rows[-1]["epochs"].values(), (180, 40), strict=True))
    assert all(row["teacher_loss"] > 0 and row["tokens_per_second"] > 0 for row in rows)
    assert 0 <= rows[-1]["stream_wait_share"] <= 1


def test_the_same_run_gives_the_same_numbers(run: Path, whole: Path, tmp_path: Path) -> None:
    fit(run, tmp_path / "again")
    assert_same_rows(tmp_path / "again", whole)


def test_gold_labels(run: Path, tmp_path: Path) -> None:
    fit(run, tmp_path / "gold", labels="gold", steps=6)
    rows = read_rows(tmp_path / "gold")
    assert "teacher_loss" not in rows[-1]
    assert rows[-1]["lambda"] == 1.0
    assert rows[-1]["loss"] == rows[-1]["gold_loss"]


def test_a_step_does_not_depend_on_its_micro_batches(run: Path, tmp_path: Path) -> None:
    still = SHAPE.model_copy(update={"dropout": 0.0})
    losses = []
    shards = read_shards(list_shards(str(run / "predictions")))
    from accelerate import Accelerator

    from student.training.loop import _step
    from student.training.masked_head import MaskedLM
    from student.training.stream import Stream, StreamSettings

    order = StreamSettings(
        seed=0, alpha=1.0, with_teacher=True, tokens_per_batch=400, tokens_per_microbatch=400, max_length=24, vocab_size=V, pad=0
    )
    with Stream(shards, order) as stream:
        step = next(stream)
    from dataclasses import replace

    big = step.batches[0]
    half = int((big.places < 5 * big.input_ids.shape[1]).sum())  # rows 0 to 4, and the rest
    assert big.topk_ids is not None
    assert big.topk_logits is not None

    def part(rows: slice, masks: slice) -> Any:
        return replace(
            big,
            input_ids=big.input_ids[rows],
            lengths=big.lengths[rows],
            places=big.places[masks] - rows.start * big.input_ids.shape[1],
            label_ids=big.label_ids[masks],
            topk_ids=big.topk_ids[masks],
            topk_logits=big.topk_logits[masks],
        )

    gradients = []
    for batches in ((big,), (part(slice(0, 5), slice(0, half)), part(slice(5, None), slice(half, None)))):
        model = new_student(still, vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0)
        accelerator = Accelerator(cpu=True)
        settings = SETTINGS.model_copy(update={"gradient_clip": 1e9})
        sums = _step(accelerator, MaskedLM(model, "ghost"), replace(step, batches=batches), 0.3, settings, 0)
        losses.append(sums["loss"])
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


KILLED = """
import sys, os, signal, time
sys.path[:0] = {paths!r}
from pathlib import Path
import student.training.loop as module
from tests.student.training.test_train import fit
if {slow}:
    clip = module.Accelerator.clip_grad_norm_
    module.Accelerator.clip_grad_norm_ = lambda *a, **k: (time.sleep(0.03), clip(*a, **k))[1]
fit(Path({run!r}), Path({out!r}), resume={resume})
"""


def start(run: Path, out: Path, *, resume: bool, slow: bool, **options: Any) -> subprocess.Popen[str]:
    script = KILLED.format(paths=[str(ROOT)], run=str(run), out=str(out), resume=resume, slow=slow)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=environment, **options)


def wait_for(condition: Any, process: subprocess.Popen[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_run_resumes_as_if_it_had_never_stopped(run: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    first = start(run, out, resume=False, slow=True)
    wait_for(lambda: len(read_rows(out)) >= 2, first)  # 8 steps: a checkpoint at 6, and a row after it
    first.kill()
    assert first.wait() == -signal.SIGKILL
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')  # as a write cut short
    second = start(run, out, resume=True, slow=True)
    wait_for(lambda: len(read_rows(out)) >= 5, second)
    second.kill()
    second.wait()
    result = fit(run, out, resume=True)
    assert result.resumed_from is not None
    assert result.resumed_from >= 18
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


def test_a_damaged_checkpoint_is_named(run: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "damaged")
    (out / "model.safetensors").unlink()
    newest = list_checkpoints(out)[-1]
    (newest / "optimizer.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=f"{newest.name}.*remove this checkpoint"):
        fit(run, out, resume=True)
    shutil.rmtree(newest)
    assert fit(run, out, resume=True).resumed_from == 18
    assert_same_rows(out, whole)


def test_a_full_disk_leaves_the_earlier_checkpoint(run: Path, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "full")
    (out / "model.safetensors").unlink()
    shutil.rmtree(list_checkpoints(out)[-1])
    limit = 150_000  # bytes a file: less than the weights take

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(run, out, resume=True, slow=False, preexec_fn=small_disk)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "InputError" in errors
    assert "step-00000018 is complete" in errors
    assert [path.name for path in list_checkpoints(out)] == ["step-00000018"]
    assert not list((out / "checkpoints").glob(".*"))
    fit(run, out, resume=True)
    assert_same_rows(out, whole)


def test_a_loss_that_is_not_finite_stops_and_names_the_step(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"step \d+: .*not finite"):
        fit(run, tmp_path / "nan", learning_rate=1e30, checkpoint_steps=1)
    for checkpoint in list_checkpoints(tmp_path / "nan"):
        weights = AutoModelForMaskedLM.from_pretrained(checkpoint).state_dict().values()
        assert all(torch.isfinite(value).all() for value in weights)


def test_a_warm_up_without_end_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="warmup_steps: found 30; expected fewer"):
        fit(run, tmp_path / "warm", warmup_steps=30)
    assert not (tmp_path / "warm").exists()


def test_bfloat16_trains_too(run: Path, whole: Path, tmp_path: Path) -> None:
    row = fit(run, tmp_path / "half", precision="bfloat16", steps=10).metrics
    assert math.isfinite(row["loss"])
    weights = AutoModelForMaskedLM.from_pretrained(tmp_path / "half")
    assert weights.dtype == torch.float32


def test_schedules() -> None:
    settings = Train(steps=10, warmup_steps=4, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == pytest.approx([1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert [gold_weight(step, settings) for step in (0, 5, 9)] == [0.0, 0.5, 0.9]
    assert gold_weight(0, Train(labels="gold")) == 1.0


def test_biases_and_normalisations_do_not_decay() -> None:
    model = new_student(SHAPE, vocab_size=50, max_length=24, roles=UNION_ROLES, seed=0)
    decayed, plain = make_optimizer(model, SETTINGS).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all(names[id(parameter)].endswith("weight") for parameter in decayed["params"])
    assert all("LayerNorm" in names[id(parameter)] or "bias" in names[id(parameter)] for parameter in plain["params"])


def test_two_processes_train_one_student_and_resume(run: Path, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from pathlib import Path\nfrom tests.student.training.test_train import fit\n"
        f"fit(Path({str(run)!r}), Path(sys.argv[1]), resume='--resume' in sys.argv)\n"
    )

    def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), *arguments]
        return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120)

    done = launch(str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    out = shutil.copytree(tmp_path / "two", tmp_path / "resumed")
    (out / "model.safetensors").unlink()
    assert len(json.loads((list_checkpoints(out)[-1] / "state.json").read_text())["positions"]) == 2
    done = launch(str(out), "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_rows(out, tmp_path / "two")
    with pytest.raises(InputError, match="processes: found 2, expected 1"):
        fit(run, tmp_path / "two", resume=True)
