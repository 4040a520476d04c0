"""A loss that is not finite names its rows."""

import re
from pathlib import Path

import pytest
import torch

from data.recipe import Student
from student.training.loop import make_optimizer
from tests.support.student_shards import FIRST, make_shards
from tests.support.training import fit
from vocab.errors import InputError

UNTIED = Student(
    architecture="rembert", layers=1, hidden_size=16, heads=2, dropout=0.0
)  # a tied head would give all rows that logit


def test_rows_of_a_nan_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of one article has numbers so large that their mean is infinite. All weights are finite, and the losses of other rows."""
    make_shards(tmp_path / "predictions", {("de", "a"): [60], ("en", "b"): [50]})
    (tmp_path / "tokenizer").mkdir()

    def enlarge(model: torch.nn.Module, settings: object) -> torch.optim.Optimizer:
        model.get_input_embeddings().weight.data[FIRST + 55] = 3e38  # type: ignore[operator]
        return make_optimizer(model, settings)  # type: ignore[arg-type]

    monkeypatch.setattr("student.training.train.make_optimizer", enlarge)
    with pytest.raises(InputError) as error:
        fit(tmp_path, tmp_path / "out", shape=UNTIED)
    text = str(error.value)
    assert re.search(
        r"step \d+: loss nan, gradient norm nan: not finite, in 1 rows, the first of de: doc-55, window 0; the last", text
    )
    assert "lower train.learning_rate" in text
