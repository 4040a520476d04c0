"""Kills every command but predict at random moments, and prints what it cost. `python -m tests.trials.kill_commands [--kills N]`

Each command is started and killed with all its processes, N times, and then runs to its end. What it leaves must be what an undisturbed
run leaves: the same bytes, or for training the same losses. Nothing half-made may remain beside it. Exit code 1 if any of this fails.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.recipe_file import save_recipe
from student.training.evaluation import FILE as EVALUATIONS
from student.training.metrics import read_rows
from tests.support.engines.launches import COMMAND
from tests.support.factories import article_shard, articles, two_language_recipe
from tests.support.judged import make_run, write_treebank

LEFT_BEHIND = ("*.partial", ".staging-*", ".*.old", ".*.work")
TRAIN = [
    part
    for setting in ("steps=300", "checkpoint_steps=20", "eval_steps=30", 'trackers=["tensorboard"]')
    for part in ("--set", f"train.{setting}")
]


@dataclass(frozen=True)
class Command:
    """A command, and what of its result must be the same."""

    arguments: list[str]
    again: list[str]  # arguments that are added to continue
    result: Callable[[Path], Any]
    makes: str  # below the working folder; removed before the first start


def bytes_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder that a user sees."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }


def losses_of(folder: Path) -> list[list[float]]:
    """The losses of the steps, and those of the looks at held-out articles."""
    looks = [[row["step"], round(row["mean_loss"], 6)] for row in read_rows(folder, EVALUATIONS)]
    return [[row["step"], round(row["loss"], 6)] for row in read_rows(folder)] + looks


def scores_of(folder: Path) -> Any:
    """The scores of all fine-tunings."""
    file = folder / "udpos.json"
    return json.loads(file.read_text())["scores"] if file.exists() else None


def said(folder: Path) -> str:
    return ""  # a command that only reads: that it ends well is enough


COMMANDS = {
    "prepare": Command(["prepare", "many.txt", "--language", "en", "--out", "made"], [], bytes_of, "made"),
    "pretrain": Command(
        ["pretrain", "corpora/de", "--language", "de", "--out", "made", "--vocab-size", "200", "--steps", "150", "--layers", "1"],
        ["--resume"],
        losses_of,
        "made",
    ),
    "vocab": Command(["vocab", "recipe.toml", "--out", "made", "--set", "vocabulary.method=trimmed"], [], bytes_of, "made"),
    "vocab --report": Command(
        ["vocab", "recipe.toml", "--out", "run", "--report"], [], lambda run: bytes_of(run / "vocab"), "run/vocab/report"
    ),
    "validate": Command(["validate", "run/predictions", "--json"], [], said, ""),
    "estimate": Command(["estimate", "recipe.toml", "--out", "run", "--rate", "1"], [], said, ""),
    "audit": Command(["audit", "recipe.toml", "--out", "run"], [], said, ""),
    "train": Command(
        ["train", "recipe.toml", "--out", "run", "--student", "made", *TRAIN],
        ["--resume"],
        lambda run: losses_of(run / "made"),
        "run/made",
    ),
}


COMMANDS["evaluate"] = Command(
    [
        *(
            "evaluate",
            "udpos",
            "--model",
            "judged/run/student",
            "--teacher",
            "de=judged/teachers/de",
            "--seeds",
            "3",
            "--out",
            "made",
        ),
        *(part for name in ("train", "dev", "test") for part in (f"--{name}", f"de=judged/{name}.conllu")),
        *("--epochs", "60", "--max-length", "32", "--eval-steps", "20", "--learning-rate", "0.001"),
    ],
    [],
    scores_of,
    "made",
)


def start(folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    # One thread: with another number of them, sums are rounded in another way.
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "env": os.environ | {"OMP_NUM_THREADS": "1"}}
    return subprocess.Popen([*COMMAND, *arguments], cwd=folder, start_new_session=True, **quiet)  # type: ignore[call-overload]


def finish(folder: Path, command: Command, arguments: list[str]) -> tuple[float, Any]:
    """(its seconds, its result) of a run that nothing disturbs."""
    began = time.monotonic()
    process = start(folder, arguments)
    _, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return time.monotonic() - began, command.result(folder / command.makes.split("/")[0])


def remove(folder: Path, command: Command) -> None:
    if command.makes:
        shutil.rmtree(folder / command.makes, ignore_errors=True)


def torment(folder: Path, command: Command, kills: int, dice: random.Random) -> tuple[int, bool, list[str]]:
    """(kills that fell before the end, whether the result is the same, what is left behind)."""
    remove(folder, command)
    before = {file for pattern in LEFT_BEHIND for file in folder.rglob(pattern)}
    seconds, expected = finish(folder, command, command.arguments)
    remove(folder, command)
    fell, more = 0, list[str]()
    for _ in range(kills):
        process = start(folder, [*command.arguments, *more])
        time.sleep(seconds * dice.uniform(0.2, 1.0))
        fell += process.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        more = command.again
        if command.makes and command.result(folder / command.makes.split("/")[0]) == expected:  # it was complete before the kill
            remove(folder, command)
            more = []
    _, found = finish(folder, command, [*command.arguments, *more])
    left = {file for pattern in LEFT_BEHIND for file in folder.rglob(pattern)} - before
    return fell, json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True), sorted(str(file) for file in left)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}; all unless given")
    options = parser.parse_args()
    dice, sound = random.Random(options.seed), True
    print("| command | kills | of them before its end | same result | left behind |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        heldout = {language: f"heldout/{language}.parquet" for language in ("en", "de")}
        for language, place in heldout.items():
            article_shard(folder / place, [f"{text} ." for text in articles(language, 9)])
        save_recipe(two_language_recipe(folder, heldout=heldout), folder / "recipe.toml")
        (folder / "many.txt").write_text("\n\n".join(f"{text} {index}" for index, text in enumerate(articles("en", 20_000))))
        make_run(folder / "judged")
        for first, part in enumerate(("train", "dev", "test")):
            write_treebank(folder / f"judged/{part}.conllu", "de", 60, first=first)
        for arguments in (["vocab"], ["predict"]):
            subprocess.run([*COMMAND, *arguments, "recipe.toml", "--out", "run"], cwd=folder, check=True, capture_output=True)
        for what in options.commands or COMMANDS:
            fell, same, left = torment(folder, COMMANDS[what], options.kills, dice)
            print(f"| {what} | {options.kills} | {fell} | {'yes' if same else 'NO'} | {', '.join(left) or 'nothing'} |", flush=True)
            sound &= same and not left
    return not sound


if __name__ == "__main__":
    sys.exit(main())
