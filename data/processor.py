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
