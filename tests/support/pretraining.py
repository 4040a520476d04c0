"""A tiny teacher, for tests."""

from pathlib import Path
from typing import Any

import torch

from student.pretrain import PretrainResult, PretrainSettings, pretrain

TINY: dict[str, Any] = {
    "layers": 1,
    "hidden_size": 32,
    "heads": 2,
    "vocab_size": 120,
    "max_length": 24,
    "maskings": 2,
    "steps": 12,
    "tokens_per_batch": 256,
    "log_steps": 4,
    "precision": "float32",
}


def fit(corpus: str, out: Path, *, language: str = "de", resume: bool = False, **changes: Any) -> PretrainResult:
    """Pretrain a teacher with TINY settings, some of them changed."""
    torch.set_num_threads(1)
    return pretrain([corpus], language, out, PretrainSettings(**(TINY | changes)), resume=resume, progress=False)
