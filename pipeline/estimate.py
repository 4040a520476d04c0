"""What predict will make and cost, before it runs.

Articles and units are exact. Windows, masked positions and FLOPs are estimated from a sample of articles that is tokenised and masked as
predict does it. Bytes and the teacher's rate are measured in a trial.
"""

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.atomic import replace_folder
from data.contract import HELDOUT, PREDICTIONS, parse_path
from data.identity import Identity
from data.progress import progress_bar
from data.recipe import Recipe
from data.run import Run
from data.shards import list_shards
from data.storage import join, split, without_options
from data.table import Column, Table, Value
from data.teacher_files import teacher_folder
from pipeline.forecast.survey import Survey, Surveyor
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.plan import Unit, make_plan
from pipeline.teacher.read_teachers import read_teachers
from vocab.folder import build_vocabulary, load_union

TRIAL_SECONDS = 10.0  # about how long a trial keeps the teacher busy, for each teacher and corpus


class Figure(Column):
    """A column of figures of any size: three digits, or all digits before the point."""

    def show(self, value: Value) -> str:
        return f"{value:,.0f}" if isinstance(value, float) and value >= 100 else Column.show(self, value)


COLUMNS = (
    Column("to do"),
    Column("units", ",d"),
    Column("articles", ",d"),
    Column("windows", ",.0f"),
    Column("masked positions", ",.0f"),
    Column("±", ".1%", "error"),
    Figure("MB", ".3g"),
    Figure("PFLOPs", ".3g"),
    Column("padding", ".1%"),
    Figure("TFLOPS", ".3g"),
    Figure("hours", ".3g"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a teacher still has to do in one corpus."""

    teacher: str
    language: str
    heldout: bool
    units: int  # to do
    finished: int  # units that exist already
    survey: Survey  # of the units to do


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """An estimate for each teacher and corpus of a recipe."""

    rows: tuple[Estimate, ...]
    recipe: Recipe
    folder: Path | None  # of the run, if there is one
    has_union: bool  # the run has its union vocabulary already
    measured: bool  # the rate was not given

    def table(self) -> Table:
        """A row for each teacher and corpus, and one for all of them."""
        survey, finished, units = total(self.rows), sum(row.finished for row in self.rows), sum(row.units for row in self.rows)
        rows = [_row(f"{e.language}{' heldout' if e.heldout else ''} ({e.teacher})", e.units, e.survey) for e in self.rows]
        notes = [
            f"From {survey.articles_read:,} of {survey.articles:,} articles; {finished:,} units are there already. "
            f"TFLOPS: {'measured here' if self.measured else 'as given'}, of one process."
        ]
        method = self.recipe.vocabulary.method
        if not self.has_union and method != "union":
            notes.append(f"The vocabulary is still to be chosen ({method}); counted as if every piece of a new teacher were in it.")
        following = f"{'predict' if self.has_union else 'vocab'} RECIPE --out {self.folder or 'RUN'}"
        if self.folder is not None and self.has_union and not units:
            following = f"validate {Run(recipe=self.recipe, folder=self.folder).predictions}"
        return Table(
            title="Estimate",
            columns=COLUMNS,
            rows=[*rows, _row("all", units, survey)],
            notes=notes,
            result=f"Next: mergedistill {following}",
            facts={"articles_read": survey.articles_read, "finished_units": finished, "measured": self.measured},
        )


def estimate(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    rate: float | None = None,
    trial_seconds: float = TRIAL_SECONDS,
    show_progress: bool = True,
) -> Estimates:
    """An estimate for each teacher and corpus of the recipe. Nothing is written except temporary files.

    folder  a run's folder: units that it has are not counted, and its union is used. All pieces of teachers that it lacks count.
    rate    FLOP/s of the teachers, padding counted as work; None: measured in trials. With a rate, weights are not needed, but without
            weights the bytes are unknown.
    """
    given = recipe
    with tempfile.TemporaryDirectory() as scratch:
        run, known = _with_vocabulary(recipe, folder, Path(scratch))
        has_union = known >= {teacher.name for teacher in recipe.teachers}
        present = known | _in_store(run)
        # Without weights nobody knows whether an existing shard is this teacher's.
        identities = {
            teacher.name: _identity(run, teacher.name, rate is None or teacher.name in present) for teacher in recipe.labellers
        }
        plan = make_plan(run, {name: identity or {} for name, identity in identities.items()})
        missing = {unit.output for unit in plan.missing}
        heldout = without_options(join(run.heldout, ""))
        corpora: dict[tuple[str, str, bool], list[Unit]] = {}
        for unit in plan.units:
            corpora.setdefault((unit.teacher, unit.language, unit.output.startswith(heldout)), []).append(unit)
        rows = []
        with progress_bar(len(corpora), "estimate", "corpora", show=show_progress, long=False) as bar:
            for name, identity in identities.items():
                surveyor = Surveyor(run, name, identity)
                for (_, language, is_heldout), units in (item for item in corpora.items() if item[0][0] == name):
                    bar.set_postfix_str(f"{language} ({name})")
                    to_do = [unit for unit in units if unit.output in missing]
                    survey = surveyor.survey(to_do, rate=rate, seconds=trial_seconds, scratch=scratch)
                    rows.append(
                        Estimate(
                            teacher=name,
                            language=language,
                            heldout=is_heldout,
                            units=len(to_do),
                            finished=len(units) - len(to_do),
                            survey=survey,
                        )
                    )
                    bar.update(1)
    return Estimates(rows=tuple(rows), recipe=given, folder=folder, has_union=has_union, measured=rate is None)


def _with_vocabulary(recipe: Recipe, folder: Path | None, scratch: Path) -> tuple[Run, set[str]]:
    """A run with the vocabulary of all teachers of the recipe, and the teachers whose part of it is in the given run already.

    If the given run lacks teachers, they are added to a copy of its vocabulary in `scratch`. Its shards stay those of the run: the
    identity of a shard has the union up to its own teacher.
    """
    if folder is None or not (folder / "vocab/union.json").exists():
        build_vocabulary(read_teachers(recipe), scratch / "vocab", recipe.examples.max_length, replace_folder)
        if recipe.vocabulary.method == "union":  # the one that vocab will make: units that a store has already are not to do
            return Run(recipe=recipe, folder=scratch), set()
        fresh = recipe.model_copy(update={"predict": recipe.predict.model_copy(update={"store": None})})  # no unit exists
        return Run(recipe=fresh, folder=scratch), set()
    run, names = Run(recipe=recipe, folder=folder), [teacher.name for teacher in recipe.teachers]
    known = [link.teacher for link in load_union(run.vocabulary).links]
    if len(known) >= len(names) or known != names[: len(known)]:  # predict says what is wrong with another order
        return run, {*known}
    shutil.copytree(run.vocabulary, scratch / "vocab")
    build_vocabulary(
        read_teachers(recipe), scratch / "vocab", recipe.examples.max_length, replace_folder, method=recipe.vocabulary.choice()
    )
    store = split(run.predictions)[0]
    here = recipe.model_copy(
        update={"predict": recipe.predict.model_copy(update={"store": store if "://" in store else str(Path(store).absolute())})}
    )
    return Run(recipe=here, folder=scratch), {*known}


def _in_store(run: Run) -> set[str]:
    """The teachers of whom the recipe's store has shards, perhaps made by another recipe."""
    if run.recipe.predict.store is None:
        return set()
    places = [place for split in (PREDICTIONS, HELDOUT) for place in list_shards(run.shards(split))]
    return {path.teacher for place in places if (path := parse_path(place))}


def total(estimates: Sequence[Estimate]) -> Survey:
    """All surveys as one. Its rate is the mean over the hours, its error is that of FLOPs."""
    surveys = [e.survey for e in estimates]
    sums = {
        name: sum(getattr(survey, name) for survey in surveys)
        for name in ("articles", "articles_read", "windows", "masked_positions", "flops", "padding_flops")
    }
    hours, sizes = sum(survey.hours for survey in surveys), [survey.bytes for survey in surveys if survey.bytes is not None]
    return Survey(
        **sums,
        error=math.hypot(*(survey.error * survey.flops for survey in surveys)) / max(sums["flops"], 1.0),
        bytes=sum(sizes) if len(sizes) == len(surveys) else None,
        rate=(sums["flops"] + sums["padding_flops"]) / hours / 3600 if hours else None,
    )


def _identity(run: Run, name: str, needed: bool) -> Identity | None:
    """The identity of a teacher's shards. None if its weights are not there, unless they are `needed`."""
    folder = teacher_folder(run.recipe, name, weights=needed)
    if not needed and not [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]:
        return None
    return teacher_identity(run, name)


def _row(name: str, units: int, survey: Survey) -> tuple[Value, ...]:
    return (
        name,
        units,
        survey.articles,
        survey.windows,
        survey.masked_positions,
        survey.error,
        None if survey.bytes is None else survey.bytes / 1e6,
        survey.flops / 1e15,
        survey.padding_flops / max(survey.flops, 1.0),
        None if survey.rate is None else survey.rate / 1e12,
        survey.hours,
    )
