"""The results of an evaluation for people, and two evaluations side by side."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.identity import differences
from data.state_file import read_state_file
from data.table import Column, Table, Value
from student.tasks.results import Deviations, Evaluation, spread
from vocab.errors import InputError

# Counters of what is odd, in the singular.
_ODD = {
    "words_without_piece": "word without a piece",
    "words_too_long": "word longer than a window",
    "split_sentences": "sentence in several windows",
    "cut_pairs": "pair cut at its end",
    "cut_questions": "question cut at its end",
    "unreachable_answers": "answer of no run of pieces",
}


def score_table(found: Evaluation) -> Table:
    """A row for each language and model, then the means over languages."""
    extra = [metric for metric in found.metrics() if metric != found.headline]
    columns = [
        Column("language"),
        Column("model"),
        Column(found.headline.replace("_", " "), ".2f", key=found.headline),
        Column("±", ".2f", key="sd"),
        *(Column(metric.replace("_", " "), ".2f", key=metric) for metric in extra),
        Column("RDT %", "+z.1f", key="rdt"),
        Column("count", ",d"),
        Column("steps", ",d"),
        Column("seconds", ",.0f"),
        Column("MB", ",.0f", key="peak_mb"),
    ]
    rdt = {name: found.deviations(name, found.headline) for name in found.names(teacher=False)}
    rows = [
        _row(found, language, name, extra, rdt.get(name))
        for language in found.languages
        for name in [*found.names(teacher=True), *found.names(teacher=False)]
        if found.values(name, language, found.headline)
    ]
    for name, of_model in rdt.items():
        means = [
            statistics.fmean(found.mean(name, language, metric) or 0.0 for language in found.languages)
            for metric in (found.headline, *extra)
        ]
        rows.append(["mean", name, means[0], None, *means[1:], of_model.mean if of_model else None, *[None] * 4])
    return Table(
        title=f"{found.task}: {found.scorer}",
        columns=columns,
        rows=rows,
        notes=_notes(found),
        result=f"{found.file}: {_number(len(found.runs), 'fine-tuning')}. `mergedistill evaluate compare` puts it beside another",
    )


def _row(found: Evaluation, language: str, name: str, extra: list[str], rdt: Deviations | None) -> list[Value]:
    runs = [run for run in found.runs if run.model == name and language in run.scores]
    return [
        language,
        name,
        found.mean(name, language, found.headline),
        spread(found.values(name, language, found.headline)),
        *(found.mean(name, language, metric) for metric in extra),
        rdt.by_language.get(language) if rdt else None,
        runs[0].scores[language].count,
        runs[0].steps,
        statistics.fmean(run.seconds for run in runs),
        statistics.fmean(run.peak_mb for run in runs),
    ]


def _notes(found: Evaluation) -> list[str]:
    seeds = len({run.seed for run in found.runs})
    notes = [
        f"Scorer: {found.scorer}. "
        + (f"± is the standard deviation over {seeds} seeds. " if seeds > 1 else "")
        + "Steps, seconds and the peak of memory (MB) are those of one fine-tuning."
    ]
    for name in found.names(teacher=False):
        for metric in found.metrics():
            rdt = found.deviations(name, metric)
            if rdt is not None and not metric.startswith("best_"):
                over = f" ± {spread(rdt.seeds):.1f} over seeds" if len(rdt.seeds) > 1 else ""
                without = f"; without {', '.join(rdt.undefined)}, where a teacher scores 0" if rdt.undefined else ""
                notes.append(
                    f"RDT of {name}, {metric.replace('_', ' ')}: {rdt.mean:+z.1f}%{over} (mean of languages), "
                    f"{rdt.of_averages:+z.1f}% (of averages){without}."
                )
    odd: dict[str, None] = {}
    for run in found.runs:
        for language, score in run.scores.items():
            counts = [_number(count, _ODD[name]) for name, count in score.counters.items() if count and name in _ODD]
            if counts:
                odd[f"{run.model}, {language}: {', '.join(counts)}."] = None
    return [*notes, *odd]


def compare(first: Path, second: Path) -> Table:
    """Two evaluations side by side: each model and language that both have, and the difference.

    Models of the same name belong together; of the others, the first student of one belongs to the first of the other, and so on. Raises
    InputError for files of different tasks, scorers or test data: their numbers do not compare.
    """
    one, two = (_Result.read(file) for file in (first, second))
    for key in ("task", "scorer", "headline"):
        mine, other = getattr(one, key), getattr(two, key)
        if mine != other:
            raise InputError(f"{second}: found the {key} '{other}', expected '{mine}' as {first}: they do not compare")
    shared = [language for language in one.tests if language in two.tests]
    if differ := [language for language in shared if one.tests[language] != two.tests[language]]:
        raise InputError(f"{second}: found other test data in '{differ[0]}' than {first}; expected the same: they do not compare")
    pairs = [(name, name) for name in one.models if name in two.models]
    rest = [[name for name, teacher in of.models.items() if not teacher and (name, name) not in pairs] for of in (one, two)]
    pairs += zip(*rest, strict=False)
    rows: list[list[Value]] = []
    for language in shared:
        for left, right in pairs:
            a, b = one.scores.get((language, left)), two.scores.get((language, right))
            if a is not None and b is not None:
                rows.append([language, left if left == right else f"{left} | {right}", *a, *b, b[0] - a[0]])
    if not rows:
        raise InputError(f"{first} and {second}: share no language and model; expected one at least")
    notes = [f"A: {first}; B: {second}. Scorer: {one.scorer}."]
    if settings := differences(two.settings, one.settings):
        notes.append(f"Settings of B that differ: {'; '.join(settings)}.".replace("expected", "in A"))
    for file, of, place in ((first, one, 0), (second, two, 1)):
        if left_out := [name for name in of.models if name not in [pair[place] for pair in pairs]]:
            notes.append(f"Left out, since the other has none of this name: {', '.join(left_out)} of {file}.")
    columns = [
        Column("language"),
        Column("model"),
        Column("A", ".2f"),
        Column("±", ".2f", key="sd_a"),
        Column("B", ".2f"),
        Column("±", ".2f", key="sd_b"),
        Column("B − A", "+z.2f", key="difference"),
    ]
    return Table(title=f"{one.task}: {one.headline}, two evaluations", columns=columns, rows=rows, notes=notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    """What is compared of a file of results."""

    task: str
    scorer: str
    headline: str
    settings: Mapping[str, Any]
    models: Mapping[str, bool]  # name → whether it is a teacher
    scores: Mapping[tuple[str, str], tuple[float, float | None]]  # (language, model) → mean and standard deviation of the headline
    tests: Mapping[str, str]  # language → sha256 of its test set

    @classmethod
    def read(cls, file: Path) -> "_Result":
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected the result of `mergedistill evaluate`, as OUT/udpos.json")
        content = read_state_file(file)
        try:
            headline = str(content["headline"])
            return cls(
                task=str(content["task"]),
                scorer=str(content["scorer"]),
                headline=headline,
                settings=dict(content["settings"]),
                models={row["model"]: bool(row["teacher"]) for row in content["scores"]},
                scores={
                    (row["language"], row["model"]): (float(row[headline]["mean"]), row[headline]["sd"])
                    for row in content["scores"]
                },
                tests={language: str(test["test"]) for run in content["runs"] for language, test in run["tests"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(f"{file}: is no result of `mergedistill evaluate`; expected its JSON, as OUT/udpos.json") from None


def _number(count: int, what: str) -> str:
    """A count with the plural of its first word."""
    first, _, rest = what.partition(" ")
    return f"{count:,} {first}{'' if count == 1 else 's'}{f' {rest}' if rest else ''}"
