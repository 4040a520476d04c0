"""A whole study over tiny text: from text to table, killed twice, and each cell computed once."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.atomic import write_text
from student.studies import lean
from student.studies.plan import Plan
from student.studies.step import before, mark
from student.study import study
from tests.support.factories import articles
from tests.support.stopping import kill_when
from vocab.errors import InputError

CELL = "100 150 gold+teacher"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    for language in ("de", "en"):
        (folder / language).mkdir()
        for place in range(3):
            (folder / language / f"{place}.txt").write_text("\n\n".join(articles(language, 60 + place)), encoding="utf-8")
    return folder


def command(text: Path, folder: Path) -> list[str]:
    options = ["--text", text, "--tasks", text, "--work", folder / "work", "--out", folder / "out", "--scale", 0.01, "--only", CELL]
    return [sys.executable, "-m", "cli", "study", "resource-lean", *map(str, options), "--jobs", "2", "--json"]


def results(folder: Path) -> dict[str, Any]:
    """What a study leaves, but for timings and the machine."""
    out = folder / "out/resource-lean"
    cells = {file.name: json.loads(file.read_text()) for file in (out / "cells").iterdir()}
    assert not [file for file in out.rglob("*") if "partial" in file.name]
    for cell in cells.values():
        del cell["seconds"], cell["processor"]
        assert cell["versions"]["torch"]
        del cell["values"]["bytes_per_position"]  # of files whose footers hold timings
    return {"result": (out / "result.json").read_text(), "plot": (out / "plot.svg").read_text(), "cells": cells}


def test_a_study_killed_twice_ends_as_one_that_was_not(text: Path, tmp_path: Path) -> None:
    plan = Plan(text=text, tasks=text, scale=0.01)
    (cell,) = [cell for cell in lean.cells(plan) if cell.name == CELL]
    steps = {step.name: step for step in before(cell.step)}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for done in ("corpus de", "teacher de"):
        process = subprocess.Popen(command(text, killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kill_when(lambda name=done: mark(killed / "work", steps[name]).exists(), process)  # type: ignore[misc]
    times = {name: mark(killed / "work", steps[name]).stat().st_mtime_ns for name in ("corpus de", "teacher de")}
    for folder in (killed, whole):
        ended = subprocess.run(command(text, folder), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["facts"]["present"] == 1
    assert results(killed) == results(whole)
    assert times == {name: mark(killed / "work", steps[name]).stat().st_mtime_ns for name in times}
    assert (killed / "out/resource-lean/README.md").read_text().count("1 of 12 cells") == 1

    # A kept cell needs no work folder, and other text makes it again.
    again = study("resource-lean", plan, tmp_path / "nothing", whole / "out", only=[CELL], progress=False)
    assert again.present == 1
    assert not (tmp_path / "nothing/steps").exists()
    (text / "de/0.txt").write_text("another text", encoding="utf-8")
    with pytest.raises(InputError, match=r"of another text, scale or study"):
        study("resource-lean", Plan(text=text, tasks=text, scale=0.01), whole / "work", whole / "out", only=[CELL], progress=False)


def test_an_unknown_cell_is_named(text: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--only nothing: found no such cell; the study resource-lean has 1 150 gold\+teacher, "):
        study("resource-lean", Plan(text=text, tasks=text), tmp_path / "work", tmp_path / "out", only=["nothing"])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], None),  # a cut file is computed again
        (lambda text: text.replace('"values"', '"valeus"'), None),
        (lambda text: text.replace('"version": 1', '"version": 0'), None),
        (lambda text: text.replace('"identity": "', '"identity": "other'), r"is of another text, scale or study"),
        (lambda text: text.replace('"student_loss"', '"loss"'), r"holds values that are not as this program writes them"),
    ],
)
def test_damaged_cells(text: Path, tmp_path: Path, damage: Callable[[str], str], said: str | None) -> None:
    """Whole cells are written by hand here, so that nothing is trained."""
    plan = Plan(text=text, tasks=None)
    cells = lean.cells(plan)
    row = {"language": "de", "teacher": "mono-de", "student_loss": 5.0}
    for cell in cells:
        content = {
            "version": 1,
            "cell": cell.name,
            "identity": cell.step.identity,
            "values": {"heldout": [row], "mean_rdt": -1.0},
            "seconds": {cell.step.name: 60.0},
            "processor": "one",
        }
        write_text(cell.file(tmp_path / "out/resource-lean"), json.dumps(content))
    whole = study("resource-lean", plan, tmp_path / "work", tmp_path / "out", only=["100"], progress=False)
    assert whole.present == whole.cells == len(cells)
    file = cells[0].file(tmp_path / "out/resource-lean")
    file.write_text(damage(file.read_text()))
    if said is None:
        assert (
            study("resource-lean", plan, tmp_path / "work", tmp_path / "out", only=["100"], progress=False).present
            == len(cells) - 1
        )
    else:
        with pytest.raises(InputError, match=said):
            study("resource-lean", plan, tmp_path / "work", tmp_path / "out", only=["100"], progress=False)


def test_places_that_cannot_hold_a_study(text: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    plan = Plan(text=text, tasks=None)
    for work, out in ((tmp_path / "file/work", tmp_path / "out"), (tmp_path / "work", tmp_path / "file/out")):
        with pytest.raises(InputError, match=r"file"):
            study("resource-lean", plan, work, out, only=[CELL], progress=False)
