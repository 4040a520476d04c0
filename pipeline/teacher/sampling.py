"""Ids drawn from a teacher's distribution, in the union vocabulary: plain functions on arrays.

The expectation of count / draws is the teacher's probability, for every id: an unbiased target, where a renormalised top k is too sure
of its head and knows nothing of the tail (Sparse Logit Sampling, Anshumann et al., ACL 2025). Pieces that are not in the union are not
drawn. Legend: M masked positions, V rows of the teacher's head, B blocks of rows, D draws a position.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.logits import LOWEST
from vocab.roles import FIRST_PIECE

BLOCK = 64  # rows whose probabilities are added up first: a draw looks at the sums of blocks, then at one block
_WORKSPACE = {"cpu": 1 << 22, "cuda": 1 << 30}  # bytes of float32 logits at once


def draw_rows(logits_MV: torch.Tensor, usable_V: torch.Tensor, points_MD: torch.Tensor) -> torch.Tensor:
    """The drawn rows of the head [M, D]: row v for the points that fall into its part of the cumulated probabilities.

    usable_V   bool: rows that can be drawn
    points_MD  float64 in [0, 1)
    """
    M, V = logits_MV.shape
    blocks = -(-V // BLOCK)
    drawn_MD = torch.empty(points_MD.shape, dtype=torch.int64, device=logits_MV.device)
    step = max(1, _WORKSPACE[logits_MV.device.type] // (4 * max(V, 2 * points_MD.shape[1] * BLOCK)))
    for start in range(0, M, step):
        part = slice(start, start + step)
        e_mV = torch.zeros(len(logits_MV[part]), blocks * BLOCK, device=logits_MV.device)
        shown_mV = logits_MV[part].float().masked_fill(~usable_V, -torch.inf)
        e_mV[:, :V] = (shown_mV - shown_mV.amax(1, keepdim=True)).exp_()
        e_mBb = e_mV.unflatten(1, (blocks, BLOCK))
        ends_mB = e_mBb.double().sum(2).cumsum(1)
        x_mD = points_MD[part] * ends_mB[:, -1:]
        block_mD = torch.searchsorted(ends_mB, x_mD, right=True).clamp_(max=blocks - 1)
        before_mD = torch.where(block_mD > 0, ends_mB.gather(1, (block_mD - 1).clamp(min=0)), 0.0)
        inner_mDb = e_mBb.gather(1, block_mD[:, :, None].expand(-1, -1, BLOCK)).double().cumsum(2)
        # The sum of a block and the last of its partial sums may differ in the last bit. Below it, a row with a probability is found.
        rest_mD1 = torch.minimum((x_mD - before_mD)[:, :, None], inner_mDb[:, :, -1:] * (1 - 2.0**-50))
        place_mD = torch.searchsorted(inner_mDb, rest_mD1, right=True)[:, :, 0]
        drawn_MD[part] = (block_mD * BLOCK + place_mD).clamp_(max=V - 1)  # beyond it only where logits are no numbers
    return drawn_MD


def count_draws(ids_MD: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.float16]]:
    """(distinct ids [M, D], log(count / draws) [M, D]) of drawn union ids, the most drawn first, equal ones by id.

    Behind the drawn ids are the smallest pieces that were not drawn, with the logit LOWEST: their probability is 0 in every calculation.
    """
    M, D = ids_MD.shape
    sorted_MD = np.sort(ids_MD, axis=1)
    first_MD = np.ones((M, D), dtype=np.bool_)
    first_MD[:, 1:] = sorted_MD[:, 1:] != sorted_MD[:, :-1]
    run_MD = np.cumsum(first_MD, axis=1) - 1
    count_MD = np.bincount((np.arange(M)[:, None] * D + run_MD).ravel(), minlength=M * D).reshape(M, D)
    key_MD = np.where(first_MD, (D - np.take_along_axis(count_MD, run_MD, 1)) << 32 | sorted_MD, np.iinfo(np.int64).max)
    key_MD.sort(axis=1)
    held_MD = key_MD != np.iinfo(np.int64).max
    logits_MD = np.where(held_MD, np.log((D - (key_MD >> 32)).clip(min=1) / D), LOWEST).astype(np.float16)
    return np.where(held_MD, key_MD & 0xFFFF_FFFF, _not_drawn(ids_MD, held_MD)).astype(np.uint32), logits_MD


def _not_drawn(ids_MD: NDArray[np.int64], held_MD: NDArray[np.bool_]) -> NDArray[np.int64]:
    """At the places that are not held, the smallest pieces that a position did not draw, increasing."""
    M, D = ids_MD.shape
    taken_MD = np.zeros((M, D), dtype=np.bool_)  # of the first D pieces, of which there are enough
    rows, columns = np.nonzero((ids_MD >= FIRST_PIECE) & (ids_MD < FIRST_PIECE + D))
    taken_MD[rows, ids_MD[rows, columns] - FIRST_PIECE] = True
    free_MD = np.argsort(taken_MD, axis=1, kind="stable") + FIRST_PIECE
    place_MD = np.arange(D) - held_MD.sum(1, keepdims=True)
    filled: NDArray[Any] = np.take_along_axis(free_MD, place_MD.clip(min=0), 1)
    return filled
