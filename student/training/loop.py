"""Training: steps of the stream go through the loss into the optimizer, with metrics and checkpoints. A resumed run is exact."""

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

from data.lock import exclusive
from data.progress import progress_bar
from data.random_bits import random_bits
from data.recipe import Train
from data.shards import Shard
from data.thread_tuner import ThreadTuner
from student.hardware import compile_layers, open_accelerator, use_bfloat16
from student.training.checkpoint import State, load_weights, newest_sound, read_state, save_checkpoint
from student.training.masked_head import MaskedLM
from student.training.memory import choose_microbatch
from student.training.metrics import Tally, append_row, read_rows, truncate_rows
from student.training.output import finish_output, is_finished, open_output
from student.training.schedule import check_schedule, gold_weight, learning_rate, with_steps
from student.training.step import GradientStep
from student.training.stream import Position, Stream, StreamSettings, shards_fingerprint

# These settings change no weight; compiled layers drop out other values, so `compile` is added where it is on.
_OPERATIONAL = {"log_steps", "checkpoint_steps", "compile"}
# Left out of the identity where they have their default: checkpoints from before there were these settings stay valid.
_LATER = {"epochs", "learning_rate_schedule", "gold_schedule", "gold_start", "gold_end", "decay_share"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """What training made."""

    out: Path  # the student's folder
    steps: int
    metrics: dict[str, Any]  # the last row of metrics.jsonl
    resumed_from: int | None  # the checkpoint's step; None for a run from the beginning
    already_finished: bool  # the student was trained before, and nothing was done


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

    model       a masked LM from `new_student`; its config has the size of the vocabulary and the padding id
    max_length  tokens of the longest window
    identity    what the student depends on, flat and JSON; the training settings, the seed and the shards are added here
    resume      continue from the newest complete checkpoint with the same rows, losses (up to rounding) and metrics as without a stop

    Raises InputError for a folder that is not empty, a checkpoint of another student, a full disk, and a loss that is not finite.
    """
    settings = with_steps(settings, shards)
    check_schedule(settings)
    accelerator = open_accelerator()
    use_bfloat16(settings.precision, accelerator.device)  # says its choice, before there is a progress bar
    microbatch = choose_microbatch(settings, model, accelerator.device, accelerator.num_processes, out)
    settings = settings.model_copy(update={"tokens_per_microbatch": microbatch})
    identity = {
        **identity,
        **{
            f"train.{key}": value
            for key, value in settings.model_dump().items()
            if key not in _OPERATIONAL and not (key in _LATER and value == Train.model_fields[key].default)
        },
        **({"train.compile": True} if settings.compile else {}),
        "seed": seed,
        "processes": accelerator.num_processes,
        "shards": shards_fingerprint(shards),
    }
    with exclusive(out, "trains this student") if accelerator.is_main_process else nullcontext():
        return _train(model, shards, settings, out, tokenizer, max_length, seed, identity, resume, progress, accelerator)


def _train(
    model: Any,
    shards: Sequence[Shard],
    settings: Train,
    out: Path,
    tokenizer: Path,
    max_length: int,
    seed: int,
    identity: Mapping[str, Any],
    resume: bool,
    progress: bool,
    accelerator: Accelerator,
) -> TrainResult:
    """`train`, with settings and identity complete, where no other process trains this student."""
    if accelerator.is_main_process:
        open_output(out, identity, resume=resume)
    accelerator.wait_for_everyone()
    if is_finished(out):
        return TrainResult(out=out, steps=settings.steps, metrics=read_rows(out)[-1], resumed_from=None, already_finished=True)

    model.to(accelerator.device).train()
    optimizer = make_optimizer(model, settings)
    state = _restore(out, identity, model, optimizer, accelerator) if resume else None
    if accelerator.is_main_process:
        truncate_rows(out, state.step if state else 0)
    stream = _open_stream(model, shards, settings, max_length, seed, state, accelerator)
    with stream, _progress_bar(settings, state, show=progress and accelerator.is_main_process) as bar:
        _loop(model, optimizer, stream, settings, out, seed, identity, state, accelerator, bar)
    if accelerator.is_main_process:
        finish_output(out, model, tokenizer)
    accelerator.wait_for_everyone()
    resumed_from = state.step if state else None
    return TrainResult(out=out, steps=settings.steps, metrics=read_rows(out)[-1], resumed_from=resumed_from, already_finished=False)


def _restore(
    out: Path, identity: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer, accelerator: Accelerator
) -> State | None:
    """Load the newest checkpoint into model and optimizer. Returns its state, or None if there is no checkpoint."""
    checkpoint = newest_sound(out)
    if checkpoint is None:
        if accelerator.is_main_process:
            print(f"{out}: holds no checkpoint yet; starting from the beginning", file=sys.stderr)
        return None
    state = read_state(checkpoint, identity)
    load_weights(checkpoint, model, optimizer)
    return state


def _open_stream(
    model: Any,
    shards: Sequence[Shard],
    settings: Train,
    max_length: int,
    seed: int,
    state: State | None,
    accelerator: Accelerator,
) -> Stream:
    """This rank's stream, from the checkpoint's position or from the beginning."""
    rank = accelerator.process_index
    return Stream(
        shards,
        StreamSettings(
            seed=seed,
            alpha=settings.sampling_alpha,
            with_teacher=settings.labels == "gold+teacher",
            tokens_per_batch=settings.tokens_per_batch,
            tokens_per_microbatch=int(settings.tokens_per_microbatch),
            max_length=max_length,
            vocab_size=model.config.vocab_size,
            pad=model.config.pad_token_id,
            rank=rank,
            world=accelerator.num_processes,
        ),
        start=Position.from_json(state.positions[rank]) if state else None,
        pin=accelerator.device.type == "cuda",
    )


def _progress_bar(settings: Train, state: State | None, *, show: bool) -> Any:
    return progress_bar(settings.steps, "train", "steps", show=show, initial=state.step if state else 0)


def _loop(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stream: Stream,
    settings: Train,
    out: Path,
    seed: int,
    identity: Mapping[str, Any],
    state: State | None,
    accelerator: Accelerator,
    bar: Any,
) -> None:
    """All steps, with a row of metrics each `log_steps` and a checkpoint each `checkpoint_steps`."""
    tally = Tally(**state.tally) if state else Tally(language_rows=[0] * len(stream.languages))
    if settings.compile:
        compile_layers(model)
    gradients = GradientStep(accelerator, accelerator.prepare_model(MaskedLM(model, settings.tail)), settings)
    with_teacher = settings.labels == "gold+teacher"
    tuner = ThreadTuner(torch.set_num_threads, torch.get_num_threads() if accelerator.device.type == "cpu" else 1)
    for step in range(state.step if state else 0, settings.steps):
        started, waited = time.perf_counter(), stream.waited
        part = next(stream)
        weight, rate = gold_weight(step, settings), learning_rate(step, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with tuner.step(sum(batch.input_ids.numel() for batch in part.batches)):
            sums = gradients(part, weight, step, int(random_bits(1, seed, "dropout", step, accelerator.process_index)[0] >> 1))
            optimizer.step()
            optimizer.zero_grad()
        tally.add_step(**sums)
        tally.add_time(time.perf_counter() - started, stream.waited - waited)
        done = step + 1
        parts = [f"loss {sums['loss']:.3f}", f"λ {weight:.2f}", f"{_rate(tally):,.0f} tokens/s", tuner.describe()]
        bar.set_postfix_str(", ".join(filter(None, parts)), refresh=False)
        bar.update(1)
        if done % settings.log_steps == 0 or done == settings.steps:
            row = tally.row(step=done, language_sizes=stream.rows, with_teacher=with_teacher, gold_weight=weight, rate=rate)
            if accelerator.is_main_process:
                append_row(out, row)
        if done % settings.checkpoint_steps == 0 and done < settings.steps:
            positions = _gather(part.after.to_json(), accelerator.num_processes)
            if accelerator.is_main_process:
                reached = State(step=done, identity=dict(identity), positions=positions, tally=tally.to_json())
                save_checkpoint(out, reached, model, optimizer)
            accelerator.wait_for_everyone()


def make_optimizer(model: nn.Module, settings: Train) -> torch.optim.AdamW:
    """AdamW, without decay for biases and normalisations (parameters of one dimension). The learning rate is set at each step."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.999), eps=1e-6, fused=True)


def _gather(content: dict[str, Any], world: int) -> list[dict[str, Any]]:
    """The content of every rank, in the order of ranks."""
    if world == 1:
        return [content]
    gathered: list[Any] = [None] * world
    torch.distributed.all_gather_object(gathered, content)
    return gathered


def _rate(tally: Tally) -> float:
    return tally.interval_tokens / max(tally.interval_seconds, 1e-9)
