"""Fine-tuning of a masked LM on one task, and what it says of examples afterwards.

XTREME's way: AdamW, a linear learning rate, the gradient clipped; the best weights on the development set, or the last ones. Different
from its scripts: examples of similar length share a batch, as with transformers' group_by_length, which saves padding.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import psutil
import torch
from torch import Tensor

from data.progress import progress_bar
from data.random_bits import permutation
from data.recipe import Precision
from data.thread_tuner import ThreadTuner
from student.hardware import autocast, is_out_of_memory
from student.tasks.task import IGNORED, Example, FineTuning, Task, has_types, pad_batch
from student.training.loop import decay_groups
from vocab.errors import InputError, first_line
from vocab.notices import say_once
from vocab.roles import Roles

# (model, inputs of a micro-batch with its targets, the micro-batch, the batch) → its share of the batch's loss
Loss: TypeAlias = Callable[[Any, dict[str, Tensor], Sequence[Example], Sequence[Example]], Tensor]

_POOL = 50  # batches whose examples are sorted by length
_WITHOUT_GRADIENTS = 4  # times the examples of a micro-batch, in a forward pass without gradients


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """How a fine-tuning went."""

    steps: int
    best_step: int
    dev: float | None  # the headline metric on the development set, of the weights that were kept
    seconds: float
    peak_mb: float  # of the process; on CUDA, of the device's tensors
    loss: float  # mean of the last steps


def fine_tune(
    model: Any,
    task: Task,
    examples: Sequence[Example],
    tuning: FineTuning,
    roles: Roles,
    *,
    seed: int,
    precision: Precision,
    dev: Callable[[], float] | None,
    what: str,
    loss_of: Loss | None = None,
    after_backward: Callable[[], None] | None = None,
) -> Tuned:
    """Train a model in place.

    dev             the score on the development set, for tuning.keep = "best"
    loss_of         the loss, instead of the model's own
    after_backward  called in each step when the gradients are there, before they are clipped
    """
    device = next(model.parameters()).device
    started, count = time.perf_counter(), -(-len(examples) // tuning.batch_size)
    steps = max(1, round(count * tuning.epochs))
    warmup = tuning.warmup_steps
    if warmup >= steps:
        warmup = steps // 10
        say_once(f"{what}: {tuning.warmup_steps} steps of warm-up are all of its {steps} steps: {warmup} are taken")
    optimizer = torch.optim.AdamW(decay_groups(model, tuning.weight_decay), lr=tuning.learning_rate, eps=1e-8)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _linear(step + 1, steps, warmup))
    tuner = ThreadTuner(torch.set_num_threads, torch.get_num_threads() if device.type == "cpu" else 1)
    best: tuple[float, int, dict[str, Any]] | None = None
    losses: list[float] = []
    _reset_peak(device)
    model.train()
    with progress_bar(steps, what, "steps") as bar:
        for step, batch in enumerate(_batches(examples, tuning, seed, steps), start=1):
            with tuner.step(sum(len(example.input_ids) for example in batch)):
                loss = _backward(model, task, batch, tuning, roles, precision, loss_of)
                if after_backward is not None:
                    after_backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), tuning.clip)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
            if not np.isfinite(loss):
                raise InputError(f"{what}, step {step}: loss {loss}: not finite; expected a number: lower --learning-rate")
            losses.append(loss)
            bar.update(1)
            if dev is not None and tuning.keep == "best" and (step % tuning.eval_steps == 0 or step == steps):
                found = dev()
                if best is None or found > best[0]:
                    best = found, step, {name: value.detach().clone() for name, value in model.state_dict().items()}
                model.train()
            bar.set_postfix_str(f"loss {np.mean(losses[-50:]):.3f}" + (f", best on dev {best[0]:.1f}" if best else ""))
    if best is not None:
        model.load_state_dict(best[2])
    return Tuned(
        steps=steps,
        best_step=best[1] if best else steps,
        dev=best[0] if best else None,
        seconds=time.perf_counter() - started,
        peak_mb=_peak_mb(device),
        loss=float(np.mean(losses[-50:])),
    )


@torch.no_grad()
def answers(
    model: Any, task: Task, examples: Sequence[Example], roles: Roles, precision: Precision, micro_batch: int = 32
) -> list[Any]:
    """What a model says of each example, in their order."""
    device, types = next(model.parameters()).device, has_types(model)
    model.eval()
    found: list[Any] = [None] * len(examples)
    order = sorted(range(len(examples)), key=lambda number: -len(examples[number].input_ids))
    begin = 0
    while begin < len(order):
        numbers = order[begin : begin + _WITHOUT_GRADIENTS * micro_batch]
        batch = [examples[number] for number in numbers]
        inputs = {name: value.to(device) for name, value in pad_batch(batch, roles.pad, types=types).items()}
        with _one_line_without_memory(inputs["input_ids"]), autocast(precision, device):
            output = model(**inputs)
        for number, said in zip(numbers, task.answers(output, batch), strict=True):
            found[number] = said
        begin += len(numbers)
    return found


def _backward(
    model: Any,
    task: Task,
    batch: Sequence[Example],
    tuning: FineTuning,
    roles: Roles,
    precision: Precision,
    loss_of: Loss | None = None,
) -> float:
    """The gradients of a batch; its loss, the sum of those of its micro-batches."""
    device, types = next(model.parameters()).device, has_types(model)
    total = 0.0
    for begin in range(0, len(batch), tuning.micro_batch):
        part = batch[begin : begin + tuning.micro_batch]
        inputs = pad_batch(part, roles.pad, types=types)
        inputs |= task.targets(part, inputs["input_ids"].shape[1])
        with _one_line_without_memory(inputs["input_ids"]):
            with autocast(precision, device):
                loss = (loss_of or _own_loss)(model, {name: value.to(device) for name, value in inputs.items()}, part, batch)
            loss.backward()
        total += float(loss.detach())
    return total


def _own_loss(model: Any, inputs: dict[str, Tensor], part: Sequence[Example], batch: Sequence[Example]) -> Tensor:
    """The model's loss against the gold labels. A micro-batch counts by its share of the targets, so the sum is the mean over all."""
    loss: Tensor = model(**inputs).loss * (_targets(part) / _targets(batch))
    return loss


