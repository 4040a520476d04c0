"""The launcher sees how far a unit is that runs, and the note about it is no shard."""

import time
from pathlib import Path

import pytest

from data.recipe import Recipe
from data.run import Run
from data.shards import list_shards
from data.storage import TEMPORARY_SUFFIX
from pipeline.beam import running_unit
from pipeline.beam.progress import watch_units
from pipeline.beam.running_unit import Note, RunningUnit, notes_of
from pipeline.teacher.plan import Unit
from pipeline.teacher.shard_lock import clear_partial_files
from tests.support.factories import two_language_recipe
from tests.support.runs import build_union, launch


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return two_language_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    return Unit(
        teacher="bert-en",
        language="en",
        corpus="x",
        corpus_fingerprint="y",
        first_row_group=0,
        row_groups=1,
        articles=10,
        output=str(tmp_path / "predictions/language=en/teacher=bert-en/part0-00000.parquet"),
    )


def test_a_note_is_written_seldom_and_removed(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    running = RunningUnit(unit)
    running(4, 321)
    assert notes_of([unit.output]) == []  # the unit has only begun
    monkeypatch.setattr(running_unit, "NOTE_SECONDS", 0.0)
    running(4, 321)
    assert notes_of([unit.output]) == [Note(0.4, 321)]
    running(99, 500)  # articles are read ahead
    assert notes_of([unit.output]) == [Note(1.0, 500)]
    running.end()
    running.end()
    assert notes_of([unit.output]) == []


def test_the_note_of_a_killed_worker_is_removed(
    unit: Unit, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_unit, "NOTE_SECONDS", 0.0)
    RunningUnit(unit)(4, 321)
    run = Run(recipe=recipe, folder=tmp_path)
    assert list_shards(run.predictions) == []
    [note] = Path(unit.output).parent.iterdir()
    assert note.name.endswith(TEMPORARY_SUFFIX)
    note.write_text("{half")
    assert notes_of([unit.output]) == []
    clear_partial_files(run, ["bert-en"])
    assert [*Path(unit.output).parent.iterdir()] == []


def test_the_launcher_counts_what_is_done_of_running_units(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running_unit, "NOTE_SECONDS", 0.0)
    for module in ("data.progress", "pipeline.beam.progress"):
        monkeypatch.setattr(f"{module}.LOG_SECONDS", 0.05)
    monkeypatch.setattr("data.progress.BEGIN_SECONDS", 0.0)
    RunningUnit(unit)(4, 321)
    found = ""
    with watch_units([unit.output, unit.output.replace("00000", "00001")]):
        while "running" not in found:
            time.sleep(0.01)
            found += capsys.readouterr().err
    assert "predict: 0.4 of 2 units (20%)" in found
    assert "1 running, 40% done, 321 masked positions in them" in found


def test_predict_writes_notes_and_leaves_none(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_unit, "NOTE_SECONDS", 0.0)
    monkeypatch.setattr("pipeline.teacher.label_unit.block_windows", lambda *_: 2)
    seen: list[Note] = []
    end = RunningUnit.end

    def look_and_end(self: RunningUnit) -> None:
        seen.extend(notes_of([self._unit.output]))
        end(self)

    monkeypatch.setattr(RunningUnit, "end", look_and_end)
    build_union(recipe, tmp_path)
    launch(recipe, tmp_path)
    assert len(seen) == 8
    assert all(note.share == 1.0 and note.positions > 0 for note in seen)
    assert not [*tmp_path.rglob(f"*{TEMPORARY_SUFFIX}")]
