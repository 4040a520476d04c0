"""A language's sparse fine-tuning: LT-SFT of a masked LM on the language's text (Ansell et al., ACL 2022).

The output keeps the embeddings of the base and is not trained, nor is the rest of the head: so all of the difference is in the encoder, and
the head of a task fits behind it. Both phases leave checkpoints; a call that was stopped continues from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.bilingual_recipe import Distillation
from data.interruption import Deferral
from data.progress import progress_bar
from data.random_bits import random_bits
from data.thread_tuner import ThreadTuner
from student.bilingual.distil_loop import learning_rate, make_optimizer
from student.bilingual.sparse_tuning import Hook, SparseTuned, sparse_tune
from student.bilingual.text_windows import MaskedBatch, TextWindows
from student.hardware import autocast
from student.training.checkpoint import State, load_weights, newest_sound, read_state, save_checkpoint
from student.training.masked_head import decoder, hidden_at_masks
from vocab.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Phase:
    """How one phase went: the mean loss of its last steps, in nats a masked position."""

    steps: int
    loss: float


def masked_lm_loss(model: Any, batch: MaskedBatch, device: torch.device, *, reduction: str = "mean") -> tuple[torch.Tensor, int]:
    """(the masked-LM loss of a batch in float32, the number of right ones). The head runs at the masked positions alone."""
    input_ids_BT, places_M, labels_M = (torch.from_numpy(part).to(device) for part in (batch.input_ids, batch.places, batch.labels))
    hidden_MH = hidden_at_masks(model, input_ids_BT, torch.ones_like(input_ids_BT), places_M)
    linear = decoder(model)
    logits_MV = torch.nn.functional.linear(hidden_MH, linear.weight, linear.bias).float()
    loss = torch.nn.functional.cross_entropy(logits_MV, labels_M, reduction=reduction)
    return loss, int((logits_MV.argmax(1) == labels_M).sum())


def tune_language(
    model: Any,
    windows: TextWindows,
    settings: Distillation,
    work: Path,
    *,
    share: float,
    l1: float,
    freeze_norms: bool,
    identity: Mapping[str, Any],
    device: torch.device,
    deferral: Deferral,
    progress: bool,
) -> SparseTuned[Phase]:
    """Both phases of `settings.steps` steps on an untied masked LM in place; `work` holds their checkpoints.

    Raises InputError for checkpoints of other settings, and for a loss that is not finite.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)  # sparse_tune trains those of the encoder again

    def train(phase: str, hook: Hook) -> Phase:
        out = work / phase
        optimizer = make_optimizer(
            [parameter for parameter in model.parameters() if parameter.requires_grad], settings.learning_rate
        )
        checkpoint = newest_sound(out)
        state = read_state(checkpoint, identity) if checkpoint else None
        if checkpoint:
            load_weights(checkpoint, model, optimizer)
        losses: list[float] = [*state.tally["losses"]] if state else []
        tuner = ThreadTuner(torch.set_num_threads, torch.get_num_threads() if device.type == "cpu" else 1)
        first = state.step if state else 0
        model.train()
        with progress_bar(settings.steps, f"{windows.languages[0]}, {phase} phase", "steps", show=progress, initial=first) as bar:
            for step in range(first, settings.steps):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, settings)
                with tuner.step(1.0):
                    # Of the dropout, which must not depend on what ran before a stop.
                    torch.manual_seed(int(random_bits(1, windows.seed, "dropout", phase, step)[0] >> 1))
                    with autocast(settings.precision, device):
                        loss, _ = masked_lm_loss(model, windows.step(step, settings.batch_size), device)
                    loss.backward()
                    hook()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                losses = [*losses[-49:], float(loss.detach())]
                if not np.isfinite(losses[-1]):
                    raise InputError(
                        f"{phase} phase, step {step + 1}: the loss is {losses[-1]}; expected a number: lower --learning-rate"
                    )
                bar.update(1)
                bar.set_postfix_str(f"loss {np.mean(losses):.3f}", refresh=False)
                done = step + 1
                if done == settings.steps or deferral.requested or done % settings.checkpoint_steps == 0:
                    reached = State(step=done, identity=dict(identity), positions=[], tally={"losses": losses})
                    save_checkpoint(out, reached, model, optimizer.state_dict())
                if deferral.requested and not (phase == "sparse" and done == settings.steps):
                    deferral.end(f"Interrupted after step {done:,} of the {phase} phase: give the same command again to continue")
        return Phase(steps=settings.steps, loss=float(np.mean(losses)))

    return sparse_tune(model, share, train, freeze_norms=freeze_norms, l1=l1)
