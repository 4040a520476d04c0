"""The first pass over a teacher's logits as one Triton kernel. Each logit is read once; torch's operators read and write it eight times.

Legend: M masked positions, V rows of the teacher's head, B blocks of rows.
"""

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # not on every platform; `pipeline.teacher.topk` has the same pass in torch's own operators
    triton = None

IGNORED, SHOWN, COUNTED, DROPPED = range(4)  # kinds of rows, see `scan`


def has_kernel(device: torch.device) -> bool:
    """Whether the kernel runs on a device: on CUDA, if Triton is installed."""
    return triton is not None and device.type == "cuda"


if triton is not None:

    @triton.jit
    def _scan(
        logits, kinds, maxima, logsumexp, dropped, stride, V, blocks, DROPS: tl.constexpr, BLOCK: tl.constexpr, SPAN: tl.constexpr
    ):
        """One program a position. It takes SPAN rows of the head at a time, and rescales its sums to the largest logit so far."""
        row = tl.program_id(0).to(tl.int64)
        best = float("-inf")
        total = 0.0
        lost = 0.0
        for start in range(0, V, SPAN):
            at = start + tl.arange(0, SPAN)
            kind = tl.load(kinds + at, mask=at < V, other=0)
            x = tl.load(logits + row * stride + at, mask=at < V, other=float("-inf")).to(tl.float32)
            x = tl.where(kind == 0, float("-inf"), x)
            shown = tl.where(kind == 1, x, float("-inf"))
            block = start // BLOCK + tl.arange(0, SPAN // BLOCK)
            tl.store(maxima + row * blocks + block, tl.max(tl.reshape(shown, (SPAN // BLOCK, BLOCK)), 1), mask=block < blocks)
            high = tl.maximum(best, tl.max(x, 0))
            shift = tl.where(high == float("-inf"), 0.0, high)  # nothing but ignored rows yet: −inf − −inf is not a number
            e = tl.exp(x - shift)
            rescale = tl.exp(best - shift)
            total = total * rescale + tl.sum(e, 0)
            if DROPS:
                lost = lost * rescale + tl.sum(tl.where(kind == 3, e, 0.0), 0)
            best = high
        tl.store(logsumexp + row, best + tl.log(total))
        if DROPS:
            tl.store(dropped + row, lost / total)


def scan(
    logits_MV: torch.Tensor,
    kinds_V: torch.Tensor,
    maxima_MB: torch.Tensor,
    logsumexp_M: torch.Tensor,
    dropped_M: torch.Tensor,
    *,
    block: int,
    drops: bool,
) -> None:
    """Fill in the largest shown logit of each block of rows, the logsumexp of all rows that count, and the share of dropped rows in it.

    logits_MV  any float type; a row can be wider in memory than V
    kinds_V    int8: IGNORED rows take no part, SHOWN rows count in both, COUNTED rows only in the sum, DROPPED rows also only in the
               sum, and their share is reported if `drops`
    block      rows that share a maximum, a power of two

    A logit that counts and is NaN or +inf makes the logsumexp of its position NaN.
    """
    assert logits_MV.stride(1) == 1
    assert maxima_MB.is_contiguous()
    M, V = logits_MV.shape
    if M:
        _scan[(M,)](
            logits_MV, kinds_V, maxima_MB, logsumexp_M, dropped_M, logits_MV.stride(0), V, maxima_MB.shape[1], drops, block, 4096,
            num_warps=8,
        )  # fmt: skip
