"""Study students: the small twins of the paper's nine students, on held-out text, tags and entities, against their teachers."""

import statistics
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.cells import Cell, Values, mean_of, student_values, task_values, teacher_values
from student.studies.outcome import Outcome, spread
from student.studies.plan import LANGUAGES, TASKS, TEACHERS, Plan, Settings, ready_recipe, teacher_folder
from student.studies.step import Step
from student.tasks.deviation import deviation

DISJOINT = ("similar-small", "dissimilar-small")
OVERLAPPING = ("mbert-small", "muril-small", "both-all-small", "both-best-small", "sm1-small", "sm2-small")
SAME = {"sm3-small": "muril-small"}  # the paper's names of one student
BEST = "similar-small from its teachers"  # beside the paper's nine: what the project recommends
GOLD = " gold alone"
SEEDS = 3  # of the fine-tuning, for disjoint teachers; 1 for overlapping ones
SPECIAL = ("ar", "zh")


def cells(plan: Plan) -> list[Cell]:
    """The students, their scores, and those of the teachers."""
    found = [Cell(name=f"teacher {name}", step=plan.teacher(name), read=teacher_values) for name in TEACHERS]
    for name, kind in TEACHERS.items():
        judged = _Judged(f"teacher {name}", teacher_folder(name), kind.languages, plan.teacher(name))
        found += _scores(plan, judged, zero_shot=name == "broad")
    own: Settings = {"student.initialise": "teacher:mono-en", "train.tail": "ghost", "train.gold_start": 0.5}
    students: list[tuple[str, str, str, Settings]] = [
        *((recipe, recipe, "student", {}) for recipe in (*DISJOINT, *OVERLAPPING)),
        *((f"{recipe}{GOLD}", recipe, "gold", {"train.labels": "gold"}) for recipe in DISJOINT),
        (BEST, "similar-small", "best", own),
    ]
    for name, recipe, folder, settings in students:
        step = plan.student(recipe, recipe, folder, settings)
        found.append(Cell(name=name, step=step, read=student_values))
        judged = _Judged(name, f"runs/{recipe}/{folder}", tuple(ready_recipe(recipe)["corpora"]), step)
        found += _scores(plan, judged, zero_shot=recipe in OVERLAPPING, tokens="routed")
    return found


class _Judged(NamedTuple):
    """A model that tasks judge."""

    name: str  # in the study
    folder: str
    languages: tuple[str, ...]
    step: Step


def _scores(plan: Plan, judged: _Judged, *, zero_shot: bool, tokens: str | None = None) -> Iterator[Cell]:
    """A cell for each task and language. What English gives zero-shot includes English itself."""
    special = zero_shot or judged.name == "teacher specialist"
    for task, files in TASKS.items():
        for language in judged.languages:
            if not files[language].train:
                continue
            test = judged.languages if zero_shot and language == "en" else ()
            step = plan.scores(
                judged.folder, task, language, test=test, tokens=tokens, seeds=1 if special else SEEDS, after=judged.step
            )
            yield Cell(name=f"{judged.name} {task} {language}", step=step, read=task_values)


def outcome(found: Mapping[str, Values]) -> Outcome:
    """The tables in the form of the paper's two."""
    tables = [
        *([_disjoint(found)] if any(name in found for name in DISJOINT) else []),
        *(_overlapping(found, task) for task in TASKS if any(f"{name} {task} en" in found for name in OVERLAPPING)),
        *([_tokens(found)] if any(name in found for name in DISJOINT) else []),
    ]
    return Outcome(
        title="the nine students of the paper, as small twins, against their teachers",
        question=(
            "The paper: one student of disjoint teachers is within a few percent of them, on a tenth of their tokens; over overlapping "
            "teachers the union vocabulary is worth +4.2 points on the languages of the specialist, and a student that is labelled by "
            "one teacher and read with pieces of another collapses. Does it hold for small students on real text?"
        ),
        tables=tables,
        findings=_findings(found),
        limits=[
            "Models of two layers after minutes of training; NER and tagging only. sm3-small is the same student as muril-small.",
            f"{SEEDS} seeds of the fine-tuning for disjoint teachers and 1 for overlapping ones; one seed of the students.",
            "udpos has no training treebank of ar here: it has no in-language cell.",
        ],
        plot=_plot(found),
    )


