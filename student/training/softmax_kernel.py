"""A block of logits turned into its gradient by one Triton kernel: 6 bytes of memory traffic a bfloat16 logit, where torch's operators
take about 58.

Legend: m positions of a block, V vocabulary.
"""

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # not on every platform; `student.training.block_gradient` has the same in torch's own operators
    triton = None


def has_kernel(device: str) -> bool:
    """Whether the kernel runs on a type of device: on CUDA, if Triton is installed."""
    return triton is not None and device == "cuda"


if triton is not None:

    @triton.jit
    def _softmax(
        z, bias, inside, share, lse, best, best_id, scale, stride, V, BIAS: tl.constexpr, INSIDE: tl.constexpr, SPAN: tl.constexpr
    ):
        """One program a position. Two passes over its row, SPAN logits at a time: the sum, then the gradient in the logits' place."""
        row = tl.program_id(0).to(tl.int64)
        top = float("-inf")
        top_id = 0
        total = 0.0
        for start in range(0, V, SPAN):
            at = start + tl.arange(0, SPAN)
            x = tl.load(z + row * stride + at, mask=at < V, other=float("-inf")).to(tl.float32)
            if BIAS:
                x += tl.load(bias + at, mask=at < V, other=0.0).to(tl.float32)
            high, place = tl.max(x, 0, return_indices=True, return_indices_tie_break_left=True)
            top_id = tl.where(high > top, start + place, top_id)
            high = tl.maximum(high, top)
            shift = tl.where(high == float("-inf"), 0.0, high)
            total = total * tl.exp(top - shift) + tl.sum(tl.exp(x - shift), 0)
            top = high
        shift = tl.where(top == float("-inf"), 0.0, top)
        tl.store(best + row, top)
        tl.store(best_id + row, top_id)
        tl.store(lse + row, shift + tl.log(total))
        factor = scale / total
        if INSIDE:  # the part of the whole softmax, less the share of that of the logits in the row
            factor = (
                scale / (total + tl.exp(tl.minimum(tl.load(inside + row) - shift, 80.0))) - scale * tl.load(share + row) / total
            )
            factor = tl.where(total == 0.0, 0.0, factor)  # no logit is in the row
        for start in range(0, V, SPAN):
            at = start + tl.arange(0, SPAN)
            x = tl.load(z + row * stride + at, mask=at < V, other=float("-inf")).to(tl.float32)
            if BIAS:
                x += tl.load(bias + at, mask=at < V, other=0.0).to(tl.float32)
            tl.store(z + row * stride + at, (factor * tl.exp(x - shift)).to(z.dtype.element_ty), mask=at < V)


def softmax_gradient(
    z_mV: Tensor, bias_V: Tensor | None, scale: float, inside_m: Tensor | None = None, share_m: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Overwrite logits with `scale` times their softmax. Returns (logsumexp, largest logit, its id) of each position, float32 and int64.

    z_mV      logits without their bias, of any float type; a row can be wider in memory than V. −inf takes no part and becomes 0
    bias_V    added to each row, in float32
    inside_m  logsumexp of logits that were taken out of the row (set to −inf). They count in the softmax, but not in what is returned
    share_m   of the softmax over the logits that are still in the row, this share is subtracted from the result

    So what is written is scale · (exp(z − logsumexp of all) − share · exp(z − logsumexp of those in the row)). If the logits taken out
    are larger by more than float32 holds, the result is what it tends to: −scale · share · exp(z − logsumexp of those in the row).
    """
    assert z_mV.stride(1) == 1
    m, V = z_mV.shape
    lse_m, best_m = torch.empty(2, m, dtype=torch.float32, device=z_mV.device)
    best_ids_m = torch.empty(m, dtype=torch.int64, device=z_mV.device)
    if m:
        _softmax[(m,)](
            z_mV, bias_V, inside_m, share_m, lse_m, best_m, best_ids_m, scale, z_mV.stride(0), V,
            bias_V is not None, inside_m is not None, 4096, num_warps=8,
        )  # fmt: skip
    return lse_m, best_m, best_ids_m
