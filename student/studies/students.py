"""Study students: the small twins of the paper's nine students, on held-out text, tags and entities, against their teachers."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from student.studies.catalogue import TASKS, TEACHERS, teacher_folder
from student.studies.cells import Cell, student_values, task_values, teacher_values
from student.studies.plan import Plan, Settings, ready_recipe
from student.studies.step import Step
from student.studies.students_outcome import (
    BEST,
    DISJOINT,
    FROM,
    GOLD,
    MASK_RATE,
    OVERLAPPING,
    SEEDS,
    SMALL,
    SPECIAL,
    TUNED,
    outcome,
)

__all__ = ["cells", "outcome"]

ROUTE = dict.fromkeys(SPECIAL, "specialist")  # where both teachers label a language, students read with its pieces
_MASKED: Settings = {"examples.mask_rate": MASK_RATE}  # of a cache of its own
_TUNED: Settings = {"train.learning_rate_schedule": "wsd", "train.gold_schedule": "wsd", "train.learning_rate": 2e-3}
_FROM: Settings = {"student.initialise": "teacher:mono-en"}


def cells(plan: Plan) -> list[Cell]:
    """The students, their scores, and those of the teachers."""
    found = [Cell(name=f"teacher {name}", step=plan.teacher(name), read=teacher_values) for name in TEACHERS]
    for name, kind in TEACHERS.items():
        judged = _Judged(f"teacher {name}", teacher_folder(name), kind.languages, plan.teacher(name))
        found += _scores(plan, judged, zero_shot=name == "broad")
    for name, recipe, folder, settings in _variants():
        run, cached = (f"{recipe}-masked-30", _MASKED) if TUNED in name else (recipe, None)
        step = plan.student(run, recipe, folder, settings, cached=cached)
        found.append(Cell(name=name, step=step, read=student_values))
        judged = _Judged(name, f"runs/{run}/{folder}", tuple(ready_recipe(recipe)["corpora"]), step)
        found += _scores(plan, judged, zero_shot=recipe in OVERLAPPING, tokens="routed", route=route_of(recipe))
    return found


def _variants() -> list[tuple[str, str, str, Settings]]:
    """(name, recipe, folder in its run, settings) of each student."""
    slow: Settings = {"train.learning_rate": 1e-3}
    own: Settings = {**_FROM, "train.tail": "ghost", "train.gold_start": 0.5}
    small = {recipe: _small(recipe) for recipe in DISJOINT}
    similar = small["similar-small"]
    return [
        *((recipe, recipe, "student", {}) for recipe in (*DISJOINT, *OVERLAPPING)),
        *((f"{recipe}{GOLD}", recipe, "gold", {"train.labels": "gold"}) for recipe in DISJOINT),
        (BEST, "similar-small", "best", own),
        (f"similar-small{SMALL}", "similar-small", "small-batches", {**similar, **slow}),
        (f"{BEST}{SMALL}", "similar-small", "best-small-batches", {**own, **similar, **slow}),
        *((f"{recipe}{TUNED}", recipe, "student", {**small[recipe], **_TUNED}) for recipe in DISJOINT),
        (f"similar-small{TUNED}{GOLD}", "similar-small", "gold", {**similar, **_TUNED, "train.labels": "gold"}),
        *((f"{recipe}{FROM}{TUNED}", recipe, "best", {**small[recipe], **_TUNED, **_FROM, **slow}) for recipe in DISJOINT),
    ]


def _small(recipe: str) -> Settings:
    """A quarter of the tokens in each step, and four times as many steps."""
    return {"train.tokens_per_batch": 1024, "train.steps": 4 * ready_recipe(recipe)["train"]["steps"]}


class _Judged(NamedTuple):
    """A model that tasks judge."""

    name: str  # in the study
    folder: str
    languages: tuple[str, ...]
    step: Step


def route_of(recipe: str) -> Mapping[str, str]:
    """The teachers that read a recipe's students where the first one of a language would be the wrong one."""
    return ROUTE if recipe.startswith("both-") else {}


def _scores(
    plan: Plan, judged: _Judged, *, zero_shot: bool, tokens: str | None = None, route: Mapping[str, str] | None = None
) -> Iterator[Cell]:
    """A cell for each task and language. What English gives zero-shot includes English itself."""
    special = zero_shot or judged.name == "teacher specialist"
    for task, files in TASKS.items():
        for language in judged.languages:
            if not files[language].train:
                continue
            test = judged.languages if zero_shot and language == "en" else ()
            step = plan.scores(
                judged.folder,
                task,
                language,
                test=test,
                tokens=tokens,
                route=route,
                seeds=1 if special else SEEDS,
                after=judged.step,
            )
            yield Cell(name=f"{judged.name} {task} {language}", step=step, read=task_values)
