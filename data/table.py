"""The one form in which every stage gives its result: a table, to print for people or to write as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float | bool | None
MISSING = "–"  # how a value that is not known is printed


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    heading: str  # for people, as "masked positions"
    form: str = ""  # a format specification for the values, as ",d" or ".1%"; empty: as they are
    key: str = ""  # for programs; made from the heading unless given

    @property
    def name(self) -> str:
        """The key of this column's values in JSON."""
        return self.key or self.heading.lower().replace(" ", "_").replace("/", "_per_")

    def show(self, value: Value) -> str:
        """A value as people read it."""
        if value is None:
            return MISSING
        return value if isinstance(value, str) else format(value, self.form)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A stage's result.

    title    one line: what was done, where the result is, and what to do next
    columns  the headings, with the format of their values
    rows     a value for each column
    notes    sentences that explain the figures, each a line
    facts    further values for programs, which the title tells to people
    """

    title: str
    columns: Sequence[Column] = ()
    rows: Sequence[Sequence[Value]] = ()
    notes: Sequence[str] = ()
    facts: dict[str, Value] | None = None

    def text(self) -> str:
        """The table for people: headings, a line, the rows, the notes, the title. The first column is aligned left, the others right."""
        return "\n".join([*self._grid(), *self.notes, self.title])

    def json(self) -> str:
        """The table for programs: each row is an object, its values are as they are and not rounded."""
        content: dict[str, Any] = {
            "title": self.title,
            "columns": [column.heading for column in self.columns],
            "rows": [{column.name: value for column, value in zip(self.columns, row, strict=True)} for row in self.rows],
            "notes": list(self.notes),
            **(self.facts or {}),
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def _grid(self) -> list[str]:
        if not self.rows:
            return []
        shown = [[column.show(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]
        lines = [[column.heading for column in self.columns], *shown]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        lines.insert(1, ["─" * width for width in widths])
        return [
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
