"""A run with everything in it, shared by all tests of this room. Tests that change a run take a copy."""

from pathlib import Path

import pytest

from tests.support.bilingual import bilingual_recipe, command
from tests.support.report import Page, make_whole_run, page_of


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    return make_whole_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def page(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The run's report."""
    return page_of([whole], tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="session")
def bilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of `distil`."""
    folder = tmp_path_factory.mktemp("bilingual")
    done = command("distil", str(bilingual_recipe(folder)), "--out", str(folder / "run"))
    assert done.exit_code == 0, done.output
    return folder / "run"
