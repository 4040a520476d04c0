"""The number of threads on machines that are simulated: rates by the number of threads, alone and beside busy neighbours."""

from collections.abc import Callable

import pytest

from data.thread_tuner import ThreadTuner


def simulate(rate: Callable[[float, int], float], count: int, seconds: float, step: float = 100.0) -> tuple[float, list[int]]:
    """(work done in so many seconds, the number of threads at the end of each second). rate: (time, threads) → work in a second."""
    applied = [count]
    tuner = ThreadTuner(lambda threads: applied.__setitem__(0, threads), count, fixed=False)
    clock = done = 0.0
    course = []
    while clock < seconds:
        threads = tuner._tried if tuner._trying and tuner._tried else tuner.threads
        took = step / rate(clock, threads)
        tuner.done(step, took)
        if int(clock) != int(clock + took):
            course.append(tuner.threads)
        clock, done = clock + took, done + step
    return done, course


def two_cores(busy_from: float, busy_to: float) -> Callable[[float, int], float]:
    """Two threads are 1.6 times as fast as one, alone; beside a busy core they have less than half of that."""

    def rate(clock: float, threads: int) -> float:
        return 1000.0 if threads == 1 else 700.0 if busy_from <= clock < busy_to else 1600.0

    return rate


def test_alone_it_costs_little() -> None:
    done, course = simulate(two_cores(0, 0), 2, 300)
    assert done > 0.98 * 300 * 1600
    assert set(course) == {2}


def test_beside_a_busy_core_it_takes_one_thread_within_seconds() -> None:
    done, course = simulate(two_cores(0, 300), 2, 300)
    assert done > 0.95 * 300 * 1000 - 15 * 300
    assert course[-1] == 1
    _, course = simulate(two_cores(100, 1000), 2, 200)
    assert course[99] == 2
    assert course[110] == 1  # the rate fell: it did not wait for the next trial


def test_when_the_neighbour_goes_all_threads_come_back() -> None:
    _, course = simulate(two_cores(0, 100), 2, 240)
    assert course[90] == 1
    assert course[-1] == 2


@pytest.mark.parametrize("busy", [1, 3])
def test_many_cores(busy: int) -> None:
    """Of 16 cores some are busy: as many threads as free cores are the fastest; one more has to share a core and slows all."""

    def rate(_clock: float, threads: int) -> float:
        return 100.0 * threads * (1.0 if threads <= 16 - busy else 0.5)

    done, course = simulate(rate, 16, 1200)
    assert abs(course[-1] - (16 - busy)) <= 1
    assert done > 1200 * rate(0, 16) * 1.1


def test_long_steps_are_tried_seldom() -> None:
    """A step of 20 seconds with one thread: trials are rare enough to cost little."""
    done, _ = simulate(two_cores(0, 0), 2, 36_000, step=20_000.0)
    assert done > 0.95 * 36_000 * 1600


def test_who_sets_omp_num_threads_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    applied: list[int] = []
    tuner = ThreadTuner(applied.append, 2)
    with tuner.step(1.0):
        pass
    assert applied == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    with ThreadTuner(applied.append, 1).step(1.0):
        pass
    assert applied == []
    with ThreadTuner(applied.append, 2).step(1.0):
        pass
    assert applied == [2]
