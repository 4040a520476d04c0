"""A loss that is not finite: which rows gave it, so that a person can look at them. Legend: M masked positions."""

from collections.abc import Sequence

import torch
from torch import nn

from data.recipe import Train
from student.hardware import autocast
from student.training.stream import Step
from vocab.errors import InputError


class NotFinite(InputError):
    """The loss or the norm of the gradients is NaN or infinite."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}; the last checkpoint is kept: {advice}")
        self._what, self._advice = what, advice

    def with_rows(self, names: Sequence[str]) -> "NotFinite":
        """The same error, with the rows that gave it."""
        if not names:
            return NotFinite(f"{self._what}, though the loss of each row alone is finite", self._advice)
        return NotFinite(f"{self._what}, in {len(names):,} rows, the first of {names[0]}", self._advice)


@torch.no_grad()
def rows_not_finite(module: nn.Module, step: Step, settings: Train, device: torch.device) -> list[str]:
    """The names of the rows with a masked position whose loss is not finite: "language: article, window n".

    module: a MaskedLM. step: with names, see `Stream.again`.
    """
    found = []
    for on_cpu in step.batches:
        batch = on_cpu.to(device)
        with autocast(settings.precision, device):
            arguments = (batch.input_ids, batch.lengths, batch.places, batch.label_ids, batch.topk_ids, batch.topk_logits)
            _, gold_M, teacher_M, _ = module(*arguments, 0.5 if batch.topk_ids is not None else 1.0, 1.0)
        broken_M = ~(gold_M.isfinite() & teacher_M.isfinite())
        rows = (batch.places[broken_M] // batch.input_ids.shape[1]).unique().tolist()
        found += [batch.names[row] for row in rows]
    return [*dict.fromkeys(found)]  # a small language comes several times
