"""`study NAME`: one of the paper's claims, or a question beside them, at a small scale; cell by cell, resumable at any moment."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from data.atomic import clear_partial
from data.lock import exclusive
from data.table import Column, Table
from student.studies import beginnings, convergence, lean, students, tail, teachers, vocabulary
from student.studies.cells import Cell, Values, keep, kept, minutes_of, processor_of
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
}


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a call of `study` left."""

    name: str
    out: Path  # the study's folder
    cells: int  # of the study
    present: int  # of them, those with a result
    outcome: Outcome

    def table(self) -> Table:
        """The last of the study's tables with its findings, and where the rest is."""
        first = self.outcome.tables[0] if self.outcome.tables else Table(title=self.outcome.title, columns=[Column("")])
        missing = self.cells - self.present
        return Table(
            title=first.title,
            columns=first.columns,
            rows=first.rows,
            notes=[*first.notes, *self.outcome.findings],
            result=f"{self.out / 'README.md'}: {self.present} of {self.cells} cells"
            + (f"; {missing} are missing: give the command again without --only" if missing else ", the whole study"),
            facts={"study": self.name, "cells": self.cells, "present": self.present, "out": str(self.out)},
        )


def study(
    name: str, plan: Plan, work: Path, out: Path, *, only: Sequence[str] = (), jobs: int | None = None, progress: bool = True
) -> StudyResult:
    """Compute what is missing of a study, and write its result.json, README.md and plot.svg into OUT/NAME.

    work   the folder of corpora, teachers, runs and scores, which all studies share
    only   texts: only cells whose name has one of them at the beginning of a word
    jobs   steps that run at once; None: see `default_jobs`

    Raises InputError for text or task files that are missing, a work folder of another text or scale, and a command that failed.
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
    with exclusive(work / "study", "runs a study in this work folder"):
        (folder / "cells").mkdir(parents=True, exist_ok=True)
        for file in ("result.json", "README.md", "plot.svg"):
            clear_partial(folder / file)
        missing: dict[str, Cell] = {cell.step.name: cell for cell in wanted if kept(cell, folder) is None}

        def done(step: Step) -> None:
            keep(missing[step.name], work, folder)
            _conclude(name, cells, folder, conclude)

        run_steps([cell.step for cell in missing.values()], work, jobs or default_jobs(), done=done, progress=progress)
        outcome = _conclude(name, cells, folder, conclude)
    present = sum(kept(cell, folder) is not None for cell in cells)
    return StudyResult(name=name, out=folder, cells=len(cells), present=present, outcome=outcome)


def _conclude(name: str, cells: Sequence[Cell], folder: Path, conclude: Callable[[Mapping[str, Values]], Outcome]) -> Outcome:
    """Write the outcome of the cells that are there."""
    found = {cell.name: values for cell in cells if (values := kept(cell, folder)) is not None}
    outcome = conclude(found)
    present = [cell for cell in cells if cell.name in found]
    minutes = sum(minutes_of(cell, folder) for cell in present)
    processors = sorted({processor_of(cell, folder) for cell in present})
    notes = [
        f"`mergedistill study {name} --text TEXT --tasks TASKS --work WORK`: {len(found)} of {len(cells)} cells, {minutes:.0f} minutes of "
        f"processes (several at once) on {', '.join(processors)}. Each cell: `cells/`."
    ]
    write_outcome(name, outcome, folder, notes)
    return outcome
