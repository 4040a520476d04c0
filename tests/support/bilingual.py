"""A multilingual model of two languages, their text, and a recipe that distils it."""

from pathlib import Path
from typing import Any

import tomli_w
import torch
from click.testing import CliRunner, Result

from cli import main
from tests.support.factories import SPECIAL, TEXTS, article_shard, articles, save_teacher, word_pieces

LANGUAGES = ("de", "en")


def bilingual_recipe(folder: Path, **overrides: Any) -> Path:
    """mul/, corpora/ and recipe.toml. overrides: sections of the recipe, each merged."""
    pieces = [
        *SPECIAL,
        *dict.fromkeys(piece for language in LANGUAGES for piece in word_pieces(TEXTS[language])),
        "never",
        "##seen",
    ]
    save_teacher(folder / "mul", pieces, layers=4, spread=0.1)
    for language in LANGUAGES:
        for part in range(2):
            article_shard(
                folder / f"corpora/{language}/part{part}.parquet", articles(language, 80)[40 * part :][:40], rows_per_group=7
            )
    content: dict[str, Any] = {
        "name": "tiny",
        "teacher": {"model": "mul"},
        "corpora": {language: f"corpora/{language}/*.parquet" for language in LANGUAGES},
        "examples": {"max_length": 16, "validation": 10.0},
        "train": {
            "steps": 40,
            "batch_size": 4,
            "learning_rate": 3e-3,
            "log_steps": 1,
            "eval_steps": 10,
            "checkpoint_steps": 7,
            "precision": "float32",
        },
    }
    for section, values in overrides.items():
        content[section] = {**content.get(section, {}), **values}
    (folder / "recipe.toml").write_text(tomli_w.dumps(content))
    return folder / "recipe.toml"


def command(*arguments: str) -> Result:
    """A command, as its users give it, on one thread: with several, sums have another order, and losses other last digits."""
    torch.set_num_threads(1)
    return CliRunner().invoke(main, [*arguments], catch_exceptions=False)
