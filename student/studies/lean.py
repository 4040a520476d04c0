"""Study resource-lean: little text, few steps. The paper's first future work."""

from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.cells import Cell, Values, mean_of, student_values
from student.studies.outcome import Outcome
from student.studies.plan import Plan, Variant

RECIPE = "similar-small"
SHARES = (1, 10, 100)  # percent of the students' articles
STEPS = (150, 600)
LABELS = {"gold+teacher": "gold + teacher", "gold": "gold alone"}


def cells(plan: Plan) -> list[Cell]:
    """A student for each share of the text, number of steps and labels."""
    return [
        Cell(
            name=f"{share} {steps} {labels}",
            step=plan.student(
                f"text-{share}",
                RECIPE,
                f"{steps}-{labels.replace('+', '-')}",
                {"train.steps": steps, "train.labels": labels},
                variant=Variant(text=share),
            ),
            read=student_values,
        )
        for share in SHARES
        for steps in STEPS
        for labels in LABELS
    ]


def outcome(found: Mapping[str, Values]) -> Outcome:
    """Loss and RDT by share of the text and steps."""
    rows: list[list[Value]] = []
    series: dict[str, list[tuple[float, list[float]]]] = {}
    for share in SHARES:
        for steps in STEPS:
            row: list[Value] = [f"{share}%", steps]
            for labels, name in LABELS.items():
                values = found.get(f"{share} {steps} {labels}")
                row += [mean_of(values, "student_loss"), values["mean_rdt"]] if values else [None, None]
                if values and values["mean_rdt"] is not None:
                    series.setdefault(f"{name}, {steps} steps", []).append((share, [values["mean_rdt"]]))
            rows.append(row)
    parts = (("loss", ".3f"), ("RDT %", "+z.1f"))
    columns = [
        Column("text"),
        Column("steps", ",d"),
        *(Column(f"{part}, {name}", form) for name in LABELS.values() for part, form in parts),
    ]
    return Outcome(
        title="little text, few steps",
        question=(
            "The paper leaves resource-lean settings to future work. Are teacher labels worth more where there is less text, or where "
            "there are fewer steps?"
        ),
        tables=[
            Table(
                title="Held-out loss, and RDT of held-out accuracy; means of de and en; steps at scale 1",
                columns=columns,
                rows=rows,
            )
        ],
        findings=_findings(rows),
        limits=[
            "One seed. The parts of the text are random articles, of which 1% are few: which ones they are matters.",
            "Only the students' text is cut; the teachers saw all of theirs.",
        ],
        plot=plots.lines(series, "percent of the text", "mean RDT, %", log_x=True) if series else None,
    )


def _findings(rows: list[list[Value]]) -> list[str]:
    gains = {(str(row[0]), row[1]): row[3] - row[5] for row in rows if isinstance(row[3], float) and isinstance(row[5], float)}
    if not gains:
        return []
    said = (
        "Teacher labels are worth, in points of mean RDT: "
        + "; ".join(f"{gain:+z.1f} at {text} and {steps} steps" for (text, steps), gain in gains.items())
        + "."
    )
    best = max(gains, key=lambda key: gains[key])
    return [said, f"They are worth most at {best[0]} of the text and {best[1]} steps."]
