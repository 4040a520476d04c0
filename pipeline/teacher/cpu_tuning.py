"""bfloat16 linear layers on CPUs whose weights are laid out once for the matrix unit, and not again in every batch."""

from functools import partial

import torch


def pack_linears(model: torch.nn.Module, tokens: int) -> int:
    """Let each bfloat16 linear layer of a model on the CPU multiply by packed weights; how many there are.

    tokens: rows of the inputs that the layout is chosen for; others are multiplied right, too. A CPU without bfloat16 instructions and
    a torch without oneDNN keep the layers as they are. The packed weights are copies: the model must not be trained on.
    """
    # What torch.compile calls for a frozen linear layer; to compile the model took more than half a minute a process.
    operators = torch.ops.mkldnn
    if not hasattr(operators, "_linear_pointwise") or not operators._is_mkldnn_bf16_supported():
        return 0
    layers = [layer for layer in model.modules() if type(layer) is torch.nn.Linear and layer.weight.dtype == torch.bfloat16]
    for layer in layers:
        packed = operators._reorder_linear_weight(layer.weight.detach(), tokens)
        bias = None if layer.bias is None else layer.bias.detach()
        layer.forward = partial(_linear, weight=packed, bias=bias)  # type: ignore[method-assign]
    return len(layers)


def _linear(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]
