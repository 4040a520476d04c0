"""The teacher's top-k at masked positions, in the union vocabulary: plain functions on arrays.

Legend: M masked positions, V rows of the teacher's head, K top-k, S candidates sorted before the cut, G groups of rows that merge,
W rows of the widest group, D dropped rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vocab.union import TeacherMap

# Candidates beyond k that are sorted with it, so that up to so many equal logits at the cut are decided by id, not by torch.topk.
_MARGIN = 8
_LOWEST = float(np.finfo(np.float16).min)
_BLOCK = 64  # rows of the head whose largest logit stands for all of them in the first pass of the top-k
_WORKSPACE = {"cpu": 1 << 23, "cuda": 1 << 30}  # bytes of float32 logits at once: a CPU's cache, a GPU's parallelism


@dataclass(frozen=True, kw_only=True, slots=True)
class TopK:
    """The labels of M masked positions. Logits are normalised: logit − logsumexp(logits of all real rows), float16."""

    gold_logits_M: NDArray[np.float16]
    ids_MK: NDArray[np.uint32]  # union ids, best first, distinct; equal logits by id
    logits_MK: NDArray[np.float16]
    finite_M: NDArray[np.bool_]  # false where the teacher gave NaN or infinity: such labels are worth nothing
    dropped_M: NDArray[np.float32]  # probability of pieces that the union does not take
    merged_M: NDArray[np.float32]  # probability of the surface forms that joined a likelier one of the same piece


def select(labels: TopK, places: NDArray[Any]) -> TopK:
    """The labels at some positions, in their order."""
    return TopK(**{field.name: getattr(labels, field.name)[places] for field in fields(TopK)})


def concatenate(parts: Sequence[TopK]) -> TopK:
    """The labels of several parts, one after the other."""
    return TopK(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(TopK)})


def no_labels(positions: int, k: int) -> TopK:
    """Labels that are worth nothing, of as many positions."""
    return TopK(
        gold_logits_M=np.full(positions, _LOWEST, dtype=np.float16),
        ids_MK=np.zeros((positions, k), dtype=np.uint32),
        logits_MK=np.full((positions, k), _LOWEST, dtype=np.float16),
        finite_M=np.zeros(positions, dtype=np.bool_),
        dropped_M=np.zeros(positions, dtype=np.float32),
        merged_M=np.zeros(positions, dtype=np.float32),
    )


class Candidates(NamedTuple):
    """The S best rows of each position, normalised, still on the teacher's device and in no order among equals."""

    gold_M: torch.Tensor
    rows_MS: torch.Tensor
    logits_MS: torch.Tensor
    dropped_M: torch.Tensor
    merged_M: torch.Tensor


