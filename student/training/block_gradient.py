"""A block of logits becomes its part of the loss and, in its place, the gradient. In torch's operators, or by a Triton kernel.

Legend: m masked positions of a block, V vocabulary, K top-k labels a position.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from student.training.softmax_kernel import softmax_gradient

Tail: TypeAlias = Literal["renormalise", "gold", "ghost"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockSettings:
    """What the gradient of a block depends on, besides its logits and labels. See `student.training.loss.masked_loss`."""

    gold_weight: float
    tail: Tail
    scale: float
    kernel: bool  # Triton's kernel instead of torch's operators


def teacher_target(topk_logits_MK: Tensor, tail: Tail) -> tuple[Tensor, Tensor]:
    """The teacher's probabilities t_MK and the mass rest_M outside them. Their sum is 1, and rest is 0 if renormalised.

    Rounding to float16 can make Σt slightly larger than 1. Then t is divided by the sum, and rest is 0.
    """
    t_MK = topk_logits_MK.exp()
    mass_M = t_MK.sum(1)
    if tail == "renormalise":
        return t_MK / mass_M[:, None], torch.zeros_like(mass_M)
    return t_MK / mass_M.clamp_min(1.0)[:, None], (1.0 - mass_M).clamp_min(0.0)


def turn_into_gradient(
    z_mV: Tensor, bias_V: Tensor | None, gold_m: Tensor, topk: tuple[Tensor, Tensor] | None, settings: BlockSettings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(d total / d logits [m, V], gold loss, teacher loss, whether the gold label has the highest logit) of a block.

    z_mV are logits without their bias, in the type of the product. They are overwritten. topk: (ids, normalised logits in the exact type).

    Renormalise and gold: w sums to 1, so the gradient is p − w. Ghost: with P = Σp over the top k and rest e = exp(z) of the others,
    the gradient of −r·log(1 − P) is r·p_j within the top k and −r·P/(1 − P)·p_j outside; adding that of −Σ t·log p gives p_j − t_j
    within and p_j − r·e_j/Σe outside. 1 − P is computed as a sum over the others, not by subtraction, so it is exact when P is near 1.
    """
    if settings.kernel:
        return z_mV, *_by_kernel(z_mV, bias_V, gold_m, topk, settings)
    exact_mV = z_mV.to(torch.promote_types(z_mV.dtype, torch.float32))
    if bias_V is not None:
        exact_mV += bias_V
    return exact_mV, *_by_operators(exact_mV, gold_m, topk, settings)


def _by_kernel(
    z_mV: Tensor, bias_V: Tensor | None, gold_m: Tensor, topk: tuple[Tensor, Tensor] | None, settings: BlockSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel writes the gradient of everything but the labels; theirs is computed in float32 and written after it."""
    weight, scale = settings.gold_weight, settings.scale
    gold_m1 = gold_m[:, None]

    def logits(ids_mJ: Tensor) -> Tensor:
        found_mJ = z_mV.gather(1, ids_mJ).float()
        return found_mJ if bias_V is None else found_mJ + bias_V[ids_mJ].float()

    def write(ids_mJ: Tensor, gradient_mJ: Tensor) -> None:
        z_mV.scatter_(1, ids_mJ, gradient_mJ.to(z_mV.dtype))

    gold_z_m = logits(gold_m1)[:, 0]
    if topk is None:
        lse_m, _, best_ids_m = softmax_gradient(z_mV, bias_V, scale)
        write(gold_m1, scale * torch.expm1(gold_z_m - lse_m)[:, None])
        return lse_m - gold_z_m, torch.zeros_like(lse_m), best_ids_m == gold_m
    ids_mK, logits_mK = topk
    t_mK, rest_m = teacher_target(logits_mK, settings.tail)
    topk_z_mK, is_gold_mK = logits(ids_mK), ids_mK == gold_m1
    if settings.tail == "ghost":
        z_mV.scatter_(1, ids_mK, -torch.inf)
        inside_m, share_m = topk_z_mK.logsumexp(1), (1.0 - weight) * rest_m
        others_m, best_m, best_ids_m = softmax_gradient(z_mV, bias_V, scale, inside_m, share_m)
        lse_m = torch.logaddexp(others_m, inside_m)
        top_m = topk_z_mK.amax(1)
        top_ids_m = torch.where(topk_z_mK == top_m[:, None], ids_mK, z_mV.shape[1]).amin(1)
        best_ids_m = torch.where(
            top_m == best_m, torch.minimum(top_ids_m, best_ids_m), torch.where(top_m > best_m, top_ids_m, best_ids_m)
        )
        rest_loss_m = torch.where(rest_m > 0, rest_m * (lse_m - others_m), 0.0)
        gold_weight_m = torch.full_like(rest_m, weight)
        gold_others_m = share_m * (gold_z_m - others_m).exp()
    else:
        lse_m, _, best_ids_m = softmax_gradient(z_mV, bias_V, scale)
        rest_loss_m = rest_m * (lse_m - gold_z_m)
        gold_weight_m = weight + (1.0 - weight) * rest_m
        gold_others_m = torch.zeros_like(rest_m)
    g_mK = scale * ((topk_z_mK - lse_m[:, None]).exp() - (1.0 - weight) * t_mK - gold_weight_m[:, None] * is_gold_mK)
    write(ids_mK, g_mK)
    g_m = scale * ((gold_z_m - lse_m).exp() - gold_weight_m - gold_others_m)
    write(gold_m1, torch.where(is_gold_mK.any(1), (g_mK * is_gold_mK).sum(1), g_m)[:, None])
    teacher_m = (t_mK * (lse_m[:, None] - topk_z_mK)).sum(1) + rest_loss_m
    return lse_m - gold_z_m, teacher_m, best_ids_m == gold_m


def _by_operators(
    z_mV: Tensor, gold_m: Tensor, topk: tuple[Tensor, Tensor] | None, settings: BlockSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """The same with logits in the exact type, bias included: the reference."""
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
