"""What study students shows: the paper's two tables, tokens, and what follows."""

from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.catalogue import LANGUAGES, TASKS
from student.studies.cells import Values
from student.studies.deviations import mean_score, rdt, scores_of, spread, teachers_of
from student.studies.outcome import Outcome

DISJOINT = ("similar-small", "dissimilar-small")
OVERLAPPING = ("mbert-small", "muril-small", "both-all-small", "both-best-small", "sm1-small", "sm2-small")
FROM = " from its teachers"
BEST = f"similar-small{FROM}"  # beside the paper's nine: what the project recommends
SMALL = " in small batches"  # the same tokens in four times as many steps of a quarter of the tokens
TUNED = " tuned"  # other masks and schedules, the same tokens: see _TUNED
GOLD = " gold alone"
BESIDE = (
    BEST,
    *(f"{name}{SMALL}" for name in ("similar-small", BEST)),
    f"similar-small{TUNED}",
    f"dissimilar-small{TUNED}",
    f"similar-small{TUNED}{GOLD}",
    f"{BEST}{TUNED}",
    f"dissimilar-small{FROM}{TUNED}",
)
SEEDS = 3  # of the fine-tuning, for disjoint teachers; 1 for overlapping ones
SPECIAL, OTHER = ("ar", "zh"), ("de", "en")  # languages of the specialist, and of the broad teacher alone
MASK_RATE = 0.3  # of the tuned students


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
            "Models of two layers after minutes of training; named entities and tagging only.",
            "sm3-small is the same student as muril-small.",
            f"{SEEDS} seeds of the fine-tuning for disjoint teachers and 1 for overlapping ones, one of the students: a difference of less "
            "than about one point between overlapping ones means little.",
            "The mask rate and the steps of the tuned students were chosen among few on similar-small's own scores, so these are a little "
            "optimistic; dissimilar-small took them as they were.",
            "udpos has no training treebank of ar here: it has no in-language cell.",
            "All students read as their teachers did (routed); the paper's seem to have read by longest match: see the study vocabulary.",
        ],
        plot=_plot(found),
    )


def _students() -> list[str]:
    """All students of the study, in the order of the tables."""
    return [*DISJOINT, *(f"{recipe}{GOLD}" for recipe in DISJOINT), *BESIDE, *OVERLAPPING]


def _recipe(name: str) -> str:
    """The recipe of a student of the study: the first word of its name."""
    return name.split()[0]


def _disjoint(found: Mapping[str, Values]) -> Table:
    rows: list[list[Value]] = []
    for task in TASKS:
        teachers = [scores_of(found, f"teacher {language}", task, language) for language in LANGUAGES]
        rows.append(["each language's teacher", task, *map(spread, teachers), None])
        for name in _students()[: -len(OVERLAPPING)]:
            scores = [scores_of(found, name, task, language) for language in LANGUAGES]
            if any(scores):
                rows.append([name, task, *map(spread, scores), rdt(found, name, _recipe(name), task)])
    return Table(
        title="Disjoint teachers, fine-tuned in each language (the paper's first table)",
        columns=[Column("model"), Column("task"), *map(Column, LANGUAGES), Column("mean RDT %", "+z.1f")],
        rows=rows,
        notes=[
            "udpos: accuracy of words; ner: F1 of entities (seqeval, lenient); ± over seeds of the fine-tuning.",
            f"Tuned: {MASK_RATE:.0%} of the tokens are masked instead of 15%, so the same tokens give twice as many "
            "labels; steps have a quarter of the tokens; learning rate and labels have the schedule wsd (see the study schedule). "
            "The student from its teachers that is not tuned has ghost labels, and a gold label from half the weight on.",
        ],
    )


def _overlapping(found: Mapping[str, Values], task: str) -> Table:
    trained = [[language for language in group if TASKS[task][language].train] for group in (SPECIAL, OTHER)]
    rows: list[list[Value]] = [
        [
            name,
            *(mean_score(found, name, task, group, source="en") for group in (SPECIAL, OTHER)),
            *(mean_score(found, name, task, group) for group in trained),
        ]
        for name in ("teacher broad", "teacher specialist", *OVERLAPPING)
    ]
    columns = [
        *(Column(f"from English: {' '.join(group)}", ".1f") for group in (SPECIAL, OTHER)),
        *(Column(f"in-language: {' '.join(group)}", ".1f") for group in trained),
    ]
    return Table(
        title=f"Overlapping teachers, {task} (the paper's second table): means over languages",
        columns=[Column("model"), *columns],
        rows=rows,
        notes=["The specialist knows no English, so that it has no zero-shot scores."],
    )


