"""Checkpoints that are written in the background: the same files, of the moment in which they were asked for."""

import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from data.recipe import Student, Train
from student.model import new_student
from student.training.checkpoint import State, list_checkpoints, load_weights
from student.training.checkpoint_writer import CheckpointWriter
from student.training.loop import make_optimizer
from tests.support.training import fit
from vocab.errors import InputError
from vocab.roles import UNION_ROLES


def state(step: int) -> State:
    return State(step=step, identity={}, positions=[{}], tally={})


@pytest.fixture
def model() -> Any:
    shape = Student(architecture="bert", layers=1, hidden_size=16, heads=2)
    return new_student(shape, vocab_size=50, max_length=16, roles=UNION_ROLES, seed=0)


def step_of(model: Any, optimizer: torch.optim.Optimizer) -> None:
    model(input_ids=torch.tensor([[2, 9, 4, 3]]), labels=torch.tensor([[-100, -100, 11, -100]])).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def test_the_files_are_those_of_the_moment_of_the_call(tmp_path: Path, model: Any) -> None:
    optimizer = make_optimizer(model, Train(steps=1))
    with (
        CheckpointWriter(tmp_path / "later", background=True) as later,
        CheckpointWriter(tmp_path / "now", background=False) as now,
    ):
        for step in range(1, 4):
            step_of(model, optimizer)
            now.save(state(step), model, optimizer)
            later.save(state(step), model, optimizer)
            for _ in range(5):  # while it is written
                step_of(model, optimizer)
    for name in ("model.safetensors", "state.json", "config.json"):
        both = [(tmp_path / kind / "checkpoints/step-00000003" / name).read_bytes() for kind in ("now", "later")]
        assert both[0] == both[1], name
    moments = [
        torch.load(tmp_path / kind / "checkpoints/step-00000003/optimizer.pt", weights_only=True)["state"]
        for kind in ("now", "later")
    ]
    for key, values in moments[0].items():
        for name, value in values.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(moments[1][key][name]))
    assert [path.name for path in list_checkpoints(tmp_path / "later")] == ["step-00000002", "step-00000003"]
    load_weights(list_checkpoints(tmp_path / "later")[-1], model, optimizer)


def test_what_went_wrong_is_said_at_the_next_call_or_at_the_end(tmp_path: Path, model: Any) -> None:
    optimizer = make_optimizer(model, Train(steps=1))
    step_of(model, optimizer)
    with CheckpointWriter(tmp_path / "out", background=True) as writer:
        writer.save(state(1), model, optimizer)
        writer.wait()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
        try:
            writer.save(state(2), model, optimizer)
            with pytest.raises(InputError, match="checkpoint step-00000001 is complete: make room"):
                writer.save(state(3), model, optimizer)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        (tmp_path / "out/checkpoints/step-00000001").rename(tmp_path / "aside")
        (tmp_path / "out/checkpoints").rmdir()
        (tmp_path / "out/checkpoints").touch()
        writer.save(state(4), model, optimizer)
        with pytest.raises(InputError, match="step-00000004: cannot be written"):
            writer.wait()
    assert not list((tmp_path / "out").glob("checkpoints/.*"))


def test_training_waits_for_its_last_checkpoint(run: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = list[bool]()
    inner = CheckpointWriter.__init__

    def in_the_background(self: CheckpointWriter, out: Path, *, background: bool) -> None:
        kinds.append(background)
        inner(self, out, background=True)

    monkeypatch.setattr(CheckpointWriter, "__init__", in_the_background)
    fit(run, tmp_path / "out")
    assert kinds == [False]  # on a CPU
    assert [path.name for path in list_checkpoints(tmp_path / "out")] == [path.name for path in list_checkpoints(whole)]
