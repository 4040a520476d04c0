"""The steps of phase 1: windows → states of teacher and student → losses → optimizer, with metrics, checkpoints and looks at validation."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.bilingual_recipe import Distillation
from data.interruption import Deferral
from data.thread_tuner import ThreadTuner
from student.bilingual.state_losses import Totals, state_losses
from student.bilingual.teacher import Teacher, states_of
from student.bilingual.text_windows import MaskedBatch, TextWindows
from student.hardware import autocast
from student.training.checkpoint import State
from student.training.checkpoint_writer import CheckpointWriter
from student.training.evaluation import Evaluations
from student.training.metrics import append_row
from vocab.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Distilling:
    """One training of phase 1."""

    student: Any
    teacher: Teacher
    windows: TextWindows
    settings: Distillation
    out: Path
    identity: Mapping[str, Any]
    device: torch.device


@dataclass(kw_only=True)
class Sums:
    """What was seen since the last row of metrics, and since the first step; part of a checkpoint."""

    loss: dict[str, list[float]] = field(default_factory=dict)  # language → [steps, sum of L_hid, sum of L_attn] since the last row
    tokens: int = 0  # since the first step
    seconds: float = 0.0
    interval_tokens: int = 0
    interval_seconds: float = 0.0

    def add(self, language: str, hidden: float, attention: float, tokens: int, seconds: float) -> None:
        steps, one, other = self.loss.get(language, [0.0, 0.0, 0.0])
        self.loss[language] = [steps + 1, one + hidden, other + attention]
        self.tokens += tokens
        self.interval_tokens += tokens
        self.seconds += seconds
        self.interval_seconds += seconds

    def row(self, step: int, rate: float) -> dict[str, Any]:
        """The row after `step` steps; the sums since the last row are reset. Timings are last."""
        steps, hidden, attention = np.sum([*self.loss.values()], axis=0).tolist()
        row = {
            "step": step,
            "tokens": self.tokens,
            "loss": round((hidden + attention) / steps, 6),
            "hidden_loss": round(hidden / steps, 6),
            "attention_loss": round(attention / steps, 6),
            "losses": {language: round((one + other) / count, 6) for language, (count, one, other) in sorted(self.loss.items())},
            "learning_rate": rate,
            "tokens_per_second": round(self.interval_tokens / max(self.interval_seconds, 1e-9), 1),
            "seconds": round(self.seconds, 2),
        }
        self.loss, self.interval_tokens, self.interval_seconds = {}, 0, 0.0
        return row


def make_optimizer(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.AdamW:
    """AdamW with the paper's constants. The learning rate is set at each step."""
    return torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)


