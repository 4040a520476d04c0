"""A program that waits at a known point until it is killed: what a kill test sees does not depend on the machine's speed."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any


def stop_after(owner: Any, name: str, calls: int) -> None:
    """In the program that will be killed: `owner.name` may be called so many times; the next call waits for ever."""
    real, called = getattr(owner, name), count(1)

    def counted(*arguments: Any, **options: Any) -> Any:
        if next(called) > calls:
            threading.Event().wait()
        return real(*arguments, **options)

    setattr(owner, name, counted)


def kill_when(condition: Callable[[], bool], process: subprocess.Popen[Any], pause: float = 0.0) -> None:
    """Send SIGKILL as soon as the condition holds, `pause` seconds later; the program must still be running then."""
    while not condition():
        assert process.poll() is None, f"ended by itself, with {process.returncode}"
        time.sleep(0.01)
    time.sleep(pause)
    process.kill()
    assert process.wait() == -signal.SIGKILL
