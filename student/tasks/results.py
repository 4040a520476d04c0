"""The results of an evaluation: a file for each fine-tuning, and means over seeds with RDT. `tables.py` shows them."""

import json
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.atomic import write_text
from data.identity import differences
from data.state_file import read_state_file
from student.tasks.deviation import deviation, deviation_of_means, mean_deviation
from student.tasks.task import Score
from vocab.errors import InputError

VERSION = 1  # of the files


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """One fine-tuning, and its scores in each test language."""

    model: str
    teacher: bool
    train_language: str
    seed: int
    identity: Mapping[str, Any]  # what the weights depend on
    tests: Mapping[str, Mapping[str, Any]]  # by language: what its scores depend on besides
    scores: Mapping[str, Score]
    steps: int
    best_step: int
    dev: float | None
    seconds: float
    peak_mb: float
    train_counters: Mapping[str, int] = field(default_factory=dict)


def write_run(file: Path, result: RunResult) -> None:
    """Write the result of a fine-tuning, atomically."""
    write_text(file, json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n")


def read_run(file: Path, identity: Mapping[str, Any]) -> RunResult | None:
    """The result that is there already; None if there is none.

    Raises InputError for the result of other settings, with the field that differs.
    """
    if not file.is_file():
        return None
    content = read_state_file(file)
    try:
        if wrong := differences(dict(content["identity"]), identity):
            raise InputError(f"{file}: made with other settings: {'; '.join(wrong[:3])}: use the same ones, or another --out")
        return _run_of(content)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: is not as this program wrote it ({error!r}): remove it, and it is made again") from None


def _run_of(content: Mapping[str, Any]) -> RunResult:
    """A result from its JSON. Raises TypeError, KeyError or AttributeError for another content."""
    scores = {language: Score(**score) for language, score in content["scores"].items()}
    tests = {language: dict(test) for language, test in content["tests"].items()}
    return RunResult(**{**content, "scores": scores, "tests": tests})


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviations:
    """RDT of one model in one metric, in percent, against each language's teachers (the mean over several)."""

    by_language: Mapping[str, float]
    mean: float  # of the languages
    of_averages: float  # of the means over languages
    seeds: tuple[float, ...]  # the mean of the languages for each seed, against the teachers of the same seed
    undefined: tuple[str, ...]  # languages whose teacher scores 0, from which nothing deviates by percents


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All runs of one call."""

    task: str
    scorer: str  # what made the numbers, in words
    headline: str
    settings: Mapping[str, Any]
    runs: Sequence[RunResult]
    file: Path

    def mean(self, model: str, language: str, metric: str) -> float | None:
        """The mean over seeds."""
        values = self.values(model, language, metric)
        return statistics.fmean(values) if values else None

    def values(self, model: str, language: str, metric: str) -> list[float]:
        """A value for each seed."""
        runs = [run for run in self.runs if run.model == model and language in run.scores]
        return [run.scores[language].metrics[metric] for run in sorted(runs, key=lambda run: run.seed)]

    @property
    def languages(self) -> list[str]:
        return list(dict.fromkeys(language for run in self.runs for language in run.scores))

    def names(self, *, teacher: bool) -> list[str]:
        """The models that are teachers, or that are not."""
        return list(dict.fromkeys(run.model for run in self.runs if run.teacher == teacher))

    def deviations(self, model: str, metric: str) -> Deviations | None:
        """RDT of a model in one metric. None if no language has a teacher that scores above 0."""
        scores = {
            language: [found for name in self.names(teacher=True) if (found := self.values(name, language, metric))]
            for language in self.languages
        }
        teachers = {language: found for language, found in scores.items() if found and all(map(all, found))}
        undefined = tuple(language for language, found in scores.items() if found and language not in teachers)
        own = {language: self.values(model, language, metric) for language in teachers}
        if not teachers or not all(own.values()):
            return None

        def of(choose: Callable[[Sequence[float]], float]) -> dict[str, float]:
            """By language, with one number for the seeds of each model."""
            return {
                language: statistics.fmean(deviation(choose(own[language]), choose(seeds)) for seeds in found)
                for language, found in teachers.items()
            }

        by_seed = [of(operator.itemgetter(place)) for place in range(len({run.seed for run in self.runs}))]
        means = [statistics.fmean(map(statistics.fmean, found)) for found in teachers.values()]
        return Deviations(
            by_language=of(statistics.fmean),
            mean=mean_deviation(
                {language: statistics.fmean(seeds) for language, seeds in own.items()},
                {language: [statistics.fmean(seeds) for seeds in found] for language, found in teachers.items()},
            ),
            of_averages=deviation_of_means([statistics.fmean(own[language]) for language in teachers], means),
            seeds=tuple(statistics.fmean(found.values()) for found in by_seed),
            undefined=undefined,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs and for `evaluate compare`."""
        rows = [
            {
                "model": name,
                "teacher": teacher,
                "language": language,
                **{
                    metric: {"mean": statistics.fmean(values), "sd": spread(values), "seeds": values}
                    for metric in self.metrics(name, language)
                    if (values := self.values(name, language, metric))
                },
            }
            for teacher in (False, True)
            for name in self.names(teacher=teacher)
            for language in self.languages
            if self.values(name, language, self.headline)
        ]
        return {
            "version": VERSION,
            "task": self.task,
            "scorer": self.scorer,
            "headline": self.headline,
            "settings": dict(self.settings),
            "scores": rows,
            "rdt": {
                name: {metric: asdict(found) for metric in self.metrics() if (found := self.deviations(name, metric))}
                for name in self.names(teacher=False)
            },
            "runs": [asdict(run) for run in self.runs],
        }

    def write(self) -> None:
        """Write the file of the results, atomically."""
        write_text(self.file, json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")

    def metrics(self, model: str | None = None, language: str | None = None) -> list[str]:
        """The names of the metrics, the headline first."""
        found = [
            metric
            for run in self.runs
            if model in (None, run.model)
            for own, score in run.scores.items()
            if language in (None, own)
            for metric in score.metrics
        ]
        return list(dict.fromkeys([self.headline, *found]))


def read_evaluation(file: Path) -> Evaluation:
    """The results that `Evaluation.write` wrote. Raises InputError for a file of another content."""
    content = read_state_file(file)
    try:
        runs = [_run_of(run) for run in content["runs"]]
        found = Evaluation(
            task=str(content["task"]),
            scorer=str(content["scorer"]),
            headline=str(content["headline"]),
            settings=dict(content["settings"]),
            runs=runs,
            file=file,
        )
        found.to_json()  # every model has its scores
    except (TypeError, KeyError, AttributeError, ValueError, IndexError):
        raise InputError(f"{file}: is no result of `mergedistill evaluate`; expected its JSON, as OUT/udpos.json") from None
    return found


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample; None for one value."""
    return statistics.stdev(values) if len(values) > 1 else None
