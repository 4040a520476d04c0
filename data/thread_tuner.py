"""How many threads multiply matrices, chosen while the work runs: all cores, or fewer where a neighbour keeps some of them busy.

The threads of a matrix product wait for each other thousands of times a second, and they spin while they wait. One busy process beside
them takes a core away from one of them, and then all are as slow as that one: two threads beside one busy core are slower than one
thread alone. So another number of threads is tried for half a second now and then, and kept if it is clearly faster. A rate that
falls is a reason to try at once.

Not with OMP_NUM_THREADS: who sets it has chosen. `tests/benchmarks/bench_busy.py` has the rates.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

WINDOW = 0.5  # seconds of work whose rate is compared with another; one step at least
_FIRST, _LAST = 15.0, 60.0  # seconds between two trials, the second where trials change nothing
_SPACED = 20.0  # times the seconds of a trial pass until the next one, so that trials cost little
_EARLY = 3.0  # until the first trial: a neighbour may be there from the beginning
_CLEARLY, _BEYOND_DOUBT = 1.15, 2.0  # times as fast
_FALLEN, _COLLAPSED = 0.75, 0.5  # of the usual rate


class ThreadTuner:
    """Times the steps of some work, and sets the number of threads between them.

    apply  sets the number of threads of the calling thread's matrix products
    count  the largest number, and the first one
    fixed  whether `count` stays; by default, whether OMP_NUM_THREADS is set
    """

    def __init__(self, apply: Callable[[int], None], count: int, *, fixed: bool | None = None):
        self.threads = self.count = count
        self._apply, self._lock = apply, Lock()
        self._fixed = count < 2 or ("OMP_NUM_THREADS" in os.environ if fixed is None else fixed)
        self._work = self._seconds = 0.0  # of the current window
        self._usual: float | None = None  # rate with `threads`, a moving mean
        self._low = 0  # windows in a row in which the rate was clearly lower
        self._since, self._interval, self._trials = _FIRST - _EARLY, _FIRST, 0
        self._before = self._found = self._cost = 0.0  # rates of the windows before and in a trial, and its seconds
        self._tried: int | None = None  # the number of threads that is tried, or was tried in the last window
        self._trying = False

    @contextmanager
    def step(self, work: float) -> Iterator[None]:
        """Time one step. `work` is in any unit, as tokens; steps of equal work should take equal time."""
        if self._fixed:
            yield
            return
        self._apply(self._tried if self._trying and self._tried else self.threads)
        started = time.perf_counter()
        yield
        with self._lock:
            self.done(work, time.perf_counter() - started)

    def done(self, work: float, seconds: float) -> None:
        """Count a step that took so many seconds with the present number of threads."""
        self._work, self._seconds = self._work + work, self._seconds + seconds
        if self._seconds < WINDOW:
            return
        rate, took = self._work / self._seconds, self._seconds
        self._work = self._seconds = 0.0
        if self._trying:
            self._found, self._cost, self._trying = rate, took, False
            if rate > _BEYOND_DOUBT * self._before:
                self._judge(self._before)
        elif self._tried is not None:  # the window after a trial: the neighbour may have come or gone meanwhile
            self._judge((self._before + rate) / 2)
        else:
            self._hold(rate, took)

    def describe(self) -> str:
        """The number of threads in words, if it is not the largest."""
        return "" if self.threads == self.count else f"{self.threads} of {self.count} threads"

    def _hold(self, rate: float, took: float) -> None:
        self._since += took
        self._low = self._low + 1 if self._usual is not None and rate < _FALLEN * self._usual else 0
        collapsed = self._usual is not None and rate < _COLLAPSED * self._usual
        due = self._since >= max(self._interval, _SPACED * self._cost) or self._low >= 2 or collapsed
        if not self._low:
            self._usual = rate if self._usual is None else 0.8 * self._usual + 0.2 * rate
        if due:
            others = self._others()
            self._tried, self._trying, self._before = others[self._trials % len(others)], True, rate
            self._trials += 1
            self._since, self._low = 0.0, 0

    def _others(self) -> list[int]:
        """Numbers of threads to try in turn: a little fewer and more, and many fewer and more, since one neighbour may hold many cores."""
        here, far = self.threads, max(1, self.threads // 4)
        return [
            n for n in dict.fromkeys((here - 1, here + 1, here - far, here + far, self.count)) if 1 <= n <= self.count and n != here
        ]

    def _judge(self, rate: float) -> None:
        tried, self._tried = self._tried, None
        if tried and self._found > _CLEARLY * rate:
            self.threads, self._usual, self._interval = tried, self._found, _FIRST
        else:
            self._usual, self._interval = rate, min(2 * self._interval, _LAST)
