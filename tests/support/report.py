"""Runs for the tests of the report: real vocabularies and shards, and students whose files are written without training. A parsed page."""

import json
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

from data.recipe_file import save_recipe
from student.heldout import Heldout, Score, write_heldout
from student.report import report
from student.tasks.results import Evaluation, RunResult
from student.tasks.task import Score as TaskScore
from student.training.evaluation import FILE as LOOKS
from student.training.metrics import append_row
from student.training.output import IDENTITY, WEIGHTS
from tests.support.factories import two_language_recipe
from tests.support.runs import launch

PAIRS = (("de", "bert-de"), ("en", "bert-en"))
VOID = {"meta", "br", "link", "img", "hr", "input"}


def make_whole_run(folder: Path) -> Path:
    """A run with everything that a report shows: vocabulary, predictions, two students, looks, an evaluation with two seeds."""
    recipe = two_language_recipe(folder, heldout={})
    run = folder / "mine"
    launch(recipe, run)
    for number, labels in enumerate(("gold+teacher", "gold")):
        name = "student" if labels != "gold" else "student-gold"
        add_student(run, name, labels=labels, better=number)
        save_recipe(recipe, run / name / "recipe.toml")
    add_evaluation(run / "evaluation", "mine/student")
    return run


def copy_run(run: Path, to: Path) -> Path:
    shutil.copytree(run, to)
    return to


def add_student(run: Path, name: str, *, labels: str = "gold+teacher", better: float = 0.0, finished: bool = True) -> Path:
    """A student as training leaves it, but for its weights. `better` is added to its accuracy, in percent of the positions."""
    out = run / name
    out.mkdir(parents=True)
    settings = {
        "student.architecture": "roformer",
        "student.layers": 1,
        "student.hidden_size": 32,
        "train.steps": 40,
        "train.tokens_per_batch": 512,
        "train.learning_rate": 1e-3,
        "train.labels": labels,
        "train.tail": "renormalise",
    }
    (out / IDENTITY).write_text(json.dumps(settings))
    for step in range(10, 41 if finished else 31, 10):
        row = {
            "step": step,
            "tokens": step * 500,
            "loss": 5.0 / step,
            "gold_loss": 6.0 / step,
            "accuracy": 0.1,
            "seconds": step / 5,
        }
        append_row(out, {**row, "stream_wait_share": 0.02})
        append_row(out, {"step": step, "mean_loss": 7.0 / step, "mean_rdt": float(step - 30)}, LOOKS)
    if finished:
        (out / WEIGHTS).write_bytes(b"")
        write_heldout(heldout(better), out)
    return out


def heldout(better: float) -> Heldout:
    scores = tuple(
        Score(
            language=language,
            teacher=teacher,
            positions=1000,
            student_loss=3.0,
            student_accuracy=0.4 + better / 100,
            teacher_loss=2.5,
            teacher_accuracy=0.5,
            rdt=100 * (0.4 + better / 100 - 0.5) / 0.5,
        )
        for language, teacher in PAIRS
    )
    return Heldout(scores=scores, mean_rdt=scores[0].rdt)


def add_evaluation(
    folder: Path, student: str, *, task: str = "udpos", better: float = 0.0, scorer: str = "accuracy of words"
) -> Path:
    """The results of one task: two seeds of a student in both languages, and of a teacher in each."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [
        RunResult(
            model=model,
            teacher=teacher,
            train_language=language,
            seed=seed,
            identity={},
            tests={language: {"test": f"sha of {language}"}},
            scores={language: TaskScore(metrics={"accuracy": 80.0 + seed + (0 if teacher else better)}, count=50, counters={})},
            steps=20,
            best_step=10,
            dev=80.0,
            seconds=2.0,
            peak_mb=100.0,
        )
        for language in ("de", "en")
        for model, teacher in ((student, False), (f"teachers/{language}", True))
        for seed in range(2)
    ]
    found = Evaluation(task=task, scorer=scorer, headline="accuracy", settings={}, runs=runs, file=folder / f"{task}.json")
    found.write()
    return found.file


def make_study(folder: Path, name: str = "steps", plot: str | None = None, **changes: object) -> Path:
    """FOLDER/NAME/result.json, and a plot if one is given. Returns the result."""
    place = folder / name
    place.mkdir(parents=True)
    table = {"title": "RDT by steps", "columns": ["labels", "500"], "rows": [["gold", "-3.0"]], "notes": ["one seed"]}
    content = {
        "version": 1,
        "name": name,
        "question": "How many steps?",
        "findings": ["Fewer."],
        "tables": [table],
        "limits": ["small"],
    }
    (place / "result.json").write_text(json.dumps(content | changes))
    if plot is not None:
        (place / "plot.svg").write_text(plot)
    return place / "result.json"


class Page(HTMLParser):
    """A page, parsed as a browser does: its tags with their attributes and ancestors, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []  # (open tags, text)
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((tuple(self._open), data.strip()))

    def attributes(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all tags of a name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def text(self, *inside: str) -> str:
        """All text, or only that inside all of these tags, but for style sheets."""
        found = [text for path, text in self.texts if set(inside) <= set(path) and "style" not in path]
        return "\n".join(found)


def page_of(runs: Sequence[Path], out: Path, **options: Path) -> Page:
    """The report of these runs, written to `out` and parsed."""
    report(runs, out=out, **options)
    return Page(out.read_text(encoding="utf-8"))
