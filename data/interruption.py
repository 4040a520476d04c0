"""Ctrl-C and SIGTERM end a command with one line and exit code 130. Its worker processes end with it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import psutil

EXIT_CODE = 130  # as shells report a program that Ctrl-C ended
MESSAGE = "Interrupted: finished work is kept. Run the same command again to continue (train and pretrain: with --resume)"
_PATIENCE = 5.0  # seconds for removing temporary files; threads that compute are not waited for longer

_active = False
_deferral: "Deferral | None" = None
_message = MESSAGE


class Deferral:
    """Whether the work inside `deferred` was asked to end."""

    requested = False

    def end(self, message: str) -> NoReturn:
        """End the program now, with this line instead of the usual one. Only call it when the end was requested."""
        global _message
        _message = message
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the handler of SIGTERM raises")


@contextmanager
def deferred() -> Iterator[Deferral]:
    """Within this block the first SIGINT or SIGTERM only sets `requested`, so that work ends where it loses nothing; a second one ends it.

    Outside of `one_line_when_interrupted` signals do what they did before.
    """
    global _deferral
    _deferral = Deferral()
    try:
        yield _deferral
    finally:
        _deferral = None


def _defer() -> bool:
    """Whether a signal was put off."""
    if _deferral is None or _deferral.requested:
        return False
    _deferral.requested = True
    return True


@contextmanager
def one_line_when_interrupted() -> Iterator[None]:
    """Within this block, SIGINT and SIGTERM unwind the program quietly and end it.

    What other threads would print about it (hundreds of lines) is not shown: standard error is closed to them when the signal comes. A
    terminal sends Ctrl-C to worker processes too. They inherit that it is ignored, print nothing, and are killed by their launcher. Here
    it is blocked as well, which keeps it for the thread that waits for it.
    Blocks inside of another one, and outside of the main thread, change nothing.
    """
    global _active
    if _active or threading.current_thread() is not threading.main_thread():
        yield
        return
    terminal, main, interrupted = os.dup(2), threading.get_ident(), threading.Event()
    over = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and _defer():
            return
        for other in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(other, signal.SIG_IGN)
        interrupted.set()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        kill_workers()
        threading.Thread(target=_end, args=[terminal, _PATIENCE], daemon=True).start()
        raise KeyboardInterrupt

    def wait_for_ctrl_c() -> None:
        signal.sigwait({signal.SIGINT})
        while not over.is_set() and _defer():
            signal.sigwait({signal.SIGINT})
        if not over.is_set():
            signal.pthread_kill(main, signal.SIGUSR2)
            _end(terminal, 2 * _PATIENCE)  # the main thread may be inside a library that looks at no signal

    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handlers: dict[signal.Signals, Any] = {signal.SIGTERM: stop, signal.SIGUSR2: stop, signal.SIGINT: signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    waiter = threading.Thread(target=wait_for_ctrl_c, daemon=True)
    waiter.start()
    _active = True
    try:
        yield
    finally:
        if interrupted.is_set():  # whatever it became on its way through libraries
            _end(terminal)
        _active = False
        over.set()
        signal.pthread_kill(waiter.ident or 0, signal.SIGINT)
        waiter.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(terminal)


def kill_workers() -> None:
    """They keep nothing: what they finished is on the disk, and what they began has a temporary name.

    Waits until they are gone: a worker that still runs when its launcher unwinds would print that it lost its connection.
    """
    workers = psutil.Process().children(recursive=True)
    for act in (psutil.Process.suspend, psutil.Process.kill):  # first all stand still: the end of one makes the others print
        for worker in reversed(workers):  # the workers before their shells, whose end the launcher notices
            with suppress(psutil.Error):
                act(worker)
    psutil.wait_procs(workers, timeout=1)


def _end(terminal: int, patience: float = 0.0) -> NoReturn:
    """Say the line and end at once, without waiting for other threads."""
    time.sleep(patience)
    kill_workers()
    os.write(terminal, f"\r{_message}\n".encode())
    sys.stdout.flush()
    os._exit(EXIT_CODE)
