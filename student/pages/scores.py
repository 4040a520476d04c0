"""The section on held-out scores: the students beside their teachers, and the deviation (RDT) by language."""

from collections.abc import Sequence

from data.table import UNKNOWN
from student.heldout import Heldout, Score, mean_of_languages, same_rows
from student.pages.blocks import Block, Figure, Figures, Grid, Key, Note, Section, grouped_head
from student.pages.plots import Bars, bar_key, draw_bars
from student.pages.run_files import RunFiles
from student.pages.student_files import StudentFiles

_RDT = (
    "RDT: relative deviation from the teacher, 100 · (student − teacher) / teacher, of accuracy, in percent; positive means that the "
    "student is better."
)
_Scored = tuple[StudentFiles, Heldout]


def scores(runs: Sequence[RunFiles]) -> Section:
    """A column for each student, beside the teachers of its run; bars of RDT by language."""
    blocks: list[Block] = []
    found: list[tuple[RunFiles, list[_Scored]]] = []
    for run in runs:
        scored = [(student, student.scores) for student in run.students if student.scores and student.scores.scores]
        if scored:
            found.append((run, scored))
        else:
            without = run.recipe is not None and not run.recipe.heldout
            text = (
                "the recipe names no [heldout] articles: add them and predict; then"
                if without
                else "no student has held-out scores yet;"
            )
            command = run.command("train", *(["--resume"] if run.students else []))
            blocks.append(Note(text=f"{run.label}: {text} this command scores the student:", command=command))
    if found:
        blocks += [_bars(found, several=len(runs) > 1), _table(found)]
    return Section(name="heldout", title="Held-out scores", blocks=blocks)


def _pairs(found: Sequence[tuple[RunFiles, Sequence[_Scored]]]) -> list[tuple[str, str]]:
    """All (language, teacher), sorted."""
    return sorted({(score.language, score.teacher) for _, scored in found for _, heldout in scored for score in heldout.scores})


def _names(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A language alone where it has one teacher."""
    languages = [language for language, _ in pairs]
    return [language if languages.count(language) == 1 else f"{language} ({teacher})" for language, teacher in pairs]


def _of(heldout: Heldout, pair: tuple[str, str]) -> Score | None:
    return next((score for score in heldout.scores if (score.language, score.teacher) == pair), None)


def _bars(found: Sequence[tuple[RunFiles, Sequence[_Scored]]], *, several: bool) -> Figures:
    """RDT and accuracy by language. Teachers that have the same scores in several runs are drawn once."""
    pairs = _pairs(found)
    bars: dict[str, list[Bars]] = {"rdt": [], "accuracy": []}
    legend: list[Key] = []

    def add(label: str, heldout: Heldout, who: str) -> None:
        of_pairs = [_of(heldout, pair) for pair in pairs]
        accuracies = [_value(score, f"{who}_accuracy") for score in of_pairs]
        deviations = [_value(score, "rdt") for score in of_pairs]
        values = {"accuracy": [*_percent(accuracies), *_percent([_mean(heldout, f"{who}_accuracy")])]}
        if who == "student":
            values["rdt"] = [*deviations, heldout.mean_rdt]
        for name, of_students in values.items():
            bars[name].append(Bars(index=len(legend), values=of_students, spreads=[None] * len(of_students)))
        legend.append(bar_key(len(legend), label))

    drawn: list[list[tuple[str, str, float | None]]] = []
    for run, scored in found:
        teachers = [(score.language, score.teacher, score.teacher_accuracy) for score in scored[0][1].scores]
        if teachers not in drawn and any(accuracy is not None for *_, accuracy in teachers):
            add("the teachers" if not drawn else f"{run.label}: the teachers", scored[0][1], "teacher")
            drawn.append(teachers)
        for student, heldout in scored:
            add(f"{run.label}: {student.name}" if several else student.name, heldout, "student")
    titles = {
        "rdt": ("RDT of held-out accuracy, by language", "RDT in percent", "Right of 0: the student is better than the teacher."),
        "accuracy": (
            "Held-out accuracy, by language",
            "percent",
            "Masked positions at which the most likely piece is the gold one.",
        ),
    }
    figures = [
        Figure(
            title=title,
            svg=draw_bars(f"heldout-{name}", title, [*_names(pairs), "mean"], bars[name], across=across),
            caption=caption,
        )
        for name, (title, across, caption) in titles.items()
        if any(value is not None for one in bars[name] for value in one.values)
    ]
    return Figures(figures=figures, legend=legend)


def _percent(shares: Sequence[float | None]) -> list[float | None]:
    return [None if share is None else 100 * share for share in shares]


def _value(score: Score | None, name: str) -> float | None:
    return None if score is None else getattr(score, name)


def _mean(heldout: Heldout, name: str) -> float | None:
    """The mean over languages; the value of a language is the mean over its teachers."""
    return mean_of_languages([(score.language, found) for score in heldout.scores if (found := _value(score, name)) is not None])


def _table(found: Sequence[tuple[RunFiles, Sequence[_Scored]]]) -> Grid:
    """Rows: means, then each language. Columns: the teachers of each run, then its students."""
    pairs = _pairs(found)
    columns = [
        column
        for _, scored in found
        for column in ([_column(scored[0][1], pairs, teacher=True)] + [_column(one, pairs) for _, one in scored])
    ]
    first = found[0][1][0][1]
    notes = [_RDT, "Loss: mean of −log p(gold) over masked positions, in nats; a teacher's is over its own, smaller vocabulary."]
    if other := [
        f"{run.label}: {student.name}" for run, scored in found for student, heldout in scored if not same_rows(heldout, first)
    ]:
        notes.append(
            f"Scored on other rows than {found[0][0].label}: {found[0][1][0][0].name}, so they do not compare: {', '.join(other)}."
        )
    return Grid(
        title="Students and teachers on the same held-out positions",
        head=grouped_head("", [(run.label, ["the teachers", *(student.name for student, _ in scored)]) for run, scored in found]),
        rows=[[name, *(column[name] for column in columns)] for name in columns[0]],
        notes=notes,
    )


def _column(heldout: Heldout, pairs: Sequence[tuple[str, str]], *, teacher: bool = False) -> dict[str, str]:
    """The scores of one student, or of the teachers beside it."""
    who = "teacher" if teacher else "student"

    def shown(number: float | None, form: str) -> str:
        return UNKNOWN if number is None else format(number, form)

    rows = {
        "RDT %, mean": shown(None if teacher else heldout.mean_rdt, "+z.1f"),
        "accuracy, mean": shown(_mean(heldout, f"{who}_accuracy"), ".1%"),
        "loss, mean": shown(_mean(heldout, f"{who}_loss"), ".3f"),
    }
    measures = [("RDT %", "rdt", "+z.1f"), ("accuracy", f"{who}_accuracy", ".1%"), ("positions", "positions", ",d")]
    for measure, name, form in measures:
        for heading, pair in zip(_names(pairs), pairs, strict=True):
            rows[f"{measure}, {heading}"] = shown(None if teacher and name == "rdt" else _value(_of(heldout, pair), name), form)
    return rows
