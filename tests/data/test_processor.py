"""The processor's flags decide about bfloat16."""

from pathlib import Path

import pytest

from data.processor import bfloat16_unit


@pytest.mark.parametrize(
    ("machine", "line", "unit"),
    [
        ("x86_64", "flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile", "AMX"),
        ("x86_64", "flags\t\t: fpu avx2 avx512f avx512_bf16", "AVX-512 BF16"),
        ("x86_64", "flags\t\t: fpu avx2 avx512f avx512_bf16x", ""),
        ("x86_64", "model name\t: amx_bf16", ""),
        ("aarch64", "Features\t: fp asimd bf16 i8mm", "BF16"),
        ("aarch64", "Features\t: fp asimd", ""),
    ],
)
def test_what_a_processor_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, line: str, unit: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n{line}\n")
    assert bfloat16_unit(cpuinfo) == unit


def test_a_system_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert bfloat16_unit(tmp_path / "none") == ""