def scores_of(found: Mapping[str, Values], name: str, task: str, language: str, *, source: str | None = None) -> list[float]:
    """A model's scores in a language, one a seed, after fine-tuning in it, or in `source`; none if the cell is missing."""
    values = found.get(f"{name} {task} {source or language}")
    return [] if values is None else list(values["scores"].get(language, []))


def rdt(
    found: Mapping[str, Values], name: str, teachers: Mapping[str, str], task: str, source: str | None = None
) -> dict[str, float]:
    """RDT by language, of means over seeds, against each language's teacher."""
    result = {}
    for language, teacher in teachers.items():
        own, other = (scores_of(found, one, task, language, source=source) for one in (name, f"teacher {teacher}"))
        if own and other:
            result[language] = deviation(statistics.fmean(own), statistics.fmean(other))
    return result


def _disjoint(found: Mapping[str, Values]) -> Table:
    rows: list[list[Value]] = []
    for task in TASKS:
        teachers = [scores_of(found, f"teacher {language}", task, language) for language in LANGUAGES]
        rows.append(["each language's teacher", task, *map(spread, teachers), "–"])
        for name in (*DISJOINT, *(f"{recipe}{GOLD}" for recipe in DISJOINT), BEST):
            deviations = rdt(found, name, {language: language for language in LANGUAGES}, task)
            if deviations:
                mean = f"{statistics.fmean(deviations.values()):+z.1f}"
                rows.append([name, task, *(spread(scores_of(found, name, task, language)) for language in LANGUAGES), mean])
    return Table(
        title="Disjoint teachers, fine-tuned in each language (the paper's first table)",
        columns=[Column("model"), Column("task"), Column("ar"), Column("de"), Column("en"), Column("zh"), Column("mean RDT %")],
        rows=rows,
        notes=["udpos: accuracy of words; ner: F1 of entities (seqeval, lenient); ± over seeds of the fine-tuning."],
    )


def _overlapping(found: Mapping[str, Values], task: str) -> Table:
    rows: list[list[Value]] = []
    for name in ("teacher broad", "teacher specialist", *OVERLAPPING):
        row: list[Value] = [name]
        for source in ("en", None):
            for special in (True, False):
                languages = [language for language in LANGUAGES if (language in SPECIAL) == special]
                own = [
                    statistics.fmean(scores)
                    for language in languages
                    if (scores := scores_of(found, name, task, language, source=source))
                ]
                row.append(statistics.fmean(own) if own and (task == "ner" or source or special is False or len(own)) else None)
        heldout = found.get(name)
        row.append(mean_of(heldout, "student_accuracy") if heldout and not name.startswith("teacher") else None)
        rows.append(row)
    return Table(
        title=f"Overlapping teachers, {task} (the paper's second table): means over ar, zh and over de, en",
        columns=[
            Column("model"),
            Column("from English: ar, zh", ".1f"),
            Column("from English: de, en", ".1f"),
            Column("in-language: ar, zh", ".1f"),
            Column("in-language: de, en", ".1f"),
            Column("held-out accuracy", ".1%"),
        ],
        rows=rows,
        notes=[
            "The specialist knows no English, so that it has no zero-shot scores."
            + (" in-language: zh alone, since ar has no training treebank." if task == "udpos" else "")
        ],
    )


