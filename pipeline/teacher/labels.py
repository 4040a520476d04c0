"""A teacher's labels of masked positions, as arrays, and while its device still computes them.

Legend: M masked positions, K top-k.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.logits import LOWEST
from pipeline.teacher.sampling import count_draws


@dataclass(frozen=True, kw_only=True, slots=True)
class TopK:
    """The labels of M masked positions. Logits are normalised: logit − logsumexp(logits of the teacher's pieces), in float16."""

    gold_logits_M: NDArray[np.float16]
    ids_MK: NDArray[np.uint32]  # union ids, best first, distinct; equal logits by id
    logits_MK: NDArray[np.float16]
    finite_M: NDArray[np.bool_]  # false where the teacher gave NaN or infinity: these labels cannot be used
    dropped_M: NDArray[np.float32]  # probability of pieces that are not in the union
    merged_M: NDArray[np.float32]  # probability of surface forms that were added to a more likely form of the same piece


def take_positions(labels: TopK, places: NDArray[Any]) -> TopK:
    """The labels at some positions, in the order of `places`."""
    return TopK(**{field.name: getattr(labels, field.name)[places] for field in fields(TopK)})


def concatenate(parts: Sequence[TopK]) -> TopK:
    """The labels of several parts, one part after the other."""
    return TopK(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(TopK)})


def no_labels(positions: int, k: int) -> TopK:
    """Unusable labels for a number of positions, marked as not finite."""
    return TopK(
        gold_logits_M=np.full(positions, LOWEST, dtype=np.float16),
        ids_MK=np.zeros((positions, k), dtype=np.uint32),
        logits_MK=np.full((positions, k), LOWEST, dtype=np.float16),
        finite_M=np.zeros(positions, dtype=np.bool_),
        dropped_M=np.zeros(positions, dtype=np.float32),
        merged_M=np.zeros(positions, dtype=np.float32),
    )


class Pending:
    """Labels that the device may still be computing: the fields of TopK, or `drawn_MD` (drawn union ids) instead of its top k."""

    def __init__(self, **tensors: torch.Tensor) -> None:
        self._ready = None
        device = next(iter(tensors.values())).device
        if device.type == "cuda":  # copied in the background, to page-locked memory
            pinned = {name: torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for name, tensor in tensors.items()}
            for name, tensor in tensors.items():
                pinned[name].copy_(tensor, non_blocking=True)
            self._ready = torch.cuda.Event()
            self._ready.record(torch.cuda.current_stream(device))
            tensors = pinned
        self._tensors = tensors

    def result(self) -> TopK:
        """Wait for the device, and return the labels. A failure of the device that nothing noticed before is raised here."""
        if self._ready is not None:
            self._ready.synchronize()
        arrays = {name: tensor.numpy() for name, tensor in self._tensors.items()}
        if "drawn_MD" in arrays:
            arrays["ids_MK"], arrays["logits_MK"] = count_draws(arrays.pop("drawn_MD"))
        return TopK(**{**arrays, "ids_MK": arrays["ids_MK"].astype(np.uint32)})
