"""Study vocabulary: does longest match over the union explain the collapse of the paper's Student_mBERT?"""

from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.cells import Cell, Values, student_values, task_values
from student.studies.outcome import Outcome
from student.studies.plan import Plan

RECIPE = "mbert-small"  # the union of broad and specialist, labels of the broad teacher alone
BUDGET = 8000  # about half of the union
METHODS: Mapping[str, dict[str, str | int | float]] = {
    "union": {},
    "trimmed": {"vocabulary.method": "trimmed", "predict.store": "predictions-trimmed"},
    "budget": {"vocabulary.method": "budget", "vocabulary.size": BUDGET, "predict.store": "predictions-budget"},
}
WAYS = {"union": "longest match over the union", "restricted": "over pieces that training showed", "routed": "the teacher's own"}
TASKS = {"ner": ("ar", "zh", "de"), "udpos": ("zh", "de")}
SPECIAL = ("ar", "zh")  # the languages of the specialist, whose pieces training never shows


def cells(plan: Plan) -> list[Cell]:
    """A student for each vocabulary, and its scores for each way to read."""
    found = []
    for method, settings in METHODS.items():
        run = f"vocabulary-{method}"
        student = plan.student(run, RECIPE, "student", cached=settings)
        found.append(Cell(name=method, step=student, read=student_values))
        for way in WAYS:
            for task, languages in TASKS.items():
                for language in languages:
                    scores = plan.scores(f"runs/{run}/student", task, language, tokens=way, seeds=1, after=student)
                    found.append(Cell(name=f"{method} {way} {task} {language}", step=scores, read=task_values))
    return found


def outcome(found: Mapping[str, Values]) -> Outcome:
    """Scores by vocabulary and way to read."""
    pairs = [(task, language) for task, languages in TASKS.items() for language in languages]
    rows: list[list[Value]] = []
    means: dict[tuple[str, str], dict[bool, float]] = {}
    for method in METHODS:
        for way in WAYS:
            scores = {
                pair: values["scores"][pair[1]][0]
                for pair in pairs
                if (values := found.get(f"{method} {way} {pair[0]} {pair[1]}")) is not None
            }
            rows.append([method, way, *(scores.get(pair) for pair in pairs)])
            if len(scores) == len(pairs):
                for special in (True, False):
                    own = [score for pair, score in scores.items() if (pair[1] in SPECIAL) == special]
                    means.setdefault((method, way), {})[special] = sum(own) / len(own)
    headings = [f"{'F1 of entities' if task == 'ner' else 'accuracy of tags'}, {language}" for task, language in pairs]
    series = {way: [means.get((method, way), {}).get(True) for method in METHODS] for way in WAYS}
    return Outcome(
        title="does longest match explain the collapse of Student_mBERT?",
        question=(
            "The paper's Student_mBERT has the union vocabulary of two teachers but was trained on the tokenisation of only one. On the "
            "other teacher's languages it falls to 56.9, against 71.2 for a student with the one teacher's vocabulary; elsewhere it does "
            "not. "
            "Is it because fine-tuning reads by longest match over the union, with pieces that training never showed?"
        ),
        tables=[
            Table(
                title="One student for each vocabulary, fine-tuned in the language, read in three ways",
                columns=[Column("vocabulary"), Column("reads"), *(Column(heading, ".2f") for heading in headings)],
                rows=rows,
                notes=[f"{name}: {text}." for name, text in WAYS.items()]
                + [f"budget: {BUDGET:,} pieces. trimmed: without pieces rarer than one in a million."],
            )
        ],
        findings=_findings(means),
        limits=[
            "One seed. Fine-tuning in the language itself can teach new pieces, so the collapse is smaller than in the paper's "
            "zero-shot transfer."
        ],
        plot=plots.bars([*METHODS], series, "mean score on ar and zh, %") if means else None,
    )


def _findings(means: Mapping[tuple[str, str], Mapping[bool, float]]) -> list[str]:
    said = []
    for method in METHODS:
        if all((method, way) in means for way in WAYS):
            gaps = {special: means[method, "routed"][special] - means[method, "union"][special] for special in (True, False)}
            said.append(
                f"{method}: reading as the teacher did is worth {gaps[True]:+.2f} points on ar and zh, and {gaps[False]:+.2f} on de, "
                "against longest match over the union."
            )
    if ("union", "routed") in means and ("union", "union") in means:
        gap = means["union", "routed"][True] - means["union", "union"][True]
        other = means["union", "routed"][False] - means["union", "union"][False]
        explained = gap > 1 and gap > 2 * abs(other)
        said.append(
            "So longest match "
            + (
                "does explain a fall on the other teacher's languages that is not there elsewhere."
                if explained
                else "does not explain the paper's collapse at this scale."
            )
        )
    return said
