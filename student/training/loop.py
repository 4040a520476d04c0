"""Training: steps of the stream through the loss into the optimizer, with metrics and checkpoints; resumed exactly."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from data.random_bits import random_bits
from data.recipe import Train
from data.shards import Shard
from student.hardware import autocast, open_accelerator
from student.training.checkpoint import State, list_checkpoints, load_weights, read_state, save_checkpoint
from student.training.masked_head import MaskedLM
from student.training.metrics import Tally, append_row, read_rows, truncate_rows
from student.training.output import finish_output, is_finished, open_output
from student.training.schedule import check_schedule, gold_weight, learning_rate
from student.training.stream import Position, Step, Stream, StreamSettings, shards_fingerprint
from vocab.errors import InputError

_OPERATIONAL = {"log_steps", "checkpoint_steps"}  # settings that change no weight


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """What training came to."""

    out: Path  # the student's folder
    steps: int
    metrics: dict[str, Any]  # the last row of metrics.jsonl
    resumed_from: int | None  # the checkpoint's step; None for a run from the beginning
    already_finished: bool  # --resume found a trained student, and nothing was done


def train(
    model: Any,
    shards: Sequence[Shard],
    settings: Train,
    out: Path,
    *,
    tokenizer: Path,
    max_length: int,
    seed: int,
    identity: Mapping[str, Any],
    resume: bool = False,
    progress: bool = True,
) -> TrainResult:
    """Train a masked LM on shards and leave it in `out`, an HF folder with the files of the folder `tokenizer`.

    model       a masked LM as `new_student` makes it; its config tells the vocabulary's size and the padding id
    max_length  tokens of the longest window
    identity    what the student depends on, flat and JSON; the training settings, seed and shards are added here
    resume      go on from the newest whole checkpoint, as if the run had never stopped: the same rows, losses (to rounding), metrics

    Raises InputError for a folder that is not empty, a checkpoint of another student, a full disk, a loss that is not finite.
    """
    check_schedule(settings)
    accelerator = open_accelerator()
    rank, world = accelerator.process_index, accelerator.num_processes
    with_teacher = settings.labels == "gold+teacher"
    identity = {
        **identity,
        **{f"train.{key}": value for key, value in settings.model_dump().items() if key not in _OPERATIONAL},
        "seed": seed,
        "processes": world,
        "shards": shards_fingerprint(shards),
    }
    if accelerator.is_main_process:
        open_output(out, identity, resume=resume)
    accelerator.wait_for_everyone()
    if is_finished(out):
        return TrainResult(out=out, steps=settings.steps, metrics=read_rows(out)[-1], resumed_from=None, already_finished=True)

    model.to(accelerator.device).train()
    optimizer = make_optimizer(model, settings)
    checkpoint = list_checkpoints(out)[-1] if resume and list_checkpoints(out) else None
    state = None if checkpoint is None else read_state(checkpoint, identity)
    if checkpoint is not None:
        load_weights(checkpoint, model, optimizer)
    elif resume and accelerator.is_main_process:
        print(f"{out}: holds no checkpoint yet; starting from the beginning", file=sys.stderr)
    if accelerator.is_main_process:
        truncate_rows(out, state.step if state else 0)
    stream = Stream(
        shards,
        StreamSettings(
            seed=seed,
            alpha=settings.sampling_alpha,
            with_teacher=with_teacher,
            tokens_per_batch=settings.tokens_per_batch,
            tokens_per_microbatch=settings.tokens_per_microbatch,
            max_length=max_length,
            vocab_size=model.config.vocab_size,
            pad=model.config.pad_token_id,
            rank=rank,
            world=world,
        ),
        start=Position.from_json(state.positions[rank]) if state else None,
        pin=accelerator.device.type == "cuda",
    )
    tally = Tally(**state.tally) if state else Tally(language_rows=[0] * len(stream.languages))
    module = accelerator.prepare_model(MaskedLM(model, settings.tail))
    first = state.step if state else 0
    pace = 0.5 if sys.stderr.isatty() else 15.0  # seconds between lines
    bar = tqdm(
        mininterval=pace,
        total=settings.steps,
        initial=first,
        unit="step",
        disable=not (progress and accelerator.is_main_process),
        file=sys.stderr,
    )
    with stream, bar:
        for step in range(first, settings.steps):
            started, waited = time.perf_counter(), stream.waited
            part = next(stream)
            weight, rate = gold_weight(step, settings), learning_rate(step, settings)
            torch.manual_seed(int(random_bits(1, seed, "dropout", step, rank)[0] >> 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            sums = _step(accelerator, module, part, weight, settings, step)
            optimizer.step()
            optimizer.zero_grad()
            tally.add_step(**sums)
            tally.add_time(time.perf_counter() - started, stream.waited - waited)
            done = step + 1
            bar.set_postfix(
                {"loss": f"{sums['loss']:.3f}", "λ": f"{weight:.2f}", "tokens/s": f"{_rate(tally):,.0f}"}, refresh=False
            )
            bar.update()
            if done % settings.log_steps == 0 or done == settings.steps:
                row = tally.row(step=done, language_sizes=stream.rows, with_teacher=with_teacher, gold_weight=weight, rate=rate)
                if accelerator.is_main_process:
                    append_row(out, row)
            if done % settings.checkpoint_steps == 0 and done < settings.steps:
                positions = _gather(part.after.to_json(), world)
                if accelerator.is_main_process:
                    save_checkpoint(
                        out, State(step=done, identity=identity, positions=positions, tally=tally.to_json()), model, optimizer
                    )
                accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        finish_output(out, model, tokenizer)
    accelerator.wait_for_everyone()
    return TrainResult(
        out=out,
        steps=settings.steps,
        metrics=read_rows(out)[-1],
        resumed_from=state.step if state else None,
        already_finished=False,
    )


def make_optimizer(model: nn.Module, settings: Train) -> torch.optim.AdamW:
    """AdamW; biases and normalisations (parameters of one dimension) do not decay. Its learning rate is set at each step."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.999), eps=1e-6, fused=True)


