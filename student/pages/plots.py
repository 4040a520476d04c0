"""The plots of a report, as SVG inside the page: lines, grouped bars, stacked bars, a heatmap.

Each takes a `name` that is unique in the page, and a `title` that says what is shown to those who cannot see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from student.pages.blocks import Key
from student.pages.svg import COLOURS, GRID, INK, STYLE, colour, css_colour, inline
from student.training.metrics import is_number

WIDTH = 4.4  # inches; the width of a telephone, so that text keeps its size there
_POINTS = 500  # of a line: more are not visible
_DASHES = ((), (6.0, 2.0), (2.0, 2.0), (7.0, 2.0, 2.0, 2.0))  # lengths of strokes and gaps
_OPACITIES = (1.0, 0.5, 0.25)  # of bars number 0 to 7, 8 to 15, ...
_STYLE: Any = STYLE  # matplotlib types the names of its settings one by one


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The values of one line. `index` chooses its colour and its dashes."""

    index: int
    x: Sequence[float]
    y: Sequence[float]


def line_of(index: int, rows: Sequence[Mapping[str, Any]], x: str, y: str) -> Line:
    """The finite values of two keys of rows of metrics. Rows without them are left out."""
    kept = [row for row in rows if is_number(row.get(x)) and is_number(row.get(y))]
    return Line(index=index, x=[float(row[x]) for row in kept], y=[float(row[y]) for row in kept])


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """The bars of one colour: a value for each group, None where there is none; the same of standard deviations."""

    index: int
    values: Sequence[float | None]
    spreads: Sequence[float | None]


def line_key(index: int, label: str) -> Key:
    """The legend of a line."""
    return Key(label=label, colour=css_colour(index), dashes=" ".join(f"{part:g}" for part in _dashes(index)))


def bar_key(index: int, label: str) -> Key:
    """The legend of bars."""
    return Key(label=label, colour=css_colour(index), opacity=_opacity(index), bar=True)


def draw_lines(name: str, title: str, lines: Sequence[Line], *, across: str, up: str, percent: bool = False) -> Markup:
    """Lines over a common axis. `across` and `up` say what the axes are, with units. A line with one point has a dot."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        axes = figure.subplots()
        for line in lines:
            kept = _thinned(len(line.x))
            x, y = np.asarray(line.x, float)[kept], np.asarray(line.y, float)[kept]
            style: Any = (0, _dashes(line.index)) if _dashes(line.index) else "solid"
            axes.plot(x, y, color=colour(line.index), linestyle=style, linewidth=1.5, marker="o" if len(x) == 1 else "")
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(_short))
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        return inline(figure, name, title)


def draw_bars(name: str, title: str, groups: Sequence[str], bars: Sequence[Bars], *, across: str) -> Markup:
    """Horizontal bars, grouped: a group for each of `groups`, in it a bar for each of `bars`, with its standard deviation."""
    with rc_context(_STYLE):
        thick = 0.8 / max(1, len(bars))
        figure = Figure(figsize=(WIDTH, 0.9 + len(groups) * max(0.28, 0.15 * len(bars) + 0.08)), layout="constrained")
        axes = figure.subplots()
        for place, one in enumerate(bars):
            shown = [(row, value, spread) for row, (value, spread) in enumerate(zip(one.values, one.spreads, strict=True))]
            rows = [row - 0.4 + thick * (place + 0.5) for row, value, _ in shown if value is not None]
            values = [value for _, value, _ in shown if value is not None]
            axes.barh(rows, values, height=thick * 0.92, color=colour(one.index), alpha=_opacity(one.index))
            spreads = [0.0 if spread is None else spread for _, value, spread in shown if value is not None]
            if any(spreads):
                axes.errorbar(values, rows, xerr=spreads, fmt="none", color=INK, ecolor=INK, elinewidth=1, capsize=1.5)
        axes.set_yticks(range(len(groups)), groups)
        axes.set_ylim(len(groups) - 0.45, -0.55)  # the first group on top
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel(across)
        return inline(figure, name, title)


def draw_stacked(name: str, title: str, groups: Sequence[str], parts: Sequence[Sequence[float]], *, across: str) -> Markup:
    """Horizontal bars: one for each of `groups`, of as many parts as `parts` has rows. Each is labelled with its sum."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, 0.9 + 0.34 * len(groups)), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(len(groups))
        for index, widths in enumerate(parts):
            axes.barh(range(len(groups)), widths, left=left, height=0.7, color=colour(index), alpha=_opacity(index))
            left += np.asarray(widths, float)
        for row, width in enumerate(left):
            axes.annotate(f"{width:,.0f}", (width, row), xytext=(4, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(groups)), groups)
        axes.invert_yaxis()
        axes.margins(x=0.16)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(_short))
        axes.set_xlabel(across)
        return inline(figure, name, title)


def draw_heatmap(name: str, title: str, names: Sequence[str], shares_TT: NDArray[np.float64]) -> Markup:
    """A share of 0 to 1 for each pair: the darker, the larger. Each cell has its number, so that nothing depends on the colour."""
    with rc_context(_STYLE):
        side = max(WIDTH, 1.6 + 0.5 * len(names))
        figure = Figure(figsize=(side, 1.0 + 0.42 * len(names)), layout="constrained")
        axes = figure.subplots()
        for row, column in np.ndindex(shares_TT.shape):
            share = float(shares_TT[row, column])
            # At most half of the colour: the number on it stays readable in the light and in the dark theme.
            axes.barh(row, 0.96, left=column - 0.48, height=0.94, color=colour(0), alpha=0.04 + 0.46 * share)
            axes.text(column, row, f"{share:.0%}", ha="center", va="center")
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_color(GRID)
        return inline(figure, name, title)


def _dashes(index: int) -> tuple[float, ...]:
    """Lines 0 to 7 differ in colour, the next eight have the same colours with other dashes."""
    return _DASHES[(index + index // COLOURS) % len(_DASHES)]


def _opacity(index: int) -> float:
    return _OPACITIES[index // COLOURS % len(_OPACITIES)]


def _thinned(count: int) -> NDArray[np.int64]:
    """The places of at most _POINTS of `count` points, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, _POINTS)).round().astype(np.int64))


def _short(value: float, _: Any = None) -> str:
    """A number of an axis: 1,500,000 as 1.5M."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):g}{sign}"
    return f"{value:,g}"
