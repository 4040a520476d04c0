"""Pictures of a vocabulary, as SVG: the overlap between teachers, and the union by teacher and script."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vocab.pieces import is_hexadecimal, parse
from vocab.union import TeacherMap, Union

_SCRIPTS = 7  # scripts with a colour of their own; all others share one
_STYLE: Any = {"svg.hashsalt": "mergedistill", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def overlaps(union: Union, maps: Sequence[TeacherMap]) -> NDArray[np.float64]:
    """[T, T] the share of the row teacher's pieces that the column teacher has too."""
    has_TV = np.zeros((len(maps), union.size), dtype=np.float32)
    for row, teacher_map in enumerate(maps):
        has_TV[row, teacher_map.union_ids[teacher_map.predictable]] = 1
    shares_TT: NDArray[np.float64] = (has_TV @ has_TV.T).astype(np.float64) / np.maximum(has_TV.sum(axis=1), 1)[:, None]
    return shares_TT


def scripts(union: Union) -> list[Counter[str]]:
    """For each teacher, the scripts of the pieces that it added: Unicode's names, and "digits and signs" for text without a script."""
    counts, start = [], Union().size
    for link in union.links:
        counts.append(Counter(script_of(piece) for piece in union.pieces[start : link.size]))
        start = link.size
    return counts


def script_of(piece: str) -> str:
    """The script of a piece's first character that has one."""
    from fontTools import unicodedata

    if is_hexadecimal(piece):
        return "bytes and spaces"
    codes = (unicodedata.script(char) for char in str(parse(piece).content))
    code = next((code for code in codes if code not in ("Zyyy", "Zinh", "Zzzz")), None)
    return unicodedata.script_name(code) if code else "digits and signs"


def draw_overlap(union: Union, maps: Sequence[TeacherMap], path: Path) -> None:
    """A heatmap: the share of each teacher's vocabulary that each other teacher has."""
    shares_TT, names = overlaps(union, maps), [teacher_map.teacher for teacher_map in maps]
    with rc_context(_STYLE):
        side = 2.2 + 0.7 * len(names)
        figure = Figure(figsize=(side + 0.8, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(shares_TT, vmin=0, vmax=1, cmap="Blues")
        for row, column in np.ndindex(shares_TT.shape):
            share = shares_TT[row, column]
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.6 else "black")
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set_title("Share of the row's pieces that the column has")
        figure.colorbar(image, ax=axes, shrink=0.8, format=lambda value, _: f"{value:.0%}")
        figure.savefig(path, metadata={"Date": None})  # the same picture gives the same bytes


def draw_scripts(union: Union, path: Path) -> None:
    """Stacked bars: the pieces that each teacher added to the union, by script."""
    counts = scripts(union)
    total: Counter[str] = sum(counts, Counter())
    common = [name for name, _ in total.most_common(_SCRIPTS)]
    names = [*common, "other"] if len(total) > len(common) else common
    with rc_context(_STYLE):
        figure = Figure(figsize=(8, 1.4 + 0.45 * len(counts)), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(len(counts))
        for index, name in enumerate(names):
            widths = np.array(
                [sum(n for s, n in c.items() if (s == name or (name == "other" and s not in common))) for c in counts], float
            )
            axes.barh(range(len(counts)), widths, left=left, label=name, color="0.75" if name == "other" else f"C{index}")
            left += widths
        for row, width in enumerate(left):
            axes.text(width, row, f" {width:,.0f}", va="center")
        axes.set_yticks(range(len(counts)), [link.teacher for link in union.links])
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_title(f"A union of {union.size:,} pieces: what each teacher adds, by script")
        figure.legend(loc="outside right upper", frameon=False)
        figure.savefig(path, metadata={"Date": None})  # the same picture gives the same bytes
