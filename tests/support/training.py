"""A tiny student, for tests."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.recipe import Student, Train
from data.shards import list_shards, read_shards
from student.model import new_student
from student.training.evaluation import Evaluate
from student.training.metrics import read_rows
from student.training.teacher_choice import Choice
from student.training.train import TrainResult, train
from tests.support.student_shards import V
from vocab.roles import UNION_ROLES

SETTINGS = Train(
    steps=30,
    tokens_per_batch=400,
    tokens_per_microbatch=200,
    warmup_steps=5,
    learning_rate=2e-3,
    log_steps=4,
    checkpoint_steps=6,
    precision="float32",
)
SHAPE = Student(architecture="bert", layers=1, hidden_size=16, heads=2, dropout=0.1)
TIMINGS = ("tokens_per_second", "stream_wait_share", "seconds")


def fit(
    run: Path,
    out: Path,
    *,
    resume: bool = False,
    shape: Student = SHAPE,
    predictions: str = "predictions",
    choice: Choice | None = None,
    evaluate: Evaluate | None = None,
    **changes: Any,
) -> TrainResult:
    torch.set_num_threads(1)
    model = new_student(shape, vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0)
    return train(
        model,
        choice or Choice(shards=tuple(read_shards(list_shards(str(run / predictions))))),
        SETTINGS.model_copy(update=changes),
        out,
        tokenizer=run / "tokenizer",
        max_length=24,
        seed=1,
        identity={"union": "u" * 64, **{f"student.{key}": value for key, value in shape.model_dump().items()}},
        evaluate=evaluate,
        resume=resume,
        progress=False,
    )


def measured(out: Path) -> list[dict[str, Any]]:
    """The rows of the metrics without their timings."""
    return [{key: value for key, value in row.items() if key not in TIMINGS} for row in read_rows(out)]


def assert_same_rows(found: Path, expected: Path) -> None:
    assert [row["step"] for row in measured(found)] == [row["step"] for row in measured(expected)]
    for one, other in zip(measured(found), measured(expected), strict=True):
        for key, value in other.items():
            assert one[key] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value), (one["step"], key)
