"""The section on the cache of predictions: what each teacher gave for each language, what it takes on the disk, what its top k keep."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data.shards import UnreadableShard, leaf, open_shard
from data.storage import join
from data.table import Column, Value
from student.pages.blocks import Block, Note, Section, crossed
from student.pages.run_files import RunFiles

_GROUPS = 4  # row groups that are read for each teacher and language
_COLUMNS = (
    Column("units", ",d"),
    Column("rows", ",d"),
    Column("masked positions", ",d"),
    Column("bytes", ",d"),
    Column("bytes a position", ".1f"),
    Column("probability in the top k", ".1%"),
    Column("teacher's loss", ".3f"),
    Column("accuracy, held-out", ".1%"),
)


def cache(runs: Sequence[RunFiles]) -> Section:
    """A row for each language and teacher; of several runs one column each."""
    blocks: list[Block] = []
    tables: list[tuple[str, dict[tuple[str, ...], list[Value]]]] = []
    read = unreadable = 0
    for run in runs:
        if not run.cache:
            blocks.append(
                Note(text=f"{run.label}: there are no predictions yet. This command makes them:", command=run.command("predict"))
            )
            continue
        if not run.complete:
            text = f"{run.label}: predict has not finished; the figures are of the shards that are there. This command continues:"
            blocks.append(Note(text=text, command=run.command("predict")))
        if missing := _missing(run):
            text = f"{run.label}: there are no predictions yet of {', '.join(missing)}. This command makes them:"
            blocks.append(Note(text=text, command=run.command("predict")))
        rows: dict[tuple[str, ...], list[Value]] = {}
        for row in sorted(run.cache, key=lambda row: (str(row["language"]), str(row["teacher"]))):
            mass, groups, failed = _kept(run, row)
            read, unreadable = read + groups, unreadable + failed
            rows[str(row["language"]), str(row["teacher"])] = _values(run, row, mass)
        tables.append((run.label, rows))
    if tables:
        notes = [
            "Teacher's loss: its mean masked-LM loss on the articles of the cache, in nats, over its own vocabulary.",
            "Probability in the top k: what the stored logits of a masked position hold of the teacher's distribution, on average. It is "
            f"a sample: at most {_GROUPS} row groups of each teacher and language were read, {read:,} in all. No value: the labels are "
            "drawn, or gold only, or predict has not finished.",
        ]
        if unreadable:
            notes.append(f"{unreadable:,} shards of the sample could not be read; `mergedistill validate` says which are wrong.")
        blocks.append(crossed("Predictions of the teachers", ["language", "teacher"], _COLUMNS, tables, notes))
    return Section(name="cache", title="Cache of predictions", blocks=blocks)


def _missing(run: RunFiles) -> list[str]:
    """The recipe's teachers and languages of which the cache has nothing."""
    there = {(row["teacher"], row["language"]) for row in run.cache}
    wanted = [(teacher.name, language) for teacher in run.recipe.teachers for language in teacher.languages] if run.recipe else []
    return [f"{teacher} on {language}" for teacher, language in wanted if (teacher, language) not in there]


def _values(run: RunFiles, row: Mapping[str, Any], mass: float | None) -> list[Value]:
    positions = int(row.get("masked_positions", 0))
    scores = [
        score.teacher_accuracy
        for student in run.students
        if student.scores
        for score in student.scores.scores
        if (score.language, score.teacher) == (row["language"], row["teacher"])
    ]
    labelled = run.manifest.get("identities", {}).get(row["teacher"], {"teacher.weights": ""})
    return [
        int(row.get("units", 0)),
        int(row.get("rows", 0)),
        positions,
        int(row.get("bytes", 0)),
        row.get("bytes", 0) / positions if positions else None,
        mass,
        float(row["loss"]) if "teacher.weights" in labelled and "loss" in row else None,
        scores[0] if scores else None,
    ]


def _kept(run: RunFiles, row: Mapping[str, Any]) -> tuple[float | None, int, int]:
    """(the mean probability in the stored logits or None, row groups read, shards that could not be read) of one teacher and language.

    Of evenly spread shards, the middle row group of each is read.
    """
    identity = run.manifest.get("identities", {}).get(row["teacher"], {})
    units = [unit["path"] for unit in run.manifest.get("units", []) if _is_of(unit, row)]
    if identity.get("selection") == "sampled" or not units:
        return None, 0, 0
    total, positions, read, failed = 0.0, 0, 0, 0
    for place in np.unique(np.linspace(0, len(units) - 1, _GROUPS).round().astype(int)):
        try:
            with open_shard(join(run.predictions, units[place])) as file:
                if not file.num_row_groups or "topk_logits" not in file.schema_arrow.names:
                    continue
                table = file.read_row_group(file.num_row_groups // 2, columns=["topk_logits", "label_logits"])
        except (UnreadableShard, OSError):  # also of a cache that was removed to save space: its manifest still tells of it
            failed += 1
            continue
        total += float(np.exp(leaf(table.column("topk_logits"))[0].astype(np.float64)).sum())
        positions += len(leaf(table.column("label_logits"))[0])
        read += 1
    return total / positions if positions else None, read, failed


def _is_of(unit: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return (unit.get("language"), unit.get("teacher")) == (row["language"], row["teacher"])
