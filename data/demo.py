"""The demo: the commands that run everything on the bundled sample, and the recipe that they use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from data.atomic import write_text
from data.recipe_file import load_recipe
from vocab.errors import InputError

HERE = Path(__file__).parent
MARKER = ".mergedistill-demo"  # only a folder that holds this file is ever removed
TEACHER = ["--vocab-size", "4000", "--hidden-size", "128", "--tokens-per-batch", "2048"]
STEPS = 500  # of each teacher
QUICK_STEPS = 60  # of each teacher and student with --quick


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
    yield ["train", *run, "--student", "student-gold", "--set", "train.labels=gold"]


def sample_dump(language: str, split: str) -> str:
    """A dump of the bundled sample; `split` is "train" or "heldout"."""
    path = HERE / "sample" / f"{language}.{split}.xml.bz2"
    if not path.exists():
        raise InputError(f"{path}: the bundled sample is missing; expected it next to data/demo.py: install the package again")
    return str(path)
