"""The student's folder: opened for a new or a resumed run; at the end the complete model appears in it."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.atomic import sync, write_text
from data.state_file import read_state_file
from data.storage import TEMPORARY_SUFFIX
from student.hf_folder import save_model
from student.training.checkpoint import check_same_student, refuse_failed_writes
from vocab.errors import InputError

IDENTITY = "student.json"
WEIGHTS = "model.safetensors"


def is_finished(out: Path) -> bool:
    """Whether the folder holds a trained student. The weights are the last file that `finish_output` puts there."""
    return (out / WEIGHTS).exists() or (out / f"{WEIGHTS}.index.json").exists()


def open_output(out: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Make the folder, or check that the existing one belongs to the same student.

    Raises InputError without `resume` for a folder that is not empty, and with `resume` for the folder of another student or recipe.
    """
    file = out / IDENTITY
    if resume and file.exists():
        check_same_student(out, read_state_file(file), identity)
        return
    refuse_existing(out)
    write_text(file, json.dumps(dict(identity), indent=2) + "\n")


def refuse_existing(out: Path, other: str = "another --student name") -> None:
    """Raise InputError unless the folder is new or empty. other: what gives another folder."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: found a file; expected a folder, or none: choose another name")
    if out.exists() and any(out.iterdir()):
        advice = "continue with --resume, or choose" if (out / IDENTITY).exists() else "choose"
        raise InputError(f"{out}: found a folder that is not empty; {advice} {other}, or remove the folder")


def finish_output(out: Path, model: Any, tokenizer: Path) -> None:
    """Put the files of the tokenizer and of the model into the folder, each by rename, the weights last."""
    fresh = out / f".model{TEMPORARY_SUFFIX}"

    def fill() -> None:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        save_model(model, fresh)
        for file in tokenizer.iterdir():
            if file.is_file():
                shutil.copyfile(file, fresh / file.name)
        files = sorted(
            fresh.iterdir(), key=lambda file: (file.name.startswith("model"), file.name.endswith("index.json"), file.name)
        )
        for file in files:
            sync(file)
        for file in files:
            os.replace(file, out / file.name)
        sync(out)

    try:
        refuse_failed_writes(str(out), "make room, then continue with --resume", fill)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
