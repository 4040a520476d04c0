"""`study NAME`: one of the paper's claims, or a question beside them, at a small scale; cell by cell, resumable at any moment."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from data.atomic import clear_partial
from data.lock import exclusive
from data.storage_faults import storage_fault
from data.table import Column, Table
from student.studies import beginnings, bilingual, convergence, lean, schedule, students, tail, teachers, vocabulary
from student.studies.cells import Cell, Kept, Values, keep, kept, minutes_of
from student.studies.outcome import Outcome, write_outcome
from student.studies.plan import Plan
from student.studies.scheduler import default_jobs, run_steps
from student.studies.step import Step
from vocab.errors import InputError

STUDIES: Mapping[str, ModuleType] = {
    "teachers": teachers,
    "students": students,
    "convergence": convergence,
    "tail": tail,
    "vocabulary": vocabulary,
    "resource-lean": lean,
    "initialisation": beginnings,
    "schedule": schedule,
    "bilingual": bilingual,
}


_FEW = 30  # trainings whose minutes are listed one by one
RESULTS = ("result.json", "README.md", "plot.svg")


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a call of `study` left."""

    name: str
    out: Path  # the study's folder
    cells: int  # of the study
    present: int  # of them, those with a result
    outcome: Outcome

    def table(self) -> Table:
        """The first of the study's tables with its findings, and where the others are."""
        first = self.outcome.tables[0] if self.outcome.tables else Table(title=self.outcome.title, columns=[Column("")])
        missing = self.cells - self.present
        return Table(
            title=first.title,
            columns=first.columns,
            rows=first.rows,
            notes=[*first.notes, *self.outcome.findings],
            result=f"{self.out / 'README.md'}: {self.present} of {self.cells} cells"
            + (f"; missing: {missing}: give the command again without --only" if missing else ", the whole study"),
            facts={"study": self.name, "cells": self.cells, "present": self.present, "out": str(self.out)},
        )


def study(
    name: str, plan: Plan, work: Path, out: Path, *, only: Sequence[str] = (), jobs: int | None = None, progress: bool = True
) -> StudyResult:
    """Compute what is missing of a study, and write its result.json, README.md and plot.svg into OUT/NAME.

    work   the folder of corpora, teachers, runs and scores, which all studies share
    only   texts: only cells whose name has one of them at the beginning of a word
    jobs   steps that run at once; None: see `default_jobs`

    Raises InputError for text or task files that are missing, a work folder or results of another text or scale, and a command that failed.
    """
    module = STUDIES[name]
    build: Callable[[Plan], list[Cell]] = module.cells
    conclude: Callable[[Mapping[str, Values]], Outcome] = module.outcome
    cells, folder = build(plan), out / name
    wanted = [cell for cell in cells if not only or any(re.search(rf"(?<!\w){re.escape(text)}", cell.name) for text in only)]
    if not wanted:
        raise InputError(
            f"--only {', '.join(only)}: found no such cell; the study {name} has {', '.join(cell.name for cell in cells)}"
        )
    with _storage(work), exclusive(work / "study", "runs a study in this work folder"), exclusive(folder, "writes this study"):
        (folder / "cells").mkdir(parents=True, exist_ok=True)
        for file in [*(folder / name for name in RESULTS), *(cell.file(folder) for cell in cells)]:
            clear_partial(file)
        missing: dict[str, Cell] = {cell.step.name: cell for cell in wanted if kept(cell, folder) is None}

        def done(step: Step) -> None:
            keep(missing[step.name], work, folder)
            _conclude(name, plan, cells, folder, conclude)

        run_steps([cell.step for cell in missing.values()], work, jobs or default_jobs(), done=done, progress=progress)
        outcome, present = _conclude(name, plan, cells, folder, conclude)
    return StudyResult(name=name, out=folder, cells=len(cells), present=present, outcome=outcome)


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """A file where a folder should be, or a disk that takes nothing, as a user's mistake in one line."""
    try:
        yield
    except OSError as error:
        raise storage_fault(error.filename or folder, error, local=True) or error from None


def _conclude(
    name: str, plan: Plan, cells: Sequence[Cell], folder: Path, conclude: Callable[[Mapping[str, Values]], Outcome]
) -> tuple[Outcome, int]:
    """Write the outcome of the cells that are there; the outcome, and their number."""
    found = {cell.name: result for cell in cells if (result := kept(cell, folder)) is not None}
    try:
        outcome = conclude({cell: result.values for cell, result in found.items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder / 'cells'}: holds values that are not as this program writes them ({error!r}): remove the file, or the folder"
        ) from None
    processors = sorted({result.processor for result in found.values()})
    scale = "" if plan.scale == 1 else f" --scale {plan.scale:g}"
    notes = [
        f"`mergedistill study {name} --text TEXT --tasks TASKS --work WORK{scale}`: {len(found)} of {len(cells)} cells; "
        f"{minutes_of(found.values()):.0f} minutes of processes, several at once, on {', '.join(processors) or 'no processor yet'}: "
        "corpora, teachers and caches that other studies use too are counted. Each cell: `cells/`."
    ]
    trained = {cell.name: found[cell.name].seconds[cell.step.name] / 60 for cell in cells if _is_training(cell, found)}
    if trained:
        each = ", ".join(f"{model} {minutes:.1f}" for model, minutes in trained.items())
        shown = each if len(trained) <= _FEW else f"{len(trained)} from {min(trained.values()):.1f} to {max(trained.values()):.1f}"
        notes += ["", f"Minutes of each training, beside other processes: {shown}."]
    write_outcome(name, outcome, folder, notes)
    return outcome, len(found)


def _is_training(cell: Cell, found: Mapping[str, Kept]) -> bool:
    """Whether a cell that is there is a model, and not its scores."""
    return cell.name in found and "tokens" in found[cell.name].values
