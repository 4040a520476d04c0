"""What lies in a student's folder: its settings, the rows of its training, the looks at held-out articles, its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.state_file import read_state_file
from data.storage_faults import storage_fault
from student.heldout import FILE as SCORES
from student.heldout import Heldout, read_heldout
from student.training import evaluation, metrics
from student.training.output import IDENTITY, is_finished
from vocab.errors import InputError

CUT = "{} has a line that cannot be read; the rows before it are shown."


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentFiles:
    """One student of a run.

    settings  what its weights depend on, as "train.steps"; empty if the folder does not say
    rows      of metrics.jsonl
    cut       files of rows with a line that could not be read: only the rows before it are here
    looks     of evaluations.jsonl
    scores    of heldout.json, None if it was not scored
    """

    name: str
    finished: bool
    settings: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    cut: Sequence[str]
    looks: Sequence[Mapping[str, Any]]
    scores: Heldout | None


def is_student(folder: Path) -> bool:
    """Whether a folder holds a student, trained or begun."""
    return any((folder / name).is_file() for name in (IDENTITY, metrics.FILE))


def read_student(folder: Path) -> StudentFiles:
    """Read a student's folder. Raises InputError for a damaged file."""
    try:
        return _read(folder)
    except OSError as error:  # a file that could not be read says nothing about its content
        raise storage_fault(error.filename or folder, error, local=True) or error from None


def _read(folder: Path) -> StudentFiles:
    rows = {name: metrics.read_rows(folder, name) for name in (metrics.FILE, evaluation.FILE)}
    scores = read_heldout(folder)
    if scores is None and (folder / SCORES).exists():
        (folder / SCORES).read_bytes()  # raises OSError if that is what is wrong
        raise InputError(
            f"{folder / SCORES}: is not as `mergedistill train` writes it; remove it and run `mergedistill train` again with --resume: "
            "it scores the student, and trains nothing twice"
        )
    return StudentFiles(
        name=folder.name,
        finished=is_finished(folder),
        settings=read_state_file(folder / IDENTITY) if (folder / IDENTITY).is_file() else {},
        rows=rows[metrics.FILE],
        cut=[name for name, found in rows.items() if len(found) < _lines(folder / name)],
        looks=rows[evaluation.FILE],
        scores=scores,
    )


def _lines(path: Path) -> int:
    """Lines of a file that are not empty."""
    if not path.is_file():
        return 0
    return sum(bool(line.strip()) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
