"""Kills predict at random moments, on every runner, and prints what it cost. `python -m tests.trials.kill_predict [--kills N] [RUNNER…]`

Each runner has a run folder of its own, which the same command is launched into until it is whole. What is killed: the launcher with
all its processes, or a Dask worker or Flink TaskManager, which the launch should outlive. When all units stand before the kills are
used up, half of them are removed. Never lost, and never computed again: a unit that stood at any look. A last launch, which nothing
disturbs, has nothing to compute and leaves no partial file. Exit code 1 if any of this fails.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.engines.dask_cluster import dask_cluster
from tests.support.engines.flink_cluster import MISSING, flink_cluster
from tests.support.engines.launches import MULTI_PROCESSING, Launches

UNITS = 120
SHARE = {"in-process": 20, "multi-processing": 14, "dask": 8, "flink": 8}  # of 50 kills


@dataclass
class Engine:
    """How a runner is launched, and what of it is killed."""

    beam_args: Sequence[str] = ()
    kill_worker: Callable[[], None] | None = None
    make_ready: Callable[[], None] = lambda: None


@dataclass
class Tally:
    """What a runner went through."""

    runner: str
    launches: int = 0
    kills: dict[str, int] = field(default_factory=lambda: {"launcher": 0, "worker": 0})
    failed_launches: int = 0  # that ended by themselves with an error: an engine that gave up
    removed: int = 0
    lost: int = 0
    computed_again: int = 0
    partial_files: int = 0
    same_rows: bool = False
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        return self.same_rows and not (self.lost or self.computed_again or self.partial_files)


@contextmanager
def engine(runner: str, folder: Path) -> Iterator[Engine]:
    if runner == "dask":
        with dask_cluster(folder) as dask:
            yield Engine(dask.beam_args(), dask.kill_worker)
    elif runner == "flink":
        with flink_cluster(folder) as flink:
            yield Engine([*flink.beam_args(), "--parallelism=1"], flink.kill_one_at_work, lambda: flink.restore(2))
    else:
        yield Engine(MULTI_PROCESSING if runner == "multi-processing" else ())


def torment(launches: Launches, runner: str, engine: Engine, kills: int, dice: random.Random) -> Tally:
    """Launch into the runner's run folder until so many kills have fallen, and then until it is whole."""
    tally, clock = Tally(runner), time.monotonic()
    seen: dict[str, str] = {}

    def look() -> None:
        standing = launches.computations(runner)
        tally.lost += len(seen.keys() - standing.keys())
        tally.computed_again += sum(standing[name] != seen[name] for name in seen.keys() & standing.keys())
        seen.clear()
        seen.update(standing)

    while sum(tally.kills.values()) < kills or len(seen) < launches.units:
        if len(seen) == launches.units:
            for name in dice.sample(sorted(seen), launches.units // 2):
                Path(name).unlink()
                del seen[name]
                tally.removed += 1
        engine.make_ready()
        process = launches.start(runner, engine.beam_args)
        tally.launches += 1
        while process.poll() is None:
            if sum(tally.kills.values()) == kills:
                process.communicate(timeout=600)
                break
            launches.wait_for_units(runner, len(seen) + dice.randint(1, UNITS // 8), process)
            time.sleep(dice.random() * 0.1)
            if process.poll() is None:
                kill(process, engine, tally, dice)
            look()
        tally.failed_launches += process.returncode > 0
        look()
    last = launches.launch(runner, engine.beam_args)
    tally.launches += 1
    assert " 0 computed now" in last.stdout, last.stderr
    look()
    launches.assert_same_rows(runner)
    tally.same_rows = True
    tally.partial_files = len([*(launches.folder / runner).rglob("*.partial")])
    tally.seconds = time.monotonic() - clock
    return tally


def kill(process: subprocess.Popen[str], engine: Engine, tally: Tally, dice: random.Random) -> None:
    """Kill a worker of a cluster, or the launcher with all its processes."""
    if engine.kill_worker is not None and dice.random() < 0.5:
        try:
            engine.kill_worker()
            tally.kills["worker"] += 1
            return
        except LookupError:  # none is at work at this moment
            pass
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    tally.kills["launcher"] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="over all runners")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("runners", nargs="*", metavar="RUNNER", help=f"of {', '.join(SHARE)}; all unless given")
    options = parser.parse_args()
    runners = options.runners or [runner for runner in SHARE if runner != "flink" or not MISSING]
    total = sum(SHARE[runner] for runner in runners)
    dice, sound = random.Random(options.seed), True
    print(
        "| runner | kills: launcher | worker | launches | of them failed | units removed by us | lost | computed again | partial | s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as room:
        launches = Launches.make(Path(room) / "work", UNITS)
        for runner in runners:
            with engine(runner, Path(room) / runner) as one:
                tally = torment(launches, runner, one, round(options.kills * SHARE[runner] / total), dice)
            numbers = (*tally.kills.values(), tally.launches, tally.failed_launches, tally.removed, tally.lost)
            print(
                "|",
                " | ".join(map(str, (runner, *numbers, tally.computed_again, tally.partial_files, f"{tally.seconds:.0f}"))),
                "|",
                flush=True,
            )
            sound &= tally.sound
    return not sound


if __name__ == "__main__":
    sys.exit(main())