def _tokens(found: Mapping[str, Values]) -> Table:
    rows: list[list[Value]] = []
    for name in _students():
        if (values := found.get(name)) is None:
            continue
        names = {teacher for teachers in teachers_of(_recipe(name)).values() for teacher in teachers}
        teachers = [found.get(f"teacher {teacher}") for teacher in names]
        seen = sum(teacher["tokens"] for teacher in teachers if teacher) if all(teachers) else None
        deviations = [rdt(found, name, _recipe(name), task) for task in TASKS]
        means = [value for value in deviations if value is not None]
        mean = sum(means) / len(means) if len(means) == len(deviations) else None
        rows.append([name, values["step"], values["tokens"], values["tokens"] / seen if seen else None, mean, values["mean_rdt"]])
    return Table(
        title="Tokens: the student's against those of the teachers that label its text, and its mean RDT",
        columns=[
            Column("student"),
            Column("steps", ",d"),
            Column("tokens", ",d"),
            Column("of its teachers'", ".1%"),
            Column("RDT of tags and entities %", "+z.1f"),
            Column("RDT of held-out accuracy %", "+z.1f"),
        ],
        rows=rows,
        notes=[
            "RDT of tags and entities: the mean of the two tasks' means over languages, in-language.",
            "Held-out text is masked as the training text is: there, the tuned students do not compare with the others.",
        ],
    )


_PAPER = {
    "similar-small": "the paper: −0.1 in UDPOS, +0.6 in NER",
    "dissimilar-small": "the paper: −1.1 in UDPOS, −0.2 in NER",
    **dict.fromkeys(BESIDE, "the paper has no such student"),
}
_PAIRS = (
    ("sm2-small", "sm1-small", "what the union vocabulary is worth (the paper: +4.2)"),
    ("muril-small", "sm2-small", "what teacher labels are worth (the paper: nothing at the end, +2.9 after a fifth of the steps)"),
    ("mbert-small", "sm1-small", "the labels of one teacher, and pieces of two (the paper: −14.3)"),
    ("both-all-small", "both-best-small", "rows of both teachers, or of the better one (the paper: −0.1)"),
)
_NOISE = 1.0  # points, for one seed: reference students of the paper that share a teacher differ as much


def _findings(found: Mapping[str, Values]) -> list[str]:
    said = []
    for name in _students()[: -len(OVERLAPPING)]:
        deviations = {task: rdt(found, name, _recipe(name), task) for task in TASKS}
        parts = [f"{mean:+z.1f}% in {task}" for task, mean in deviations.items() if mean is not None]
        if parts:
            paper = "" if name.endswith(GOLD) else f"; {_PAPER[name]}"
            said.append(f"{name}: mean RDT {' and '.join(parts)}{paper}.")
    for task in TASKS:
        for one, other, what in _PAIRS:
            scores = [mean_score(found, name, task, SPECIAL, source="en") for name in (one, other)]
            if scores[0] is not None and scores[1] is not None:
                gap = scores[0] - scores[1]
                noise = ", which one seed cannot tell from 0" if abs(gap) < _NOISE else ""
                said.append(f"{task}, zero-shot on ar and zh, {one} against {other}: {gap:+z.1f} points{noise}; {what}.")
    return said


def _plot(found: Mapping[str, Values]) -> str | None:
    deviations = {name: [rdt(found, name, _recipe(name), task) for task in TASKS] for name in _students()}
    shown = {name: own for name, own in deviations.items() if any(value is not None for value in own)}
    if not shown:
        return None
    series = {task: [own[place] for own in shown.values()] for place, task in enumerate(TASKS)}
    return plots.bars([name.replace("-small", "") for name in shown], series, "mean RDT in-language, %")
