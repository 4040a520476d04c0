"""Random bits that depend only on their arguments: not on time, process or the version of a library."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def random_bits(count: int, *identity: str | int) -> NDArray[np.uint64]:
    """`count` random 64-bit numbers, from SHAKE-256 over the arguments `identity`."""
    return np.frombuffer(hashlib.shake_256("\0".join(map(str, identity)).encode()).digest(8 * count), dtype="<u8")


def permutation(count: int, *identity: str | int) -> NDArray[np.int64]:
    """A random order of range(count)."""
    return np.argsort(random_bits(count, *identity), kind="stable")


def choices(weights: NDArray[np.float64], count: int, *identity: str | int) -> NDArray[np.int64]:
    """`count` indices into `weights`, each drawn with a probability in proportion to its weight."""
    ends = np.cumsum(weights)
    points = random_bits(count, *identity).astype(np.float64) / 2.0**64 * ends[-1]
    drawn: NDArray[np.int64] = np.minimum(np.searchsorted(ends, points, side="right"), len(weights) - 1)
    return drawn


def smoothed(counts: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    """Weights n^α: exponential smoothing of the languages' sizes (mBERT; MergeDistill has α = 0.7). 0: equal weights; 1: by size."""
    weights: NDArray[np.float64] = counts.astype(np.float64) ** alpha
    return weights
