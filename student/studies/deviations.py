"""Scores of cells, and RDT from them. A mean of which a cell is missing is no number, so that half a study says nothing wrong."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from student.studies.catalogue import TASKS
from student.studies.cells import Values
from student.studies.plan import ready_recipe
from student.tasks.deviation import deviation


def scores_of(found: Mapping[str, Values], name: str, task: str, language: str, *, source: str | None = None) -> list[float]:
    """A model's scores in a language, one a seed, after fine-tuning in it, or in `source`; none if the cell is missing."""
    values = found.get(f"{name} {task} {source or language}")
    return [] if values is None else list(values["scores"].get(language, []))


def mean_score(
    found: Mapping[str, Values], name: str, task: str, languages: Iterable[str], *, source: str | None = None
) -> float | None:
    """The mean over languages of the mean over seeds; None if one is missing, or if there is no language."""
    scores = [scores_of(found, name, task, language, source=source) for language in languages]
    return statistics.fmean(map(statistics.fmean, scores)) if scores and all(scores) else None


def rdt(found: Mapping[str, Values], name: str, recipe: str, task: str) -> float | None:
    """The mean RDT in percent over the recipe's languages that have training files; a language's value is the mean over its teachers.

    None if a cell is missing, or if a teacher scores 0, from which nothing deviates by percents.
    """
    by_language = []
    for language, teachers in teachers_of(recipe).items():
        if TASKS[task][language].train:
            own = scores_of(found, name, task, language)
            others = [scores_of(found, f"teacher {teacher}", task, language) for teacher in teachers]
            if not own or not all(others) or any(statistics.fmean(other) == 0 for other in others):
                return None
            by_language.append(statistics.fmean(deviation(statistics.fmean(own), statistics.fmean(other)) for other in others))
    return statistics.fmean(by_language) if by_language else None


def teachers_of(recipe: str) -> dict[str, list[str]]:
    """The teachers that label each language of a recipe, by the names of the studies."""
    found: dict[str, list[str]] = {}
    for teacher in ready_recipe(recipe)["teachers"]:
        for language in teacher["languages"]:
            found.setdefault(language, []).append(teacher["model"].rpartition("/")[2])
    return found


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """The mean of some values, and their standard deviation if there are several, as "93.99 ± 0.10"."""
    if not values or any(map(math.isnan, values)):
        return "–"
    mean = format(statistics.fmean(values), "z" + form)
    return f"{mean} ± {statistics.stdev(values):{form}}" if len(values) > 1 else mean
