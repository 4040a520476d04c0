"""The section on the teachers and the union of their vocabularies: how far they overlap, and what each adds."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from data.table import Column, Value
from student.pages.blocks import Block, Figure, Figures, Key, Note, Section, crossed
from student.pages.plots import bar_key, draw_heatmap, draw_stacked
from student.pages.run_files import RunFiles
from vocab.folder import load_map, load_union
from vocab.pictures import overlaps, scripts
from vocab.union import TeacherMap, Union

_SCRIPTS = 7  # with a colour of their own; all others share one
_COLUMNS = (
    Column("pieces", ",d"),
    Column("shared", ",d"),
    Column("new", ",d"),
    Column("shared with earlier teachers", ".1%"),
    Column("pieces outside the union", ",d"),
)


def vocabulary(runs: Sequence[RunFiles]) -> Section:
    """One column a run in the table; one pair of plots for each different union."""
    blocks: list[Block] = []
    tables: list[tuple[str, dict[tuple[str, ...], list[Value]]]] = []
    unions: dict[str, tuple[list[str], Union, list[TeacherMap]]] = {}  # fingerprint → labels of the runs that have it
    for run in runs:
        if run.vocabulary is None:
            blocks.append(
                Note(text=f"{run.label}: there is no union vocabulary yet. This command makes it:", command=run.command("vocab"))
            )
            continue
        union = load_union(run.vocabulary)
        maps = [load_map(run.vocabulary, link.teacher) for link in union.links]
        tables.append((run.label, _rows(union, maps)))
        unions.setdefault(union.fingerprint, ([], union, maps))[0].append(run.label)
    several = len(runs) > 1
    for number, (labels, union, maps) in enumerate(unions.values(), start=1):
        of = f" of {', '.join(labels)}" if several else ""
        names = [link.teacher for link in union.links]
        overlap = f"The teachers{of}: share of the row's pieces that the column has"
        by_script, keys = _by_script(union)
        added = f"The union{of}, {union.size:,} pieces: what each teacher adds, by script"
        blocks.append(
            Figures(
                figures=[
                    Figure(
                        title=overlap,
                        svg=draw_heatmap(f"overlap-{number}", overlap, names, overlaps(union, maps)),
                        caption="Special tokens do not count. The diagonal is each teacher with itself.",
                    ),
                    Figure(
                        title=added,
                        svg=draw_stacked(f"scripts-{number}", added, names, by_script, across="new pieces"),
                        caption="A piece counts for the first teacher that has it. The order is that of the recipe.",
                        legend=keys,
                    ),
                ],
            )
        )
    if tables:
        sizes = [f"{label}: {union.size:,}" for labels, union, _ in unions.values() for label in labels]
        notes = [
            f"Pieces of the union, special tokens included: {', '.join(sizes) if several else sizes[0].rpartition(': ')[2]}.",
            "Shared: the teacher's pieces that an earlier teacher of the recipe has too. New: those that it adds to the union.",
        ]
        blocks.append(crossed("Pieces of each teacher", ["teacher"], _COLUMNS, tables, notes))
    return Section(name="vocabulary", title="Teachers and union vocabulary", blocks=blocks)


def _rows(union: Union, maps: Sequence[TeacherMap]) -> dict[tuple[str, ...], list[Value]]:
    """For each teacher: its pieces in the union, of these shared and new, the share that is shared, pieces outside the union."""
    rows: dict[tuple[str, ...], list[Value]] = {}
    start = Union().size
    for link, teacher_map in zip(union.links, maps, strict=True):
        own = np.unique(teacher_map.union_ids[teacher_map.predictable])
        own = own[own >= Union().size]
        new = int(np.count_nonzero((own >= start) & (own < link.size)))
        shared = len(own) - new
        outside = int(np.count_nonzero(teacher_map.real & ~teacher_map.predictable))
        rows[(link.teacher,)] = [len(own), shared, new, shared / len(own) if len(own) else None, outside]
        start = link.size
    return rows


def _by_script(union: Union) -> tuple[list[list[float]], list[Key]]:
    """For each script a row with the new pieces of each teacher, the most common script first; and the legend."""
    counts = scripts(union)
    total: Counter[str] = sum(counts, Counter())
    common = [name for name, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))[:_SCRIPTS]]
    parts = [[float(count[name]) for count in counts] for name in common]
    if len(total) > len(common):
        parts.append([float(sum(count.values()) - sum(count[name] for name in common)) for count in counts])
        common.append("other scripts")
    return parts, [bar_key(index, name) for index, name in enumerate(common)]
