"""Two processes that train one student, by torch's launcher."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from data.shards import list_shards, read_shards
from student.hf_folder import load_model
from student.model import new_student
from student.training.checkpoint import list_checkpoints
from student.training.loop import make_optimizer
from student.training.masked_head import MaskedLM
from student.training.schedule import gold_weight, learning_rate
from student.training.step import GradientStep
from student.training.stream import Stream, StreamSettings
from tests.support.paths import ROOT
from tests.support.student_shards import V
from tests.support.training import SETTINGS, SHAPE, assert_same_rows, fit
from vocab.errors import InputError
from vocab.roles import UNION_ROLES


def test_two_processes_train_one_student_and_resume(run: Path, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from pathlib import Path\nfrom tests.support.training import fit\n"
        f"fit(Path({str(run)!r}), Path(sys.argv[1]), resume='--resume' in sys.argv)\n"
    )

    def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), *arguments]
        return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600)

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


def test_two_processes_do_the_work_of_one_with_twice_the_batch(run: Path, tmp_path: Path) -> None:
    """The micro-batches of both ranks in one process: the same weights after 20 steps. Without dropout, whose seed is a rank's own."""
    script = tmp_path / "two.py"
    script.write_text(
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from pathlib import Path\nfrom tests.support.training import SHAPE, fit\n"
        f"fit(Path({str(run)!r}), Path(sys.argv[1]), steps=20, shape=SHAPE.model_copy(update={{'dropout': 0.0}}))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        [*command, str(tmp_path / "two")], env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    shape, settings = SHAPE.model_copy(update={"dropout": 0.0}), SETTINGS.model_copy(update={"steps": 20})
    model = new_student(shape, vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0).train()
    optimizer = make_optimizer(model, settings)
    compute = GradientStep(Accelerator(cpu=True), MaskedLM(model, settings.tail), settings)
    order = StreamSettings(
        seed=1,
        alpha=settings.sampling_alpha,
        with_teacher=True,
        tokens_per_batch=settings.tokens_per_batch,
        tokens_per_microbatch=int(settings.tokens_per_microbatch),
        max_length=24,
        vocab_size=V,
        pad=UNION_ROLES.pad,
        world=2,
    )
    shards = read_shards(list_shards(str(run / "predictions")))
    with Stream(shards, order) as first, Stream(shards, replace(order, rank=1)) as second:
        for step in range(20):
            parts = next(first), next(second)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings)
            both = replace(parts[0], batches=(*parts[0].batches, *parts[1].batches))
            compute(both, gold_weight(step, settings), step, seed=0)
            optimizer.step()
            optimizer.zero_grad()
    found = load_model(tmp_path / "two").state_dict()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=0, msg=lambda text, name=name: f"{name}: {text}")  # type: ignore[misc]
