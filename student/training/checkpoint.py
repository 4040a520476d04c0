"""Checkpoints: folders such as step-00001000, each complete or not there at all, with checksums. The newest two are kept."""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.atomic import sync
from data.identity import differences
from data.storage import TEMPORARY_SUFFIX
from data.storage_faults import storage_fault
from student.hf_folder import load_model, save_model
from vocab.errors import InputError, first_line

FOLDER = "checkpoints"
KEEP = 2
CHECKSUMS = "checksums.json"  # the sha256 of each other file

_NAME = re.compile(r"^step-(\d{8})$")


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What training needs to continue, besides weights and optimizer."""

    step: int  # steps done
    identity: dict[str, Any]  # of the student: a checkpoint of another student is refused
    positions: list[dict[str, Any]]  # of each rank's stream
    tally: dict[str, Any]


def list_checkpoints(out: Path) -> list[Path]:
    """The complete checkpoints of an output folder, oldest first."""
    folder = out / FOLDER
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name)) if folder.is_dir() else []


def save_checkpoint(
    out: Path, state: State, model: Any, optimizer_state: Mapping[str, Any], weights: Mapping[str, torch.Tensor] | None = None
) -> Path:
    """Write a checkpoint: to a temporary folder, then to the disk (fsync), then rename it; then remove all but the newest two.

    weights: those of the model, if its own may change meanwhile.
    A kill at any moment leaves the earlier checkpoints. So does a full disk, which is an InputError.
    """
    folder = out / FOLDER
    target = folder / f"step-{state.step:08d}"
    fresh = folder / f".{target.name}{TEMPORARY_SUFFIX}"

    def fill() -> None:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        save_model(model, fresh, weights)
        torch.save(optimizer_state, fresh / "optimizer.pt")
        content = {"step": state.step, "identity": state.identity, "positions": state.positions, "tally": state.tally}
        (fresh / "state.json").write_text(json.dumps(content), encoding="utf-8")
        (fresh / CHECKSUMS).write_text(json.dumps({file.name: _sha256(file) for file in sorted(fresh.iterdir())}), encoding="utf-8")
        for file in fresh.iterdir():
            sync(file)
        sync(fresh)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
        sync(folder)

    earlier = list_checkpoints(out)
    kept = (
        f"checkpoint {earlier[-1].name} is complete: make room, then continue with --resume"
        if earlier
        else "make room, then start again"
    )
    try:
        refuse_failed_writes(f"checkpoint {target}", kept, fill)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    for old in list_checkpoints(out)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def newest_sound(out: Path) -> Path | None:
    """The newest checkpoint whose files are what was written; None if there is no checkpoint at all.

    A damaged one is said and passed over: the one before it gives the same student, some steps later. Raises InputError if all are damaged,
    and if a file cannot be read.
    """
    every = list_checkpoints(out)
    for checkpoint in reversed(every):
        reason = _damage(checkpoint)
        if not reason:
            return checkpoint
        print(f"{checkpoint}: is damaged ({reason}): passed over", file=sys.stderr)
    if every:
        raise InputError(f"{out / FOLDER}: all {len(every)} checkpoints are damaged: start again with another --student")
    return None


def _damage(checkpoint: Path) -> str:
    """What is wrong with the files of a checkpoint; "" if nothing is. Those of earlier releases have no checksums."""
    try:
        expected = json.loads((checkpoint / CHECKSUMS).read_text(encoding="utf-8")) if (checkpoint / CHECKSUMS).exists() else {}
        for name, checksum in expected.items():
            if not (checkpoint / name).is_file():
                return f"{name} is missing"
            if _sha256(checkpoint / name) != checksum:
                return f"{name} is not what was written"
    except OSError as error:
        raise storage_fault(error.filename or checkpoint, error) or error from None
    except (ValueError, AttributeError) as error:
        return f"{CHECKSUMS}: {first_line(error)}"
    return ""


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_state(checkpoint: Path, identity: Mapping[str, Any]) -> State:
    """The state of a checkpoint. A checkpoint of another student or recipe is an InputError that names the field."""
    try:
        state = State(**json.loads((checkpoint / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise storage_fault(checkpoint, error) or InputError(
            f"{checkpoint}: cannot be read ({error}); remove this checkpoint and resume from the one before it"
        ) from None
    check_same_student(checkpoint, state.identity, identity)
    return state


def load_weights(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights and optimizer state into a model and its optimizer."""
    try:
        model.load_state_dict(load_model(checkpoint).state_dict())
        optimizer.load_state_dict(torch.load(checkpoint / "optimizer.pt", map_location="cpu", weights_only=True))
    except Exception as error:  # the readers raise many types for a damaged file
        reason = first_line(error)
        raise storage_fault(checkpoint, error) or InputError(
            f"{checkpoint}: cannot be read ({reason}); remove this checkpoint and resume from the one before it"
        ) from None


def check_same_student(place: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse to continue what another student or recipe began."""
    wrong = differences(found, expected)
    if wrong:
        raise InputError(
            f"{place}: begun with other settings: {'; '.join(wrong)}. Use the recipe that began it, or give this student another name"
        )


def refuse_failed_writes(what: str, advice: str, write: Callable[[], None]) -> None:
    """Run `write`. Every exception that a library raises for a full disk becomes an InputError with advice."""
    try:
        write()
    except Exception as error:
        if not isinstance(error, OSError | RuntimeError) and type(error).__name__ != "SafetensorError":
            raise
        reason = first_line(error)
        raise InputError(f"{what}: cannot be written ({reason}); {advice}") from error