def _step(accelerator: Accelerator, module: nn.Module, part: Step, weight: float, settings: Train, step: int) -> dict[str, Any]:
    """Gradients of one step, clipped; each masked position of the whole step (all micro-batches and ranks) weighs the same."""
    device = accelerator.device
    languages = [sum(batch.languages[index] for batch in part.batches) for index in range(len(part.batches[0].languages))]
    counts = [sum(batch.masked for batch in part.batches), sum(batch.tokens for batch in part.batches), *languages]
    masked, tokens, *rows = (int(count) for count in accelerator.reduce(torch.tensor(counts, device=device)).tolist())
    sums = torch.zeros(4, dtype=torch.float64, device=device)
    for index, held in enumerate(part.batches):
        batch = held.to(device)
        last = index == len(part.batches) - 1
        with nullcontext() if last else accelerator.no_sync(module):
            with autocast(settings.precision, device):
                total, gold_M, teacher_M, correct_M = module(
                    batch.input_ids,
                    batch.lengths,
                    batch.places,
                    batch.label_ids,
                    batch.topk_ids,
                    batch.topk_logits,
                    weight,
                    accelerator.num_processes / masked,  # DDP takes the mean over ranks
                )
            total.backward()
        mean = total.detach().double() / accelerator.num_processes
        sums += torch.stack([mean, gold_M.double().sum(), teacher_M.double().sum(), correct_M.double().sum()])
    norm = accelerator.clip_grad_norm_(module.parameters(), settings.gradient_clip)
    loss, gold, teacher, correct = accelerator.reduce(sums).tolist()
    if not math.isfinite(loss) or not math.isfinite(float(norm)):
        raise InputError(
            f"step {step + 1}: loss {loss:.4g}, gradient norm {float(norm):.4g}: not finite; the last checkpoint stands. "
            'Lower train.learning_rate, lengthen train.warmup_steps, or set train.precision = "float32"'
        )
    return {"loss": loss, "gold": gold, "teacher": teacher, "correct": correct, "masked": masked, "tokens": tokens, "rows": rows}


def _gather(content: dict[str, Any], world: int) -> list[dict[str, Any]]:
    """Each rank's content, in the order of ranks."""
    if world == 1:
        return [content]
    gathered: list[Any] = [None] * world
    torch.distributed.all_gather_object(gathered, content)
    return gathered


def _rate(tally: Tally) -> float:
    return tally.interval_tokens / max(tally.interval_seconds, 1e-9)
