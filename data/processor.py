"""What this machine's processor multiplies fast. Both stages ask, so the answer does not need torch."""

import platform
from functools import cache
from pathlib import Path

# The processor's flags, and what they are called.
_X86 = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16"}
_ARM = {"bf16": "BF16"}


@cache  # asked in every step of training
def bfloat16_unit(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the instructions with which the processor multiplies bfloat16 numbers; an empty text if it has none.

    Without such instructions bfloat16 products are made of float32 ones, and are slower than these.
    """
    if not cpuinfo.is_file():
        return "BF16" if platform.machine() == "arm64" else ""  # a Mac
    lines = cpuinfo.read_text(errors="replace").splitlines()
    flags = {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.partition(":")[2].split()}
    names = _ARM if platform.machine() in ("aarch64", "arm64") else _X86
    return next((name for flag, name in names.items() if flag in flags), "")


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself, with its bfloat16 unit: what figures of time should stand beside."""
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    unit = bfloat16_unit(cpuinfo)
    return f"{name} ({unit})" if unit else name
