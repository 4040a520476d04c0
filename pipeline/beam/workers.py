"""The workers of a job, as the launcher sees them: what they can import, when one dies, and what they print."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from apache_beam.runners.worker import sdk_worker

import vocab
from data.interruption import kill_workers
from pipeline.beam.job_errors import JobError

_CTRL_C = 0.2  # seconds: a terminal sends it to launcher and workers at once, and then no worker has died by itself


@contextmanager
def importable_in_workers() -> Iterator[None]:
    """Let worker processes import this project's packages from where this process imported them, installed or not."""
    root = str(Path(vocab.__path__[0]).parent)
    before = os.environ.get("PYTHONPATH")
    if root not in (before or "").split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, before]))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = before


class _WorkerDied(BaseException):
    """Raised in the main thread, wherever it waits."""


@contextmanager
def notice_dead_workers() -> Iterator[None]:
    """Raise JobError if a worker process dies (killed, or out of memory). Beam would wait for it for ever."""
    deaths: list[str] = []
    before, launcher = threading.excepthook, threading.get_ident()

    def on_error(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != "run_worker":
            # A lost connection of a worker in this process (environment LOOPBACK) means that its TaskManager died, and Flink decides.
            if not failed.exc_type.__module__.startswith("grpc"):
                before(failed)
        elif not deaths:
            deaths.append(str(failed.exc_value))
            kill_workers()  # the others too: they would print that they lost their launcher
            time.sleep(_CTRL_C)
            signal.pthread_kill(launcher, signal.SIGUSR1)  # it may wait for a lock, and only a signal ends that

    def give_up(number: int, frame: FrameType | None) -> NoReturn:
        raise _WorkerDied

    if threading.current_thread() is threading.main_thread():
        threading.excepthook, handler = on_error, signal.signal(signal.SIGUSR1, give_up)
    try:
        yield
    except _WorkerDied:
        raise JobError(f"a Beam worker died ({deaths[0]}): was it killed, or out of memory? Fewer workers take less") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            # After a death its signal may still come.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN if deaths else handler)
        if not deaths:  # else other threads are about to fail for the same reason
            threading.excepthook = before


@contextmanager
def quiet_beam() -> Iterator[None]:
    """Keep Beam from also writing the exception to the log and to stderr."""
    logger = logging.getLogger("apache_beam.runners")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_no_job_message)
    vars(sdk_worker)["print"] = lambda *_, **__: None  # workers in this process also print each traceback that they send
    try:
        yield
    finally:
        del vars(sdk_worker)["print"]
        logging.getLogger().removeFilter(_is_no_job_message)
        logger.setLevel(level)


def _is_no_job_message(record: logging.LogRecord) -> bool:
    """Whether a log record is not a message of a job server. The exception of a failed job has the last of these messages."""
    return record.module != "portable_runner"