def _tokens(found: Mapping[str, Values]) -> Table:
    rows: list[list[Value]] = []
    for name in (*DISJOINT, *(f"{recipe}{GOLD}" for recipe in DISJOINT), BEST, *OVERLAPPING):
        recipe = _recipe(name)
        if (values := found.get(name)) is None:
            continue
        teachers = [found.get(f"teacher {_folder_name(teacher['model'])}") for teacher in ready_recipe(recipe)["teachers"]]
        seen = sum(teacher["tokens"] for teacher in teachers if teacher)
        deviations = [*rdt(found, name, _teachers(recipe), "udpos").values(), *rdt(found, name, _teachers(recipe), "ner").values()]
        rows.append(
            [
                name,
                values["step"],
                values["tokens"],
                values["tokens"] / seen if seen else None,
                statistics.fmean(deviations) if deviations else None,
                values["mean_rdt"],
            ]
        )
    return Table(
        title="Tokens: the student's against its teachers', and its mean RDT",
        columns=[
            Column("student"),
            Column("steps", ",d"),
            Column("tokens", ",d"),
            Column("of its teachers'", ".1%"),
            Column("RDT of tags and entities %", "+z.1f"),
            Column("RDT of held-out accuracy %", "+z.1f"),
        ],
        rows=rows,
    )


def _folder_name(model: str) -> str:
    return model.rpartition("/")[2]


def _recipe(name: str) -> str:
    """The recipe of a student of the study."""
    return "similar-small" if name == BEST else name.removesuffix(GOLD)


def _teachers(recipe: str) -> dict[str, str]:
    """The first teacher of each language of a recipe that labels it."""
    found: dict[str, str] = {}
    for teacher in ready_recipe(recipe)["teachers"]:
        for language in teacher["languages"]:
            found.setdefault(language, _folder_name(teacher["model"]))
    return found


def _findings(found: Mapping[str, Values]) -> list[str]:
    said = []
    for name in (*DISJOINT, BEST):
        recipe = _recipe(name)
        deviations = {task: rdt(found, name, _teachers(recipe), task) for task in TASKS}
        parts = [f"{statistics.fmean(own.values()):+.1f}% in {task}" for task, own in deviations.items() if own]
        if parts:
            said.append(f"{name}: mean RDT {' and '.join(parts)}; {_PAPER[recipe]}.")
    for task in TASKS:
        for one, other, what in _PAIRS:
            scores = [_special(found, name, task) for name in (one, other)]
            if scores[0] is not None and scores[1] is not None:
                said.append(f"{task}, zero-shot on ar and zh, {one} against {other}: {scores[0] - scores[1]:+.1f} points; {what}.")
    return said


_PAPER = {
    "similar-small": "the paper: −0.1 in UDPOS, +0.6 in NER",
    "dissimilar-small": "the paper: −1.1 in UDPOS, −0.2 in NER",
}
_PAIRS = (
    ("sm2-small", "sm1-small", "what the union vocabulary is worth (the paper: +4.2)"),
    ("muril-small", "sm2-small", "what teacher labels are worth (the paper: nothing at the end, +2.9 after a fifth of the steps)"),
    (
        "mbert-small",
        "sm1-small",
        "all read as their teachers did (the paper: −14.3; its students seem to have read by longest match)",
    ),
    ("both-all-small", "both-best-small", "rows of both teachers, or of the better one (the paper: −0.1)"),
)


def _special(found: Mapping[str, Values], name: str, task: str) -> float | None:
    """The mean zero-shot score from English on the specialist's languages."""
    scores = [scores_of(found, name, task, language, source="en") for language in SPECIAL]
    return statistics.fmean(map(statistics.fmean, scores)) if all(scores) else None


def _plot(found: Mapping[str, Values]) -> str | None:
    deviations = {
        name: {task: own for task in TASKS if (own := rdt(found, name, _teachers(_recipe(name)), task))}
        for name in (*DISJOINT, BEST, *OVERLAPPING)
    }
    shown = {name: own for name, own in deviations.items() if own}
    if not shown:
        return None
    series = {task: [statistics.fmean(own[task].values()) if task in own else None for own in shown.values()] for task in TASKS}
    return plots.bars([name.replace("-small", "") for name in shown], series, "mean RDT in-language, %")
