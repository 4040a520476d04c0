"""Training on a GPU. Skipped where there is none. The tests of resuming run there too: they train on the device that they find."""

import warnings
from pathlib import Path

import pytest
import torch

from data.shards import list_shards, read_shards
from student.hardware import open_accelerator
from student.model import new_student
from student.training.loss import masked_loss
from student.training.masked_head import MaskedLM
from student.training.metrics import read_rows
from student.training.step import GradientStep
from student.training.stream import Position, Step, Stream, StreamSettings
from tests.benchmarks.gpu_student import made_batch
from tests.support.gpu import DEVICE, needs_card
from tests.support.student_shards import V
from tests.support.training import SETTINGS, SHAPE, fit
from vocab.roles import UNION_ROLES

pytestmark = needs_card

ORDER = StreamSettings(
    seed=0, alpha=1.0, with_teacher=True, tokens_per_batch=800, tokens_per_microbatch=400, max_length=24, vocab_size=V, pad=0
)


@pytest.mark.parametrize("compiled", [False, True])
def test_twenty_steps_in_bfloat16_lower_the_loss(run: Path, tmp_path: Path, compiled: bool) -> None:
    fit(run, tmp_path / "s", steps=20, warmup_steps=2, labels="gold", precision="bfloat16", compile=compiled)
    rows = read_rows(tmp_path / "s")
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.1


def test_the_same_losses_as_on_a_cpu(run: Path, tmp_path: Path) -> None:
    still = SHAPE.model_copy(update={"dropout": 0.0})
    fit(run, tmp_path / "card", shape=still, steps=8)
    with pytest.MonkeyPatch.context() as patch:
        from accelerate import Accelerator

        patch.setattr("student.training.train.open_accelerator", lambda: Accelerator(cpu=True))
        patch.setattr(torch.cuda, "is_available", lambda: False)
        from accelerate.state import AcceleratorState, PartialState

        AcceleratorState._reset_state(True)
        PartialState._reset_state()
        fit(run, tmp_path / "cpu", shape=still, steps=8)
    AcceleratorState._reset_state(True)
    PartialState._reset_state()
    for one, other in zip(read_rows(tmp_path / "card"), read_rows(tmp_path / "cpu"), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-3)


def test_the_host_waits_once_a_step(run: Path) -> None:
    """For the figures of the step; and once more for each micro-batch with padding, whose mask transformers looks at."""
    accelerator = open_accelerator()
    model = new_student(SHAPE, vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0).to(accelerator.device).train()
    compute = GradientStep(accelerator, MaskedLM(model, "renormalise"), SETTINGS)
    with Stream(read_shards(list_shards(str(run / "predictions"))), ORDER, pin=True) as stream:
        parts = [next(stream) for _ in range(3)]
    compute(parts[0], 0.5, 0, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        compute(parts[1], 0.5, 1, 1)
        torch.cuda.set_sync_debug_mode("default")
    waits = sum("called a synchronizing" in str(warning.message) for warning in caught)
    assert waits <= 1 + sum(batch.padded for batch in parts[1].batches)


def test_memory_that_is_too_small_halves_the_micro_batches() -> None:
    """A limit on this process's share of the card, which real allocations run into."""
    accelerator = open_accelerator()
    shape = SHAPE.model_copy(update={"hidden_size": 256, "layers": 2, "dropout": 0.0})
    model = new_student(shape, vocab_size=5000, max_length=128, roles=UNION_ROLES, seed=0).to(accelerator.device).train()
    compute = GradientStep(accelerator, MaskedLM(model, "renormalise"), SETTINGS)
    step = Step(batches=(made_batch(256, 5000),), before=Position(), after=Position())
    expected = compute(step, 0.5, 0, 1)
    for parameter in model.parameters():
        parameter.grad = None
    torch.cuda.empty_cache()
    try:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 400e6) / total)
        found = compute(step, 0.5, 0, 1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert compute._halvings > 0
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-3)


@pytest.mark.parametrize("size", [4096, 119_547])
def test_an_odd_vocabulary_in_blocks(size: int) -> None:
    """Blocks whose rows are padded in memory, and weight gradients that are summed over blocks inside the product."""
    torch.manual_seed(0)
    hidden = torch.randn(100, 64, device=DEVICE, requires_grad=True)
    weight = torch.randn(size, 64, device=DEVICE, requires_grad=True)
    bias, gold = torch.randn(size, device=DEVICE, requires_grad=True), torch.randint(size, (100,), device=DEVICE)
    exact = torch.nn.functional.cross_entropy(hidden.double() @ weight.double().T + bias.double(), gold, reduction="sum")
    wanted = torch.autograd.grad(exact, (hidden, weight, bias))
    for precision in (torch.float32, torch.bfloat16):
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            loss = masked_loss(hidden, weight, bias, gold, block_logits=30 * size)
        for one, other in zip(torch.autograd.grad(loss.total, (hidden, weight, bias)), wanted, strict=True):
            allowed = 1e-4 if precision == torch.float32 else 2e-2
            assert (one - other).norm() < allowed * other.norm()
