"""Study schedule: how the learning rate and the weight of the teacher's labels change from step to step."""

from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.cells import Cell, Values, mean_of, student_values
from student.studies.outcome import Outcome
from student.studies.plan import Plan, Settings

RECIPE = "similar-small"
PEAKS = ("2e-3", "4e-3")  # of the learning rate; the recipe has the first
DECAYS = ("linear", "wsd")
PAPER, STABLE, GOLD = "annealed (the paper)", "wsd", "gold alone"
LABELS: Mapping[str, Settings] = {
    PAPER: {},
    "teacher alone": {"train.gold_schedule": "constant"},
    STABLE: {"train.gold_schedule": "wsd"},
    GOLD: {"train.labels": "gold"},
}


def cells(plan: Plan) -> list[Cell]:
    """A student for each peak of the learning rate, its decay, and the labels."""
    return [
        Cell(
            name=_name(peak, decay, labels),
            step=plan.student(
                RECIPE,
                RECIPE,
                f"schedule-{peak}-{decay}-{labels.split(' (')[0].replace(' ', '-')}",
                {"train.learning_rate": peak, "train.learning_rate_schedule": decay, **settings},
            ),
            read=student_values,
        )
        for peak in PEAKS
        for decay in DECAYS
        for labels, settings in LABELS.items()
    ]


def _name(peak: str, decay: str, labels: str) -> str:
    return f"{peak} {decay}, {labels}"


def outcome(found: Mapping[str, Values]) -> Outcome:
    """Loss and RDT of each way."""
    rows: list[list[Value]] = []
    series: dict[str, list[float | None]] = {}
    for peak in PEAKS:
        for decay in DECAYS:
            students = [found.get(_name(peak, decay, labels)) for labels in LABELS]
            losses = [mean_of(one, "student_loss") if one else None for one in students]
            deviations = [one["mean_rdt"] if one else None for one in students]
            rows.append([peak, decay, *(value for pair in zip(losses, deviations, strict=True) for value in pair)])
            if any(value is not None for value in deviations):
                series[f"{peak} {decay}"] = deviations
    parts = (("loss", ".3f"), ("RDT %", "+z.1f"))
    columns = [Column("peak"), Column("decay"), *(Column(f"{part}, {labels}", form) for labels in LABELS for part, form in parts)]
    return Outcome(
        title="when the teacher's labels give way to gold ones, and when the learning rate falls",
        question=(
            "The paper anneals: the weight of the teacher's labels falls from the first step to the last, and so does BERT's learning "
            "rate. Work on causal models (arXiv 2410.16215) keeps both, and lets both fall only at the end (wsd: warm-up, stable, decay). "
            "Which is better for masked models?"
        ),
        tables=[
            Table(
                title="Held-out loss, and RDT of held-out accuracy; means of de and en; the recipe's steps",
                columns=columns,
                rows=rows,
                notes=[
                    "Peak and decay: of the learning rate. Annealed: the gold label's weight goes from 0 to 1 in all steps; teacher alone: "
                    "it is 0; wsd: it is 0, and goes to 1 in the last fifth of the steps."
                ],
            )
        ],
        findings=_findings(found),
        limits=[
            "One seed, and students that are far from done: there, a schedule that keeps a high learning rate longer has an advantage of "
            "its own. That is why gold labels alone have both schedules too.",
            "Held-out text only. The study students has scores of tasks for students with wsd, more masks and smaller steps.",
        ],
        plot=plots.bars([*LABELS], series, "mean RDT, %") if series else None,
    )


def _findings(found: Mapping[str, Values]) -> list[str]:
    scores = {name: float(values["mean_rdt"]) for name, values in found.items() if values["mean_rdt"] is not None}
    if not scores:
        return []
    best = max(scores, key=lambda name: scores[name])
    said = [f"The best: {best}, with a mean RDT of {scores[best]:+z.1f}%."]
    for peak in PEAKS:
        paper, stable = (_name(peak, DECAYS[place], labels) for place, labels in enumerate((PAPER, STABLE)))
        if paper in scores and stable in scores:
            gap = scores[stable] - scores[paper]
            holds = "as causal models show" if gap > 0 else "against what causal models show"
            said.append(f"Peak {peak}: wsd of both instead of annealing and a linear decay: {gap:+z.1f} points of RDT, {holds}.")
    for decay in DECAYS:
        for peak in PEAKS:
            gold = _name(peak, decay, GOLD)
            own = {labels: name for labels in LABELS if labels != GOLD and (name := _name(peak, decay, labels)) in scores}
            if gold in scores and own:
                top = max(own, key=lambda labels: scores[own[labels]])
                gain = scores[own[top]] - scores[gold]
                said.append(f"Peak {peak}, {decay}: teacher labels, {top}, against gold labels alone: {gain:+z.1f} points of RDT.")
    return said
