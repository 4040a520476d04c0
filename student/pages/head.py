"""The head of a report: what the runs are, in brief, and their main result."""

from collections.abc import Mapping, Sequence
from typing import Any

from data.table import UNKNOWN
from student.pages.bilingual_files import BilingualFiles
from student.pages.blocks import Block, Grid, Note, Section, grouped_head, recipes
from student.pages.run_files import RunFiles
from student.pages.student_files import StudentFiles


def lead(run: RunFiles) -> str:
    """The main result of a run, in one sentence."""
    if run.bilingual is not None:
        return _bilingual_lead(run.bilingual)
    scored = [(student.name, student.scores.mean_rdt) for student in run.students if student.scores]
    known = [f"{rdt:+z.1f}% ({name})" for name, rdt in scored if rdt is not None]
    if known:
        return f"Mean deviation from the teachers (RDT) on held-out articles: {', '.join(known)}."
    if scored:
        return "The students have held-out scores, but no deviation from a teacher: the labels are gold only, or no teacher is ever right."
    if run.students:
        return "No student was scored on held-out articles yet."
    return "No student was trained yet."


def _bilingual_lead(found: BilingualFiles) -> str:
    if found.best is None:
        return "The student has no scores on validation windows yet."
    by_language = [
        f"{language} {values['mlm_loss']:.2f} (teacher {values['teacher_mlm_loss']:.2f})"
        for language, values in found.best["languages"].items()
    ]
    return f"Masked-LM loss on validation windows: {', '.join(by_language)}."


def head(runs: Sequence[RunFiles]) -> Section:
    """The recipe of each run, and the settings of its students."""
    blocks: list[Block] = [recipes([(run.label, _facts(run)) for run in runs])]
    blocks += [
        Note(
            text=f"{run.label}: nothing in the folder holds the recipe yet; predict writes it there:",
            command=run.command("predict"),
        )
        for run in runs
        if run.recipe is None
    ]
    students = [student for run in runs for student in run.students]
    if students:
        settings = [_settings(student) for student in students]
        blocks.append(
            Grid(
                title="Students",
                head=grouped_head("", [(run.label, [student.name for student in run.students]) for run in runs]),
                rows=[[name, *(found[name] for found in settings)] for name in settings[0]],
            )
        )
    return Section(name="recipe", title="Recipe and students", blocks=blocks)


def _facts(run: RunFiles) -> dict[str, str]:
    recipe = run.recipe
    if recipe is None:
        return {}
    labels = "the top {}" if recipe.predict.selection == "top-k" else "{} draws"
    return {
        "name": recipe.name,
        "teachers": ", ".join(teacher.name for teacher in recipe.teachers),
        "languages": ", ".join(recipe.corpora),
        "held-out articles in": ", ".join(recipe.heldout) or "no language",
        "vocabulary": recipe.vocabulary.method,
        "examples": f"{recipe.examples.max_length} tokens, {_rates(recipe.examples.rates)} masked, by {recipe.examples.masking}",
        "teacher labels": f"{labels.format(recipe.predict.width(heldout=False))} of each masked position, {recipe.predict.logits}",
    }


def _rates(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:.0%}" for rate in dict.fromkeys(rates)) + (f" ({len(rates)} copies)" if len(rates) > 1 else "")


def _settings(student: StudentFiles) -> dict[str, str]:
    of = student.settings
    done = student.rows[-1]["step"] if student.rows else 0
    steps = of.get("train.steps")
    return {
        "state": "trained" if student.finished else f"not finished: {done:,} steps of {_number(steps)}",
        "shape": _shape(of),
        "begins": _beginning(of),
        "labels": str(of.get("train.labels", UNKNOWN)).replace("+", " + "),
        "mass outside the top k": str(of.get("train.tail", UNKNOWN)) if of.get("train.labels") == "gold+teacher" else UNKNOWN,
        "steps": _number(steps),
        "tokens a step": _number(of.get("train.tokens_per_batch")),
        "learning rate": f"{rate:g}" if isinstance(rate := of.get("train.learning_rate"), int | float) else UNKNOWN,
    }


def _beginning(settings: Mapping[str, Any]) -> str:
    """What the student had before it was trained. A folder does not name the default."""
    how = str(settings.get("student.initialise", "random" if settings else UNKNOWN))
    if how.startswith("teacher:"):
        return f"from its teachers, layers of {how.removeprefix('teacher:')}"
    return {"random": "at random", "teachers": "from its teachers"}.get(how, how)


def _shape(settings: Mapping[str, Any]) -> str:
    layers, hidden = settings.get("student.layers"), settings.get("student.hidden_size")
    known = isinstance(layers, int) and isinstance(hidden, int)
    return f"{settings.get('student.architecture', 'model')}, {layers} layers × {hidden}" if known else UNKNOWN


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else UNKNOWN
