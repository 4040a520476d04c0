"""Study vocabulary: does longest match over the union explain the collapse of the paper's Student_mBERT?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.catalogue import LANGUAGES, TASKS
from student.studies.cells import Cell, Values, student_values, task_values
from student.studies.deviations import mean_score
from student.studies.outcome import Outcome
from student.studies.plan import Plan, Settings
from student.studies.students import route_of
from student.studies.students_outcome import OTHER, SPECIAL

BUDGET = 8000  # about half of the union
WAYS = {
    "union": "longest match over the union",
    "restricted": "longest match over the pieces that training showed",
    "routed": "the tokenizer of the language's teacher, then the map",
}


class _Student(NamedTuple):
    """A student of the study. Those over the union are also students of the study `students`."""

    run: str
    recipe: str
    settings: Settings


STUDENTS = {
    "mbert-small, union": _Student("mbert-small", "mbert-small", {}),
    "both-all-small, union": _Student("both-all-small", "both-all-small", {}),
    "both-all-small, trimmed": _Student(
        "trimmed", "both-all-small", {"vocabulary.method": "trimmed", "predict.store": "predictions-trimmed"}
    ),
    "both-all-small, budget": _Student(
        "budget",
        "both-all-small",
        {"vocabulary.method": "budget", "vocabulary.size": BUDGET, "predict.store": "predictions-budget"},
    ),
}
COLLAPSED = "mbert-small, union"


def cells(plan: Plan) -> list[Cell]:
    """The students, and their zero-shot scores for each way to read."""
    found = []
    for name, (run, recipe, settings) in STUDENTS.items():
        student = plan.student(run, recipe, "student", cached=settings)
        found.append(Cell(name=name, step=student, read=student_values))
        for way in WAYS:
            route = route_of(recipe) if way == "routed" else {}
            for task in TASKS:
                scores = plan.scores(
                    f"runs/{run}/student", task, "en", test=LANGUAGES, tokens=way, route=route, seeds=1, after=student
                )
                found.append(Cell(name=f"{name}, {way} {task} en", step=scores, read=task_values))
    return found


def outcome(found: Mapping[str, Values]) -> Outcome:
    """Zero-shot scores by vocabulary and way to read."""
    groups = [(task, group) for task in TASKS for group in (SPECIAL, OTHER)]
    means = {
        (name, way): [mean_score(found, f"{name}, {way}", task, group, source="en") for task, group in groups]
        for name in STUDENTS
        for way in WAYS
    }
    columns = [Column(f"{task}: {' '.join(group)}", ".1f") for task, group in groups]
    shown = {key: scores for key, scores in means.items() if any(score is not None for score in scores)}
    rows: list[list[Value]] = [[name, way, *scores] for (name, way), scores in shown.items()]
    series = {way: [means[name, way][groups.index(("ner", SPECIAL))] for name in STUDENTS] for way in WAYS}
    return Outcome(
        title="does longest match explain the collapse of Student_mBERT?",
        question=(
            "The paper's Student_mBERT has the union vocabulary of two teachers but was trained on the tokenisation of only one. "
            "Zero-shot from English it falls to 56.9 on the other teacher's languages, against 71.2 for a student with the one teacher's "
            "vocabulary; elsewhere it does not. Is it because fine-tuning reads by longest match over the union, with pieces that "
            "training never showed?"
        ),
        tables=[
            Table(
                title="Fine-tuned in English, means over languages: F1 of entities (ner), accuracy of words (udpos)",
                columns=[Column("student, vocabulary"), Column("reads"), *columns],
                rows=rows,
                notes=[
                    *(f"{name}: {text}." for name, text in WAYS.items()),
                    f"budget: {BUDGET:,} pieces. trimmed: without pieces rarer than one in a million.",
                ],
            )
        ],
        findings=_findings(means, groups),
        limits=[
            "One seed: a difference of less than about one point means little.",
            "mbert-small and both-all-small have other labels; vocabularies compare within both-all-small.",
        ],
        plot=plots.bars([*STUDENTS], series, "F1 of entities on ar and zh, from English, %") if rows else None,
    )


def _findings(means: Mapping[tuple[str, str], list[float | None]], groups: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    said = []
    for task in TASKS:
        for name in STUDENTS:
            gaps = []
            for group in (SPECIAL, OTHER):
                place = groups.index((task, group))
                routed, union = means[name, "routed"][place], means[name, "union"][place]
                if routed is not None and union is not None:
                    gaps.append(union - routed)
            if len(gaps) == 2:
                said.append(
                    f"{name}, {task}: longest match over the union changes the score by {gaps[0]:+z.1f} points on ar and zh and by "
                    f"{gaps[1]:+z.1f} on de and en, against routed tokens." + (_verdict(*gaps) if name == COLLAPSED else "")
                )
    return said


def _verdict(special: float, other: float) -> str:
    """Whether this is the collapse that the paper shows."""
    if special > -1:
        return " No collapse is seen here."
    if special < 2 * other - 1:
        return " So longest match does make a student fall on the languages whose pieces training never showed."
    return " It falls on all languages, so what the paper shows is not explained by it."
