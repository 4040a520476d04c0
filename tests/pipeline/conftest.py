"""One undisturbed run of predict, shared by all tests of this room."""

from pathlib import Path

import pytest

from data.recipe import Recipe
from tests.support.factories import two_language_recipe
from tests.support.runs import launch


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return two_language_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="session")
def undisturbed(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed")
    assert launch(recipe, run).computed == 8
    return run
