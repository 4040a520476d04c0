"""The gradients of one optimizer step: micro-batches through the loss, with at most one wait for the device.

Legend: B rows, T tokens, M masked positions.
"""

import math
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from data.recipe import Train
from student.hardware import autocast, exact_dtype, is_out_of_memory
from student.training.batch import Batch
from student.training.not_finite import NotFinite
from student.training.stream import Step
from vocab.errors import InputError


class GradientStep:
    """Computes gradients, step after step. It keeps how far the device's memory made it split the micro-batches."""

    def __init__(self, accelerator: Accelerator, module: nn.Module, settings: Train) -> None:
        """module: a MaskedLM, prepared by the accelerator."""
        self._accelerator, self._module, self._settings = accelerator, module, settings
        self._halvings = 0

    def __call__(self, part: Step, weight: float, step: int, seed: int, *, stop: bool = False) -> dict[str, Any]:
        """Compute the clipped gradients of one step. Each masked position of the step, on all ranks, has the same weight.

        weight  of the gold label
        seed    of dropout
        stop    whether this rank was asked to end; "stop" of the result says whether any rank was

        If the memory is too small for a micro-batch, the step begins again with halves of all micro-batches, and so do later steps: the
        same gradients up to rounding and dropout. Raises InputError if a single row does not fit, if several processes train (each would
        split in its own way), and NotFinite.
        """
        stops, masked, tokens, *rows = self._counts(part, stop)
        while True:
            torch.manual_seed(seed)
            batches = [piece for batch in part.batches for piece in split(batch, 2**self._halvings)]
            try:
                sums = self._accumulate(batches, weight, masked)
                break
            except Exception as error:
                self._refuse_to_halve(error, batches)
            for parameter in self._module.parameters():
                parameter.grad = None
            if self._accelerator.device.type == "cuda":
                torch.cuda.empty_cache()
            self._halvings += 1
        loss, gold, teacher, correct, norm = sums.tolist()
        if not math.isfinite(loss) or not math.isfinite(norm):
            broken = [name for name, weight in self._module.named_parameters() if not weight.isfinite().all()]
            advice = (
                f"the weights were so before this step, as {broken[0]}: remove the checkpoint that they came from"
                if broken
                else 'lower train.learning_rate, lengthen train.warmup_steps, or set train.precision = "float32"'
            )
            raise NotFinite(f"step {step + 1}: loss {loss:.4g}, gradient norm {norm:.4g}: not finite", advice)
        return {
            "loss": loss,
            "gold": gold,
            "teacher": teacher,
            "correct": correct,
            "masked": masked,
            "tokens": tokens,
            "rows": rows,
            "stop": stops > 0,
        }

    def _counts(self, part: Step, stop: bool) -> list[int]:
        """Of all ranks: those that were asked to end, masked positions, tokens, and rows of each language."""
        languages = [sum(batch.languages[index] for batch in part.batches) for index in range(len(part.batches[0].languages))]
        counts = [int(stop), sum(batch.masked for batch in part.batches), sum(batch.tokens for batch in part.batches), *languages]
        if self._accelerator.num_processes == 1:
            return counts
        reduced: list[int] = self._accelerator.reduce(torch.tensor(counts, device=self._accelerator.device)).tolist()
        return reduced

    def _accumulate(self, batches: Sequence[Batch], weight: float, masked: int) -> Tensor:
        """Sums of all ranks: loss, gold losses, teacher losses, right answers; and the norm of the gradients."""
        accelerator, device = self._accelerator, self._accelerator.device
        exact = exact_dtype(device)
        sums = torch.zeros(5, dtype=exact, device=device)
        for index, on_cpu in enumerate(batches):
            batch = on_cpu.to(device)
            with nullcontext() if index == len(batches) - 1 else accelerator.no_sync(self._module):
                with autocast(self._settings.precision, device):
                    total, gold_M, teacher_M, correct_M = self._module(
                        batch.input_ids,
                        batch.lengths if batch.padded or device.type == "cpu" else None,
                        batch.places,
                        batch.label_ids,
                        batch.topk_ids,
                        batch.topk_logits,
                        weight,
                        accelerator.num_processes / masked,  # DDP takes the mean over ranks
                    )
                total.backward()
            mean = total.detach().to(exact) / accelerator.num_processes
            sums[:4] += torch.stack([mean, *(part.to(exact).sum() for part in (gold_M, teacher_M, correct_M))])
        norm = accelerator.clip_grad_norm_(self._module.parameters(), self._settings.gradient_clip)
        sums[4] = norm / accelerator.num_processes  # every rank has the same
        return accelerator.reduce(sums)  # type: ignore[no-any-return]

    def _refuse_to_halve(self, error: Exception, batches: Sequence[Batch]) -> None:
        """Raise what cannot be mended by smaller micro-batches; else say that they are halved."""
        if not is_out_of_memory(error):
            raise error
        tokens = max(batch.input_ids.numel() for batch in batches)
        if self._accelerator.num_processes > 1 or max(batch.rows for batch in batches) == 1:
            raise InputError(
                f"train: {self._accelerator.device} has too little memory for a micro-batch of {tokens:,} tokens; lower "
                "train.tokens_per_microbatch, or train a smaller student"
            ) from None
        print(
            f"train: {self._accelerator.device} has too little memory for micro-batches of {tokens:,} tokens: going on with halves. "
            f"Set train.tokens_per_microbatch = {tokens // 2}",
            file=sys.stderr,
        )


def split(batch: Batch, pieces: int) -> list[Batch]:
    """A batch in pieces of consecutive rows, as equal as possible: at most one a row. The counts by language stay with the whole batch."""
    if pieces == 1:
        return [batch]
    width = batch.input_ids.shape[1]
    cuts = sorted({round(batch.rows * index / pieces) for index in range(pieces + 1)})
    made = []
    for begin, end in pairwise(cuts):
        first, last = torch.searchsorted(batch.places, torch.tensor([begin * width, end * width])).tolist()
        masks, lengths = slice(first, last), batch.lengths[begin:end]
        made.append(
            Batch(
                input_ids=batch.input_ids[begin:end],
                lengths=lengths,
                places=batch.places[masks] - begin * width,
                label_ids=batch.label_ids[masks],
                topk_ids=None if batch.topk_ids is None else batch.topk_ids[masks],
                topk_logits=None if batch.topk_logits is None else batch.topk_logits[masks],
                label_logits=None if batch.label_logits is None else batch.label_logits[masks],
                tokens=int(lengths.sum()),
                padded=bool((lengths < width).any()),
                languages=(),
            )
        )
    return made
