"""The section on training: what metrics.jsonl and evaluations.jsonl of all students hold, as lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from data.table import UNKNOWN
from student.pages.blocks import Block, Figure, Figures, Grid, Note, Section, grouped_head
from student.pages.plots import draw_lines, line_key, line_of
from student.pages.run_files import RunFiles
from student.pages.student_files import CUT, StudentFiles
from student.training.metrics import is_number

_Rows = Sequence[Mapping[str, Any]]
# (name, x, y, title, x axis, y axis, whether y is a share, what the caption says)
_GOLD = (
    "Cross-entropy of the gold label at the masked positions of a step, whichever labels a student learns from: lower is better."
)
_PLOTS = (
    ("steps", "step", "gold_loss", "Loss of the gold label against steps", "steps", "nats", False, _GOLD),
    ("tokens", "tokens", "gold_loss", "Loss of the gold label against tokens", "tokens, without padding", "nats", False, _GOLD),
    ("seconds", "seconds", "gold_loss", "Loss of the gold label against time", "seconds of training", "nats", False, _GOLD),
    (
        "objective",
        "step",
        "loss",
        "Loss that is trained, against steps",
        "steps",
        "nats",
        False,
        "The mix of gold and teacher labels that the optimizer sees. Its weights change with the steps, so students with other labels "
        "do not compare.",
    ),
    (
        "waiting",
        "step",
        "stream_wait_share",
        "Share of the time in which the model waited for data",
        "steps",
        "share of seconds",
        True,
        "Near 0: the stream is fast enough.",
    ),
)
_LOOKS = (
    (
        "heldout-loss",
        "mean_loss",
        "Held-out loss while it trains",
        "nats",
        "Mean over languages. The key train.eval_steps of the recipe sets how often.",
    ),
    (
        "heldout-rdt",
        "mean_rdt",
        "Held-out RDT while it trains",
        "RDT in percent",
        "Deviation from the teachers' accuracy, mean over languages.",
    ),
)


def training(runs: Sequence[RunFiles]) -> Section:
    """One line a student of each run, in plots that all of them share."""
    blocks: list[Block] = []
    for run in runs:
        if not run.students:
            blocks.append(
                Note(text=f"{run.label}: no student was trained yet. This command trains one:", command=run.command("train"))
            )
        for student in run.students:
            if not student.finished:
                text = f"{_label(runs, run, student)}: is not finished. This command continues:"
                blocks.append(Note(text=text, command=run.command("train", f"--student {student.name} --resume")))
            blocks += [Note(text=f"{_label(runs, run, student)}: {CUT.format(name)}") for name in student.cut]
    students = [(_label(runs, run, student), student) for run in runs for student in run.students]
    if not any(student.rows for _, student in students):
        if students:
            blocks.append(Note(text="No student has a row in metrics.jsonl yet: train.log_steps says how often one is written."))
        return Section(name="training", title="Training", blocks=blocks)
    figures = []
    for name, x, y, title, across, up, percent, caption in _PLOTS:
        lines = [line_of(index, student.rows, x, y) for index, (_, student) in enumerate(students)]
        if drawn := [line for line in lines if line.x]:
            svg = draw_lines(f"training-{name}", title, drawn, across=across, up=up, percent=percent)
            figures.append(Figure(title=title, svg=svg, caption=caption))
    for name, y, title, up, caption in _LOOKS:
        lines = [line_of(index, student.looks, "step", y) for index, (_, student) in enumerate(students)]
        if drawn := [line for line in lines if line.x]:
            svg = draw_lines(f"training-{name}", title, drawn, across="steps", up=up)
            figures.append(Figure(title=title, svg=svg, caption=caption))
    blocks.append(Figures(figures=figures, legend=[line_key(index, label) for index, (label, _) in enumerate(students)]))
    blocks.append(_table(runs))
    return Section(name="training", title="Training", blocks=blocks)


def _label(runs: Sequence[RunFiles], run: RunFiles, student: StudentFiles) -> str:
    return f"{run.label}: {student.name}" if len(runs) > 1 else student.name


def _table(runs: Sequence[RunFiles]) -> Grid:
    """What training came to: a column for each student."""
    columns = [_totals(student.rows) for run in runs for student in run.students]
    return Grid(
        title="Training in figures",
        head=grouped_head("", [(run.label, [student.name for student in run.students]) for run in runs]),
        rows=[[name, *(column[name] for column in columns)] for name in columns[0]],
        notes=["Loss and accuracy are those of the last row of metrics.jsonl. Tokens are counted without padding."],
    )


def _totals(rows: _Rows) -> dict[str, str]:
    last: Mapping[str, Any] = rows[-1] if rows else {}

    def shown(key: str, form: str) -> str:
        return format(last[key], form) if is_number(last.get(key)) else UNKNOWN

    tokens, seconds = last.get("tokens"), last.get("seconds")
    rate = f"{tokens / seconds:,.0f}" if is_number(tokens) and is_number(seconds) and tokens and seconds else UNKNOWN
    waited = _waited(rows)
    return {
        "steps": shown("step", ",d"),
        "tokens": shown("tokens", ",d"),
        "seconds": shown("seconds", ",.0f"),
        "tokens a second": rate,
        "waited for data": UNKNOWN if waited is None else f"{waited:.1%}",
        "loss of the gold label": shown("gold_loss", ".3f"),
        "accuracy on gold labels": shown("accuracy", ".1%"),
    }


def _waited(rows: _Rows) -> float | None:
    """The share of the seconds of training in which the model waited for the stream."""
    waited = before = 0.0
    for row in rows:
        if not (is_number(row.get("seconds")) and is_number(row.get("stream_wait_share"))):
            return None
        waited += row["stream_wait_share"] * (row["seconds"] - before)
        before = row["seconds"]
    return waited / before if before else None
