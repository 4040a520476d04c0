"""The masked-LM loss with gold and teacher labels, as one sparse target over K + 1 vocabulary entries.

Legend: M masked positions, m those of one block, H hidden size, V vocabulary, P the same padded, K top-k labels a position.

With λ the weight of the gold label, the target of a position is w = λ·onehot(gold) + (1 − λ)·teacher, so the cross-entropy is
Σw·logsumexp(z) − Σ w_j z_j. It needs the logits z of K + 1 entries and one logsumexp (teacher annealing: Clark et al. 2019,
"BAM! Born-Again Multi-Task Networks", section 3.2; MergeDistill, section 3). The tail is the rule for the teacher's mass outside
its top k, r = 1 − Σt:

renormalise  teacher = t / Σt, as in the paper
gold         teacher = t, and r goes to the gold label ("residual to gold")
ghost        one more outcome "anything else": −Σ t·log p − r·log(1 − Σp) (ghost token, Sparse Logit Sampling, ACL 2025)

All are cross-entropies. They differ from the KL divergence by the teacher's entropy, which is constant, so the gradients are the same.
`student.training.block_gradient` turns a block of logits into its gradient.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from student.training.block_gradient import BlockSettings, Tail, turn_into_gradient
from student.training.softmax_kernel import has_kernel
from student.training.vocabulary_chunks import chunked_loss

BLOCK_LOGITS = {"cuda": 1 << 30}  # logits in memory at once: 2 GB in bfloat16
FEW_LOGITS = 1 << 26  # the same on other devices: 256 MB in float32. More of them are made in chunks of the vocabulary
CHUNK_LOGITS = 1 << 22  # of a chunk: 16 MB in float32, which is soon read again
_ALIGNED = 64  # rows of the padded weight: on CUDA, products of other sizes take slow kernels
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
    block_logits: int | None = None,
    reusable: bool = False,
    kernel: bool | None = None,
) -> Loss:
    """The loss of the logits hidden_MH · weight_VHᵀ + bias_V. Only a block of their rows, or of their columns, is in memory at a time.

    topk_logits_MK are the teacher's normalised logits, so exp() is its probability. The ids of a position are distinct, and the gold
    id may be one of them. Without teacher labels, gold_weight must be 1. Matrix products run in the autocast type if autocast is on,
    and everything else in float32 (in float64 for float64 inputs). The gradients are computed together with the loss and kept (the
    sizes of hidden, weight and bias). backward scales them in place, so it can run only once, except with `reusable`.

    block_logits  logits of a block; None: what suits the device
    kernel        whether a Triton kernel turns logits into gradients, for inputs that are not float64; None: on CUDA, if there is Triton
    """
    assert (topk_ids_MK is None) == (topk_logits_MK is None)
    assert topk_ids_MK is not None or gold_weight == 1.0, "gold_weight below 1 without teacher labels"
    device = hidden_MH.device.type
    settings = BlockSettings(
        gold_weight=gold_weight,
        tail=tail,
        scale=scale,
        kernel=(has_kernel(device) if kernel is None else kernel) and hidden_MH.dtype != torch.float64,
    )
    block_logits = BLOCK_LOGITS.get(device, FEW_LOGITS) if block_logits is None else block_logits
    outputs = _MaskedLoss.apply(  # type: ignore[no-untyped-call]
        hidden_MH, weight_VH, bias_V, label_ids_M, topk_ids_MK, topk_logits_MK, settings, block_logits, reusable
    )
    return Loss(total=outputs[0], gold_M=outputs[1], teacher_M=outputs[2], correct_M=outputs[3])


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
        settings: BlockSettings,
        block_logits: int,
        reusable: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        device = hidden_MH.device.type
        exact = torch.promote_types(hidden_MH.dtype, torch.float32)
        product = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else torch.promote_types(hidden_MH.dtype, weight_VH.dtype)
        )
        with_gradients = any(ctx.needs_input_grad[:3])
        M, V = len(hidden_MH), len(weight_VH)
        ctx.reusable = reusable
        if device != "cuda" and not settings.kernel and block_logits < M * V:
            with torch.no_grad(), torch.autocast(device, enabled=False):
                made = chunked_loss(
                    hidden_MH,
                    weight_VH,
                    bias_V,
                    label_ids_M,
                    None if topk_ids_MK is None or topk_logits_MK is None else (topk_ids_MK, topk_logits_MK.to(exact)),
                    settings,
                    product=product,
                    width=max(1, min(block_logits, CHUNK_LOGITS) // M),
                    with_gradients=with_gradients,
                )
                total = _total(made.gold_M, made.teacher_M, settings)
            ctx.gradients = (made.grad_hidden_MH, made.grad_weight_VH, made.grad_bias_V)
            ctx.mark_non_differentiable(made.gold_M, made.teacher_M, made.correct_M)
            return total, made.gold_M, made.teacher_M, made.correct_M
        with torch.no_grad(), torch.autocast(device, enabled=False):
            P = -(-V // _ALIGNED) * _ALIGNED if device == "cuda" else V
            h_MH, w_PH = hidden_MH.to(product), _padded(weight_VH, P, product)
            gold_M, teacher_M = h_MH.new_zeros(M, dtype=exact), h_MH.new_zeros(M, dtype=exact)
            correct_M = h_MH.new_zeros(M, dtype=torch.bool)
            grad_hidden_MH = torch.zeros_like(hidden_MH) if with_gradients else None
            grad_weight_PH = weight_VH.new_zeros(P, weight_VH.shape[1]) if with_gradients else None
            grad_bias_V = torch.zeros_like(bias_V) if with_gradients and bias_V is not None else None
            rows = min(M, max(1, block_logits // V))
            block_mP = h_MH.new_empty(rows, P)
            for begin in range(0, M, max(1, rows)):
                block = slice(begin, begin + rows)
                g_mP = torch.mm(h_MH[block], w_PH.T, out=block_mP[: len(h_MH[block])])  # logits, which become gradients
                z_mV = g_mP[:, :V]
                topk = (
                    None if topk_ids_MK is None or topk_logits_MK is None else (topk_ids_MK[block], topk_logits_MK[block].to(exact))
                )
                g_mV, gold_M[block], teacher_M[block], correct_M[block] = turn_into_gradient(
                    z_mV, bias_V, label_ids_M[block], topk, settings
                )
                if grad_hidden_MH is None or grad_weight_PH is None:
                    continue
                if grad_bias_V is not None:
                    grad_bias_V += g_mV.sum(0, dtype=exact)
                if g_mV is not z_mV:
                    z_mV.copy_(g_mV)
                grad_hidden_MH[block] = (g_mP @ w_PH).to(grad_hidden_MH.dtype)
                _add_product(grad_weight_PH, g_mP, h_MH[block])
            total = _total(gold_M, teacher_M, settings)
        ctx.gradients = (grad_hidden_MH, None if grad_weight_PH is None else grad_weight_PH[:V], grad_bias_V)
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
        return (*scaled, *(None,) * 6)


def _total(gold_M: Tensor, teacher_M: Tensor, settings: BlockSettings) -> Tensor:
    return settings.scale * (settings.gold_weight * gold_M.sum() + (1.0 - settings.gold_weight) * teacher_M.sum())


def _padded(weight_VH: Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """A weight in another type, with rows of zeros at its end."""
    if rows == len(weight_VH):
        return weight_VH.to(dtype)
    padded = weight_VH.new_zeros(rows, weight_VH.shape[1], dtype=dtype)
    padded[: len(weight_VH)] = weight_VH
    return padded


def _add_product(grad_weight_PH: Tensor, g_mP: Tensor, h_mH: Tensor) -> None:
    """grad_weight_PH += g_mVᵀ · h_mH, summed in the type of the gradient."""
    if grad_weight_PH.dtype == g_mP.dtype:
        grad_weight_PH.addmm_(g_mP.T, h_mH)
    elif g_mP.is_cuda:
        torch.addmm(grad_weight_PH, g_mP.T, h_mH, out_dtype=grad_weight_PH.dtype, out=grad_weight_PH)
    else:
        for first in range(0, len(grad_weight_PH), PRODUCT_ROWS):
            part = slice(first, first + PRODUCT_ROWS)
            grad_weight_PH[part] += g_mP[:, part].T @ h_mH
