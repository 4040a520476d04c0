"""The loss on a CPU: chunk by chunk of the vocabulary, in two passes, so that no more than the gradients is in memory.

The first pass finds the logsumexp of each position, the second makes the logits again and turns them into gradients while they are in the
cache. This is one matrix product more than with all logits of some rows, in about the same time, and without a copy of the weight in the
type of the product. Legend: M masked positions, H hidden, V vocabulary, c rows of a chunk, K top-k labels a position, n labels in a chunk.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from student.training.block_gradient import BlockSettings, teacher_target


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkedLoss:
    """Losses of each position, and the gradients of their weighted sum; None if none were asked for."""

    gold_M: Tensor
    teacher_M: Tensor
    correct_M: Tensor
    grad_hidden_MH: Tensor | None
    grad_weight_VH: Tensor | None
    grad_bias_V: Tensor | None


class _Chunks:
    """The logits of a chunk of the vocabulary after the other, with the bias, in the exact type."""

    def __init__(self, h_MH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, exact: torch.dtype, width: int) -> None:
        """h_MH is in the type of the product. width: rows of the weight in a chunk."""
        self._h_MH, self._weight_VH, self._bias_V, self._exact, self._width = h_MH, weight_VH, bias_V, exact, width
        self._room = h_MH.new_empty(
            len(h_MH) * min(width, len(weight_VH))
        )  # one chunk; new memory for each would cost a third more

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """(rows of the weight, these rows in the type of the product, logits [M, c]). The logits may be overwritten."""
        for begin in range(0, len(self._weight_VH), self._width):
            rows = slice(begin, begin + self._width)
            weight_cH = self._weight_VH[rows].to(self._h_MH.dtype)
            room_Mc = self._room[: len(self._h_MH) * len(weight_cH)].view(len(self._h_MH), -1)
            z_Mc = torch.mm(self._h_MH, weight_cH.T, out=room_Mc).to(self._exact)
            if self._bias_V is not None:
                z_Mc += self._bias_V[rows]
            yield rows, weight_cH, z_Mc


class _Labels:
    """Label ids [M, J] by chunk."""

    def __init__(self, ids_MJ: Tensor) -> None:
        flat = ids_MJ.flatten()
        self._order = flat.argsort()
        self._ids = flat[self._order]
        self._each = ids_MJ.shape[1]

    def inside(self, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """(places in the flat ids, positions, columns in the chunk) of the labels in a chunk, each [n]."""
        first, last = torch.searchsorted(self._ids, torch.tensor([rows.start, rows.stop])).tolist()
        places = self._order[first:last]
        return places, places // self._each, self._ids[first:last] - rows.start


def chunked_loss(
    hidden_MH: Tensor,
    weight_VH: Tensor,
    bias_V: Tensor | None,
    gold_M: Tensor,
    topk: tuple[Tensor, Tensor] | None,
    settings: BlockSettings,
    *,
    product: torch.dtype,
    width: int,
    with_gradients: bool,
) -> ChunkedLoss:
    """The losses of `student.training.loss.masked_loss`, and the gradients.

    topk     (ids, normalised logits in the exact type)
    product  the type of the matrix products; everything else is float32, or float64 for float64 inputs
    width    rows of the weight in a chunk
    """
    exact = torch.promote_types(hidden_MH.dtype, torch.float32)
    h_MH, M = hidden_MH.to(product), len(hidden_MH)
    chunks = _Chunks(h_MH, weight_VH, bias_V, exact, width)
    ids_MK = gold_M.new_zeros(M, 0) if topk is None else topk[0]
    golds, tops = _Labels(gold_M[:, None]), _Labels(ids_MK)
    ghost = settings.tail == "ghost" and topk is not None

    gold_z_M, top_z_MK = h_MH.new_zeros(M, dtype=exact), h_MH.new_zeros(ids_MK.shape, dtype=exact)
    best_M, first_M = torch.full_like(gold_z_M, -torch.inf), torch.zeros_like(gold_M, dtype=torch.bool)
    highest_M, total_M = torch.full_like(gold_z_M, -torch.inf), torch.zeros_like(gold_z_M)  # with `ghost`, of the others
    for rows, _, z_Mc in chunks:
        for labels, found in ((golds, gold_z_M), (tops, top_z_MK)):
            places, positions, columns = labels.inside(rows)
            found.view(-1)[places] = z_Mc[positions, columns]
        top_M = z_Mc.amax(1)
        _, positions, columns = golds.inside(rows)
        # The gold label is the first of the highest ones up to here; a search for all positions would take longer than the products.
        first_M[positions] = (top_M > best_M)[positions] & (z_Mc[positions].argmax(1) == columns)
        best_M = torch.maximum(best_M, top_M)
        if ghost:
            _, positions, columns = tops.inside(rows)
            z_Mc[positions, columns] = -torch.inf
            top_M = z_Mc.amax(1)
        before_M, highest_M = highest_M, torch.maximum(highest_M, top_M)
        shift_M = highest_M.clamp_min(torch.finfo(exact).min)  # −inf − −inf would be no number
        total_M = total_M * (before_M - shift_M).exp() + z_Mc.sub_(shift_M[:, None]).exp_().sum(1)
    others_M = highest_M + total_M.log()
    lse_M = torch.logaddexp(others_M, top_z_MK.logsumexp(1)) if ghost else others_M

    scale, weight = settings.scale, settings.gold_weight
    gold_loss_M, teacher_loss_M = lse_M - gold_z_M, torch.zeros_like(gold_z_M)
    gold_weight_M, share_M = torch.full_like(gold_z_M, weight), torch.zeros_like(gold_z_M)
    t_MK = top_z_MK
    if topk is not None:
        t_MK, rest_M = teacher_target(topk[1], settings.tail)
        teacher_loss_M = (t_MK * (lse_M[:, None] - top_z_MK)).sum(1)
        if ghost:
            share_M = (1.0 - weight) * rest_M
            teacher_loss_M += torch.where(rest_M > 0, rest_M * (lse_M - others_M), 0.0)
        else:
            gold_weight_M += (1.0 - weight) * rest_M
            teacher_loss_M += rest_M * gold_loss_M
    correct_M = first_M & (gold_z_M == best_M)
    if not with_gradients:
        return ChunkedLoss(
            gold_M=gold_loss_M,
            teacher_M=teacher_loss_M,
            correct_M=correct_M,
            grad_hidden_MH=None,
            grad_weight_VH=None,
            grad_bias_V=None,
        )
    grad_hidden_MH, grad_weight_VH = torch.zeros_like(hidden_MH, dtype=exact), torch.empty_like(weight_VH)
    grad_bias_V = None if bias_V is None else torch.empty_like(bias_V)
    # exp(z − others) and not exp(z − lse): where the others are unlikely, their part of the ghost's gradient is not.
    factor_M = scale * ((others_M - lse_M).exp() - share_M)
    simple = not ghost and scale > 0  # the factor is the scale, which goes into the exponent: one look at each logit less
    shift_M = others_M - math.log(scale) if simple else others_M
    top_g_MK = scale * ((top_z_MK - lse_M[:, None]).exp() - (1.0 - weight) * t_MK)
    for rows, weight_cH, z_Mc in chunks:
        g_Mc = z_Mc.sub_(shift_M[:, None]).exp_()
        if not simple:
            g_Mc.mul_(factor_M[:, None])
        places, positions, columns = tops.inside(rows)
        g_Mc[positions, columns] = top_g_MK.flatten()[places]
        places, positions, columns = golds.inside(rows)
        g_Mc[positions, columns] -= scale * gold_weight_M[positions]
        if grad_bias_V is not None:
            grad_bias_V[rows] = g_Mc.sum(0)
        product_Mc = g_Mc.to(product)
        if product == exact == grad_weight_VH.dtype:
            grad_hidden_MH.addmm_(product_Mc, weight_cH)
            torch.mm(product_Mc.T, h_MH, out=grad_weight_VH[rows])
        else:
            grad_hidden_MH += product_Mc @ weight_cH
            grad_weight_VH[rows] = product_Mc.T @ h_MH
    return ChunkedLoss(
        gold_M=gold_loss_M,
        teacher_M=teacher_loss_M,
        correct_M=correct_M,
        grad_hidden_MH=grad_hidden_MH.to(hidden_MH.dtype),
        grad_weight_VH=grad_weight_VH,
        grad_bias_V=grad_bias_V,
    )
