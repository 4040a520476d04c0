"""What a study shows: its question, tables, a plot, what follows, and what it cannot say; as JSON, and as a README for people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.atomic import write_text
from data.table import Table
from student.studies.cells import VERSION


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a study, from the cells that are there."""

    title: str
    question: str
    tables: Sequence[Table]
    findings: Sequence[str]  # sentences that follow from the numbers, against what the paper or later work claims
    limits: Sequence[str]  # what the study cannot say
    plot: str | None = None  # an SVG


def write_outcome(name: str, outcome: Outcome, out: Path, notes: Sequence[str]) -> None:
    """Write result.json, plot.svg and README.md into the study's folder. notes: the command, its machine, its time."""
    content: dict[str, Any] = {
        "version": VERSION,
        "name": name,
        "question": outcome.question,
        "tables": [_shown(table) for table in outcome.tables],
        "findings": list(outcome.findings),
        "limits": list(outcome.limits),
    }
    write_text(out / "result.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if outcome.plot is None:
        (out / "plot.svg").unlink(missing_ok=True)
    else:
        write_text(out / "plot.svg", outcome.plot)
    write_text(out / "README.md", _readme(name, outcome, notes))


def _shown(table: Table) -> dict[str, Any]:
    """A table with its values as people read them."""
    return {
        "title": table.title,
        "columns": [column.heading for column in table.columns],
        "rows": [[column.show(value) for column, value in zip(table.columns, row, strict=True)] for row in table.rows],
        "notes": list(table.notes),
    }


def _readme(name: str, outcome: Outcome, notes: Sequence[str]) -> str:
    lines = [f"# Study {name}: {outcome.title}", "", outcome.question, ""]
    for table in map(_shown, outcome.tables):
        lines += [f"**{table['title']}**", "", "| " + " | ".join(table["columns"]) + " |", "|" + " --- |" * len(table["columns"])]
        lines += ["| " + " | ".join(row) + " |" for row in table["rows"]]
        lines += ["", *table["notes"], *([""] if table["notes"] else [])]
    if outcome.plot is not None:
        lines += [f"![{outcome.title}](plot.svg)", ""]
    lines += ["**What follows**", "", *(f"- {finding}" for finding in outcome.findings), ""]
    lines += ["**What it cannot say**", "", *(f"- {limit}" for limit in outcome.limits), "", *notes]
    return "\n".join(lines).rstrip() + "\n"
