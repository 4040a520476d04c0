"""Top-k logits in 256 levels: `predict.logits = "8-bit"` of the recipe. They are stored as other logits are, so readers need no change.

A normalised logit x ≤ 0 is rounded down to the next of 256 levels. The distance between levels grows as the probability p = e^x falls,
so both likely and unlikely pieces have enough levels. x falls by at most 1/4, and p by less than 0.011 (just below x = −1). Rounding only
down keeps the order, and keeps the sum of the probabilities below 1. The lost probability becomes mass outside the top k.
Legend: M masked positions, K top-k.
"""

import numpy as np
from numpy.typing import NDArray

LOWEST = float(np.finfo(np.float16).min)  # a logit that float16 cannot hold; its probability is 0

_STEPS = ((0, 1, 128), (1, 3, 32), (3, 7, 8), (7, 15, 4))  # from −x, to −x, number of levels for each 1

LEVELS: NDArray[np.float16] = 0 - np.concatenate([np.arange(low, high, 1 / each) for low, high, each in _STEPS]).astype(np.float16)
_EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # every float16 value, at the index of its bits
_PLACE = np.minimum(np.searchsorted(-LEVELS.astype(np.float32), -_EVERY.astype(np.float32)), len(LEVELS) - 1)
_ROUNDED = np.where(np.isfinite(_EVERY), LEVELS[_PLACE], _EVERY)


def round_down(logits: NDArray[np.float16]) -> NDArray[np.float16]:
    """The level of each logit: the next one below it.

    Logits below the last level (−14.75) become this level: their probability is at most 4e-7. Logits that rounding left above 0 become
    0. Values that are not finite do not change, so that the validator finds them.
    """
    return _ROUNDED[logits.view(np.uint16)]


def in_steps(ids_MK: NDArray[np.uint32], logits_MK: NDArray[np.float16]) -> tuple[NDArray[np.uint32], NDArray[np.float16]]:
    """A top k with its logits rounded down, best first. Logits on the same level are sorted by id, as equal logits always are."""
    rounded_MK = round_down(logits_MK)
    order_MK = np.lexsort((ids_MK, -rounded_MK.astype(np.float32)), axis=1)
    return np.take_along_axis(ids_MK, order_MK, axis=1), np.take_along_axis(rounded_MK, order_MK, axis=1)
