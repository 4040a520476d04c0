"""The plots of studies: lines and bars, as SVG with text as text."""

import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "mergedistill",  # the same numbers, the same bytes
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
}
# Okabe and Ito's colours, which people with any kind of colour vision tell apart; each with a mark of its own.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKS = ("o", "s", "^", "D", "v", "P", "x")


def lines(series: Mapping[str, Sequence[tuple[float, Sequence[float]]]], x_label: str, y_label: str, *, log_x: bool = False) -> str:
    """A line for each name: points (x, values of the seeds), drawn as mean and standard deviation."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        for place, (name, points) in enumerate(series.items()):
            xs = [x for x, _ in points]
            means = [sum(values) / len(values) for _, values in points]
            errors = [statistics.stdev(values) if len(values) > 1 else 0.0 for _, values in points]
            look: Any = {"color": _COLOURS[place % len(_COLOURS)], "marker": _MARKS[place % len(_MARKS)]}
            axes.errorbar(xs, means, yerr=errors, label=name, capsize=3, markersize=4, linewidth=1.3, **look)
        if log_x:
            axes.set_xscale("log")
            ticks = sorted({x for points in series.values() for x, _ in points})
            axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
            axes.minorticks_off()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.legend(frameon=False)
        return _svg(figure)


def bars(groups: Sequence[str], series: Mapping[str, Sequence[float | None]], label: str) -> str:
    """Bars to the right and left in groups, one of each name in each group, the first group on top; None: no bar."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 1.0 + 0.22 * len(groups) * (1 + len(series))), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / max(1, len(series))
        for place, (name, values) in enumerate(series.items()):
            at = [group + (place - (len(series) - 1) / 2) * width for group in range(len(groups))]
            shown = [(y, value) for y, value in zip(at, values, strict=True) if value is not None]
            colour = _COLOURS[place % len(_COLOURS)]
            axes.barh([y for y, _ in shown], [value for _, value in shown], width * 0.9, label=name, color=colour)
        axes.axvline(0, color="#666666", linewidth=0.8)
        axes.set_yticks(range(len(groups)), groups)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(label)
        if len(series) > 1:
            figure.legend(loc="outside upper right", ncols=len(series), frameon=False)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
