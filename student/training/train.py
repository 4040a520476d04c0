"""Training from the beginning to the student's folder, or from a checkpoint of it."""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data.interruption import deferred
from data.lock import exclusive
from data.progress import progress_bar
from data.recipe import Train
from student.hardware import open_accelerator, use_bfloat16
from student.training.checkpoint import State, load_weights, newest_sound, read_state
from student.training.checkpoint_writer import CheckpointWriter
from student.training.evaluation import Evaluate
from student.training.loop import Training, make_optimizer, run_steps
from student.training.memory import choose_microbatch
from student.training.metrics import read_rows, truncate_rows
from student.training.output import finish_output, is_finished, open_output
from student.training.schedule import check_schedule, with_steps
from student.training.stream import Position, Stream, StreamSettings, shards_fingerprint
from student.training.teacher_choice import Choice
from student.training.trackers import check_trackers

# These settings change no weight; compiled layers drop out other values, so `compile` is added where it is on. The seed stands by itself.
_OPERATIONAL = {"log_steps", "checkpoint_steps", "compile", "eval_steps", "trackers", "seed"}
# Left out of the identity where they have their default: checkpoints from before there were these settings stay valid.
_LATER = {
    "epochs",
    "learning_rate_schedule",
    "gold_schedule",
    "gold_start",
    "gold_end",
    "decay_share",
    "teacher_choice",
}


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
    choice: Choice,
    settings: Train,
    out: Path,
    *,
    tokenizer: Path,
    max_length: int,
    seed: int,
    identity: Mapping[str, Any],
    evaluate: Evaluate | None = None,
    resume: bool = False,
    progress: bool = True,
) -> TrainResult:
    """Train a masked LM on rows of shards and leave it in `out`, an HF folder with the files of the folder `tokenizer`.

    model       a masked LM from `new_student`; its config has the size of the vocabulary and the padding id
    max_length  tokens of the longest window
    identity    what the student depends on, flat and JSON; the training settings, the seed and the shards are added here
    evaluate    called each `eval_steps` and at the end (see `student.training.evaluation`)
    resume      continue from the newest complete checkpoint with the same rows, losses (up to rounding) and metrics as without a stop

    SIGINT and SIGTERM end it after the step that runs, with a checkpoint. Raises InputError for a folder that is not empty, a checkpoint
    of another student, a full disk, and a loss that is not finite.
    """
    settings = with_steps(settings, choice)
    check_schedule(settings)
    check_trackers(settings.trackers)
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
        "shards": shards_fingerprint(choice.shards),
    }
    training = Training(
        model=model,
        choice=choice,
        settings=settings,
        out=out,
        tokenizer=tokenizer,
        max_length=max_length,
        seed=seed,
        identity=identity,
        evaluate=evaluate if settings.eval_steps else None,
        accelerator=accelerator,
    )
    with exclusive(out, "trains this student") if training.main else nullcontext():
        return _train(training, resume=resume, progress=progress)


def _train(training: Training, *, resume: bool, progress: bool) -> TrainResult:
    """`train`, where no other process trains this student."""
    out, steps, accelerator = training.out, training.settings.steps, training.accelerator
    if training.main:
        open_output(out, training.identity, resume=resume)
    accelerator.wait_for_everyone()
    if is_finished(out):
        return TrainResult(out=out, steps=steps, metrics=read_rows(out)[-1], resumed_from=None, already_finished=True)

    training.model.to(accelerator.device).train()
    optimizer = make_optimizer(training.model, training.settings)
    state = _restore(training, optimizer) if resume else None
    if training.main:
        truncate_rows(out, state.step if state else 0)
    with (
        deferred() as deferral,
        _open_stream(training, state) as stream,
        CheckpointWriter(out, background=accelerator.device.type == "cuda") as writer,
        progress_bar(steps, "train", "steps", show=progress and training.main, initial=state.step if state else 0) as bar,
    ):
        run_steps(training, optimizer, stream, state, deferral, writer, bar)
    if training.main:
        finish_output(out, training.model, training.tokenizer)
    accelerator.wait_for_everyone()
    resumed_from = state.step if state else None
    return TrainResult(out=out, steps=steps, metrics=read_rows(out)[-1], resumed_from=resumed_from, already_finished=False)


def _restore(training: Training, optimizer: torch.optim.Optimizer) -> State | None:
    """Load the newest checkpoint into model and optimizer. Returns its state, or None if there is no checkpoint."""
    checkpoint = newest_sound(training.out)
    if checkpoint is None:
        if training.main:
            print(f"{training.out}: holds no checkpoint yet; starting from the beginning", file=sys.stderr)
        return None
    state = read_state(checkpoint, training.identity)
    load_weights(checkpoint, training.model, optimizer)
    return state


def _open_stream(training: Training, state: State | None) -> Stream:
    """This rank's stream, from the checkpoint's position or from the beginning."""
    settings, config, accelerator = training.settings, training.model.config, training.accelerator
    rank = accelerator.process_index
    return Stream(
        training.choice.shards,
        StreamSettings(
            seed=training.seed,
            alpha=settings.sampling_alpha,
            with_teacher=settings.labels == "gold+teacher",
            tokens_per_batch=settings.tokens_per_batch,
            tokens_per_microbatch=int(settings.tokens_per_microbatch),
            max_length=training.max_length,
            vocab_size=config.vocab_size,
            pad=config.pad_token_id,
            rank=rank,
            world=accelerator.num_processes,
        ),
        kept=training.choice.kept,
        start=Position.from_json(state.positions[rank]) if state else None,
        pin=accelerator.device.type == "cuda",
    )
