"""Steps of a study: commands of this program that run in a work folder, each once. A finished step has a mark beside its log."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from data.atomic import write_text
from data.identity import fingerprint
from data.state_file import read_state_file
from student.tasks.text_file import content_hash
from vocab.errors import InputError

_PROGRAM = ("-P", "-m", "cli")  # arguments of Python; -P: the work folder must not be where it looks for modules


@dataclass(frozen=True, kw_only=True)
class Step:
    """Commands that make one thing: article shards, a teacher, a cache, a student, its scores.

    Paths are relative to the work folder, so that a step is the same step wherever that folder is.
    """

    name: str  # as "student similar-small/gold"; no other step of the work folder has it
    commands: tuple[tuple[str, ...], ...]  # arguments of `mergedistill`
    checks: tuple[tuple[str, ...], ...] = ()  # commands after them that change nothing, so they are no part of the identity
    needs: tuple["Step", ...] = ()
    inputs: Mapping[str, Path] = field(default_factory=dict)  # path in the work folder → a file from outside, to which it links
    holds: str = ""  # what only one step at a time may write, beside its own folders
    files: Mapping[str, str] = field(default_factory=dict)  # path in the work folder → the TOML that is written there

    @cached_property
    def identity(self) -> str:
        """sha256 of all that the result depends on: the commands, the files, and the steps before."""
        return fingerprint(
            {
                "commands": [list(command) for command in self.commands],
                "inputs": {name: content_hash(file) for name, file in sorted(self.inputs.items())},
                "files": {name: tomllib.loads(text) for name, text in self.files.items()},
                "needs": [step.identity for step in self.needs],
            }
        )

    @property
    def slug(self) -> str:
        """The name for files."""
        return re.sub(r"[^\w.=-]+", "-", self.name)


def before(step: Step) -> list[Step]:
    """A step and all that it needs, each once, in an order in which they can run."""
    found: dict[str, Step] = {}

    def visit(one: Step) -> None:
        for need in one.needs:
            visit(need)
        other = found.setdefault(one.name, one)
        assert other.identity == one.identity, f"two steps are called {one.name}"

    visit(step)
    return list(found.values())


def mark(work: Path, step: Step) -> Path:
    """The file that says that a step is done."""
    return work / "steps" / f"{step.slug}.json"


def is_done(work: Path, step: Step) -> bool:
    """Whether the step ran to its end. Raises InputError if another study, scale or text made what lies there."""
    file = mark(work, step)
    if not file.is_file():
        return False
    if read_state_file(file).get("identity") != step.identity:
        raise InputError(
            f"{work}: holds '{step.name}' of another text, scale or study; expected those of this call: give another --work, "
            f"or remove {file.with_suffix('.*')} and what the step made"
        )
    return True


def _begin(work: Path, step: Step) -> None:
    """Note which step begins, so that what it leaves when it is killed is never taken for that of another text or scale."""
    file = work / "steps" / f"{step.slug}.begun"
    if file.is_file() and file.read_text(encoding="utf-8") != step.identity:
        raise InputError(
            f"{work}: '{step.name}' was begun with another text, scale or study; expected those of this call: give another --work, "
            f"or remove {file.with_suffix('.*')} and what the step made"
        )
    if not file.is_file():
        _clear(work, step)
        write_text(file, step.identity)


def _clear(work: Path, step: Step) -> None:
    """Remove what no step of this work folder is known to have made: commands would take it for their own."""
    for command in step.commands:
        if command[0] == "pretrain" or command[:2] == ("sparse", "apply"):
            out = work / command[command.index("--out") + 1]
            for folder in (out, out.with_name(f".{out.name}.work")):
                shutil.rmtree(folder, ignore_errors=True)


def seconds_of(work: Path, step: Step) -> float:
    """How long a finished step took, loading of libraries included."""
    return float(read_state_file(mark(work, step))["seconds"])


def output_of(work: Path, step: Step) -> Path:
    """What the last command of a step printed on stdout."""
    return work / "steps" / f"{step.slug}.out"


def log_of(work: Path, step: Step) -> Path:
    """What the commands of a step said on stderr."""
    return work / "steps" / f"{step.slug}.log"


def run_step(work: Path, step: Step, environment: Mapping[str, str]) -> None:
    """Run the commands of a step and mark it as done. A step that was interrupted continues where its commands can.

    Raises InputError with the last line of a command that failed.
    """
    (work / "steps").mkdir(parents=True, exist_ok=True)
    _begin(work, step)
    for name, source in step.inputs.items():
        _link(work / name, source)
    for name, text in step.files.items():
        write_text(work / name, text)
    started = time.monotonic()
    with log_of(work, step).open("a", encoding="utf-8") as log:
        for command in (*step.commands, *step.checks):
            arguments = resumed(work, command)
            if arguments is None:
                continue
            log.write(f"$ mergedistill {' '.join(arguments)}\n")
            log.flush()
            kept = output_of(work, step) if command in step.commands else Path(os.devnull)
            with kept.open("w", encoding="utf-8") as out:
                # stdin: nothing may ask a question.
                code = subprocess.run(
                    [sys.executable, *_PROGRAM, *arguments],
                    cwd=work,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=log,
                    check=False,
                ).returncode
            if code:
                raise InputError(
                    f"the step '{step.name}' failed with exit code {code}: {_last_line(log_of(work, step))}; "
                    f"the whole log: {log_of(work, step)}: mend the cause and give the same command again"
                )
    done = {"identity": step.identity, "commands": step.commands, "seconds": round(time.monotonic() - started, 1)}
    write_text(mark(work, step), json.dumps(done, indent=2) + "\n")


def end_orphans(work: Path) -> None:
    """End the commands that a killed study left running in its work folder. Only call it where no other study runs there."""
    own = {process.pid for process in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid not in own and process.cmdline()[1:4] == [*_PROGRAM] and Path(process.cwd()) == work.resolve():
                family = [*process.children(recursive=True), process]
                for one in family:
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
                psutil.wait_procs(family, timeout=10)


def resumed(work: Path, command: tuple[str, ...]) -> list[str] | None:
    """The arguments with which an interrupted command continues; None if it had ended, and only the mark is missing."""
    given: dict[str, Any] = dict(pairwise(command))
    if command[0] == "distil" and (work / given["--out"] / "student").exists():
        return [*command, "--resume"]
    if command[:2] == ("sparse", "apply") and (work / given["--out"]).is_dir():
        return None  # its folder appears complete
    if command[0] == "train" and (work / given["--out"] / given["--student"]).exists():
        return [*command, "--resume"]
    if command[0] == "pretrain":
        out = work / given["--out"]
        if out.is_dir() and any(out.iterdir()):
            return None  # a teacher's folder appears complete
        return [*command, "--resume"] if out.with_name(f".{out.name}.work").exists() else [*command]
    if command[0] == "prepare":  # a short step, which refuses a folder with shards
        shutil.rmtree(work / given["--out"], ignore_errors=True)
    return [*command]


def _link(place: Path, source: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.resolve() != source.resolve():  # none, or one that another call made
        place.unlink(missing_ok=True)
        place.symlink_to(source.resolve())


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
