"""The README is executed: its commands run as they stand, in their order, from the repository's root."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ mergedistill")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository's root, so that the README's `runs/` are not written into the real one."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "runs/readme").mkdir(parents=True)
    recipe = next(block for block in blocks("toml") if block.startswith("# runs/readme/recipe.toml"))
    (folder / "runs/readme/recipe.toml").write_text(recipe)
    return folder


def test_the_readmes_commands_run(root: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands():
        done = subprocess.run(shlex.split(command), cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    loading = next(block for block in blocks("python") if "runs/readme/student" in block)
    subprocess.run([sys.executable, "-c", loading + "\nassert len(tokenizer) == model.config.vocab_size"], cwd=root, check=True)

    routing = next(block for block in blocks("python") if "load_routed" in block)
    done = subprocess.run([sys.executable, "-c", routing], cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[")

    query = blocks("sql")[0].replace("runs/readme", str(root / "runs/readme"))
    counts = duckdb.sql(query).fetchall()
    assert [(language, teacher) for language, teacher, _ in counts] == [("de", "small-de"), ("tr", "small-tr")]
    assert all(count > 0 for *_, count in counts)


def test_the_readme_has_the_two_commands_and_real_output() -> None:
    assert "$ make demo\n" in README
    assert "$ make test\n" in README
    assert "@" not in "".join(blocks("console"))
