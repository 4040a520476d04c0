"""Ctrl-C and SIGTERM at several moments of every long command: one line, exit code 130, no process left, nothing lost."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from data.recipe_file import save_recipe
from data.shards import list_shards
from student.training.checkpoint import list_checkpoints
from student.training.metrics import read_rows
from tests.support.engines.launches import COMMAND
from tests.support.factories import articles, two_language_recipe
from tests.support.runs import MULTI_PROCESSING, launch

LAST = "Interrupted: finished work is kept. Run the same command again to continue (train and pretrain: with --resume)"
SAVED = re.compile(
    r"Interrupted after step ([\d,]+) of 100,000: its checkpoint is saved. Continue with --resume"
)  # train and pretrain
UNITS = 400


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe with much to do, its vocabulary and a few finished units; and a corpus of many articles."""
    folder = tmp_path_factory.mktemp("work")
    recipe = two_language_recipe(folder, articles_each=UNITS * 2, rows_per_group=4)
    few = recipe.model_copy(update={"predict": recipe.predict.model_copy(update={"unit_articles": 4})})
    save_recipe(few, folder / "recipe.toml")
    small = folder / "small"
    launch(two_language_recipe(small), small / "run")
    save_recipe(two_language_recipe(small), small / "recipe.toml")
    (folder / "many.txt").write_text("\n\n".join(f"{text} {index}" for index, text in enumerate(articles("en", 60_000))))
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def interrupt(process: subprocess.Popen[str], number: signal.Signals, ready: Callable[[], bool]) -> str:
    """Send the signal when the command is ready: SIGINT to the whole group, as a terminal does. Returns what it printed."""
    while not ready():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert not [worker for worker in psutil.wait_procs(workers, timeout=10)[1] if worker.is_running()]
    lines = [line for line in err.replace("\r", "\n").splitlines() if line.strip()]
    assert lines[-1] == LAST or SAVED.fullmatch(lines[-1])
    shown = re.compile(r"\d{4}-\d\d-\d\d |WARNING:root|INFO:__main__:Logging handler")  # progress, and workers that start
    return "\n".join(line for line in [*lines[:-1], *(lines[-1:] if lines[-1] != LAST else [])] if not shown.match(line))


SIGNALS = [signal.SIGINT, signal.SIGTERM]


def after(seconds: float) -> Callable[[], bool]:
    begin = time.monotonic()
    return lambda: time.monotonic() - begin > seconds


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("beam_args", [[], ["--", *MULTI_PROCESSING]], ids=["in process", "two processes"])
def test_predict(work: Path, number: signal.Signals, beam_args: list[str], tmp_path: Path) -> None:
    def ready() -> bool:
        return len(list_shards(str(tmp_path / "run/predictions"))) >= 2

    subprocess.run([*COMMAND, "vocab", "recipe.toml", "--out", str(tmp_path / "run")], cwd=work, check=True, capture_output=True)
    assert interrupt(start(work, "predict", "recipe.toml", "--out", str(tmp_path / "run"), *beam_args), number, ready) == ""
    assert 2 <= len(list_shards(str(tmp_path / "run/predictions"))) < UNITS


@pytest.mark.parametrize("number", SIGNALS)
def test_the_other_commands(work: Path, number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "articles"
    process = start(work, "prepare", "many.txt", "--language", "en", "--out", str(out))
    assert interrupt(process, number, lambda: bool([*tmp_path.rglob("*.bytes")] or [*tmp_path.rglob("*.parquet")])) == ""
    assert not [*out.glob("*.parquet")]
    process = start(work, "pretrain", "corpora/de", "--language", "de", "--out", str(tmp_path / "teacher"), "--vocab-size", "200")
    assert interrupt(process, number, lambda: (tmp_path / ".teacher.work").exists()) == ""
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_train_saves_a_checkpoint_first(work: Path, number: signal.Signals) -> None:
    """Twice: the second run continues at the step after which the first one ended, although no checkpoint was due."""
    folder = work / "small/run/saved"
    shutil.rmtree(folder, ignore_errors=True)
    command = ["train", "recipe.toml", "--out", "run", "--student", folder.name, "--set", "train.steps=100000"]
    reached = 0
    for more in ([], ["--resume"]):
        before = reached
        process = start(work / "small", *command, "--set", "train.checkpoint_steps=100000", *more)
        said = SAVED.fullmatch(interrupt(process, number, lambda before=before: len(read_rows(folder)) > before + 2))  # type: ignore[misc]
        assert said
        reached = int(said[1].replace(",", ""))
        assert [checkpoint.name for checkpoint in list_checkpoints(folder)][-1] == f"step-{reached:08d}"
        assert [row["step"] for row in read_rows(folder)] == [*range(1, reached + 1)]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_a_long_step(work: Path, number: signal.Signals) -> None:
    folder = work / "small/run/long"
    shutil.rmtree(folder, ignore_errors=True)
    long = ["--set", "train.steps=100000", "--set", "train.tokens_per_batch=100000000"]
    process = start(work / "small", "train", "recipe.toml", "--out", "run", "--student", folder.name, *long)
    assert process.stderr is not None
    for line in process.stderr:
        if "train: begins" in line:  # the log says so when it is in its first step
            break
    os.kill(process.pid, number)
    time.sleep(0.5)
    assert process.poll() is None
    assert interrupt(process, number, after(0.0)) == ""
    assert not list_checkpoints(folder)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_while_it_starts(work: Path, number: signal.Signals, seconds: float, tmp_path: Path) -> None:
    """Libraries are being imported, or the first files are read."""
    begun = after(seconds)
    assert interrupt(start(work, "predict", "recipe.toml", "--out", str(work / "small/run")), number, begun) == ""
