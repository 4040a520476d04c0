"""The card in a student's folder: the Hub's own reader reads it, and it says what the student was made from."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.run import Run
from student.model_card import CARD, licence
from student.train_student import student_table, train_student
from tests.support.factories import two_language_recipe
from tests.support.runs import launch


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a small student; one teacher's card states a licence."""
    folder = tmp_path_factory.mktemp("card")
    recipe: Recipe = two_language_recipe(folder)
    (folder / "teachers/en" / CARD).write_text("---\nlicense: cc-by-sa-4.0\n---\n# A teacher\n")
    (folder / "teachers/de" / CARD).write_text("---\nlicense: [mit\n---\n# no YAML\n")
    content = recipe.model_dump()
    content["student"] |= {"layers": 1, "hidden_size": 16, "heads": 2}
    content["train"] |= {"steps": 3, "warmup_steps": 1, "tokens_per_batch": 256}
    content["heldout"] = {}
    run = Run(recipe=parse_recipe(content, folder=folder), folder=folder / "run")
    launch(run.recipe, run.folder)
    student_table(run, train_student(run, progress=False))
    return run


def test_the_card(run: Run) -> None:
    card = ModelCard.load(run.student() / CARD)
    assert card.data.language == ["de", "en"]
    assert card.data.pipeline_tag == "fill-mask"
    assert card.data.license is None  # one teacher states none
    assert "| bert-en | `teachers/en` | en | cc-by-sa-4.0 |" in card.text
    assert "| bert-de | `teachers/de` | de | not stated |" in card.text
    assert "nothing was scored" in card.text
    assert "steps = 3" in card.text.split("```toml")[1]
    assert "It began with random weights." in card.text


def test_the_card_says_what_came_from_the_teachers(run: Run) -> None:
    content = run.recipe.model_dump()
    content["student"] |= {"architecture": "bert", "hidden_size": 32, "intermediate_size": 64, "initialise": "teacher:bert-en"}
    begun = Run(recipe=parse_recipe(content, folder=run.recipe.folder), folder=run.folder)
    student_table(begun, train_student(begun, "begun", progress=False))
    text = ModelCard.load(begun.student("begun") / CARD).text
    assert "the rows of its vocabulary were taken from its teachers' weights, and its layers from `bert-en`." in text


def test_licences(run: Run, tmp_path: Path) -> None:
    english, german = run.recipe.teachers
    assert licence(english, run.recipe.folder) == "cc-by-sa-4.0"
    assert licence(german, run.recipe.folder) == "not stated"  # its card's head is no YAML
    assert licence(english, tmp_path) == "not stated"  # no such folder, and no such repository
