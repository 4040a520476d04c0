"""The results of an evaluation: a file for each fine-tuning, and means over seeds with RDT. `tables.py` shows them."""

import json
import statistics
from collections.abc import Mapping, Sequence
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


def read_run(file: Path, identity: Mapping[str, Any], tests: Mapping[str, Mapping[str, Any]]) -> RunResult | None:
    """The result that is there already; None if there is none, or if it lacks one of the tests.

    Raises InputError for the result of other settings, with the field that differs.
    """
    if not file.is_file():
        return None
    content = read_state_file(file)
    if wrong := differences(content.get("identity", {}), identity):
        raise InputError(f"{file}: made with other settings: {'; '.join(wrong[:3])}: use the same ones, or another --out")
    if any(content.get("tests", {}).get(language) != wanted for language, wanted in tests.items()):
        return None
    try:
        scores = {language: Score(**content["scores"][language]) for language in tests}
        return RunResult(**(content | {"scores": scores, "tests": dict(tests)}))
    except (TypeError, KeyError) as error:
        raise InputError(f"{file}: is not as this program wrote it ({error!r}): remove it, and it is made again") from None


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

    def deviations(self, model: str) -> dict[str, Any] | None:
        """RDT of a model: by language, its mean over languages, the spread over seeds, and that of averages. None without teachers."""
        teachers = {
            language: [
                value for name in self.names(teacher=True) if (value := self.mean(name, language, self.headline)) is not None
            ]
            for language in self.languages
        }
        teachers = {language: found for language, found in teachers.items() if found and all(found)}
        student = {language: self.mean(model, language, self.headline) or 0.0 for language in teachers}
        if not teachers:
            return None
        by_language = {
            language: statistics.fmean(deviation(student[language], value) for value in found)
            for language, found in teachers.items()
        }
        means = [statistics.fmean(found) for found in teachers.values()]
        return {
            "by_language": by_language,
            "mean": mean_deviation(student, teachers),
            "of_averages": deviation_of_means([student[language] for language in teachers], means),
            "seeds": self._by_seed(model, list(teachers)),
        }

    def _by_seed(self, model: str, languages: Sequence[str]) -> list[float]:
        """The mean RDT of each seed, against the teachers of the same seed."""
        deviations = []
        for place in range(len({run.seed for run in self.runs})):
            values = []
            for language in languages:
                own = self.values(model, language, self.headline)[place]
                teachers = [self.values(name, language, self.headline) for name in self.names(teacher=True)]
                others = [of_seeds[place] for of_seeds in teachers if of_seeds]
                if not all(others):
                    return []  # nothing deviates from 0 by percents
                values.append(statistics.fmean(deviation(own, other) for other in others))
            deviations.append(statistics.fmean(values))
        return deviations

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
            "rdt": {name: self.deviations(name) for name in self.names(teacher=False)},
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


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample; None for one value."""
    return statistics.stdev(values) if len(values) > 1 else None
