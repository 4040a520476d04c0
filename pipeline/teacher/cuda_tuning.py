"""What makes a teacher faster or more exact on CUDA: logits in float32 from bfloat16 products, compiled layers, a device of its own.

Legend: M masked positions, H hidden size, V rows of the head.
"""

import os
import tempfile
from functools import partial
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch.nn.functional import pad

TOKENS_PER_BATCH = {"cpu": 4096, "cuda": 65_536}  # of predict.tokens_per_batch = "auto"

_ALIGNED = 64  # rows of the padded head: products of other sizes take slow kernels (an H100: 95 TFLOP/s at V = 119,547)
_BIAS = 3  # columns that hold the bias: three bfloat16 numbers have the 24 bits of a float32 number
_CLAIMED: dict[str, FileLock] = {}  # the devices of this process, until it ends


def float32_logits(model: Any) -> bool:
    """Let the last linear layer of a bfloat16 masked LM return float32 logits. Returns whether the model has such a layer.

    The matrix unit sums in float32 in any case; a bfloat16 result would round a logit of 10 to steps of 0.06. The bias is added inside
    the product, as columns of the weight next to inputs of 1.
    """
    linear = model.get_output_embeddings()
    if type(linear) is not torch.nn.Linear or linear.weight.dtype != torch.bfloat16:
        return False
    rows, hidden = linear.weight.shape
    width = -(-(hidden + _BIAS) // 8) * 8
    weight = linear.weight.new_zeros(-(-rows // _ALIGNED) * _ALIGNED, width)
    weight[:rows, :hidden] = linear.weight.detach()
    if linear.bias is not None:
        rest = linear.bias.detach().float()
        for column in range(hidden, hidden + _BIAS):
            weight[:rows, column] = rest.bfloat16()
            rest = rest - rest.bfloat16().float()
    linear.forward = partial(_float32_linear, weight=weight, rows=rows, hidden=hidden)  # type: ignore[method-assign]
    return True


def _float32_linear(x: torch.Tensor, *, weight: torch.Tensor, rows: int, hidden: int) -> torch.Tensor:
    """[…, H] bfloat16 → […, V] float32, a view of wider rows."""
    x_MH = pad(x.reshape(-1, hidden), (0, weight.shape[1] - hidden), value=1.0)  # ones next to columns of zeros change nothing
    logits_MV = torch.mm(x_MH, weight.T, out_dtype=torch.float32) if x.is_cuda else x_MH.float() @ weight.T.float()
    return logits_MV[:, :rows].unflatten(0, x.shape[:-1])  # type: ignore[no-any-return]


def compile_layers(model: Any) -> int:
    """Compile the encoder's layers but the last, which a hook interrupts. Returns their number: 0 if the model has no list of layers.

    Layer by layer, because they share one compiled program. It holds for every batch size and length.
    """
    lists = [module for module in model.base_model.modules() if isinstance(module, torch.nn.ModuleList)]
    layers = [*max(lists, key=len, default=())]
    if len(layers) < 2 or len({type(layer) for layer in layers}) > 1:
        return 0
    for layer in layers[:-1]:
        layer.compile(dynamic=True)
    return len(layers) - 1


def claim_device() -> torch.device:
    """The device of this process's teachers: the first CUDA device that no other process here has claimed, else one of them by turns.

    So several worker processes on a machine use all its devices. Without CUDA: the CPU.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", claim(torch.cuda.device_count(), tempfile.gettempdir()))


def claim(devices: int, folder: str) -> int:
    """The number of a device that no process has claimed with a lock file in `folder`; if there is none, this process's turn."""
    for device in range(devices):
        path = os.path.join(folder, f"mergedistill-cuda-{os.getuid()}-{device}.lock")
        if path in _CLAIMED:
            return device
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        _CLAIMED[path] = lock
        return device
    return os.getpid() % devices
