"""The teacher's top-k logits at masked positions, in the union vocabulary: plain functions on arrays.

Two passes: on two cores, for 614 positions at V = 119,547 in float32, 120 ms; a plain logsumexp and topk over chunks of rows take 211 ms
(`tests/benchmarks/bench_topk.py`). On CUDA the first pass is one kernel.

Legend: M masked positions, V rows of the teacher's head, K top-k, S candidates sorted before the cut, G groups of rows that merge,
W rows of the widest group, D dropped rows, B blocks of rows, C rows of the chosen blocks.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from data.logits import LOWEST
from pipeline.teacher.labels import Pending, TopK
from pipeline.teacher.sampling import draw_rows
from pipeline.teacher.scan_kernel import COUNTED, DROPPED, IGNORED, SHOWN, has_kernel, scan
from vocab.union import TeacherMap

# Candidates in addition to k. With up to this many equal logits at the end of the top k, ids decide, not torch.topk.
_MARGIN = 8
_FEW = 2  # with at most this many blocks for each candidate, the second pass reads all of them
_BLOCK = 64  # rows of the head that the first pass summarises by their largest logit
_WORKSPACE = {"cpu": 1 << 21, "cuda": 1 << 30}  # bytes of float32 logits at once: the cache of a CPU core; enough work for a GPU


class Candidates(NamedTuple):
    """The S best rows of each position as union ids, with normalised logits, on the teacher's device. Equal logits have no fixed order."""

    gold_M: torch.Tensor
    ids_MS: torch.Tensor
    logits_MS: torch.Tensor
    dropped_M: torch.Tensor
    merged_M: torch.Tensor


