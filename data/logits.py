"""The top-k logits in 8-bit steps: `predict.logits = "8-bit"` of the recipe. They stay float16 values, so every reader reads them as ever.

A normalised logit x ≤ 0 becomes one of 256 levels, the next one down. The steps widen as the probability p = e^x falls, so that neither
what is likely nor what is rare takes all levels: x falls by 1/4 at most, p by less than 0.011 (just below x = −1). Rounding one way only
keeps the order, and probabilities that summed to 1 at most still do; what they lose joins the mass outside the top k.
Legend: M masked positions, K top-k.
"""

import numpy as np
from numpy.typing import NDArray

_STEPS = ((0, 1, 128), (1, 3, 32), (3, 7, 8), (7, 15, 4))  # from −x, to −x, levels for each 1

LEVELS: NDArray[np.float16] = 0 - np.concatenate([np.arange(low, high, 1 / each) for low, high, each in _STEPS]).astype(np.float16)
_EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # by its bits
_PLACE = np.minimum(np.searchsorted(-LEVELS.astype(np.float32), -_EVERY.astype(np.float32)), len(LEVELS) - 1)
_ROUNDED = np.where(np.isfinite(_EVERY), LEVELS[_PLACE], _EVERY)


def round_down(logits: NDArray[np.float16]) -> NDArray[np.float16]:
    """Each logit's level: the next one down, the last (−14.75) where there is none, the first (0) for what rounding left above 0.

    What is at the last level may have been below it: by a probability of 4e-7 at most. What is not finite stays, for the validator to find.
    """
    return _ROUNDED[logits.view(np.uint16)]


def in_steps(ids_MK: NDArray[np.uint32], logits_MK: NDArray[np.float16]) -> tuple[NDArray[np.uint32], NDArray[np.float16]]:
    """A top k with its logits rounded down, still best first; what falls on one level is sorted by id, as equal logits always are."""
    rounded_MK = round_down(logits_MK)
    order_MK = np.lexsort((ids_MK, -rounded_MK.astype(np.float32)), axis=1)
    return np.take_along_axis(ids_MK, order_MK, axis=1), np.take_along_axis(rounded_MK, order_MK, axis=1)