class Remap:
    """One teacher's map, ready for its device: which rows count, where they go, and which of them fall together.

    Rows are of three kinds. Predictable ones may be in the top k. Dropped ones (real, not predictable) have a piece that the union
    does not take: their probability stays in the total, so it becomes mass outside the top k, and no other id gains. All others
    (special tokens, placeholders, surplus rows) count nowhere.
    """

    def __init__(self, teacher_map: TeacherMap, device: torch.device):
        self._union_ids = teacher_map.union_ids
        self._invalid = torch.from_numpy(np.flatnonzero(~teacher_map.real)).to(device)
        self._dropped = torch.from_numpy(np.flatnonzero(teacher_map.real & ~teacher_map.predictable)).to(device)
        forms_GW, first_V = _merged_rows(teacher_map)
        self._forms_GW, self._first_V = torch.from_numpy(forms_GW).to(device), torch.from_numpy(first_V).to(device)

    def __call__(self, logits_MV: torch.Tensor, gold_M: torch.Tensor, k: int) -> TopK:
        """Top-k of raw logits of any float type. `gold_M` are the teacher's own ids, predictable ones."""
        return self.finish([self.candidates(logits_MV, gold_M, k)], k)

    def candidates(self, logits_MV: torch.Tensor, gold_M: torch.Tensor, k: int) -> Candidates:
        """The best k rows and some more; nothing leaves the device, and float32 copies are of a few positions at a time."""
        step = max(1, _WORKSPACE[logits_MV.device.type] // (4 * logits_MV.shape[1]))
        blocks = [
            self._candidates(logits_MV[start : start + step], gold_M[start : start + step], k)
            for start in range(0, max(1, len(logits_MV)), step)
        ]
        return Candidates(*(torch.cat(tensors) for tensors in zip(*blocks, strict=True)))

    def _candidates(self, logits_MV: torch.Tensor, gold_M: torch.Tensor, k: int) -> Candidates:
        rows = logits_MV.shape[1]
        work_MV = logits_MV.new_empty((len(logits_MV), -(-rows // _BLOCK) * _BLOCK), dtype=torch.float32)
        work_MV[:, :rows] = logits_MV
        work_MV[:, rows:] = -torch.inf
        work_MV[:, self._invalid] = -torch.inf
        first_G = self._forms_GW[:, 0]
        forms_MGW = work_MV[:, self._forms_GW.clamp(min=0)].masked_fill_(self._forms_GW < 0, -torch.inf)
        joined_MG = torch.logsumexp(forms_MGW, dim=2)  # several surface forms of one piece: their probabilities add up
        work_MV[:, self._forms_GW[self._forms_GW >= 0]] = -torch.inf
        work_MV[:, first_G] = joined_MG
        work_MV = torch.log_softmax(work_MV, dim=1)
        dropped_MD = work_MV[:, self._dropped]
        work_MV[:, self._dropped] = -torch.inf  # after the sum
        values_MS, rows_MS = _top(work_MV, min(k + _MARGIN, rows))
        likeliest_MG = (forms_MGW.amax(dim=2) - joined_MG).exp_().nan_to_num_(1.0)  # its share of its piece
        return Candidates(
            gold_M=work_MV.gather(1, self._first_V[gold_M][:, None])[:, 0],
            rows_MS=rows_MS,
            logits_MS=values_MS,
            dropped_M=dropped_MD.exp_().sum(dim=1),
            merged_M=(work_MV[:, first_G].exp_() * (1 - likeliest_MG)).sum(dim=1),
        )

    def finish(self, parts: Sequence[Candidates], k: int) -> TopK:
        """The k best of the candidates of several batches, in union ids, on the CPU; equal logits by id."""
        found = Candidates(*(torch.cat(tensors).cpu() for tensors in zip(*parts, strict=True)))
        values = _half(found.logits_MS)
        ids = self._union_ids[np.minimum(found.rows_MS.numpy(), len(self._union_ids) - 1)]
        order = np.lexsort((ids, -values.astype(np.float32)), axis=1)[:, :k]
        return TopK(
            gold_logits_M=_half(found.gold_M),
            ids_MK=np.take_along_axis(ids, order, axis=1),
            logits_MK=np.take_along_axis(values, order, axis=1),
            finite_M=torch.isfinite(found.gold_M).numpy(),  # one logit that is not spoils the sum, and so all of its position's
            dropped_M=found.dropped_M.numpy(),
            merged_M=found.merged_M.numpy(),
        )


def _top(logits_MV: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """torch.topk along V, a multiple of _BLOCK, in two passes: the S largest lie in the S blocks with the largest maxima.

    The first pass streams through memory once, where torch.topk would copy each row and partition it.
    """
    blocks = logits_MV.unflatten(1, (-1, _BLOCK))
    if blocks.shape[1] <= 2 * size:
        values, rows = logits_MV.topk(size, dim=1)
        return values, rows
    chosen_MS = blocks.amax(dim=2).topk(size, dim=1).indices
    candidates = blocks.gather(1, chosen_MS[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
    values, places = candidates.topk(size, dim=1)
    return values, chosen_MS.gather(1, places // _BLOCK) * _BLOCK + places % _BLOCK


def _half(logits: torch.Tensor) -> NDArray[np.float16]:
    """float16, never −inf, never above 0 (where rounding of the sum would put it)."""
    return logits.clamp(_LOWEST, 0.0).numpy().astype(np.float16)


def _merged_rows(teacher_map: TeacherMap) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the teacher's rows that fall together on one union id [G, W], filled up with −1; the row that stands for each row [V])."""
    rows = np.flatnonzero(teacher_map.predictable)
    rows = rows[np.argsort(teacher_map.union_ids[rows], kind="stable")]
    _, starts, counts = np.unique(teacher_map.union_ids[rows], return_index=True, return_counts=True)
    groups = np.flatnonzero(counts > 1)
    forms_GW = np.full((len(groups), counts.max(initial=1)), -1, dtype=np.int64)
    first_V = np.arange(len(teacher_map.union_ids), dtype=np.int64)
    for index, group in enumerate(groups):
        forms = rows[starts[group] : starts[group] + counts[group]]
        forms_GW[index, : len(forms)] = forms
        first_V[forms] = forms[0]
    return forms_GW, first_V