class Remap:
    """One teacher's map on its device: the rows that count, their union ids, and the rows that merge.

    There are three kinds of rows. Predictable rows can be in the top k. Dropped rows (real, but not predictable) have a piece that is
    not in the union; their probability stays in the total, so it becomes mass outside the top k. All other rows (special tokens,
    placeholders, surplus rows) are ignored.
    """

    def __init__(self, teacher_map: TeacherMap, device: torch.device, kernel: bool | None = None):
        """kernel: whether a Triton kernel does the first pass; None: on CUDA, if there is Triton."""
        self._kernel = has_kernel(device) if kernel is None else kernel
        forms_GW, group_V = _merged_rows(teacher_map)
        alone = teacher_map.predictable & (group_V < 0)
        dropped = teacher_map.real & ~teacher_map.predictable

        def on_device(array: NDArray[Any]) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        self._predictable_V = on_device(teacher_map.predictable)
        self._alone_V, self._silent = on_device(alone), on_device(np.flatnonzero(~alone & ~dropped))
        self._drops, self._dropped_V = bool(dropped.any()), on_device(dropped.astype(np.float32))
        self._hidden_V = on_device(np.where(dropped, -np.inf, 0).astype(np.float32))
        self._forms_GW, self._group_V = on_device(forms_GW), on_device(group_V)
        self._union_ids_V = on_device(teacher_map.union_ids.astype(np.int64))
        kinds = np.select([alone, group_V >= 0, dropped], [SHOWN, COUNTED, DROPPED], IGNORED)
        self._kinds_V = on_device(kinds.astype(np.int8))

    def __call__(self, logits_MV: torch.Tensor, gold_M: torch.Tensor, k: int) -> TopK:
        """The top k of raw logits of any float type. `gold_M` are the teacher's ids, and predictable."""
        return self.finish([self.candidates(logits_MV, gold_M, k)], k).result()

    def candidates(self, logits_MV: torch.Tensor, gold_M: torch.Tensor, k: int) -> Candidates:
        """The best k rows and some more, in two passes. Nothing leaves the device.

        The first pass reads all logits, a few positions at a time so that their float32 copy stays in the cache. It computes the sum and
        the largest logit of each block of rows. The S best rows are in the S blocks with the largest maxima, and the second pass reads
        only these blocks.
        """
        seen = (self._scan if self._kernel else self._first_pass)(logits_MV)
        size = min(k + _MARGIN, logits_MV.shape[1])
        step = max(1, _WORKSPACE[logits_MV.device.type] // (4 * size * _BLOCK))
        best = [
            self._best(logits_MV[start : start + step], _Seen(*(tensor[start : start + step] for tensor in seen)), size)
            for start in range(0, max(1, len(logits_MV)), step)
        ]
        rows_MS, values_MS = (torch.cat(tensors) for tensors in zip(*best, strict=True))
        gold_M1 = logits_MV.gather(1, gold_M[:, None]).float()
        if len(self._forms_GW):
            group_M1 = self._group_V[gold_M][:, None]
            gold_M1 = torch.where(group_M1 < 0, gold_M1, seen.joined_MG.gather(1, group_M1.clamp(min=0)))
        return Candidates(
            gold_M=(gold_M1 - seen.logsumexp_M1)[:, 0],
            ids_MS=self._union_ids_V[rows_MS],
            logits_MS=values_MS - seen.logsumexp_M1,
            dropped_M=seen.dropped_M,
            merged_M=seen.merged_M,
        )

    def draw(self, logits_MV: torch.Tensor, points_MD: torch.Tensor) -> torch.Tensor:
        """Union ids drawn from the distribution over the pieces of the union [M, D]. points_MD: float64 in [0, 1)."""
        return self._union_ids_V[draw_rows(logits_MV, self._predictable_V, points_MD)]

    def _scan(self, logits_MV: torch.Tensor) -> "_Seen":
        """The first pass as one kernel."""
        blocks = -(-logits_MV.shape[1] // _BLOCK)
        seen = _Seen.empty(len(logits_MV), blocks, len(self._forms_GW), logits_MV.device)
        lse_M1 = seen.logsumexp_M1
        scan(logits_MV, self._kinds_V, seen.maxima_MB, lse_M1, seen.dropped_M, block=_BLOCK, drops=self._drops)
        if len(self._forms_GW):
            forms_MGW = logits_MV[:, self._forms_GW.clamp(min=0)].float().masked_fill_(self._forms_GW < 0, -torch.inf)
            torch.logsumexp(forms_MGW, dim=2, out=seen.joined_MG)
            less_likely_MG = 1 - (forms_MGW.amax(dim=2) - seen.joined_MG).exp_().nan_to_num_(1.0)
            torch.sum((seen.joined_MG - lse_M1).exp_() * less_likely_MG, dim=1, out=seen.merged_M)
        return seen

    def _first_pass(self, logits_MV: torch.Tensor) -> "_Seen":
        positions, rows = logits_MV.shape
        step, blocks = max(1, _WORKSPACE[logits_MV.device.type] // (4 * rows)), -(-rows // _BLOCK)
        seen = _Seen.empty(positions, blocks, len(self._forms_GW), logits_MV.device)
        buffers = torch.full((1 + self._drops, min(step, positions), blocks * _BLOCK), -torch.inf, device=logits_MV.device)
        for start in range(0, positions, step):
            part = _Seen(*(tensor[start : start + step] for tensor in seen))
            work_MV = buffers[0, : len(part.dropped_M), :rows]
            work_MV.copy_(logits_MV[start : start + step])
            if len(self._forms_GW):  # several surface forms of one piece: add their probabilities
                forms_MGW = work_MV[:, self._forms_GW.clamp(min=0)].masked_fill_(self._forms_GW < 0, -torch.inf)
                torch.logsumexp(forms_MGW, dim=2, out=part.joined_MG)
            work_MV.index_fill_(1, self._silent, -torch.inf)
            work_MV[:, self._forms_GW[:, 0]] = part.joined_MG
            if self._drops:  # dropped rows count in the sum, but not in the maximum of a block
                torch.add(work_MV, self._hidden_V, out=buffers[1, : len(work_MV), :rows])
            shown_MV = buffers[-1, : len(work_MV)]
            torch.amax(shown_MV.unflatten(1, (-1, _BLOCK)), dim=2, out=part.maxima_MB)
            largest_M1 = (work_MV if self._drops else part.maxima_MB).amax(dim=1, keepdim=True)
            total_M1 = work_MV.sub_(largest_M1).exp_().sum(dim=1, keepdim=True)
            torch.add(largest_M1, total_M1.log(), out=part.logsumexp_M1)
            if self._drops:
                torch.div(work_MV @ self._dropped_V, total_M1[:, 0], out=part.dropped_M)
            if len(self._forms_GW):
                likeliest_MG = (
                    (forms_MGW.amax(dim=2) - part.joined_MG).exp_().nan_to_num_(1.0)
                )  # the share of the most likely form in its piece
                merged_M = (work_MV[:, self._forms_GW[:, 0]] * (1 - likeliest_MG)).sum(dim=1)
                torch.div(merged_M, total_M1[:, 0], out=part.merged_M)
        return seen

    def _best(self, logits_MV: torch.Tensor, seen: "_Seen", size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(the rows [M, S] with the largest logits, these logits). A piece with several forms is at its first row."""
        rows = torch.arange(logits_MV.shape[1], device=logits_MV.device)
        rows_MC = rows.expand(len(logits_MV), -1)
        if seen.maxima_MB.shape[1] > _FEW * size:
            blocks_MS = seen.maxima_MB.topk(size, dim=1).indices
            rows_MC = (blocks_MS[:, :, None] * _BLOCK + rows[:_BLOCK]).flatten(1)
            beyond_MC = rows_MC >= len(rows)  # the last block may be incomplete
            rows_MC.masked_fill_(beyond_MC, 0)
            values_MC = logits_MV.gather(1, rows_MC).float().masked_fill_(beyond_MC | ~self._alone_V[rows_MC], -torch.inf)
        else:
            values_MC = logits_MV.float().masked_fill(~self._alone_V, -torch.inf)
        if len(self._forms_GW):
            rows_MC = torch.cat([rows_MC, self._forms_GW[:, 0].expand(len(rows_MC), -1)], dim=1)
            values_MC = torch.cat([values_MC, seen.joined_MG], dim=1)
        values_MS, places_MS = values_MC.topk(size, dim=1)
        return rows_MC.gather(1, places_MS), values_MS

    def finish(
        self,
        parts: Sequence[Candidates],
        k: int,
        order: NDArray[np.int64] | None = None,
        drawn: Sequence[torch.Tensor] = (),
    ) -> Pending:
        """The k best candidates of several batches, in another order, on their way to the CPU. Equal logits are ordered by id.

        drawn: the drawn union ids of the batches, instead of their best candidates
        """
        found = Candidates(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
        if order is not None:
            places_M = torch.from_numpy(order).to(found.gold_M.device, non_blocking=True)
            found = Candidates(*(tensor[places_M] for tensor in found))
        rest = {
            "gold_logits_M": found.gold_M.clamp(LOWEST, 0.0).half(),
            # One logit that is not finite makes the sum not finite, and so all labels of its position.
            "finite_M": torch.isfinite(found.gold_M),
            "dropped_M": found.dropped_M,
            "merged_M": found.merged_M,
        }
        if drawn:
            drawn_MD = torch.cat([*drawn])
            return Pending(drawn_MD=drawn_MD if order is None else drawn_MD[places_M], **rest)
        values_MS = found.logits_MS.clamp(LOWEST, 0.0).half()
        # Normalised logits are not positive, so the bits of −logit are in the order of the numbers: one integer holds both keys.
        keys_MS = (values_MS.abs().view(torch.int16).long() << 32) | found.ids_MS
        places_MK = keys_MS.sort(dim=1).indices[:, :k]
        return Pending(
            ids_MK=found.ids_MS.gather(1, places_MK),
            logits_MK=values_MS.gather(1, places_MK),
            **rest,
        )


class _Seen(NamedTuple):
    """What the first pass found for each position."""

    maxima_MB: torch.Tensor  # largest logit of each block of rows
    logsumexp_M1: torch.Tensor
    joined_MG: torch.Tensor  # the logit of each piece with several forms
    dropped_M: torch.Tensor
    merged_M: torch.Tensor

    @classmethod
    def empty(cls, positions: int, blocks: int, groups: int, device: torch.device) -> "_Seen":
        maxima, logsumexp, joined = (torch.empty(positions, width, device=device) for width in (blocks, 1, groups))
        return cls(maxima, logsumexp, joined, *torch.zeros(2, positions, device=device))


def _merged_rows(teacher_map: TeacherMap) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the rows that share a union id [G, W], padded with −1; the group of each row [V], −1 for none)."""
    rows = np.flatnonzero(teacher_map.predictable)
    rows = rows[np.argsort(teacher_map.union_ids[rows], kind="stable")]
    _, starts, counts = np.unique(teacher_map.union_ids[rows], return_index=True, return_counts=True)
    groups = np.flatnonzero(counts > 1)
    forms_GW = np.full((len(groups), counts.max(initial=1)), -1, dtype=np.int64)
    group_V = np.full(len(teacher_map.union_ids), -1, dtype=np.int64)
    for index, group in enumerate(groups):
        forms = rows[starts[group] : starts[group] + counts[group]]
        forms_GW[index, : len(forms)] = forms
        group_V[forms] = index
    return forms_GW, group_V
