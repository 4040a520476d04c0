"""Launching predict as a user does, with relative paths, and comparing what its launches leave."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.recipe_file import save_recipe
from data.shards import leaf, list_shards, open_shard, read_shards
from tests.support.factories import two_language_recipe

COMMAND = (sys.executable, "-c", "import cli; cli.main()")
MULTI_PROCESSING = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
EXACT = ["doc_id", "window", "input_ids", "mask_positions", "label_ids", "topk_ids"]
LOGITS = ["label_logits", "topk_logits"]


@dataclass(frozen=True)
class Launches:
    """A folder with a recipe of `units` units; its run "alone" is made in one process, and every other has to come out the same."""

    folder: Path
    units: int

    @classmethod
    def make(cls, folder: Path, units: int) -> "Launches":
        save_recipe(two_language_recipe(folder, articles_each=units * 5), folder / "recipe.toml")
        path = folder / "recipe.toml"
        path.write_text(path.read_text().replace(f"{folder}/", ""))  # all paths relative, so that the folder can be copied
        subprocess.run([*COMMAND, "vocab", "recipe.toml", "--out", "alone"], cwd=folder, check=True, capture_output=True)
        launches = cls(folder, units)
        done = launches.launch("alone")
        assert (done.returncode, launches.standing("alone")) == (0, units), done.stderr
        return launches

    def start(self, run: str, beam_args: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Launch predict in a process group of its own, into a run that has at least its vocabulary."""
        if not (self.folder / run).exists():
            shutil.copytree(self.folder / "alone/vocab", self.folder / run / "vocab")
        command = [*COMMAND, "predict", "recipe.toml", "--out", run, *(["--", *beam_args] if beam_args else [])]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def launch(self, run: str, beam_args: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        return finish(self.start(run, beam_args))

    def shards(self, run: str) -> list[str]:
        return list_shards(str(self.folder / run / "predictions"))

    def standing(self, run: str) -> int:
        return len(self.shards(run))

    def wait_for_units(self, run: str, units: int, process: subprocess.Popen[str]) -> None:
        """Until so many units stand, or the launch has ended."""
        while process.poll() is None and self.standing(run) < units:
            time.sleep(0.01)

    def computations(self, run: str) -> dict[str, str]:
        """Of each unit that stands, the id of the computation that made it."""
        return {shard.location: shard.report["computation"] for shard in read_shards(self.shards(run))}

    def assert_same_rows(self, run: str) -> None:
        """All units are there; ids, masks and labels as in the undisturbed run, logits within rounding."""
        for ours, theirs in zip(self.shards(run), self.shards("alone"), strict=True):
            assert ours.removeprefix(str(self.folder / run)) == theirs.removeprefix(str(self.folder / "alone"))
            mine, other = open_shard(ours).read(), open_shard(theirs).read()
            assert mine.select(EXACT).equals(other.select(EXACT))
            for name in LOGITS:
                np.testing.assert_allclose(leaf(mine[name])[0], leaf(other[name])[0], rtol=2e-3, atol=2e-3)


def finish(process: subprocess.Popen[str], seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """A launch that has ended by itself. One that goes on for ever is a TimeoutExpired."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        with suppress(ProcessLookupError):  # nothing is left of it, as it should be
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


# What worker processes say before they know their log level; and of their death (one is killed, and the others may be cut short amid
# their own end when the launcher's goes first), their shells and C++.
_WORKERS = ("WARNING:root:apitools", "INFO:__main__:", "Killed", "Aborted", "terminate called without an active exception")


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of stderr but the progress, which begins with the time, and what worker processes and their shells say of their own."""
    lines = done.stderr.replace("\r", "\n").splitlines()
    return [line for line in lines if line.strip() and not re.match(r"\d{4}-\d\d-\d\d ", line) and not line.startswith(_WORKERS)]


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a launch which failed said."""
    assert len(messages(done)) == 1, done.stderr
    return messages(done)[0]
