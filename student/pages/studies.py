"""The section on studies: comparisons whose results lie as FOLDER/NAME/result.json, with a plot beside it if there is one."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from data.state_file import read_state_file
from data.storage_faults import storage_fault
from student.pages.blocks import Block, Figure, Figures, Grid, Heading, Heading3, Note, Points, Section
from student.pages.svg import inline_file
from vocab.errors import InputError

RESULT, PLOT = "result.json", "plot.svg"


class _Part(BaseModel):
    """A part of a result. Keys that a report does not show are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class StudyTable(_Part):
    """A table as people read it."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = []

    @model_validator(mode="after")
    def _rows_fit(self) -> "StudyTable":
        for place, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"row {place} has {len(row)} cells for {len(self.columns)} columns")
        return self


class Study(_Part):
    """The result of a study."""

    version: Literal[1]
    name: str
    question: str
    findings: list[str]
    tables: list[StudyTable] = []
    limits: list[str] = []


def studies(folder: Path) -> Section:
    """All studies of a folder, in the order of their names. Raises InputError for a folder without one, and for a broken result."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with NAME/{RESULT}, as data/studies: correct --studies")
    files = sorted(folder.glob(f"*/{RESULT}"))
    if not files:
        raise InputError(f"{folder}: found no NAME/{RESULT}; expected the folder of studies: correct --studies")
    blocks: list[Block] = []
    for number, file in enumerate(files, start=1):
        study = read_study(file)
        blocks += [Heading3(text=study.name), Note(text=study.question)]
        if study.findings:
            blocks.append(Points(title="Findings", points=study.findings))
        if (plot := file.with_name(PLOT)).is_file():
            blocks.append(Figures(figures=[_plot(plot, f"study-{number}", study)]))
        blocks += [
            Grid(title=table.title, head=[[Heading(text=text) for text in table.columns]], rows=table.rows, notes=table.notes)
            for table in study.tables
        ]
        if study.limits:
            blocks.append(Points(title="Limits", points=study.limits))
    return Section(name="studies", title="Studies", blocks=blocks)


def read_study(file: Path) -> Study:
    """One result. Raises InputError with what is wrong in it."""
    try:
        return Study.model_validate(read_state_file(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise InputError(
            f"{file}: {where}: {first['msg']}; expected a study's result with version 1, name, question, findings, tables and limits: put "
            "back what the study wrote"
        ) from None


def _plot(plot: Path, name: str, study: Study) -> Figure:
    try:
        text = plot.read_text(encoding="utf-8")
    except OSError as error:
        raise storage_fault(plot, error, local=True) or error from None
    except UnicodeDecodeError:
        raise InputError(f"{plot}: is not UTF-8; expected a plot as matplotlib saves it: make it again") from None
    title = f"{study.name}: {study.question}"
    svg = inline_file(text, name, title, str(plot))
    return Figure(title=study.name, svg=svg, caption="", paper="currentColor" not in text)
