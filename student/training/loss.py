"""The masked-LM loss with gold and teacher labels, as one sparse target over K + 1 vocabulary entries.

Legend: M masked positions, m those of one block, H hidden size, V vocabulary, K top-k labels a position.

With λ the weight of the gold label, the target of a position is w = λ·onehot(gold) + (1 − λ)·teacher, so the cross-entropy is
Σw·logsumexp(z) − Σ w_j z_j. It needs the logits z of K + 1 entries and one logsumexp (teacher annealing: Clark et al. 2019,
"BAM! Born-Again Multi-Task Networks", section 3.2; MergeDistill, section 3). The tail is the rule for the teacher's mass outside
its top k, r = 1 − Σt:

renormalise  teacher = t / Σt, as in the paper
gold         teacher = t, and r goes to the gold label ("residual to gold")
ghost        one more outcome "anything else": −Σ t·log p − r·log(1 − Σp) (ghost token, Sparse Logit Sampling, ACL 2025)

All are cross-entropies. They differ from the KL divergence by the teacher's entropy, which is constant, so the gradients are the same.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

Tail: TypeAlias = Literal["renormalise", "gold", "ghost"]

BLOCK_LOGITS = 1 << 26  # logits in memory at once: 256 MB in float32
PRODUCT_ROWS = 1 << 15  # rows of the weight's gradient that are computed at once, where the gradient changes its type


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """The loss of M masked positions. Everything except `total` is detached and serves as a metric."""

    total: Tensor  # [] sum over positions of λ·gold + (1 − λ)·teacher, times `scale`; nats
    gold_M: Tensor  # −log p(gold), nats
    teacher_M: Tensor  # cross-entropy with the teacher under the tail's rule, nats; zeros without teacher labels
    correct_M: Tensor  # bool: the gold label has the highest logit


def masked_loss(
    hidden_MH: Tensor,
    weight_VH: Tensor,
    bias_V: Tensor | None,
    label_ids_M: Tensor,
    topk_ids_MK: Tensor | None = None,
    topk_logits_MK: Tensor | None = None,
    *,
    gold_weight: float = 1.0,
    tail: Tail = "renormalise",
    scale: float = 1.0,
    block_logits: int = BLOCK_LOGITS,
    reusable: bool = False,
) -> Loss:
    """The loss of the logits hidden_MH · weight_VHᵀ + bias_V. Only a block of their rows is in memory at a time.

    topk_logits_MK are the teacher's normalised logits, so exp() is its probability. The ids of a position are distinct, and the gold
    id may be one of them. Without teacher labels, gold_weight must be 1. Matrix products run in the autocast type if autocast is on,
    and everything else in float32 (in float64 for float64 inputs). The gradients are computed together with the loss and kept (the
    sizes of hidden, weight and bias). backward scales them in place, so it can run only once, except with `reusable`.
    """
    assert (topk_ids_MK is None) == (topk_logits_MK is None)
    assert topk_ids_MK is not None or gold_weight == 1.0, "gold_weight below 1 without teacher labels"
    settings = _Settings(gold_weight=gold_weight, tail=tail, scale=scale, block_logits=block_logits, reusable=reusable)
    outputs = _MaskedLoss.apply(  # type: ignore[no-untyped-call]
        hidden_MH, weight_VH, bias_V, label_ids_M, topk_ids_MK, topk_logits_MK, settings
    )
    return Loss(total=outputs[0], gold_M=outputs[1], teacher_M=outputs[2], correct_M=outputs[3])


def teacher_target(topk_logits_MK: Tensor, tail: Tail) -> tuple[Tensor, Tensor]:
    """The teacher's probabilities t_MK and the mass rest_M outside them. Their sum is 1, and rest is 0 if renormalised.

    Rounding to float16 can make Σt slightly larger than 1. Then t is divided by the sum, and rest is 0.
    """
    t_MK = topk_logits_MK.exp()
    mass_M = t_MK.sum(1)
    if tail == "renormalise":
        return t_MK / mass_M[:, None], torch.zeros_like(mass_M)
    return t_MK / mass_M.clamp_min(1.0)[:, None], (1.0 - mass_M).clamp_min(0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Settings:
    gold_weight: float
    tail: Tail
    scale: float
    block_logits: int
    reusable: bool


class _MaskedLoss(torch.autograd.Function):
    """Loss and gradients in one pass over blocks of rows."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_MH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        label_ids_M: Tensor,
        topk_ids_MK: Tensor | None,
        topk_logits_MK: Tensor | None,
        settings: _Settings,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        device = hidden_MH.device.type
        exact = torch.promote_types(hidden_MH.dtype, torch.float32)
        product = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else torch.promote_types(hidden_MH.dtype, weight_VH.dtype)
        )
        with_gradients = any(ctx.needs_input_grad[:3])
        with torch.no_grad(), torch.autocast(device, enabled=False):
            h_MH, w_VH = hidden_MH.to(product), weight_VH.to(product)
            M, V = len(h_MH), len(w_VH)
            gold_M, teacher_M = h_MH.new_zeros(M, dtype=exact), h_MH.new_zeros(M, dtype=exact)
            correct_M = h_MH.new_zeros(M, dtype=torch.bool)
            grad_hidden_MH = torch.zeros_like(hidden_MH) if with_gradients else None
            grad_weight_VH = torch.zeros_like(weight_VH) if with_gradients else None
            grad_bias_V = torch.zeros_like(bias_V) if with_gradients and bias_V is not None else None
            rows = max(1, settings.block_logits // V)
            for begin in range(0, M, rows):
                block = slice(begin, begin + rows)
                z_mV = (h_MH[block] @ w_VH.T).to(exact)
                if bias_V is not None:
                    z_mV += bias_V
                topk = (
                    None if topk_ids_MK is None or topk_logits_MK is None else (topk_ids_MK[block], topk_logits_MK[block].to(exact))
                )
                gold_M[block], teacher_M[block], correct_M[block] = _turn_into_gradient(z_mV, label_ids_M[block], topk, settings)
                if grad_hidden_MH is None or grad_weight_VH is None:
                    continue
                if grad_bias_V is not None:
                    grad_bias_V += z_mV.sum(0)
                g_mV = z_mV.to(product)
                grad_hidden_MH[block] = (g_mV @ w_VH).to(grad_hidden_MH.dtype)
                if grad_weight_VH.dtype == product:
                    grad_weight_VH.addmm_(g_mV.T, h_MH[block])
                else:
                    for first in range(0, V, PRODUCT_ROWS):
                        part = slice(first, first + PRODUCT_ROWS)
                        grad_weight_VH[part] += g_mV[:, part].T @ h_MH[block]
            total = settings.scale * (settings.gold_weight * gold_M.sum() + (1.0 - settings.gold_weight) * teacher_M.sum())
        ctx.gradients = (grad_hidden_MH, grad_weight_VH, grad_bias_V)
        ctx.reusable = settings.reusable
        ctx.mark_non_differentiable(gold_M, teacher_M, correct_M)
        return total, gold_M, teacher_M, correct_M

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_total: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        gradients = ctx.gradients
        assert gradients is not None, "masked_loss: a second backward; pass reusable=True"
        if ctx.reusable:
            scaled = [None if gradient is None else gradient * grad_total for gradient in gradients]
        else:
            scaled = [None if gradient is None else gradient.mul_(grad_total) for gradient in gradients]
            ctx.gradients = None
        return (*scaled, None, None, None, None)


def _turn_into_gradient(
    z_mV: Tensor, gold_m: Tensor, topk: tuple[Tensor, Tensor] | None, settings: _Settings
) -> tuple[Tensor, Tensor, Tensor]:
    """Gold loss, teacher loss and correctness of a block. Its logits are overwritten with d total / d logits.

    Renormalise and gold: w sums to 1, so the gradient is p − w. Ghost: with P = Σp over the top k and rest e = exp(z) of the others,
    the gradient of −r·log(1 − P) is r·p_j within the top k and −r·P/(1 − P)·p_j outside; adding that of −Σ t·log p gives p_j − t_j
    within and p_j − r·e_j/Σe outside. 1 − P is computed as a sum over the others, not by subtraction, so it is exact when P is near 1.
    """
    weight, scale = settings.gold_weight, settings.scale
    best_m, best_ids_m = z_mV.max(1)
    gold_z_m = z_mV.gather(1, gold_m[:, None])[:, 0]
    if topk is None:
        e_mV = z_mV.sub_(best_m[:, None]).exp_()
        total_m = e_mV.sum(1)
        loss_m = best_m + total_m.log() - gold_z_m
        e_mV.mul_((scale / total_m)[:, None])
        e_mV.scatter_add_(1, gold_m[:, None], torch.full_like(gold_z_m, -scale)[:, None])
        return loss_m, torch.zeros_like(loss_m), best_ids_m == gold_m
    ids_mK, logits_mK = topk
    t_mK, rest_m = teacher_target(logits_mK, settings.tail)
    topk_z_mK = z_mV.gather(1, ids_mK)
    e_mV = z_mV.sub_(best_m[:, None]).exp_()
    if settings.tail == "ghost":
        e_mK = e_mV.gather(1, ids_mK)
        e_mV.scatter_(1, ids_mK, 0.0)
        others_m = e_mV.sum(1).clamp_min(torch.finfo(e_mV.dtype).tiny)
        total_m = others_m + e_mK.sum(1)
        lse_m = best_m + total_m.log()
        rest_loss_m = rest_m * (total_m.log() - others_m.log())
        e_mV.mul_((scale / total_m - scale * (1.0 - weight) * rest_m / others_m)[:, None])
        e_mV.scatter_add_(1, ids_mK, e_mK * (scale / total_m)[:, None])
        gold_weight_m = torch.full_like(rest_m, weight)
    else:
        total_m = e_mV.sum(1)
        lse_m = best_m + total_m.log()
        rest_loss_m = rest_m * (lse_m - gold_z_m)
        e_mV.mul_((scale / total_m)[:, None])
        gold_weight_m = weight + (1.0 - weight) * rest_m
    teacher_m = (t_mK * (lse_m[:, None] - topk_z_mK)).sum(1) + rest_loss_m
    e_mV.scatter_add_(1, ids_mK, t_mK * (-scale * (1.0 - weight)))
    e_mV.scatter_add_(1, gold_m[:, None], (-scale * gold_weight_m)[:, None])
    return lse_m - gold_z_m, teacher_m, best_ids_m == gold_m
