"""Cells of a study: one model, or its scores, with one seed. Each leaves a small JSON file, and is never computed again."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from data.atomic import write_text
from data.contract import PREDICTIONS
from data.manifest import MANIFEST
from data.processor import processor_name
from data.state_file import read_state_file
from student.heldout import FILE as HELDOUT_FILE
from student.heldout import mean_of_languages
from student.studies.step import Step, before, seconds_of
from student.training.metrics import read_rows
from vocab.errors import InputError
from vocab.notices import say_once

VERSION = 1  # of the files
Values: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A step of a study whose result is kept.

    read  what is kept of it, from the work folder
    """

    name: str
    step: Step
    read: Callable[[Path, Step], Values]

    def file(self, out: Path) -> Path:
        """Where the result is."""
        return out / "cells" / f"{self.step.slug}.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The result of a cell, as its file has it."""

    values: Values
    seconds: Mapping[str, float]  # of the cell's step and of all steps before it
    processor: str  # on which the cell was computed


def kept(cell: Cell, out: Path) -> Kept | None:
    """The result of a cell that is there already, if its step is the same; else None."""
    file = cell.file(out)
    if not file.is_file():
        return None
    try:
        content = read_state_file(file)
    except InputError as error:
        say_once(f"{file}: is computed again ({error})")
        return None
    shape = {"version": int, "identity": str, "values": dict, "seconds": dict, "processor": str}
    if any(not isinstance(content.get(name), kind) for name, kind in shape.items()) or content["version"] != VERSION:
        say_once(f"{file}: is not as this program writes it: the cell is computed again")
        return None
    if content["identity"] != cell.step.identity:
        raise InputError(
            f"{file}: is of another text, scale or study; expected those of this call: give another --out, or remove {out}"
        )
    return Kept(values=content["values"], seconds=content["seconds"], processor=content["processor"])


def keep(cell: Cell, work: Path, out: Path) -> None:
    """Write the result of a finished cell."""
    content = {
        "version": VERSION,
        "cell": cell.name,
        "identity": cell.step.identity,
        "values": cell.read(work, cell.step),
        # What follows differs from run to run. Seconds are those of a process, loading of libraries included.
        "seconds": {step.name: seconds_of(work, step) for step in before(cell.step)},
        "processor": processor_name(),
        "versions": {name: version(name) for name in ("torch", "transformers")},
    }
    write_text(cell.file(out), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def minutes_of(results: Iterable[Kept]) -> float:
    """The minutes of all steps that these cells rest on, each once."""
    seconds: dict[str, float] = {}
    for result in results:
        seconds |= result.seconds
    return sum(seconds.values()) / 60


def teacher_values(work: Path, step: Step) -> Values:
    """Of a small teacher: its loss and accuracy on training text, steps, tokens, pieces."""
    folder = work / argument(step, "--out")
    last = read_rows(folder)[-1]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {**{name: last[name] for name in ("loss", "accuracy", "step", "tokens")}, "vocab_size": config["vocab_size"]}


def student_values(work: Path, step: Step) -> Values:
    """Of a student: its held-out scores for each language and teacher, and what it saw in training."""
    folder = work / argument(step, "--out") / argument(step, "--student")
    heldout = json.loads((folder / HELDOUT_FILE).read_text(encoding="utf-8"))
    last = read_rows(folder)[-1]
    return {
        "heldout": heldout["scores"],
        "mean_rdt": heldout["mean_rdt"],
        **{name: last[name] for name in ("step", "tokens", "masked_positions")},
        **_cache_values(work / argument(step, "--out") / PREDICTIONS / MANIFEST),
        "curve": [[row["step"], row["loss"]] for row in read_rows(folder)],
    }


def _cache_values(manifest: Path) -> Values:
    """Bytes a masked position of the run's own cache; nothing if its predictions are in a store that others share."""
    if not manifest.is_file():
        return {}
    units = read_state_file(manifest)["units"]
    per_position = sum(unit["bytes"] for unit in units) / sum(unit["masked_positions"] for unit in units)
    return {"bytes_per_position": round(per_position, 1)}  # footers hold timings: more digits differ from run to run


def task_values(work: Path, step: Step) -> Values:
    """Of an evaluation: the headline scores of each language, a value for each seed."""
    content = json.loads((work / argument(step, "--out") / f"{step.commands[0][1]}.json").read_text(encoding="utf-8"))
    headline = content["headline"]
    return {
        "scorer": content["scorer"],
        "scores": {row["language"]: row[headline]["seeds"] for row in content["scores"]},
        "counted": {language: score["counters"] for language, score in content["runs"][0]["scores"].items()},
    }


def argument(step: Step, option: str) -> str:
    """The value of an option of the step's last command."""
    command = step.commands[-1]
    return command[command.index(option) + 1]


def mean_of(values: Values, name: str) -> float:
    """The mean over languages of a field of a student's held-out scores, as "student_loss"."""
    found = mean_of_languages([(row["language"], row[name]) for row in values["heldout"]])
    return math.nan if found is None else found
