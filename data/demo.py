"""The demo's material: the bundled sample's dumps, its recipe, and the sizes of its teachers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.recipe import Recipe
from data.recipe_file import load_recipe
from data.storage import write_text
from vocab.errors import InputError

HERE = Path(__file__).parent
MARKER = ".mergedistill-demo"  # only a folder that holds this file is ever removed
QUICK_STEPS = 60  # of each teacher and student in the quick form, which shows that everything works and not how well


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherSize:
    """The demo's teachers, as `mergedistill pretrain` makes them."""

    vocab_size: int = 4000
    layers: int = 2
    hidden_size: int = 128
    heads: int = 4
    steps: int = 500
    tokens_per_batch: int = 2048
    learning_rate: float = 2e-3
    seed: int = 0


def sample_dump(language: str, split: str) -> str:
    """A dump of the bundled sample; `split` is "train" or "heldout"."""
    path = HERE / "sample" / f"{language}.{split}.xml.bz2"
    if not path.exists():
        raise InputError(f"{path}: the bundled sample is missing; expected it beside data/demo.py: install the package again")
    return str(path)


def write_recipe(out: Path, *, quick: bool) -> tuple[Recipe, dict[str, Any]]:
    """Put the demo's recipe into its run folder; the recipe, and the sizes of its teachers."""
    text = (HERE / "recipes/demo.toml").read_text(encoding="utf-8")
    size = TeacherSize(steps=QUICK_STEPS) if quick else TeacherSize()
    if quick:
        text = text.replace("\nsteps = 800", f"\nsteps = {QUICK_STEPS}").replace("warmup_steps = 80", "warmup_steps = 10")
    write_text(out / MARKER, "The demo begins this folder anew each time.\n")
    write_text(out / "recipe.toml", text)
    return load_recipe(out / "recipe.toml"), asdict(size)


def is_demo(out: Path) -> bool:
    """Whether a folder is an earlier demo's (or empty), so that the demo may begin it anew."""
    return (out / MARKER).is_file() or not any(out.iterdir())
