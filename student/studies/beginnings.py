"""Study initialisation: when do labels help a student that begins from its teachers? Ways to begin, labels, strength of the teachers."""

from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.catalogue import teacher_folder
from student.studies.cells import Cell, Values, mean_of, student_values, task_values
from student.studies.outcome import Outcome
from student.studies.plan import Plan, Settings, Variant
from student.tasks.deviation import deviation

RECIPE = "similar-small"
WAYS = ("random", "teachers", "teacher:mono-en")
LABELS = {"gold+teacher": "gold + teacher", "gold": "gold alone"}
STRENGTHS = {100: "whole", 30: "30% of the steps"}  # percent of the teachers' steps
STEPS = 400
TASK, LANGUAGE = "udpos", "de"


def cells(plan: Plan) -> list[Cell]:
    """A student for each way, labels and teachers, and its German tags; the teachers' tags."""
    found = []
    for percent in STRENGTHS:
        run = f"beginnings-{percent}"
        teacher, variant = plan.teacher(LANGUAGE, percent), Variant(teachers=percent)
        scores = plan.scores(teacher_folder(LANGUAGE, percent), TASK, LANGUAGE, seeds=2, after=teacher)
        found.append(Cell(name=f"teacher {percent} {TASK}", step=scores, read=task_values))
        for way in WAYS:
            for labels in LABELS:
                name = f"{way.replace(':', '-')}-{labels.replace('+', '-')}"
                settings: Settings = {"train.steps": STEPS, "student.initialise": way, "train.labels": labels}
                step = plan.student(run, RECIPE, name, settings, variant=variant)
                tags = plan.scores(f"runs/{run}/{name}", TASK, LANGUAGE, tokens="routed", seeds=2, after=step)
                found += [
                    Cell(name=f"{percent} {way} {labels}", step=step, read=student_values),
                    Cell(name=f"{percent} {way} {labels} {TASK}", step=tags, read=task_values),
                ]
    return found


def outcome(found: Mapping[str, Values]) -> Outcome:
    """RDT of held-out accuracy and of tagging, by way, labels and teachers."""
    rows: list[list[Value]] = []
    heldout: dict[tuple[int, str, str], float] = {}
    tagging: dict[tuple[int, str, str], float] = {}
    for percent, strength in STRENGTHS.items():
        teacher = found.get(f"teacher {percent} {TASK}")
        for way in WAYS:
            row: list[Value] = [f"{way}; teachers: {strength}"]
            for labels in LABELS:
                values, tags = found.get(f"{percent} {way} {labels}"), found.get(f"{percent} {way} {labels} {TASK}")
                if values is not None and values["mean_rdt"] is not None:
                    heldout[percent, way, labels] = values["mean_rdt"]
                if (deviated := _tags(tags, teacher)) is not None:
                    tagging[percent, way, labels] = deviated
                row += [
                    mean_of(values, "student_loss") if values else None,
                    values["mean_rdt"] if values else None,
                    deviated,
                ]
            rows.append(row)
    parts = (("loss", ".3f"), ("RDT %", "+z.1f"), ("RDT of tags %", "+z.1f"))
    columns = [Column("student begins"), *(Column(f"{part}, {name}", form) for name in LABELS.values() for part, form in parts)]
    groups = [f"{way}, teachers: {STRENGTHS[percent]}" for percent in STRENGTHS for way in WAYS]
    series = {
        name: [heldout.get((percent, way, labels)) for percent in STRENGTHS for way in WAYS] for labels, name in LABELS.items()
    }
    return Outcome(
        title="when do labels help a student that begins from its teachers?",
        question=(
            "The paper's students begin at random. A student can also begin with the embeddings of its teachers, or with the layers of "
            "one of them too. Do the teachers' labels still help, and does it depend on how good the teachers are?"
        ),
        tables=[
            Table(
                title=f"{STEPS} steps each (at scale 1), de and en: held-out loss; RDT of its accuracy; RDT of German tags",
                columns=columns,
                rows=rows,
            )
        ],
        findings=[*_findings(heldout, "of held-out accuracy"), *_findings(tagging, "of German tags")],
        limits=[
            "One seed of the students, two of the fine-tuning. Learning rate and annealing are the same for all, and suit the random one.",
            "RDT against weaker teachers is higher for the same student: compare losses between the two kinds of teachers.",
        ],
        plot=plots.bars(groups, series, "mean RDT of held-out accuracy, %") if heldout else None,
    )


def _tags(tags: Values | None, teacher: Values | None) -> float | None:
    """RDT of a student's tags; None without both scores, or for a teacher with 0."""
    if tags is None or teacher is None:
        return None
    own, other = (sum(values["scores"][LANGUAGE]) / len(values["scores"][LANGUAGE]) for values in (tags, teacher))
    return deviation(own, other) if other else None


def _findings(deviations: Mapping[tuple[int, str, str], float], what: str) -> list[str]:
    said = []
    for percent, strength in STRENGTHS.items():
        pairs = {way: [deviations.get((percent, way, labels)) for labels in LABELS] for way in WAYS}
        gains = {way: both - gold for way, (both, gold) in pairs.items() if both is not None and gold is not None}
        if gains:
            shown = ", ".join(f"{gain:+z.1f} points ({way})" for way, gain in gains.items())
            said.append(f"Teachers: {strength}. Their labels change the RDT {what} by {shown}.")
        own = {key: value for key, value in deviations.items() if key[0] == percent}
        if own:
            _, way, labels = max(own, key=lambda key: own[key])
            said.append(
                f"Teachers: {strength}. The highest RDT {what}: {own[percent, way, labels]:+z.1f}% ({way}, {LABELS[labels]})."
            )
    return said
