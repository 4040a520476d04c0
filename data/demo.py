"""The demo: the commands that run everything on the bundled sample, and the recipe that they use."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from data.atomic import write_text
from data.recipe_file import load_recipe
from data.table import Column, Table, Value
from vocab.errors import InputError

HERE = Path(__file__).parent
MARKER = ".mergedistill-demo"  # only a folder that holds this file is ever removed
TEACHER = ["--vocab-size", "4000", "--hidden-size", "128", "--tokens-per-batch", "2048"]
STEPS = 500  # of each teacher
QUICK_STEPS = 60  # of each teacher and student with --quick
# The students: the recipe's own way, and the paper's. Each with both labels; the name of a student is that of its way and its labels.
WAYS = {
    "student": {},
    "paper": {
        "student.initialise": "random",
        "train.tail": "renormalise",
        "train.gold_start": "0",
        "train.learning_rate": "2e-3",  # at the recipe's 4e-3 a student that begins at random stays on its plateau
    },
}
BEGINNINGS = {"student": "from its teachers", "paper": "at random, as the paper's"}
LABELS = {"gold+teacher": "", "gold": "-gold"}


def start_folder(out: Path) -> None:
    """Make the demo's folder with its recipe. A folder of an earlier demo is replaced; any other one is an InputError."""
    if out.exists():
        if not (out / MARKER).is_file() and any(out.iterdir()):
            raise InputError(
                f"{out}: exists and is not the folder of a demo; expected a new folder or that of a demo: give another --out"
            )
        shutil.rmtree(out)
    write_text(out / MARKER, "The demo replaces this folder each time.\n")
    write_text(out / "recipe.toml", (HERE / "recipes/demo.toml").read_text(encoding="utf-8"))


def commands(out: Path, *, quick: bool) -> Iterator[list[str]]:
    """The demo's commands, as arguments of `mergedistill`, in their order."""
    recipe = load_recipe(out / "recipe.toml")
    for language in recipe.corpora:
        for split, corpora in (("train", recipe.corpora), ("heldout", recipe.heldout)):
            folder = out / Path(corpora[language]).parent
            yield ["prepare", sample_dump(language, split), "--language", language, "--out", str(folder)]
    steps = str(QUICK_STEPS if quick else STEPS)
    for teacher in recipe.teachers:
        language = teacher.languages[0]
        model = str(out / teacher.model)
        yield ["pretrain", str(out / recipe.corpora[language]), "--language", language, "--out", model, *TEACHER, "--steps", steps]
    short = ["--set", f"train.steps={QUICK_STEPS}", "--set", "train.warmup_steps=10"] if quick else []
    run = [str(out / "recipe.toml"), "--out", str(out), *short]
    yield ["run", *run]
    for way, settings in WAYS.items():
        for labels, name in LABELS.items():
            if way + name != "student":  # `run` trained it
                yield ["train", *run, "--student", way + name, *_sets({**settings, "train.labels": labels})]


def comparison(mean_rdt: Mapping[str, float | None], steps: int) -> Table:
    """The ways to begin a student and its labels, against each other, by the mean RDT of the demo's students."""
    rows: list[list[Value]] = [[BEGINNINGS[way], *(mean_rdt.get(way + name) for name in LABELS.values())] for way in WAYS]
    note = f"Mean RDT in percent; {steps:,} steps each, on the same articles, each way with the learning rate that suits it."
    columns = [Column("student begins"), *(Column(heading, "+z.1f") for heading in ("gold + teacher", "gold alone"))]
    return Table(title="Ways to train a student", columns=columns, rows=rows, notes=[note])


def _sets(settings: Mapping[str, str]) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def sample_dump(language: str, split: str) -> str:
    """A dump of the bundled sample; `split` is "train" or "heldout"."""
    path = HERE / "sample" / f"{language}.{split}.xml.bz2"
    if not path.exists():
        raise InputError(f"{path}: the bundled sample is missing; expected it next to data/demo.py: install the package again")
    return str(path)
