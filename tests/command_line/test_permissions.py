"""A file that may not be read: its name, no advice to remove it, exit code 2. As root, without the right to read every file."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from data.recipe_file import save_recipe
from data.shards import list_shards
from tests.support.engines.launches import COMMAND
from tests.support.factories import two_language_recipe
from tests.support.report import add_student
from tests.support.runs import launch

_AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
UNPRIVILEGED = [] if os.geteuid() else _AS_OTHERS


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    recipe = two_language_recipe(folder)
    save_recipe(recipe, folder / "recipe.toml")
    launch(recipe, folder / "run")
    add_student(folder / "run", "scored")
    return folder


def may_not_read(path: Path) -> bool:
    """Take the right to read a file away; whether that has an effect here."""
    path.chmod(0)
    if UNPRIVILEGED and shutil.which(UNPRIVILEGED[0]) is None:
        return False
    return subprocess.run([*UNPRIVILEGED, "cat", path], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("a shard", "validate run/predictions"),
        ("a shard", "train recipe.toml --out run --student a"),
        ("run/predictions/_manifest.json", "train recipe.toml --out run --student b"),
        ("run/predictions/_manifest.json", "report run"),
        ("run/vocab/union.json", "report run"),
        ("run/scored/heldout.json", "report run"),
        ("run/scored/metrics.jsonl", "report run"),
        ("run/vocab/union.json", "predict recipe.toml --out run"),
        ("teachers/en/model.safetensors", "predict recipe.toml --out run"),
    ],
)
def test_a_file_that_may_not_be_read(file: str, command: str, work: Path) -> None:
    path = Path(list_shards(str(work / "run/predictions"))[0]) if file == "a shard" else work / file
    try:
        if not may_not_read(path):
            pytest.skip("nothing takes the right to read away here")
        done = subprocess.run(
            [*UNPRIVILEGED, *COMMAND, *command.split()],
            cwd=work,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    finally:
        path.chmod(0o644)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert path.name in last
    assert "expected a file that this user can read" in last
    assert "remove" not in last
