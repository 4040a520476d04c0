"""What predict will make and cost, before it runs: from the recipe, the footers, and a look at few articles.

Articles and units are exact. Windows, masked positions and FLOPs are estimated from a sample of articles that is tokenised and masked
as predict does it; bytes and the teacher's rate are measured in a trial of units that are made of the sample as the corpus' units are.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data.identity import Identity
from data.recipe import Recipe
from data.run import Run
from data.storage import join, replace_folder, without_options
from pipeline.forecast.survey import Survey, Surveyor
from pipeline.teacher.files import read_teachers, teacher_folder
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.plan import Unit, make_plan
from vocab.folder import build_vocabulary

TRIAL_SECONDS = 10.0  # for which a trial keeps the teacher busy, a teacher and corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a teacher has still to do in one corpus."""

    teacher: str
    language: str
    heldout: bool
    units: int  # to do
    finished: int  # units that are there already
    survey: Survey  # of the units to do


def estimate(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    rate: float | None = None,
    trial_seconds: float = TRIAL_SECONDS,
    show_progress: bool = True,
) -> list[Estimate]:
    """An estimate for each teacher and corpus of the recipe. Nothing is written but temporary files.

    folder  a run's folder: the units that it has are not counted, and its union is used; else all of the teachers' pieces count
    rate    FLOP/s of the teachers, padding counted as work; measured in trials unless given. Where it is given, weights are not needed,
          but the bytes stay unknown without them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        needed = True  # without weights nothing says whether a shard that stands is this teacher's
        if folder is None or not has_vocabulary(folder):
            folder, needed = Path(scratch), rate is None
            recipe = recipe.model_copy(update={"predict": recipe.predict.model_copy(update={"store": None})})  # no unit is there
            build_vocabulary(read_teachers(recipe), folder / "vocab", recipe.examples.max_length, replace_folder)
        run = Run(recipe=recipe, folder=folder)
        identities = {teacher.name: _identity(run, teacher.name, needed) for teacher in recipe.teachers}
        plan = make_plan(run, {name: identity or {} for name, identity in identities.items()})
        missing = {unit.output for unit in plan.missing}
        heldout = without_options(join(run.heldout, ""))
        corpora: dict[tuple[str, str, bool], list[Unit]] = {}
        for unit in plan.units:
            corpora.setdefault((unit.teacher, unit.language, unit.output.startswith(heldout)), []).append(unit)
        estimates = []
        with tqdm(total=len(corpora), desc="estimate", unit="corpus", disable=not show_progress, leave=False) as bar:
            for name, identity in identities.items():
                surveyor = Surveyor(run, name, identity)
                for (_, language, is_heldout), units in (item for item in corpora.items() if item[0][0] == name):
                    bar.set_postfix_str(f"{language} ({name})")
                    to_do = [unit for unit in units if unit.output in missing]
                    estimates.append(
                        Estimate(
                            teacher=name,
                            language=language,
                            heldout=is_heldout,
                            units=len(to_do),
                            finished=len(units) - len(to_do),
                            survey=surveyor.survey(to_do, rate=rate, seconds=trial_seconds, scratch=scratch),
                        )
                    )
                    bar.update()
        return estimates


def has_vocabulary(run: Path) -> bool:
    """Whether a run's folder holds a union already."""
    return (run / "vocab/union.json").exists()


def _identity(run: Run, name: str, needed: bool) -> Identity | None:
    """The identity of a teacher's shards; None for one whose weights are not at hand, unless they are `needed`."""
    folder = teacher_folder(run.recipe, name, weights=needed)
    if not needed and not [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]:
        return None
    return teacher_identity(run, name)


HEADER = ("to do", "units", "articles", "windows", "masked positions", "±", "MB", "PFLOPs", "padding", "TFLOPS", "hours")


def render(estimates: Sequence[Estimate]) -> list[tuple[str, ...]]:
    """The rows of a table under HEADER, the last one all together."""
    rows = [_row(f"{e.language}{' heldout' if e.heldout else ''} ({e.teacher})", e.units, e.survey) for e in estimates]
    return [*rows, _row("all", sum(e.units for e in estimates), total(estimates))]


def total(estimates: Sequence[Estimate]) -> Survey:
    """All surveys as one; its rate is the mean over the hours, its error that of FLOPs."""
    surveys = [e.survey for e in estimates]
    flops, hours = sum(survey.flops for survey in surveys), sum(survey.hours for survey in surveys)
    padding = sum(survey.padding_flops for survey in surveys)
    sizes = [survey.bytes for survey in surveys if survey.bytes is not None]
    return Survey(
        articles=sum(survey.articles for survey in surveys),
        articles_read=sum(survey.articles_read for survey in surveys),
        windows=sum(survey.windows for survey in surveys),
        masked_positions=sum(survey.masked_positions for survey in surveys),
        flops=flops,
        padding_flops=padding,
        error=math.hypot(*(survey.error * survey.flops for survey in surveys)) / max(flops, 1.0),
        bytes=sum(sizes) if len(sizes) == len(surveys) else None,
        rate=(flops + padding) / hours / 3600 if hours else None,
    )


def _row(name: str, units: int, survey: Survey) -> tuple[str, ...]:
    return (
        name,
        f"{units:,}",
        f"{survey.articles:,}",
        f"{survey.windows:,.0f}",
        f"{survey.masked_positions:,.0f}",
        f"{survey.error:.1%}",
        "–" if survey.bytes is None else _number(survey.bytes / 1e6),
        _number(survey.flops / 1e15),
        f"{survey.padding_flops / max(survey.flops, 1.0):.1%}",
        "–" if survey.rate is None else _number(survey.rate / 1e12),
        _number(survey.hours),
    )


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
