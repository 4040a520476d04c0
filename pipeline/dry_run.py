"""`predict --dry-run`: the units that predict would compute now. Only footers are read; no teacher is loaded, and nothing is written.

Bytes and hours come from the units of the same teacher and language that are finished. `mergedistill estimate` measures them before that.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from data.contract import HELDOUT
from data.run import Run
from data.shards import Shard
from data.table import Column, Table
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.plan import Unit, make_plan

COLUMNS = (
    Column("teacher"),
    Column("language"),
    Column("split"),
    Column("units to compute", ",d"),
    Column("finished", ",d"),
    Column("articles", ",d"),
    Column("MB", ",.1f"),
    Column("hours", ",.2f"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What predict would do for one teacher, language and split."""

    teacher: str
    language: str
    split: str  # predictions or heldout
    units: int
    finished: int
    articles: int  # of the units to compute
    bytes: float | None  # expected; None if no unit is finished yet
    seconds: float | None  # of one process


def dry_run(run: Run, teachers: Sequence[str] = ()) -> list[Work]:
    """The plan of predict for these teachers (all by default). Raises InputError as predict would."""
    plan = make_plan(run, {name: teacher_identity(run, name) for name in run.recipe.chosen_labellers(teachers)})
    finished: defaultdict[tuple[str, str, str], list[Shard]] = defaultdict(list)
    for shard in plan.finished_shards:
        finished[shard.path.teacher, shard.path.language, _split(run, shard.location)].append(shard)
    groups: dict[tuple[str, str, str], list[Unit]] = {}
    missing = set(plan.missing)
    for unit in plan.units:
        to_compute = groups.setdefault((unit.teacher, unit.language, _split(run, unit.output)), [])
        if unit in missing:
            to_compute.append(unit)
    work = []
    for key, units in groups.items():
        articles = sum(unit.articles for unit in units)
        done = sum(shard.report["counters"].get("articles", 0) for shard in finished[key])
        share = articles / done if done else None
        work.append(
            Work(
                teacher=key[0],
                language=key[1],
                split=key[2],
                units=len(units),
                finished=len(finished[key]),
                articles=articles,
                bytes=None if share is None else share * sum(shard.bytes for shard in finished[key]),
                seconds=None if share is None else share * sum(shard.report.get("seconds", 0.0) for shard in finished[key]),
            )
        )
    return work


def work_table(run: Run, work: Sequence[Work]) -> Table:
    """A row for each teacher, language and split."""
    units = sum(row.units for row in work)
    unknown = any(row.units and row.seconds is None for row in work)
    return Table(
        title="What predict would compute",
        columns=COLUMNS,
        rows=[
            [
                row.teacher,
                row.language,
                row.split,
                row.units,
                row.finished,
                row.articles,
                None if row.bytes is None else row.bytes / 1e6,
                None if row.seconds is None else row.seconds / 3600,
            ]
            for row in work
        ],
        notes=["MB and hours of one process, by the finished units; `mergedistill estimate` measures what has none."]
        if unknown
        else [],
        result=f"{run.folder}: {units:,} units to compute, nothing was run. Next: the same command without --dry-run",
        facts={"folder": str(run.folder), "units": units, "articles": sum(row.articles for row in work)},
    )


def _split(run: Run, location: str) -> str:
    return HELDOUT if location.startswith(run.heldout) else "predictions"
