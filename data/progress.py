"""Progress of long work, on stderr: a bar in a terminal; anywhere else a line with a time stamp every half minute.

A log of lines is what a scheduler keeps. A bar in it would be one line of thousands of pieces, each over the one before.
"""

import sys
import threading
import time
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from tqdm import tqdm

LOG_SECONDS = 30.0
BEGIN_SECONDS = 2.0  # until a log says that work began: a mistake that is found at once stays one line
_BAR_SECONDS = 0.5

_Item = TypeVar("_Item")


class LogLines:
    """Progress as lines of a log, with as much of tqdm's interface as this project uses.

    A thread writes the lines, so they come while one long step runs, too. `long` work also says that it begins, so that the log of a
    killed process shows what ran. Other work is silent for the first half minute.
    """

    def __init__(self, total: float, desc: str, unit: str, *, initial: float = 0, long: bool = True, scale: bool = False):
        self.n: float = initial
        self.total = total
        self._desc, self._unit, self._scale = desc, unit, scale
        self._initial, self._postfix, self._started = initial, "", time.monotonic()
        self._spoken, self._closed = False, threading.Event()
        self._writer = threading.Thread(target=self._repeat, args=[long], daemon=True)
        self._writer.start()

    def update(self, n: float = 1) -> None:
        self.n += n

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        self._postfix = s

    def __enter__(self) -> "LogLines":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._closed.set()
        self._writer.join()
        if self._spoken:
            ended = "ended" if kind is None else "stopped"
            self._write(f"{ended} at {self._position()} after {_duration(time.monotonic() - self._started)}")

    def _repeat(self, long: bool) -> None:
        if long and not self._closed.wait(BEGIN_SECONDS):
            self._spoken = True
            before = f", {self._amount(self._initial)} of them done before" if self._initial else ""
            self._write(f"begins: {self._amount(self.total)} {self._unit}{before}")
        while not self._closed.wait(LOG_SECONDS):
            self._spoken = True
            seconds, done = time.monotonic() - self._started, self.n - self._initial
            left = f", about {_duration(seconds * (self.total - self.n) / done)} left" if done > 0 and self.n < self.total else ""
            self._write(f"{self._position()}, {_duration(seconds)} so far{left}{f'; {self._postfix}' if self._postfix else ''}")

    def _position(self) -> str:
        share = f" ({self.n / self.total:.0%})" if self.total else ""
        return f"{self._amount(self.n)} of {self._amount(self.total)} {self._unit}{share}"

    def _amount(self, number: float) -> str:
        if self._scale:
            return str(tqdm.format_sizeof(number))
        return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"

    def _write(self, text: str) -> None:
        print(f"{datetime.now().astimezone().isoformat(' ', 'seconds')} {self._desc}: {text}", file=sys.stderr, flush=True)


Progress: TypeAlias = "tqdm[Any] | LogLines"


def progress_bar(
    total: float, desc: str, unit: str, *, show: bool = True, initial: float = 0, long: bool = True, scale: bool = False
) -> Progress:
    """The progress of `total` units of work, as a context manager with `update`.

    unit   what is counted, in the plural
    long   work that is a command's purpose: it also says that it begins. Other work shows nothing if it is short
    scale  write large numbers short, as 3.2G
    """
    if show and not sys.stderr.isatty():
        return LogLines(total, desc, unit, initial=initial, long=long, scale=scale)
    return tqdm(
        total=total,
        desc=desc,
        unit=f" {unit}" if unit != "B" else unit,
        initial=initial,
        unit_scale=scale,
        mininterval=_BAR_SECONDS,
        disable=not show,
        leave=long,
        delay=0 if long else 1,
        file=sys.stderr,
    )


def each(items: Collection[_Item], desc: str, unit: str, *, show: bool = True) -> Iterator[_Item]:
    """The items, with the progress of short work."""
    with progress_bar(len(items), desc, unit, show=show, long=False) as bar:
        for item in items:
            yield item
            bar.update(1)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
