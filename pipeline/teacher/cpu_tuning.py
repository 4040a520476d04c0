"""What makes a teacher faster on a CPU: memory that is kept between batches, large pages, and packed weights.

Each was measured on the whole teacher pass, with BERT-base, V = 119,547 and float32, on two cores, in alternating runs (tokens/s, two runs
each): nothing 571 and 537, kept memory 606 and 595, large pages 546 and 711, both 600 and 1,019. Packed weights need bfloat16
instructions. `tests/benchmarks/bench_predict.py` measures the pass with all of them.
"""

import ctypes
import os
import time
from collections.abc import Callable
from functools import cache, partial

import torch

from data.thread_tuner import ThreadTuner

# Large pages for large tensors, if the kernel has them. torch reads this before it makes its first tensor, and ignores it afterwards.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

_CLEARLY = 1.4  # times as fast


@cache
def cpu_threads(device: torch.device) -> ThreadTuner:
    """What sets the number of threads of this process: one for all its teachers. On other devices it changes nothing."""
    return ThreadTuner(torch.set_num_threads, torch.get_num_threads() if device.type == "cpu" else 1)


def keep_freed_memory() -> None:
    """Let the C library keep the memory of a batch for the next batch, instead of returning it to the system.

    The tensors of a batch have tens of megabytes. Without mallopt (a C library other than glibc) nothing changes.
    """
    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


def pack_linears(model: torch.nn.Module, tokens: int) -> int:
    """Store the weights of linear layers in the layout of oneDNN, once instead of in every batch.

    bfloat16: in the layout of the matrix unit. float32: only where oneDNN multiplies faster than torch's own library, see
    `onednn_is_faster`.

    tokens: the number of input rows for which the layout is chosen; other numbers are right too. Returns the number of packed layers:
    0 where there is nothing to gain, and with a torch without oneDNN. The packed weights are copies, so the model must not be trained.
    """
    # torch.compile calls these operators for a frozen linear layer. Compiling the model took more than half a minute in each process.
    operators = torch.ops.mkldnn
    if not hasattr(operators, "_linear_pointwise"):
        return 0
    packable: dict[torch.dtype, Callable[[], bool]] = {
        torch.bfloat16: operators._is_mkldnn_bf16_supported,
        torch.float32: onednn_is_faster,
    }
    linears = [layer for layer in model.modules() if type(layer) is torch.nn.Linear and layer.weight.dtype in packable]
    useful = {dtype for dtype in {layer.weight.dtype for layer in linears} if packable[dtype]()}
    layers = [layer for layer in linears if layer.weight.dtype in useful]
    for layer in layers:
        packed = operators._reorder_linear_weight(layer.weight.detach(), tokens)
        bias = None if layer.bias is None else layer.bias.detach()
        layer.forward = partial(_linear, weight=packed, bias=bias)  # type: ignore[method-assign]
    return len(layers)


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN multiplies float32 numbers clearly faster than the library behind torch's linear layers (MKL).

    Measured once in a process, some hundredths of a second: MKL is slow on some processors of other makers. The margin is wide, so that
    one machine gives one answer: another library means other roundings.
    """
    x, weight = torch.randn(1024, 768), torch.randn(768, 768)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))

    def seconds(work: Callable[[], object]) -> float:
        times = []
        for _ in range(6):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        return min(times[1:])

    ours = seconds(lambda: _linear(x, weight=packed, bias=None))
    return _CLEARLY * ours < seconds(lambda: torch.nn.functional.linear(x, weight))


def _linear(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]
