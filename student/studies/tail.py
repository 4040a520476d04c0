"""Study tail: what to keep of a teacher's distribution, and what to do with the rest. k, the tail's rule, sampled draws."""

from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.cells import Cell, Values, mean_of, student_values
from student.studies.outcome import Outcome
from student.studies.plan import Plan, Settings

RECIPE = "similar-small"
WIDTHS = (1, 4, 8, 16, 64)
TAILS = {"renormalise": "renormalise (the paper)", "ghost": "ghost", "gold": "gold"}
DRAWS = (8, 50)
STEPS = 300


def cells(plan: Plan) -> list[Cell]:
    """A student for each k and rule, and for each number of draws; each k has a cache of its own, whose bytes are counted."""

    def cell(name: str, run: str, student: str, cached: Settings, settings: Settings) -> Cell:
        step = plan.student(run, RECIPE, student, {"train.steps": STEPS, **settings}, cached=cached)
        return Cell(name=name, step=step, read=student_values)

    return [
        *(
            cell(f"top-{width} {tail}", f"top-{width}", tail, {"predict.top_k": width}, {"train.tail": tail})
            for width in WIDTHS
            for tail in TAILS
        ),
        *(
            cell(f"sampled-{draws}", f"sampled-{draws}", "sampled", {"predict.selection": "sampled", "predict.draws": draws}, {})
            for draws in DRAWS
        ),
        cell("gold alone", "top-8", "gold-alone", {"predict.top_k": 8}, {"train.labels": "gold"}),
    ]


def _row(name: str, values: Values) -> list[Value]:
    means = [mean_of(values, field) for field in ("student_loss", "student_accuracy")]
    others = [mean_of(values, field) for field in ("calibration_error", "kl")]
    kept = None if name.startswith("sampled") else mean_of(values, "teacher_mass")  # held-out labels are always the top k
    return [name, *means, values["mean_rdt"], *others, values["bytes_per_position"], kept]


def _curves(found: Mapping[str, Values]) -> dict[str, list[tuple[float, list[float]]]]:
    """Loss against k, or draws."""
    named = {rule: [(width, f"top-{width} {tail}") for width in WIDTHS] for tail, rule in TAILS.items()}
    named["sampled"] = [(draws, f"sampled-{draws}") for draws in DRAWS]
    return {
        rule: [(x, [mean_of(found[name], "student_loss")]) for x, name in points if name in found] for rule, points in named.items()
    }


def outcome(found: Mapping[str, Values]) -> Outcome:
    """Loss, calibration and bytes of each way."""
    names = [*(f"top-{width} {tail}" for width in WIDTHS for tail in TAILS), *(f"sampled-{draws}" for draws in DRAWS), "gold alone"]
    rows = [_row(name, values) for name in names if (values := found.get(name)) is not None]
    columns = [
        Column("labels"),
        Column("held-out loss", ".3f"),
        Column("accuracy", ".2%"),
        Column("RDT %", "+z.1f"),
        Column("calibration error", ".2%"),
        Column("KL from the teacher", ".3f"),
        Column("bytes a position", ".1f"),
        Column("teacher's mass kept", ".1%"),
    ]
    curves = {rule: points for rule, points in _curves(found).items() if points}
    return Outcome(
        title="what to keep of a teacher's distribution, and what to do with the rest",
        question=(
            "Work on causal models finds that labels of the renormalised top k make a student worse and overconfident, and that a ghost "
            "outcome, the missing mass on the gold label, or sampled labels mend it. Is it so for masked models under teacher annealing?"
        ),
        tables=[
            Table(
                title=f"{STEPS} steps each (at scale 1), de and en, means over languages",
                columns=columns,
                rows=rows,
                notes=[
                    "Calibration error: mean |accuracy − confidence| of 15 bins. KL: over the cached top k and the rest, so it only "
                    "compares within one k; students of sampled labels are scored on a top 8."
                ],
            )
        ],
        findings=_findings({str(row[0]): row for row in rows}),
        limits=[
            "One seed, and one ratio of steps to text. How much seeds differ is seen in the study convergence.",
            "Under the paper's annealing the last steps are on gold labels, which mends what a biased target did before; with a constant "
            "weight the order can be another.",
        ],
        plot=plots.lines(curves, "k, or draws", "held-out loss, nats", log_x=True) if curves else None,
    )


def _findings(rows: Mapping[str, list[Value]]) -> list[str]:
    losses = {name: float(str(row[1])) for name, row in rows.items()}
    errors = {name: float(str(row[4])) for name, row in rows.items()}
    if not losses:
        return []
    best = min(losses, key=lambda name: losses[name])
    gold = f"; gold alone has {losses['gold alone']:.3f}" if "gold alone" in losses else ""
    said = [f"The lowest held-out loss is that of {best}, {losses[best]:.3f}{gold}."]
    for tail, rule in TAILS.items():
        ends = [losses[name] for width in (WIDTHS[0], WIDTHS[-1]) if (name := f"top-{width} {tail}") in losses]
        if len(ends) == 2:
            said.append(f"{rule}: from k = {WIDTHS[0]} to k = {WIDTHS[-1]} the loss goes from {ends[0]:.3f} to {ends[1]:.3f}.")
    pair = [losses[name] for tail in ("renormalise", "ghost") if (name := f"top-8 {tail}") in losses]
    if len(pair) == 2:
        word, claim = ("lower", "as") if pair[1] < pair[0] else ("higher", "against what")
        if abs(pair[1] - pair[0]) < 0.01:
            said.append(f"At k = 8 a ghost outcome and renormalising differ by less than 0.01 nats ({pair[1]:.3f}, {pair[0]:.3f}).")
        else:
            said.append(
                f"At k = 8 a ghost outcome gives a {word} loss than renormalising ({pair[1]:.3f} against {pair[0]:.3f}), {claim} causal "
                "models show."
            )
    low, high = min(errors, key=lambda name: errors[name]), max(errors, key=lambda name: errors[name])
    return [*said, f"Best calibrated: {low} ({errors[low]:.1%}); worst: {high} ({errors[high]:.1%})."]
