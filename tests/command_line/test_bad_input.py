"""Every case of tests/support/bad_input.py: one line that names what is wrong, exit code 2, nothing written and nothing lost."""

import re
from pathlib import Path

import pytest

from tests.support.bad_input import CASES, Case, build_base, run_case


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_base(tmp_path_factory.mktemp("bad") / "base")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, base: Path, tmp_path: Path) -> None:
    number = CASES.index(case)
    code, stderr, same = run_case(case, base, tmp_path / "run", process=number % 10 == 0)
    lines = [
        line
        for line in stderr.replace("\r", "\n").splitlines()
        if line.strip() and not re.match(r"\d{4}-\d\d-\d\d ", line)  # progress, on a slow machine
    ]
    assert case.message in lines[-1]
    assert len(lines) == 1, stderr
    assert code == 2
    assert same
