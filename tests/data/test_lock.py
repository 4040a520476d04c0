"""Two launches that would write one folder: the second is refused, and neither harms the other's work."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data.lock import exclusive
from data.run import Run
from pipeline.vocabulary import make_vocabulary
from pipeline.vocabulary_report import report_vocabulary
from student.train_student import train_student
from tests.support.factories import article_shard, articles, two_language_recipe
from tests.support.paths import ROOT
from tests.support.pretraining import fit
from tests.support.runs import launch
from vocab.errors import InputError

HOLD = """
import sys, time
from pathlib import Path
from data.lock import exclusive
with exclusive(Path(sys.argv[1]), "waits"):
    print("held", flush=True)
    time.sleep(999)
"""


@contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_a_dead_process_holds_no_lock(tmp_path: Path) -> None:
    with held(tmp_path / "one"):
        refused(lambda: exclusive(tmp_path / "one", "does this").__enter__(), r"one: another process does this; wait for it")
        with exclusive(tmp_path / "two", "does this"):
            pass
    with exclusive(tmp_path / "below/one", "does this"):
        assert (tmp_path / "below/.one.lock").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".one.lock"]  # of the process that was killed
    with exclusive(tmp_path / "one", "does this"):
        refused(lambda: exclusive(tmp_path / "one", "does this").__enter__(), "another process")


def test_every_command_that_writes_a_folder_alone(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path)
    run = Run(recipe=recipe, folder=tmp_path / "run")
    launch(recipe, run.folder)
    before = sorted(path.name for path in run.vocabulary.rglob("*"))
    with held(run.vocabulary):
        refused(lambda: make_vocabulary(run, show_progress=False), "another process writes this vocabulary")
        refused(lambda: report_vocabulary(run, show_progress=False), "another process writes this vocabulary")
    assert sorted(path.name for path in run.vocabulary.rglob("*")) == before
    with held(run.student("student")):
        refused(lambda: train_student(run, progress=False), "another process trains this student")
        refused(lambda: train_student(run, resume=True, progress=False), "another process trains this student")
        assert train_student(run, "other", progress=False).steps == 4
    assert not run.student("student").exists()
    assert train_student(run, progress=False).steps == 4
    corpus = str(article_shard(tmp_path / "a.parquet", articles("de", 20)))
    with held(tmp_path / "teacher"):
        refused(lambda: fit(corpus, tmp_path / "teacher"), "another process pretrains this teacher")
        refused(lambda: fit(corpus, tmp_path / "teacher", resume=True), "another process pretrains this teacher")
    assert fit(corpus, tmp_path / "teacher").steps == 12
