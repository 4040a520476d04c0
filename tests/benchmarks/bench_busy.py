"""Rates alone and beside one busy process, with all threads (as torch does it by itself) and with the number that the work finds.

Each rate is that of a real command on the bundled sample, from its own records, over a quarter of a minute. "tuned" includes the time until
the right number of threads is found. The baseline is OMP_NUM_THREADS = the number of cores, alone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from data.demo import sample_dump
from data.shards import list_shards, read_shards
from student.training.metrics import FILE as METRICS

SECONDS = 15.0
RECIPE = """
name = "busy"
[[teachers]]
name = "en"
model = "teacher"
languages = ["en"]
[corpora]
en = "corpus/*.parquet"
[examples]
maskings = 4
[predict]
unit_articles = 5
[student]
layers = 2
hidden_size = 128
heads = 4
[train]
steps = 100000
tokens_per_batch = 2048
warmup_steps = 10
log_steps = 1
checkpoint_steps = 100000
"""
COMMAND = [sys.executable, "-c", "import cli; cli.main()"]
WORKERS = ["--", "--direct_num_workers=2", "--direct_running_mode=multi_processing"]


def main() -> None:
    cores = str(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        print(f"{cores} cores; tokens/s")
        print(
            "| command | all threads: alone | beside a busy core | kept | tuned: alone | of all threads alone | beside a busy core | kept |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for what, measure in WORK.items():
            rates = []
            for tuned in (False, True):
                for busy in (False, True):
                    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
                    environment |= {} if tuned else {"OMP_NUM_THREADS": cores}
                    with neighbour() if busy else nobody():
                        rates.append(measure(folder, environment))
            before, before_busy, now, now_busy = rates
            cells = [
                what,
                f"{before:,.0f}",
                f"{before_busy:,.0f}",
                f"{before_busy / before:.0%}",
                f"{now:,.0f}",
                f"{now / before:.0%}",
            ]
            print("| " + " | ".join([*cells, f"{now_busy:,.0f}", f"{now_busy / before:.0%}"]) + " |", flush=True)


def prepare(folder: Path) -> None:
    """A corpus of small row groups, a teacher, a vocabulary, and predictions to train on."""
    (folder / "recipe.toml").write_text(RECIPE)
    command = ["prepare", sample_dump("en", "train"), "--language", "en", "--out", "articles"]
    subprocess.run([*COMMAND, *command], cwd=folder, check=True, capture_output=True)
    (folder / "corpus").mkdir()
    pq.write_table(pq.read_table(folder / "articles"), folder / "corpus/en.parquet", row_group_size=5)
    for command in (
        ["pretrain", "corpus", "--language", "en", "--out", "teacher", "--vocab-size", "8000", "--steps", "10"],
        ["vocab", "recipe.toml", "--out", "run"],
        ["predict", "recipe.toml", "--out", "run", "--set", "examples.maskings=1", "--set", "predict.unit_articles=2000"],
    ):
        subprocess.run([*COMMAND, *command], cwd=folder, check=True, capture_output=True)


def train(folder: Path, environment: dict[str, str]) -> float:
    """`train`: the tokens of steps 10 and later."""
    arguments = [
        "train",
        "recipe.toml",
        "--out",
        "run",
        "--set",
        "examples.maskings=1",
        "--student",
        f"student{time.monotonic_ns()}",
    ]
    return steps(folder, environment, arguments, folder / "run" / arguments[-1] / METRICS)


def pretrain(folder: Path, environment: dict[str, str]) -> float:
    """`pretrain`: the same, of its own small model."""
    name = f"teacher{time.monotonic_ns()}"
    arguments = [
        "pretrain",
        "corpus",
        "--language",
        "en",
        "--out",
        name,
        "--vocab-size",
        "4000",
        "--steps",
        "100000",
        "--tokens-per-batch",
        "1024",
    ]
    return steps(folder, environment, [*arguments, "--hidden-size", "128"], folder / f".{name}.work/model" / METRICS)


def steps(folder: Path, environment: dict[str, str], arguments: list[str], metrics: Path) -> float:
    with running(folder, environment, arguments):
        first, began = tokens(metrics, more_than=0), time.monotonic()
        time.sleep(SECONDS)
        last = tokens(metrics, more_than=first)
        return (last - first) / (time.monotonic() - began)


def tokens(metrics: Path, more_than: int) -> int:
    """The tokens of all steps so far, once there is a new row."""
    while True:
        rows = metrics.read_text().splitlines() if metrics.exists() else []
        if rows and (found := int(json.loads(rows[-1])["tokens"])) > more_than:
            return found
        time.sleep(0.02)


def predict(folder: Path, environment: dict[str, str], beam_args: list[str] | None = None) -> float:
    """`predict`: the tokens of all units but the first ones."""
    run = f"run{time.monotonic_ns()}"
    subprocess.run([*COMMAND, "vocab", "recipe.toml", "--out", run], cwd=folder, check=True, capture_output=True)
    predictions = str(folder / run / "predictions")
    with running(folder, environment, ["predict", "recipe.toml", "--out", run, *(beam_args or [])]):
        while len(list_shards(predictions)) < 2:
            time.sleep(0.02)
        before, began = set(list_shards(predictions)), time.monotonic()
        time.sleep(SECONDS)
        units, took = set(list_shards(predictions)) - before, time.monotonic() - began
    return sum(shard.report["counters"]["tokens"] for shard in read_shards(units)) / took


def two_workers(folder: Path, environment: dict[str, str]) -> float:
    """`predict` with two worker processes: each has one thread anyway."""
    return predict(folder, environment, WORKERS)


WORK: dict[str, Callable[[Path, dict[str, str]], float]] = {
    "train": train,
    "pretrain": pretrain,
    "predict": predict,
    "predict, two worker processes": two_workers,
}


@contextmanager
def running(folder: Path, environment: dict[str, str], arguments: list[str]) -> Iterator[None]:
    """A command of this program, killed at the end."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*COMMAND, *arguments], cwd=folder, env=environment, start_new_session=True, **quiet)  # type: ignore[call-overload]
    try:
        yield
        assert process.poll() is None, f"{arguments}: ended too soon"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def nobody() -> Iterator[None]:
    yield


if __name__ == "__main__":
    main()
