"""The order of steps: each after those that it needs, several at once, each in a process of its own."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from data.progress import progress_bar
from student.studies.step import Step, before, end_orphans, is_done, run_step


def default_jobs() -> int:
    """How many steps run at once: small models use one core well and several badly. One on a GPU, which they would share."""
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return 1
    return max(1, min(4, _cores()))


def run_steps(steps: Sequence[Step], work: Path, jobs: int, *, done: Callable[[Step], None], progress: bool = True) -> None:
    """Run the steps and all that they need, as far as they are not done. `done` is called for each of `steps` when it is.

    After a failure no other step begins; those that run end first, and count. Raises InputError for the first failure.
    """
    end_orphans(work)
    needed = list({step.name: step for wanted in steps for step in before(wanted)}.values())
    wanted = {step.name for step in steps}
    finished: set[str] = set()

    def end(step: Step) -> None:
        finished.add(step.name)
        if step.name in wanted:
            done(step)

    for step in needed:
        if is_done(work, step):
            end(step)
    waiting = [step for step in needed if step.name not in finished]
    threads = str(max(1, _cores() // jobs))
    environment = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"}
    running: dict[Future[None], Step] = {}
    failure: BaseException | None = None
    with progress_bar(len(needed), "study", "steps", initial=len(finished), show=progress) as bar, ThreadPoolExecutor(jobs) as pool:
        while running or (waiting and failure is None):
            for step in [] if failure else _ready(waiting, finished):
                held = {one.holds for one in running.values() if one.holds}
                if len(running) < jobs and step.holds not in held:
                    running[pool.submit(run_step, work, step, environment)] = step
                    waiting.remove(step)
            bar.set_postfix_str(", ".join(step.name for step in running.values()), refresh=False)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                step = running.pop(future)
                if (error := future.exception()) is None:
                    end(step)
                    bar.update(1)
                elif failure is None:
                    failure = error
                    if running:
                        print(f"'{step.name}' failed; what still runs ends first", file=sys.stderr, flush=True)
    if failure is not None:
        raise failure


def _ready(waiting: Sequence[Step], finished: set[str]) -> list[Step]:
    """The steps whose needs are done, in their order."""
    return [step for step in waiting if all(need.name in finished for need in step.needs)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
