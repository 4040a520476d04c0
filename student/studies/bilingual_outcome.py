"""What study bilingual shows: scores by task, the masked LMs of phase 1, the costs, and what follows."""

import statistics
from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.catalogue import TOKENS
from student.studies.cells import Values
from student.studies.deviations import spread
from student.studies.outcome import Outcome

SOURCE, TARGETS = "en", ("de", "zh")
SEEDS = 3
TASKS = {"udpos": "1", "ner": "0.25"}  # epochs of the full phase; the sparse phase has those of all studies
TEACHER = "teacher"
PAIRS = {language: f"bistil-{SOURCE}-{language}" for language in TARGETS}
ALL = "bistil-all"  # one student of all four languages, of the same depth: as DistilmBERT

_ROWS = {  # what a row is called → the cells of each target language
    "teacher, LT-SFT": dict.fromkeys(TARGETS, TEACHER),
    "BiStil": PAIRS,
    "BiStil without phase 2": {language: f"{name} gold" for language, name in PAIRS.items()},
    "one student of all four languages": dict.fromkeys(TARGETS, ALL),
    "bilingual from scratch": {language: f"scratch-{language}" for language in TARGETS},
}


def _values(found: Mapping[str, Values], row: str, task: str, language: str, target: str) -> list[float]:
    """The scores of a row's model for a target, in one language: one a seed."""
    values = found.get(f"{_ROWS[row][target]} {task}")
    return [] if values is None else list(values["scores"].get(language, []))


def outcome(found: Mapping[str, Values]) -> Outcome:
    """Scores by task, the masked LMs of phase 1, and the costs."""
    tables = [_scores_table(found, task) for task in TASKS if f"{TEACHER} {task}" in found]
    tables += [table for table in (_phase_one(found), _costs(found)) if table.rows]
    return Outcome(
        title="bilingual students of one multilingual model (BiStil), zero-shot from English",
        question=(
            "The paper's abstract: with minimal loss against the multilingual model in the target language, a bilingual student is much "
            "smaller and faster; it is far better than a bilingual model trained from scratch. Does it hold for a small model?"
        ),
        tables=tables,
        findings=_findings(found),
        limits=[
            f"A multilingual model of four languages, four layers and {TOKENS * 5000 / 1e6:.0f} million tokens; {SEEDS} seeds of the "
            "fine-tuning, one of phase 1.",
            "Its vocabulary is small already, so trimming to two languages saves little: with mBERT's 119,547 pieces it is most of the "
            "parameters.",
            "The teacher has no sparse fine-tunings of languages, which the paper adds to it.",
            f"ner has {TASKS['ner']} of an epoch in the full phase and half of one in the sparse phase.",
            *_near_nothing(found),
        ],
        plot=_plot(found),
    )


_NOTHING = 5.0  # points: a teacher below has not transferred the task to the language


def _near_nothing(found: Mapping[str, Values]) -> list[str]:
    """Where the teacher itself scores next to nothing, so that nothing can be said about its students."""
    weak = {(task, language): _values(found, "teacher, LT-SFT", task, language, language) for task in TASKS for language in TARGETS}
    return [
        f"In {task} the teacher itself scores {statistics.fmean(values):.1f} in {language}: differences there mean nothing."
        for (task, language), values in weak.items()
        if values and statistics.fmean(values) < _NOTHING
    ]


def _scores_table(found: Mapping[str, Values], task: str) -> Table:
    rows: list[list[Value]] = []
    for row in _ROWS:
        scores = {language: _values(found, row, task, language, language) for language in TARGETS}
        source = [_values(found, row, task, SOURCE, target) for target in TARGETS]
        if not any(scores.values()):
            continue
        mean = _mean_drop(found, row, task) if row != "teacher, LT-SFT" else None
        rows.append(
            [row, *map(spread, scores.values()), mean, *map(spread, source if row != "teacher, LT-SFT" else [source[0], []])]
        )
    return Table(
        title=f"{task}: trained on English, tested in the target language",
        columns=[
            Column("model"),
            *map(Column, TARGETS),
            Column("against the teacher, points", "+z.1f"),
            *(Column(f"{SOURCE} ({SOURCE}–{target})") for target in TARGETS),
        ],
        rows=rows,
        notes=["udpos: accuracy of words; ner: F1 of entities (seqeval, lenient); ± over seeds."],
    )


