"""The steps of a training: stream → loss → optimizer, with metrics, checkpoints and looks at held-out articles."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from data.interruption import Deferral
from data.random_bits import random_bits
from data.recipe import Train
from data.thread_tuner import ThreadTuner
from student.hardware import compile_layers
from student.training.checkpoint import State
from student.training.checkpoint_writer import CheckpointWriter
from student.training.evaluation import Evaluate, Evaluations
from student.training.masked_head import MaskedLM
from student.training.metrics import Tally, append_row
from student.training.not_finite import NotFinite, rows_not_finite
from student.training.schedule import gold_weight, learning_rate
from student.training.step import GradientStep
from student.training.stream import Stream
from student.training.teacher_choice import Choice
from student.training.trackers import Trackers


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One training, with settings and identity complete."""

    model: Any
    choice: Choice
    settings: Train
    out: Path
    tokenizer: Path
    max_length: int
    seed: int
    identity: Mapping[str, Any]
    evaluate: Evaluate | None
    accelerator: Accelerator

    @property
    def main(self) -> bool:
        """Whether this process writes the folder."""
        return bool(self.accelerator.is_main_process)


def run_steps(
    training: Training,
    optimizer: torch.optim.Optimizer,
    stream: Stream,
    state: State | None,
    deferral: Deferral,
    writer: CheckpointWriter,
    bar: Any,
) -> None:
    """All steps, with a row of metrics each `log_steps`, a checkpoint each `checkpoint_steps`, and a look each `eval_steps`."""
    settings, out, accelerator, model = training.settings, training.out, training.accelerator, training.model
    tally = Tally(**state.tally) if state else Tally(language_rows=[0] * len(stream.languages))
    if settings.compile:
        compile_layers(model)
    module = accelerator.prepare_model(MaskedLM(model, settings.tail))
    gradients = GradientStep(accelerator, module, settings)
    with_teacher = settings.labels == "gold+teacher"
    tuner = ThreadTuner(torch.set_num_threads, torch.get_num_threads() if accelerator.device.type == "cpu" else 1)
    first = state.step if state else 0
    trackers = Trackers(settings.trackers, out, training.identity, first + 1)
    looks = Evaluations(out, training.evaluate, training.tokenizer, first) if training.evaluate and training.main else None
    for step in range(first, settings.steps):
        started, waited = time.perf_counter(), stream.waited
        part = next(stream)
        weight, rate = gold_weight(step, settings), learning_rate(step, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with tuner.step(sum(batch.input_ids.numel() for batch in part.batches)):
            dropout_seed = int(random_bits(1, training.seed, "dropout", step, accelerator.process_index)[0] >> 1)
            try:
                sums = gradients(part, weight, step, dropout_seed, stop=deferral.requested)
            except NotFinite as error:
                with stream.again(part) as named:
                    raise error.with_rows(rows_not_finite(module, next(named), settings, accelerator.device)) from None
            optimizer.step()
            optimizer.zero_grad()
        stop = sums.pop("stop")
        tally.add_step(**sums)
        tally.add_time(time.perf_counter() - started, stream.waited - waited)
        done = step + 1
        bar.set_postfix_str(_postfix(sums["loss"], weight, tally, tuner.describe()), refresh=False)
        bar.update(1)
        if done % settings.log_steps == 0 or done == settings.steps:
            row = tally.row(step=done, language_sizes=stream.rows, with_teacher=with_teacher, gold_weight=weight, rate=rate)
            row |= {"won": training.choice.won} if training.choice.won else {}
            if training.main:
                append_row(out, row)
            trackers.log(row, done)
        if training.evaluate and settings.eval_steps and (done % settings.eval_steps == 0 or done == settings.steps):
            if looks:
                trackers.log({"heldout": looks.look(model, done)}, done)
            accelerator.wait_for_everyone()
        if done < settings.steps and (stop or done % settings.checkpoint_steps == 0):
            positions = _gather(part.after.to_json(), accelerator.num_processes)
            if training.main:
                reached = State(step=done, identity=dict(training.identity), positions=positions, tally=tally.to_json())
                writer.save(reached, model, optimizer)
            accelerator.wait_for_everyone()
            if stop:
                writer.wait()
                deferral.end(
                    f"Interrupted after step {done:,} of {settings.steps:,}: its checkpoint is saved. Continue with --resume"
                )
    trackers.close()


def _postfix(loss: float, weight: float, tally: Tally, threads: str) -> str:
    """What the progress bar says beside the steps and the time that is left."""
    seconds = max(tally.interval_seconds, 1e-9)
    parts = [f"loss {loss:.3f}", f"λ {weight:.2f}", f"{tally.interval_tokens / seconds:,.0f} tokens/s"]
    return ", ".join(filter(None, [*parts, f"{tally.interval_waited / seconds:.0%} waiting", threads]))


def make_optimizer(model: nn.Module, settings: Train) -> torch.optim.AdamW:
    """AdamW. The learning rate is set at each step."""
    groups = decay_groups(model, settings.weight_decay)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.999), eps=1e-6, fused=True)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trained parameters for an optimizer: biases and normalisations (all of one dimension) do not decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def _gather(content: dict[str, Any], world: int) -> list[dict[str, Any]]:
    """The content of every rank, in the order of ranks."""
    if world == 1:
        return [content]
    gathered: list[Any] = [None] * world
    torch.distributed.all_gather_object(gathered, content)
    return gathered
