"""The devices that train, and the number format in which they multiply fast."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from data.processor import bfloat16_unit
from data.recipe import Precision
from vocab.errors import InputError
from vocab.notices import say_once


def open_accelerator(*, trackers: Sequence[str] = (), folder: Path | None = None) -> Accelerator:
    """The devices and processes that train: CUDA or Apple's GPU if there is one, else the CPU; all processes that a launcher started.

    trackers: names of accelerate, each of which is installed. folder: where those that write files do it.

    Mixed precision is not set here but by `autocast`, so one process can train in one precision after the other.
    """
    on_cpu = not torch.cuda.is_available() and not torch.backends.mps.is_available()
    accelerator = Accelerator(mixed_precision="no", cpu=on_cpu, log_with=[*trackers] or None, project_dir=folder)
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise InputError(
            f"the launcher started {launched} processes, but {accelerator.num_processes} would train: they would write the same "
            "folder; start one process, or as many as there are devices"
        )
    return accelerator


def use_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether matrix products run in bfloat16. auto: where the hardware multiplies it, else float32. The choice is said once.

    It also sets how an NVIDIA card multiplies float32, for the whole process.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        name, native = torch.cuda.get_device_name(device), bool(torch.cuda.is_bf16_supported(including_emulation=False))
    else:
        unit = bfloat16_unit() if device.type == "cpu" and torch.backends.mkldnn.is_available() else ""
        machine = "the processor" if device.type == "cpu" else f"the device {device.type}"
        name, native = f"{machine} (with {unit})" if unit else machine, bool(unit)
    why = "multiplies bfloat16" if native else "has no instructions for bfloat16"
    say_once(f"train.precision: {'bfloat16' if native else 'float32'}, since {name} {why}")
    return native


def exact_dtype(device: torch.device) -> torch.dtype:
    """The type of sums over many positions: float64, but float32 on Apple's GPU, which has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context in which a model's forward pass runs."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_bfloat16(precision, device))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out. On a CPU, torch has no exception type for that."""
    words = r"can't allocate memory|ALLOC_FAILED|out of memory"
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or re.search(words, str(error)) is not None


def compile_layers(model: Any) -> int:
    """Compile the layers of a model's encoder, one by one: they share one program. Returns their number, 0 without a list of layers."""
    lists = [module for module in model.base_model.modules() if isinstance(module, torch.nn.ModuleList)]
    layers = max(lists, key=len, default=())
    for layer in layers:
        layer.compile(dynamic=True)
    return len(layers)
