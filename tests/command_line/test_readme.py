"""The README is executed: its commands run as they are, in their order. What it shows of the commands is what they print."""

import re
import shlex
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from cli import main
from data.demo import commands as demo_commands
from data.demo import comparison, start_folder
from data.recipe_file import load_recipe
from student.heldout import Heldout, Score, score_table
from tests.docs import commands_table, section
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOMS = [path for path in ROOT.glob("*/**/*.md") if not {".venv", "runs", "build"} & set(path.relative_to(ROOT).parts)]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def console_commands() -> list[str]:
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ mergedistill")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository's root, in which the README's commands have run."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "runs/readme").mkdir(parents=True)
    recipe = next(block for block in blocks("toml") if block.startswith("# runs/readme/recipe.toml"))
    (folder / "runs/readme/recipe.toml").write_text(recipe)
    with chdir(folder):
        for command in console_commands():
            result = CliRunner().invoke(main, shlex.split(command)[1:])
            assert result.exit_code == 0, f"{command}\n{result.output}"
    return folder


def test_the_readmes_student_loads(root: Path) -> None:
    loading = next(block for block in blocks("python") if "runs/readme/student" in block)
    subprocess.run([sys.executable, "-c", loading + "\nassert len(tokenizer) == model.config.vocab_size"], cwd=root, check=True)


def test_the_examples_of_the_rooms_run(root: Path) -> None:
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOMS}
    routing = next(block for block in blocks("python", texts["vocab/UNION.md"]) if "load_routed" in block)
    done = subprocess.run([sys.executable, "-c", routing], cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[")
    query = blocks("sql", texts["data/CONTRACT.md"])[0].replace("runs/readme", str(root / "runs/readme"))
    counts = duckdb.sql(query).fetchall()  # type: ignore[union-attr]
    assert [(language, teacher) for language, teacher, _ in counts] == [("de", "small-de"), ("tr", "small-tr")]
    assert all(count > 0 for *_, count in counts)


def test_the_table_of_commands_is_that_of_the_program() -> None:
    assert section(README, "commands") == commands_table(), "run `make docs`"


def test_the_demos_table_is_that_of_the_program(tmp_path: Path) -> None:
    """The same headings, rows and notes as the demo prints; the figures are those of the machine that made the README."""
    start_folder(tmp_path / "demo")
    commands = [*demo_commands(tmp_path / "demo", quick=True)]
    names = [command[command.index("--student") + 1] for command in commands if "--student" in command]
    assert len(names) == 3
    recipe = load_recipe(tmp_path / "demo/recipe.toml")
    pairs = sorted((teacher.languages[0], teacher.name) for teacher in recipe.teachers)
    scores = tuple(
        Score(
            language=language,
            teacher=teacher,
            positions=1000,
            student_loss=1.0,
            student_accuracy=0.1,
            teacher_loss=1.0,
            teacher_accuracy=0.1,
            rdt=-10.0,
        )
        for language, teacher in pairs
    )
    # The table of the last student shows those before it in the order of their names.
    students = {name: Heldout(scores=scores, mean_rdt=-10.0) for name in (*sorted(["student", *names[:-1]]), names[-1])}
    tables = f"{score_table(students).text()}\n\n{comparison(dict.fromkeys(students, -10.0), recipe.train.steps).text()}"
    assert masked(section(README, "demo")) == masked(f"```text\n{tables}\n```"), "run `make docs`"


def masked(text: str) -> list[list[str]]:
    """The words of each line, with every number replaced."""
    return [re.sub(r"[+-]?[\d,.]*\d%?|─+", "#", line).split() for line in text.splitlines()]


@pytest.mark.parametrize("path", [ROOT / "README.md", *ROOMS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_commands_of_every_readme_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), target
    for module in re.findall(r"python -m (tests\.[\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    for name in re.findall(r"(?<![\w/.-])mergedistill ([a-z]+)\b", text):
        assert name in main.commands, name


def test_the_readme_has_the_two_commands_and_is_short() -> None:
    assert "$ make demo\n" in README
    assert "$ make test\n" in README
    assert len(README.splitlines()) <= 180
    assert "@" not in "".join(blocks("console"))
    for path in ROOMS:
        if path.name == "README.md" and path.parent.parent != ROOT / "data/studies":  # those are the results of studies
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 40, path
