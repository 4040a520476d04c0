"""The result of a validation, for people (`render`) and for programs (`Report.to_json`, see report.schema.json)."""

from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

VERSION = 1  # of the JSON report


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A place at which a file breaks a rule. If many rows break a rule, the first few are listed, each with the count."""

    rule: str  # a stable id, as "topk_ids.distinct"
    file: str  # path relative to the folder of predictions
    found: str
    expected: str
    column: str | None = None  # a column, or a field of the footer, as "identity.top_k"
    row: int | None = None  # number of the row in the file, from 0
    doc_id: str | None = None
    window: int | None = None
    count: int = 1  # number of rows (or places) of this file that break this rule


@dataclass(slots=True)
class Totals:
    """The content of the shards of one teacher in one language."""

    files: int = 0
    rows: int = 0
    masked_positions: int = 0
    bytes: int = 0


@dataclass(kw_only=True, slots=True)
class Report:
    """The outcome of `validate`."""

    predictions: str
    error: str | None = None  # why nothing could be read; the other fields are then empty
    languages: dict[str, dict[str, Totals]] = field(default_factory=dict)  # language → teacher → totals
    files: int = 0
    bytes: int = 0
    row_groups: int = 0
    row_groups_read: int = 0  # fewer with --sample
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows read."""
        return sum(totals.rows for teachers in self.languages.values() for totals in teachers.values())

    @property
    def masked_positions(self) -> int:
        """Masked positions read."""
        return sum(totals.masked_positions for teachers in self.languages.values() for totals in teachers.values())

    @property
    def sampled(self) -> bool:
        """Only some row groups were read."""
        return self.row_groups_read < self.row_groups

    @property
    def sound(self) -> bool:
        """No fault was found. With `sampled`, this says nothing about rows that were not read."""
        return self.error is None and not self.faults

    @property
    def exit_code(self) -> int:
        """0: sound; 1: faults; 2: nothing could be read."""
        return 2 if self.error is not None else 1 if self.faults else 0

    def to_json(self) -> dict[str, Any]:
        """The report as JSON content that follows report.schema.json."""
        return {
            "version": VERSION,
            "sound": self.sound,
            "error": self.error,
            "predictions": self.predictions,
            "files": self.files,
            "rows": self.rows,
            "masked_positions": self.masked_positions,
            "bytes": self.bytes,
            "sampled": self.sampled,
            "row_groups": self.row_groups,
            "row_groups_read": self.row_groups_read,
            "languages": {
                language: {teacher: asdict(totals) for teacher, totals in sorted(teachers.items())}
                for language, teachers in sorted(self.languages.items())
            },
            "faults": [asdict(fault) for fault in self.faults],
            "notes": self.notes,
        }


def render(report: Report) -> str:
    """The report for people: a table of languages and teachers, the faults of each file, and what to do."""
    if report.error is not None:
        return f"cannot be read: {report.error}"
    return "\n".join([*_table(report), *_faults(report.faults), *(f"note: {note}" for note in report.notes), _verdict(report)])


def _table(report: Report) -> list[str]:
    rows = [("language", "teacher", "files", "rows", "masked positions", "MB")]
    for language, teachers in sorted(report.languages.items()):
        for teacher, t in sorted(teachers.items()):
            rows.append((language, teacher, f"{t.files:,}", f"{t.rows:,}", f"{t.masked_positions:,}", f"{t.bytes / 1e6:,.1f}"))
    rows.append(("all", "", f"{report.files:,}", f"{report.rows:,}", f"{report.masked_positions:,}", f"{report.bytes / 1e6:,.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    for cells, row in zip(aligned, rows, strict=True):
        cells[:2] = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
    return ["  ".join(cells) for cells in aligned]


def _faults(faults: list[Fault]) -> list[str]:
    lines: list[str] = []
    for file, of_file in groupby(faults, key=lambda fault: fault.file):
        lines += ["", file]
        for _, of_rule in groupby(of_file, key=lambda fault: fault.rule):
            listed = list(of_rule)
            lines += [f"  {_place(fault)}: found {fault.found}; expected {fault.expected}" for fault in listed]
            if listed[0].count > len(listed):
                lines.append(f"  {listed[0].rule}: and {listed[0].count - len(listed):,} more, {listed[0].count:,} in all")
    return [*lines, ""] if lines else []


def _place(fault: Fault) -> str:
    parts = [fault.rule]
    if fault.column is not None and not fault.rule.startswith(f"{fault.column}."):
        parts.append(fault.column)
    if fault.row is not None:
        parts.append(f"row {fault.row:,}")
    if fault.doc_id is not None:
        parts.append(f"(doc_id {fault.doc_id!r}, window {fault.window})")
    return " ".join(parts)


def _verdict(report: Report) -> str:
    if report.sampled:
        share = report.row_groups_read / report.row_groups
        read = f"{report.row_groups_read:,} of {report.row_groups:,} row groups read ({share:.1%}), and every footer"
    if report.sound:
        return f"sampled: no fault found; {read}" if report.sampled else "sound: every rule of the contract holds on every row"
    files = len({fault.file for fault in report.faults})
    rules = len({(fault.file, fault.rule) for fault in report.faults})
    return (
        f"NOT SOUND: {rules:,} {'rules' if rules > 1 else 'rule'} broken in {files:,} {'files' if files > 1 else 'file'}. "
        f"{_advice(report.faults)}{f' (sampled: {read}; other rows may have faults too)' if report.sampled else ''}"
    )


def _advice(faults: list[Fault]) -> str:
    """What to do. Nothing that a teacher was paid for is removed without need."""
    if any(fault.rule == "footer.version" for fault in faults):
        return "Remove nothing: for shards of version 1 run `python -m data.upgrade` with this folder, which runs no teacher"
    if all(fault.rule.startswith("manifest.") for fault in faults):
        return "NOT FINISHED, or its manifest was changed: run `mergedistill predict` again; it computes only what is missing"
    return "Remove the shards named above and run `mergedistill predict` again: it computes only what is missing"
