"""The teacher's top-k at masked positions, in the union vocabulary: plain functions on arrays.

Legend: M masked positions, V rows of the teacher's head, K top-k, S candidates sorted before the cut.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vocab.union import TeacherMap

# Candidates beyond k that are sorted with it, so that equal logits at the cut are decided by id and not by torch.topk.
_MARGIN = 8
_LOWEST = float(np.finfo(np.float16).min)


@dataclass(frozen=True, kw_only=True, slots=True)
class TopK:
    """The labels of M masked positions. Logits are normalised: logit − logsumexp(logits of all real rows), float16."""

    gold_logits_M: NDArray[np.float16]
    ids_MK: NDArray[np.uint32]  # union ids, best first, distinct; equal logits by id
    logits_MK: NDArray[np.float16]


class Remap:
    """One teacher's map, ready for its device: which rows count, where they go, and which of them fall together.

    Rows are of three kinds. Predictable ones may be in the top k. Dropped ones (real, not predictable) have a piece that the union
    does not take: their probability stays in the total, so it becomes mass outside the top k, and no other id gains. All others
    (special tokens, placeholders, surplus rows) count nowhere.
    """

    def __init__(self, teacher_map: TeacherMap, device: torch.device):
        self.union_ids = teacher_map.union_ids
        self.invalid = torch.from_numpy(np.flatnonzero(~teacher_map.real)).to(device)
        self.dropped = torch.from_numpy(np.flatnonzero(teacher_map.real & ~teacher_map.predictable)).to(device)
        self.merges = [torch.from_numpy(rows).to(device) for rows in _merged_rows(teacher_map)]

    def __call__(self, logits_MV: torch.Tensor, gold_M: torch.Tensor, k: int) -> TopK:
        """Top-k of raw logits. `gold_M` are the teacher's own ids, predictable ones; `logits_MV` is overwritten."""
        logits_MV[:, self.invalid] = -torch.inf
        gold_logits_M = logits_MV.gather(1, gold_M[:, None])[:, 0]
        for rows in self.merges:  # several surface forms of one piece: their probabilities add up
            merged_M = torch.logsumexp(logits_MV[:, rows], dim=1)
            gold_logits_M = torch.where(torch.isin(gold_M, rows), merged_M, gold_logits_M)
            logits_MV[:, rows] = -torch.inf
            logits_MV[:, rows[0]] = merged_M
        total_M = torch.logsumexp(logits_MV, dim=1)
        logits_MV[:, self.dropped] = -torch.inf  # after the sum
        size = min(k + _MARGIN, logits_MV.shape[1])
        values_MS, rows_MS = torch.topk(logits_MV, size, dim=1)
        values = _half(values_MS - total_M[:, None])
        ids = self.union_ids[rows_MS.cpu().numpy()]
        order = np.lexsort((ids, -values.astype(np.float32)), axis=1)[:, :k]
        return TopK(
            gold_logits_M=_half(gold_logits_M - total_M),
            ids_MK=np.take_along_axis(ids, order, axis=1),
            logits_MK=np.take_along_axis(values, order, axis=1),
        )


def _half(logits: torch.Tensor) -> NDArray[np.float16]:
    """float16, never −inf, never above 0 (where rounding of the sum would put it)."""
    return logits.float().clamp(_LOWEST, 0.0).cpu().numpy().astype(np.float16)


def _merged_rows(teacher_map: TeacherMap) -> list[NDArray[np.int64]]:
    """The groups of the teacher's rows that map to one union id."""
    rows = np.flatnonzero(teacher_map.predictable)
    ids, counts = np.unique(teacher_map.union_ids[rows], return_counts=True)
    return [rows[teacher_map.union_ids[rows] == union_id] for union_id in ids[counts > 1]]
