"""A run folder, and the student of an undisturbed training, shared by all tests of this room."""

from pathlib import Path

import pytest

from tests.support.factories import save_tokenizer
from tests.support.student_shards import make_shards
from tests.support.training import fit
from vocab.roles import SPECIAL_TOKENS


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with predictions and a tokenizer."""
    folder = tmp_path_factory.mktemp("run")
    make_shards(folder / "predictions", {("de", "a"): [120, 60], ("en", "b"): [40]})
    save_tokenizer(folder / "tokenizer", [*SPECIAL_TOKENS.values(), "word"])
    return folder


@pytest.fixture(scope="session")
def whole(run: Path) -> Path:
    """The student of an undisturbed run."""
    return fit(run, run / "whole").out
