"""The result of a stage as a table: printed for people, or written as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float | bool | None
UNKNOWN = "–"  # how None is printed


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    heading: str  # for people, as "masked positions"
    form: str = ""  # format specification of the values, as ",d" or ".1%"; empty: as they are
    key: str = ""  # for programs, as "masked_positions"; made from the heading unless given

    @property
    def name(self) -> str:
        """The key of this column's values in JSON."""
        return self.key or self.heading.lower().replace(" ", "_").replace("/", "_per_")

    def show(self, value: Value) -> str:
        """A value as people read it."""
        if value is None:
            return UNKNOWN
        return value if isinstance(value, str) else format(value, self.form)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The result of a stage.

    title    what the table shows, a few words
    columns  headings, each with the format of its values
    rows     a value for each column
    notes    lines that explain the figures
    result   the closing line: where the result is, and what to do next
    facts    values of the closing line, for programs
    """

    title: str
    columns: Sequence[Column] = ()
    rows: Sequence[Sequence[Value]] = ()
    notes: Sequence[str] = ()
    result: str = ""
    facts: Mapping[str, Value] = field(default_factory=dict)

    def text(self) -> str:
        """The table for people. The first column is aligned left, the others right."""
        return "\n".join([*self._grid(), *self.notes, *([self.result] if self.result else [])])

    def json(self) -> str:
        """The table for programs: each row is an object, and no value is rounded."""
        content: dict[str, Any] = {
            "title": self.title,
            "columns": {column.name: column.heading for column in self.columns},
            "rows": [{column.name: value for column, value in zip(self.columns, row, strict=True)} for row in self.rows],
            "notes": list(self.notes),
            "result": self.result,
            "facts": dict(self.facts),
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def _grid(self) -> list[str]:
        if not self.rows:
            return []
        shown = [[column.show(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]
        lines = [[column.heading for column in self.columns], *shown]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        lines.insert(1, ["─" * width for width in widths])
        return ["  ".join(_aligned(line, widths)).rstrip() for line in lines]


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    pairs = list(zip(line, widths, strict=True))
    return [cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(pairs)]