@contextmanager
def _one_line_without_memory(input_ids_BT: torch.Tensor) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        rows, width = input_ids_BT.shape
        raise InputError(
            f"out of memory with {rows} examples of {width} tokens ({first_line(error)}); expected room for them: lower --micro-batch, "
            "which changes no more than the dropout that is drawn"
        ) from None


def _targets(examples: Sequence[Example]) -> int:
    """How many targets the loss counts."""
    return sum(target != IGNORED for example in examples for target in example.target)


def _batches(examples: Sequence[Example], tuning: FineTuning, seed: int, steps: int) -> Iterator[list[Example]]:
    """`steps` batches, epoch after epoch: examples in a random order that follows from the seed, those of similar length together."""
    done = epoch = 0
    size, pool = tuning.batch_size, tuning.batch_size * _POOL
    while done < steps:
        order = permutation(len(examples), seed, "fine-tuning", epoch).tolist()
        batches = list[list[int]]()
        for begin in range(0, len(order), pool):
            numbers = sorted(order[begin : begin + pool], key=lambda number: -len(examples[number].input_ids))
            batches += [numbers[start : start + size] for start in range(0, len(numbers), size)]
        for index in permutation(len(batches), seed, "batches of fine-tuning", epoch).tolist()[: steps - done]:
            yield [examples[number] for number in batches[index]]
        done, epoch = done + len(batches), epoch + 1


def _linear(step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at a step, from 1: up over the warm-up, then down to 0 behind the last step."""
    if step < warmup:
        return step / warmup
    return max(0.0, (steps + 1 - step) / max(1, steps + 1 - max(1, warmup)))


def _reset_peak(device: torch.device) -> None:
    """Forget the peak of memory so far, where the system can (Linux, CUDA)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def _peak_mb(device: torch.device) -> float:
    """The largest memory since `_reset_peak`: of the device's tensors on CUDA, else of the process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 1e6
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024 / 1e6
    return float(psutil.Process().memory_info().rss) / 1e6
