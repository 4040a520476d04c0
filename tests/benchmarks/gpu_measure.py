"""What the parts of bench_gpu share: sizes, the card's own rate, and how time, memory and waits are measured."""

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

TINY = "--tiny" in sys.argv
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
LAYERS, HIDDEN, HEADS, K = (2, 64, 4, 8) if TINY else (12, 768, 12, 8)
TEACHER_V, STUDENT_VS = (3001, (3000, 5000)) if TINY else (119_547, (120_000, 300_000))
PEAK: dict[str, float] = {"bfloat16": 1.0}
Row = dict[str, Any]


def timed(work: Callable[[], object], repeats: int = 5, warm: int = 2) -> float:
    """Median seconds of a call, the device's work included."""
    times = []
    for index in range(1 if TINY else warm + repeats):
        synchronise()
        started = time.perf_counter()
        work()
        synchronise()
        times += [time.perf_counter() - started] if TINY or index >= warm else []
    return statistics.median(times)


def synchronise() -> None:
    if CUDA:
        torch.cuda.synchronize()


def gigabytes(work: Callable[[], object]) -> float:
    """Peak device memory of a call above the start, in 10⁹ bytes."""
    if not CUDA:
        return 0.0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return round((torch.cuda.max_memory_allocated() - before) / 1e9, 2)


def host_waits(work: Callable[[], object]) -> int:
    """How often the host waits for the device in a call."""
    if not CUDA:
        return 0
    work()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        work()
        torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(warning.message) for warning in caught)
