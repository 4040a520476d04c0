"""The results of an evaluation for people, and two evaluations side by side."""

import statistics
from pathlib import Path

from data.state_file import read_state_file
from data.table import Column, Table, Value
from student.tasks.results import Deviations, Evaluation, spread
from vocab.errors import InputError

# Counters of what is odd, in the singular.
_ODD = {
    "words_without_piece": "word without a piece",
    "words_too_long": "word that fits no window",
    "split_sentences": "sentence in several windows",
    "cut_pairs": "pair that is cut",
    "cut_questions": "question that is cut",
    "unreachable_answers": "answer that no run of pieces is",
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
        Column("RDT %", "+.1f", key="rdt"),
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
        + "Steps, seconds and MB are those of one fine-tuning."
    ]
    for name in found.names(teacher=False):
        for metric in found.metrics():
            rdt = found.deviations(name, metric)
            if rdt is not None and not metric.startswith("best_"):
                over = f" ± {spread(rdt.seeds):.1f} over seeds" if len(rdt.seeds) > 1 else ""
                without = f"; without {', '.join(rdt.undefined)}, where a teacher scores 0" if rdt.undefined else ""
                notes.append(
                    f"RDT of {name}, {metric.replace('_', ' ')}: {rdt.mean:+.1f}%{over} (mean of languages), "
                    f"{rdt.of_averages:+.1f}% (of averages){without}."
                )
    odd: dict[str, None] = {}
    for run in found.runs:
        for language, score in run.scores.items():
            counts = [_number(count, _ODD.get(name, name)) for name, count in score.counters.items() if count and name in _ODD]
            if counts:
                odd[f"{run.model}, {language}: {', '.join(counts)}."] = None
    return [*notes, *odd]


def _number(count: int, what: str) -> str:
    """A count with the plural of its first word."""
    first, _, rest = what.partition(" ")
    return f"{count:,} {first}{'' if count == 1 else 's'}{f' {rest}' if rest else ''}"


def compare(first: Path, second: Path) -> Table:
    """Two evaluations side by side: each model and language that both have, and the difference.

    Raises InputError for files of different tasks, scorers or test data: their numbers do not compare.
    """
    contents = [read_state_file(file) for file in (first, second)]
    for file, content in zip((first, second), contents, strict=True):
        if not {"task", "scorer", "headline", "scores", "runs"} <= content.keys():
            raise InputError(f"{file}: is no result of `mergedistill evaluate`; expected its JSON, as OUT/udpos.json")
    for key in ("task", "scorer", "headline"):
        if contents[0][key] != contents[1][key]:
            raise InputError(
                f"{second}: found the {key} '{contents[1][key]}', expected '{contents[0][key]}' as {first}: they do not compare"
            )
    tests = [
        {language: test.get("test") for run in content["runs"] for language, test in run["tests"].items()} for content in contents
    ]
    shared = [language for language in tests[0] if language in tests[1]]
    if other := [language for language in shared if tests[0][language] != tests[1][language]]:
        raise InputError(f"{second}: found other test data in '{other[0]}' than {first}; expected the same: they do not compare")
    headline = contents[0]["headline"]
    of = [{(row["language"], row["model"]): row[headline] for row in content["scores"]} for content in contents]
    names = [list(dict.fromkeys(model for _, model in found)) for found in of]
    pairs = [(name, name) for name in names[0] if name in names[1]] or [*zip(names[0], names[1], strict=False)]
    rows: list[list[Value]] = []
    for language in shared:
        for left, right in pairs:
            one, two = of[0].get((language, left)), of[1].get((language, right))
            if one and two:
                label = left if left == right else f"{left} | {right}"
                rows.append([language, label, one["mean"], one["sd"], two["mean"], two["sd"], two["mean"] - one["mean"]])
    if not rows:
        raise InputError(f"{first} and {second}: share no language and model; expected one at least")
    columns = [
        Column("language"),
        Column("model"),
        Column("A", ".2f"),
        Column("±", ".2f", key="sd_a"),
        Column("B", ".2f"),
        Column("±", ".2f", key="sd_b"),
        Column("B − A", "+.2f", key="difference"),
    ]
    return Table(
        title=f"{contents[0]['task']}: {headline}, two evaluations",
        columns=columns,
        rows=rows,
        notes=[f"A: {first}; B: {second}. Scorer: {contents[0]['scorer']}."],
    )