def _mean_drop(found: Mapping[str, Values], row: str, task: str) -> float | None:
    """The mean over the target languages of a row's scores less the teacher's; None if a cell is missing."""
    drops = []
    for language in TARGETS:
        own, teacher = (_values(found, name, task, language, language) for name in (row, "teacher, LT-SFT"))
        if not own or not teacher:
            return None
        drops.append(statistics.fmean(own) - statistics.fmean(teacher))
    return statistics.fmean(drops)


def _phase_one(found: Mapping[str, Values]) -> Table:
    rows: list[list[Value]] = []
    for name in (*PAIRS.values(), ALL):
        if (values := found.get(name)) is None:
            continue
        for language, look in values["look"]["languages"].items():
            scores = [look[key] for key in ("mlm_loss", "mlm_accuracy", "teacher_mlm_loss", "teacher_mlm_accuracy")]
            rows.append([name, language, values["vocab_size"], values["tokens"], *scores])
    return Table(
        title="Phase 1: masked-LM loss and accuracy on the validation windows; phase 1 does not train on this loss",
        columns=[
            Column("student"),
            Column("language"),
            Column("pieces", ",d"),
            Column("tokens", ",d"),
            Column("loss", ".3f"),
            Column("accuracy", ".1%"),
            Column("teacher's loss", ".3f"),
            Column("teacher's accuracy", ".1%"),
        ],
        rows=rows,
    )


def _costs(found: Mapping[str, Values]) -> Table:
    rows: list[list[Value]] = []
    for language in TARGETS:
        for row in found.get(f"cost {language}", {}).get("rows", []):
            fields = ("parameters", "of_the_vocabulary", "tokens", "gflops", "seconds", "times_as_fast")
            rows.append([row["model"], language, *(row[field] for field in fields)])
    return Table(
        title="Cost on the same held-out texts, one CPU thread, float32",
        columns=[
            Column("model"),
            Column("text"),
            Column("parameters", ",d"),
            Column("of the vocabulary", ",d"),
            Column("tokens", ",d"),
            Column("GFLOPs", ".2f"),
            Column("seconds", ".2f"),
            Column("times as fast", ".2f"),
        ],
        rows=rows,
    )


def _findings(found: Mapping[str, Values]) -> list[str]:
    said = []
    means = {task: {row: mean for row in _ROWS if (mean := _mean_drop(found, row, task)) is not None} for task in TASKS}
    for task, found_means in means.items():
        if "BiStil" in found_means:
            others = [f"{name} {found_means[name]:+.1f}" for name in found_means if name not in ("BiStil", "teacher, LT-SFT")]
            said.append(
                f"{task}, points against the teacher in the target languages: BiStil {found_means['BiStil']:+.1f}"
                + (f"; {', '.join(others)}" if others else "")
                + "."
            )
    costs = [row for language in TARGETS for row in found.get(f"cost {language}", {}).get("rows", [])]
    own = [row for row in costs if any(name in row["model"] for name in PAIRS.values())]
    if own:
        first = [row for row in costs if row["model"].endswith("broad")]
        share = statistics.fmean(row["parameters"] for row in own) / statistics.fmean(row["parameters"] for row in first)
        times = statistics.fmean(row["times_as_fast"] for row in own)
        said.append(
            f"A bilingual student has {share:.0%} of the teacher's parameters and is {times:.2f} times as fast on one thread."
        )
    return said


def _plot(found: Mapping[str, Values]) -> str | None:
    series: dict[str, list[float | None]] = {}
    for task in TASKS:
        scores = []
        for row in _ROWS:
            values = [_values(found, row, task, language, language) for language in TARGETS]
            scores.append(statistics.fmean(map(statistics.fmean, values)) if all(values) else None)
        series[task] = scores
    if not any(value is not None for scores in series.values() for value in scores):
        return None
    return plots.bars([*_ROWS], series, f"mean score in {' and '.join(TARGETS)}, %")
