"""The section on BiStil's first phase: what the student learns from its teacher's states, and how well both predict masked tokens."""

from collections.abc import Sequence
from typing import Any

from data.table import UNKNOWN
from student.bilingual.distil_result import LOOK_COLUMNS, look_values
from student.pages.bilingual_files import BilingualFiles
from student.pages.blocks import Block, Figure, Figures, Key, Note, Section, crossed, recipes
from student.pages.plots import Line, draw_lines, line_key, line_of
from student.pages.run_files import RunFiles
from student.pages.student_files import CUT
from student.training.metrics import is_number

_Pair = tuple[RunFiles, BilingualFiles]
# (name, key of metrics.jsonl or evaluations.jsonl, title, y axis, what the caption says)
_PLOTS = (
    (
        "hidden",
        "hidden_loss",
        "Loss of the hidden states",
        "mean squared difference",
        "Of training windows: the student's hidden states against those of its teacher.",
    ),
    (
        "attention",
        "attention_loss",
        "Loss of the attention maps",
        "mean squared difference",
        "Of training windows: the maps before the softmax.",
    ),
    (
        "validation",
        "mean_loss",
        "Both losses on the validation windows",
        "sum of both, mean over languages",
        "The student with the lowest one is kept.",
    ),
)


def distillation(runs: Sequence[RunFiles]) -> Section:
    """A column and a line for each run; masked-LM losses by language."""
    pairs = [(run, run.bilingual) for run in runs if run.bilingual]
    blocks: list[Block] = [
        Note(
            text=f"{run.label}: is not finished. This command continues:",
            command=run.command("distil", "--resume"),
        )
        for run, _ in pairs
        if not run.students[0].finished
    ]
    blocks += [Note(text=f"{run.label}: {CUT.format(name)}") for run, _ in pairs for name in run.students[0].cut]
    blocks.append(recipes([(run.label, _column(run, found)) for run, found in pairs]))
    looked = [(run, found) for run, found in pairs if found.looks]
    states, several = _states(pairs), len(pairs) > 1
    masked = [_masked_lm(run, found, number, several=several) for number, (run, found) in enumerate(looked)]
    # The legend of several runs is that of the first plots only.
    parts = (
        [(states, [line_key(index, run.label) for index, (run, _) in enumerate(pairs)]), (masked, [])]
        if several
        else [(states + masked, [])]
    )
    blocks += [Figures(figures=figures, legend=legend) for figures, legend in parts if figures]
    if kept := [(run.label, found.best) for run, found in looked if found.best]:
        blocks.append(
            crossed(
                "The student that is kept, on the validation windows",
                ["language"],
                LOOK_COLUMNS,
                [(label, {(language,): values for language, values in look_values(best).items()}) for label, best in kept],
                [
                    "Hidden states and attention maps: mean squared differences. Masked-LM loss: nats, the teacher's over the same pieces."
                ],
            )
        )
    return Section(name="distillation", title="Bilingual distillation", blocks=blocks)


def _column(run: RunFiles, found: BilingualFiles) -> dict[str, str]:
    recipe = found.recipe
    student = run.students[0]
    last = student.rows[-1] if student.rows else {}
    from_layers = f"{found.layers * recipe.student.reduction} → {found.layers}" if found.layers else UNKNOWN

    def number(value: Any) -> str:
        return format(value, ",.0f") if is_number(value) else UNKNOWN

    return {
        "name": recipe.name,
        "teacher": recipe.teacher.model,
        "languages": ", ".join(recipe.corpora),
        "sparse fine-tunings of the teacher": ", ".join(recipe.teacher.sparse) or "none",
        "pieces": number(found.pieces) + (", those of the languages' text" if recipe.vocabulary.trim else ", all of the teacher's"),
        "layers": f"{from_layers}, {recipe.student.layers}",
        "parameters of the trimmed teacher": number(found.trimmed) if recipe.vocabulary.trim else "it is not trimmed",
        "parameters of the student": number(found.student),
        "examples": f"{recipe.examples.max_length} tokens, {recipe.examples.mask_rate:.0%} masked",
        "state": "trained" if student.finished else f"not finished: {number(last.get('step'))} steps of {recipe.train.steps:,}",
        "kept": f"the student after {found.kept:,} steps" if found.kept else UNKNOWN,
        "windows a step": number(recipe.train.batch_size),
        "learning rate": f"{recipe.train.learning_rate:g}",
        "tokens": number(last.get("tokens")),
        "seconds": number(last.get("seconds")),
    }


def _states(pairs: Sequence[_Pair]) -> list[Figure]:
    """The losses of the states, against steps."""
    rows = [run.students[0].rows for run, _ in pairs]
    looks = [found.looks for _, found in pairs]
    figures = []
    for name, key, title, up, caption in _PLOTS:
        of = looks if key == "mean_loss" else rows
        lines = [line for index, values in enumerate(of) if (line := line_of(index, values, "step", key)).x]
        if lines:
            svg = draw_lines(f"distillation-{name}", title, lines, across="steps", up=up)
            figures.append(Figure(title=title, svg=svg, caption=caption))
    return figures


def _masked_lm(run: RunFiles, found: BilingualFiles, number: int, *, several: bool) -> Figure:
    """The student's masked-LM loss by language, and the teacher's, which stays the same."""
    lines, legend = list[Line](), list[Key]()
    for language in found.looks[0]["languages"]:
        rows = [{**look["languages"][language], "step": look["step"]} for look in found.looks if language in look["languages"]]
        for who, key in (("student", "mlm_loss"), ("teacher", "teacher_mlm_loss")):
            legend.append(line_key(len(lines), f"{language}: {who}"))
            lines.append(line_of(len(lines), rows, "step", key))
    title = "Masked-LM loss on the validation windows" + (f" of {run.label}" if several else "")
    return Figure(
        title=title,
        svg=draw_lines(f"distillation-mlm-{number}", title, lines, across="steps", up="nats"),
        caption="No label is trained here: the student predicts as well as its states come near those of its teacher.",
        legend=legend,
    )