def learning_rate(step: int, settings: Distillation) -> float:
    """Linear warm-up to the peak, then linear to 0, which it reaches just after the last step. Steps count from 0."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    return settings.learning_rate * (settings.steps - step) / (settings.steps - settings.warmup_steps)


def run_distillation(
    training: Distilling,
    optimizer: torch.optim.Optimizer,
    looks: Evaluations,
    state: State | None,
    deferral: Deferral,
    writer: CheckpointWriter,
    bar: Any,
) -> None:
    """All steps from the beginning, or from the checkpoint whose state this is."""
    settings, student, device = training.settings, training.student, training.device
    sums = Sums(**state.tally) if state else Sums()
    tuner = ThreadTuner(torch.set_num_threads, torch.get_num_threads() if device.type == "cpu" else 1)
    student.train()
    for step in range(state.step if state else 0, settings.steps):
        started, rate = time.perf_counter(), learning_rate(step, settings)
        batch = training.windows.step(step, settings.batch_size)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with tuner.step(batch.input_ids.size):
            hidden, attention = _gradients(training, batch)
            norm = torch.nn.utils.clip_grad_norm_(student.parameters(), settings.gradient_clip)
            if not torch.isfinite(norm):
                raise InputError(
                    f"step {step + 1}, a batch of {batch.language}: the norm of the gradients is {float(norm)}; expected a number: lower "
                    "train.learning_rate; the last checkpoint is kept"
                )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        done = step + 1
        sums.add(batch.language, hidden, attention, batch.input_ids.size, time.perf_counter() - started)
        bar.set_postfix_str(f"loss {hidden + attention:.4f}, {sums.tokens / sums.seconds:,.0f} tokens/s", refresh=False)
        bar.update(1)
        stop = deferral.requested
        if done % settings.log_steps == 0 or done == settings.steps:
            append_row(training.out, sums.row(done, rate))
        if done % settings.eval_steps == 0 or done == settings.steps:
            looks.look(student, done)
            student.train()
        if done < settings.steps and (stop or done % settings.checkpoint_steps == 0):
            reached = State(step=done, identity=dict(training.identity), positions=[], tally=asdict(sums))
            writer.save(reached, student, optimizer)
            if stop:
                writer.wait()
                deferral.end(
                    f"Interrupted after step {done:,} of {settings.steps:,}: its checkpoint is saved. Continue with --resume"
                )


def _gradients(training: Distilling, batch: MaskedBatch) -> tuple[float, float]:
    """The gradients of a batch; its (L_hid, L_attn). Parts of it that fit into memory add up to the same."""
    rows, size = len(batch.input_ids), training.settings.micro_batch or len(batch.input_ids)
    totals = Totals.of([batch.input_ids.shape[1]] * rows)
    found = np.zeros(2)
    with training.teacher.reading(batch.language):
        for begin in range(0, rows, size):
            input_ids_BT = torch.from_numpy(batch.input_ids[begin : begin + size]).to(training.device)
            hidden, attention = _losses(training, input_ids_BT, totals)
            (hidden + attention).backward()
            found += (float(hidden.detach()), float(attention.detach()))
    return float(found[0]), float(found[1])


def _losses(training: Distilling, input_ids_BT: Tensor, totals: Totals | None) -> tuple[Tensor, Tensor]:
    mask_BT = torch.ones_like(input_ids_BT)
    with autocast(training.settings.precision, training.device):
        teacher = training.teacher.states(input_ids_BT, mask_BT)
        student = states_of(training.student, input_ids_BT, mask_BT)
    return state_losses(student, teacher, mask_BT, totals)


def validation(
    training: Distilling, mlm_scores: Callable[[Any, MaskedBatch], tuple[float, float]]
) -> Callable[[Any], dict[str, Any]]:
    """What a look at the validation windows gives: the losses by language, the student's masked-LM loss beside the teacher's.

    mlm_scores  (model, batch) → (sum of losses in nats, number of right ones) at masked positions
    """
    of_teacher: dict[str, list[float]] = {}

    def mean_scores(model: Any, language: str) -> list[float]:
        batches = [*training.windows.validation(language, training.settings.batch_size)]
        count = max(1, sum(len(batch.labels) for batch in batches))
        return (np.sum([mlm_scores(model, batch) for batch in batches], axis=0) / count).tolist()  # type: ignore[no-any-return]

    @torch.no_grad()
    def look(student: Any) -> dict[str, Any]:
        student.eval()
        languages = {}
        for language in training.windows.languages:
            found, rows = np.zeros(2), 0
            with training.teacher.reading(language):
                for batch in training.windows.validation(language, training.settings.batch_size):
                    input_ids_BT = torch.from_numpy(batch.input_ids).to(training.device)
                    found += len(input_ids_BT) * np.array([float(loss) for loss in _losses(training, input_ids_BT, None)])
                    rows += len(input_ids_BT)
                if language not in of_teacher:
                    of_teacher[language] = mean_scores(training.teacher.model, language)
            hidden, attention = (found / rows).tolist()
            loss, accuracy = mean_scores(student, language)
            languages[language] = {
                "loss": hidden + attention,
                "hidden_loss": hidden,
                "attention_loss": attention,
                "mlm_loss": loss,
                "mlm_accuracy": accuracy,
                "teacher_mlm_loss": of_teacher[language][0],
                "teacher_mlm_accuracy": of_teacher[language][1],
            }
        mean = float(np.mean([found["loss"] for found in languages.values()]))
        if not np.isfinite(mean):
            raise InputError(f"the loss on the validation windows is {mean}; expected a number: lower train.learning_rate")
        return {"mean_loss": mean, "languages": languages}

    return look
