"""Study convergence: do teacher labels save steps? Gold labels alone against gold and teacher labels, at five budgets."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from data.table import Column, Table
from student.studies import plots
from student.studies.cells import Cell, Values, mean_of, student_values, task_values
from student.studies.deviations import spread
from student.studies.outcome import Outcome
from student.studies.plan import Plan, Settings

RECIPES = {"sm2-small": "gold alone (SM2)", "sm3-small": "gold + teacher (SM3)"}
BUDGETS = (50, 100, 200, 400, 800)  # optimizer steps, each with schedules of its own
SEEDS = (0, 1, 2)
_T = 4.303  # of Student's distribution with two degrees of freedom, two-sided 95%
TASK, LANGUAGE = "udpos", "de"


def cells(plan: Plan) -> list[Cell]:
    """A student for each labels, budget and seed, and its score in tagging."""
    found = []
    for recipe in RECIPES:
        for steps in BUDGETS:
            for seed in SEEDS:
                name = f"{steps}-seed{seed}"
                settings: Settings = {"train.steps": steps, "train.seed": seed}
                student = plan.student(recipe, recipe, name, settings)
                scores = plan.scores(f"runs/{recipe}/{name}", TASK, LANGUAGE, tokens="routed", seeds=1, after=student)
                found += [
                    Cell(name=f"{recipe} {steps} {seed}", step=student, read=student_values),
                    Cell(name=f"{recipe} {steps} {seed} {TASK}", step=scores, read=task_values),
                ]
    return found


def outcome(found: Mapping[str, Values]) -> Outcome:
    """Loss and tagging against steps, and how many times fewer steps reach what gold labels alone reach at the end."""
    losses = {recipe: _by_budget(found, recipe, "", lambda values: mean_of(values, "student_loss")) for recipe in RECIPES}
    tags = {recipe: _by_budget(found, recipe, f" {TASK}", lambda values: values["scores"][LANGUAGE][0]) for recipe in RECIPES}
    rows = [
        [
            f"{steps:,}",
            *(
                spread([*points.get(steps, {}).values()], form)
                for kind, form in ((losses, ".3f"), (tags, ".2f"))
                for points in kind.values()
            ),
        ]
        for steps in BUDGETS
    ]
    columns = [
        Column("steps"),
        *(Column(f"{what}, {name}") for what in ("held-out loss", "accuracy of tags") for name in RECIPES.values()),
    ]
    times = _times_fewer(losses)
    return Outcome(
        title="do teacher labels save steps?",
        question=(
            "The paper: a student of gold and teacher labels (SM3) is as good after a fifth of the steps as one of gold labels alone "
            "(SM2), and no better at the end. Here both are trained at five budgets, each with its own schedules."
        ),
        tables=[
            Table(
                title="Mean held-out loss over four languages, and accuracy of German tags, mean ± standard deviation over seeds",
                columns=columns,
                rows=rows,
            )
        ],
        findings=[*_speed(times), *_end(losses, "held-out loss", lower=True), *_end(tags, "accuracy of tags", lower=False)],
        limits=[
            "Students of two layers and at most a few million tokens are far from the paper's 500,000 steps of BERT-base: what happens "
            "when gold labels alone have converged is not seen here.",
            "Between two budgets the steps are interpolated on a line over log(steps).",
        ],
        plot=plots.lines(
            {
                RECIPES[recipe]: [(steps, list(values.values())) for steps, values in points.items()]
                for recipe, points in losses.items()
                if points
            },
            "optimizer steps",
            "held-out loss, nats",
            log_x=True,
        )
        if any(losses.values())
        else None,
    )


def _by_budget(found: Mapping[str, Values], recipe: str, what: str, read: Callable[[Values], float]) -> dict[int, dict[int, float]]:
    """steps → seed → value, of the cells that are there."""
    points: dict[int, dict[int, float]] = {}
    for steps in BUDGETS:
        for seed in SEEDS:
            if (values := found.get(f"{recipe} {steps} {seed}{what}")) is not None:
                points.setdefault(steps, {})[seed] = read(values)
    return points


def _times_fewer(losses: Mapping[str, Mapping[int, Mapping[int, float]]]) -> list[float | None]:
    """For each seed with all its cells: the largest budget, over the steps at which gold + teacher reaches gold alone's loss there.

    None: it does not reach it. The number of a curve that begins below is infinite: a lower bound is not a measurement.
    """
    gold, both = (losses[recipe] for recipe in RECIPES)
    times: list[float | None] = []
    for seed in SEEDS:
        goal = gold.get(BUDGETS[-1], {}).get(seed)
        curve = [(steps, both[steps][seed]) for steps in BUDGETS if seed in both.get(steps, {})]
        if goal is None or len(curve) < len(BUDGETS):
            continue
        reached = crossing(curve, goal)
        times.append(None if reached is None else math.inf if curve[0][1] <= goal else BUDGETS[-1] / reached)
    return times


def crossing(curve: Sequence[tuple[int, float]], goal: float) -> float | None:
    """The steps at which a falling curve reaches a value, on lines over log(steps); None if it does not.

    A curve that begins below gives its first point, which is then an upper bound of the steps.
    """
    for place, (steps, loss) in enumerate(curve):
        if loss <= goal:
            if place == 0:
                return float(steps)
            before, above = curve[place - 1]
            share = (above - goal) / (above - loss)
            return math.exp(math.log(before) + share * (math.log(steps) - math.log(before)))
    return None


def _speed(times: Sequence[float | None]) -> list[str]:
    """A sentence about steps."""
    if not times:
        return []
    reached = [time for time in times if time is not None]
    if not reached:
        return [
            "Gold + teacher does not reach the loss of gold alone within these budgets, with any seed: the paper's claim of 5 times fewer "
            "steps fails here."
        ]
    middle, low, high = statistics.median(reached), min(reached), max(reached)
    who = f"{len(reached)} of {len(times)} seeds reach the final loss of gold alone with the teacher's labels"
    if math.isinf(middle):
        return [f"{who}, already at the smallest budget, {BUDGETS[-1] // BUDGETS[0]} times fewer steps: more than the paper's 5."]
    verdict = "as the paper says" if 4 <= middle <= 6 else ("more than the paper's 5" if middle > 6 else "less than the paper's 5")
    return [f"{who}, in {middle:.1f} times fewer steps (the median; {low:.1f} to {high:.1f}): {verdict}."]


def _end(points: Mapping[str, Mapping[int, Mapping[int, float]]], what: str, *, lower: bool) -> list[str]:
    """A sentence about the largest budget."""
    last = [points[recipe].get(BUDGETS[-1], {}) for recipe in RECIPES]
    gaps = [last[1][seed] - last[0][seed] for seed in SEEDS if all(seed in one for one in last)]
    if len(gaps) < len(SEEDS):
        return []
    mean, error = statistics.fmean(gaps), statistics.stdev(gaps) / math.sqrt(len(gaps))
    size = f"{abs(mean):.3f} nats" if lower else f"{abs(mean):.2f} points"
    if abs(mean) <= _T * error or mean == 0:
        return [f"At the largest budget these seeds show no difference in {what} ({size}, at 95%)."]
    word = "better" if (mean < 0) == lower else "worse"
    return [f"At the largest budget gold + teacher is {size} {word} in {what} (at 95%); in the paper the two are equal at the end."]
