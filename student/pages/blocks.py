"""What a page consists of: sections of tables, figures, legends and notes. The template shows them, the sections make them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from markupsafe import Markup

from data.table import UNKNOWN, Column, Table, Value

_NUMBER = re.compile(rf"[+−-]?\d[\d,.]*%?( ± [\d,.]+)?|{UNKNOWN}|")  # a cell that is aligned right


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A heading over one or several columns."""

    text: str
    span: int = 1  # columns


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table of the page.

    head   rows of headings, the groups first; each row spans all columns
    rows   texts as people read them; the first `names` of each are the headings of the row
    notes  lines below the table
    """

    kind: str = field(default="grid", init=False)
    title: str
    head: Sequence[Sequence[Heading]]
    rows: Sequence[Sequence[str]]
    names: int = 1
    notes: Sequence[str] = ()

    def is_number(self, place: int) -> bool:
        """Whether a column holds numbers, or nothing: then its heading is on the right, as they are."""
        return place >= self.names and all(_NUMBER.fullmatch(row[place]) for row in self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One plot."""

    title: str
    svg: Markup
    caption: str  # what is shown, and in which units; empty where the text before it says so
    legend: Sequence["Key"] = ()  # of this plot alone
    paper: bool = False  # drawn for a white page only


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Plots beside each other, as many as the screen has room for, with one legend."""

    kind: str = field(default="figures", init=False)
    figures: Sequence[Figure]
    legend: Sequence["Key"] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One entry of a legend."""

    label: str
    colour: str  # as CSS has it
    dashes: str = ""  # of a line, as SVG's stroke-dasharray
    opacity: float = 1.0
    bar: bool = False  # a bar, not a line


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A paragraph. `command`: what the reader can run."""

    kind: str = field(default="note", init=False)
    text: str
    command: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """A list of sentences under a heading."""

    kind: str = field(default="points", init=False)
    title: str
    points: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading3:
    """A heading within a section."""

    kind: str = field(default="heading", init=False)
    text: str


Block: TypeAlias = Grid | Figures | Note | Points | Heading3


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of the page. `name` is its place in the page's address."""

    name: str
    title: str
    blocks: Sequence[Block]


def crossed(
    title: str,
    names: Sequence[str],
    columns: Sequence[Column],
    runs: Sequence[tuple[str, Mapping[tuple[str, ...], Sequence[Value]]]],
    notes: Sequence[str] = (),
) -> Grid:
    """What was measured of the same things in several runs.

    names    headings of the parts of a key, as ("language", "teacher")
    columns  what was measured
    runs     (label, key → a value for each column)

    One run: a row for each key, a column for each measure. Several: a row for each key and measure, a column for each run.
    """
    keys = list(dict.fromkeys(key for _, values in runs for key in values))
    if len(runs) == 1:
        values = runs[0][1]
        return Grid(
            title=title,
            head=[[Heading(text=text) for text in (*names, *(column.heading for column in columns))]],
            rows=[[*key, *(column.show(value) for column, value in zip(columns, values[key], strict=True))] for key in keys],
            names=len(names),
            notes=notes,
        )
    rows = [
        [*key, column.heading, *(column.show(values[key][place]) if key in values else UNKNOWN for _, values in runs)]
        for key in keys
        for place, column in enumerate(columns)
    ]
    head = [[Heading(text=text) for text in (*names, "measure", *(label for label, _ in runs))]]
    return Grid(title=title, head=head, rows=rows, names=len(names) + 1, notes=notes)


def of_table(table: Table, *, names: int = 1) -> Grid:
    """A table of a command, with its notes."""
    return Grid(
        title=table.title,
        head=[[Heading(text=column.heading) for column in table.columns]],
        rows=[[column.show(value) for column, value in zip(table.columns, row, strict=True)] for row in table.rows],
        names=names,
        notes=table.notes,
    )


def recipes(runs: Sequence[tuple[str, Mapping[str, str]]]) -> Grid:
    """What the recipes of runs say: (label of the run, name → what it says). A column for each run; one run needs no heading."""
    several = len(runs) > 1
    names = dict.fromkeys(name for _, facts in runs for name in facts)
    return Grid(
        title="Recipes" if several else "Recipe",
        head=[[Heading(text=""), *(Heading(text=label) for label, _ in runs)]] if several else [],
        rows=[[name, *(facts.get(name, UNKNOWN) for _, facts in runs)] for name in names],
    )


def grouped_head(corner: str, groups: Sequence[tuple[str, Sequence[str]]]) -> list[list[Heading]]:
    """The headings of a table that has a group of columns for each run: (label of the run, its columns). One run needs no groups."""
    columns = [Heading(text=corner), *(Heading(text=text) for _, texts in groups for text in texts)]
    if len(groups) == 1:
        return [columns]
    return [[Heading(text=""), *(Heading(text=label, span=len(texts)) for label, texts in groups if texts)], columns]
