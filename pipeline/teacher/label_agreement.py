"""Compares the labels of a shard with labels that the teacher computed again: a plain function on arrays.

Logits are logarithms of probabilities. Legend: M masked positions, K top-k.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.logits import LEVELS


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """The labels of M masked positions, as in a shard."""

    gold_logits_M: NDArray[np.float16]
    ids_MK: NDArray[np.uint32]  # best first
    logits_MK: NDArray[np.float16]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelAgreement:
    """The differences for each masked position."""

    first_M: NDArray[np.bool_]  # the best id is the same
    shared_M: NDArray[np.int64]  # ids that are in both top k
    sum_M: NDArray[np.float64]  # sum of their |logit differences|
    largest_M: NDArray[np.float64]  # largest of these differences
    gap_M: NDArray[
        np.float64
    ]  # for ids in only one top k: how much larger their logit is than the last one of the other; 0 if never
    label_M: NDArray[np.float64]  # |difference| of the gold id's logits

    def within(self, tolerance: float) -> NDArray[np.bool_]:
        """[M] whether all logits agree, and ids in only one top k are about as likely as the last of the other. NaN never agrees."""
        return (self.largest_M <= tolerance) & (self.gap_M <= tolerance) & (self.label_M <= tolerance)


def compare_labels(stored: Labels, again: Labels, *, eight_bit: bool = False) -> LabelAgreement:
    """Compare the labels of the same M positions with the same K.

    eight_bit: the stored top k was rounded down to the levels of data.logits. Differences from this rounding do not count.
    """
    size = len(stored.gold_logits_M)
    shared_M = np.zeros(size, dtype=np.int64)
    sum_M, largest_M, gap_M = np.zeros(size), np.zeros(size), np.zeros(size)
    stored_MK, again_MK = stored.logits_MK.astype(np.float64), again.logits_MK.astype(np.float64)
    lower_MK, upper_MK = _before_rounding(stored_MK) if eight_bit else (stored_MK, stored_MK)
    for m in range(size):
        both, here, there = np.intersect1d(stored.ids_MK[m], again.ids_MK[m], return_indices=True)
        difference = np.maximum(lower_MK[m, here] - again_MK[m, there], again_MK[m, there] - upper_MK[m, here]).clip(min=0)
        shared_M[m], sum_M[m], largest_M[m] = len(both), difference.sum(), difference.max(initial=0.0)
        extra = np.delete(lower_MK[m], here) - again_MK[m, -1]
        missed = np.delete(again_MK[m], there) - upper_MK[m, -1]
        gap_M[m] = np.concatenate((extra, missed)).max(initial=0.0)
    return LabelAgreement(
        first_M=stored.ids_MK[:, 0] == again.ids_MK[:, 0],
        shared_M=shared_M,
        sum_M=sum_M,
        largest_M=largest_M,
        gap_M=gap_M,
        label_M=np.abs(stored.gold_logits_M.astype(np.float64) - again.gold_logits_M.astype(np.float64)),
    )


def compare_draws(stored: Labels, again: Labels, draws: int) -> LabelAgreement:
    """Compare sampled labels of the same M positions: how many of the draws are the same.

    The random numbers are the same, so a draw is another id only where rounding moved the border between two ids across its number.
    largest_M is 0 if all but a twentieth of the draws (at least one) are the same, else infinity.
    """
    size = len(stored.gold_logits_M)
    shared_M, sum_M, same_M = np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size, dtype=np.int64)
    for m in range(size):
        both, here, there = np.intersect1d(stored.ids_MK[m], again.ids_MK[m], return_indices=True)
        one, other = (
            np.rint(draws * np.exp(logits.astype(np.float64))) for logits in (stored.logits_MK[m, here], again.logits_MK[m, there])
        )
        shared_M[m], same_M[m] = len(both), int(np.minimum(one, other).sum())
    beyond_M = np.where(draws - same_M > max(1, draws // 20), np.inf, 0.0)
    return LabelAgreement(
        first_M=stored.ids_MK[:, 0] == again.ids_MK[:, 0],
        shared_M=shared_M,
        sum_M=sum_M,
        largest_M=beyond_M,
        gap_M=np.zeros(size),
        label_M=np.abs(stored.gold_logits_M.astype(np.float64) - again.gold_logits_M.astype(np.float64)),
    )


def _before_rounding(stored_MK: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smallest and the largest value that each logit could have had before it was rounded down to its level."""
    depths = -LEVELS.astype(np.float64)  # increasing
    place_MK = np.searchsorted(depths, -stored_MK).clip(max=len(depths) - 1)
    lower_MK = np.where(place_MK == len(depths) - 1, -np.inf, stored_MK)  # the last level includes everything below it
    upper_MK = np.where(np.isfinite(stored_MK), -depths[np.maximum(place_MK - 1, 0)], np.nan)
    return lower_MK, upper_MK
