"""Every schedule at its corners, and epochs as steps."""

import math
from pathlib import Path

import pytest

from data.recipe import Train
from data.shards import list_shards, read_shards
from student.training.schedule import check_schedule, gold_weight, learning_rate, with_steps
from student.training.teacher_choice import Choice
from tests.support.factories import two_language_recipe
from tests.support.runs import launch
from vocab.errors import InputError


def rates(**settings: object) -> list[float]:
    train = Train(steps=10, warmup_steps=2, learning_rate=1.0, **settings)  # type: ignore[arg-type]
    check_schedule(train)
    return [learning_rate(step, train) for step in range(10)]


def weights(**settings: object) -> list[float]:
    train = Train(steps=10, **settings)  # type: ignore[arg-type]
    return [gold_weight(step, train) for step in range(10)]


def test_learning_rates() -> None:
    assert rates()[:3] == [0.5, 1.0, 1.0]
    assert rates()[2:] == pytest.approx([1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    cosine = rates(learning_rate_schedule="cosine")
    assert cosine[:3] == [0.5, 1.0, 1.0]
    assert cosine[6] == pytest.approx(0.5)
    assert cosine[9] == pytest.approx((1 + math.cos(math.pi * 7 / 8)) / 2)
    stable = rates(learning_rate_schedule="wsd", decay_share=0.4)
    assert stable[:2] == [0.5, 1.0]
    assert stable[2:] == pytest.approx([1, 1, 1, 1, 1, 3 / 4, 2 / 4, 1 / 4])
    assert rates(learning_rate_schedule="wsd", decay_share=0.8)[2:] == pytest.approx(rates()[2:])


def test_weights_of_the_gold_label() -> None:
    assert weights() == pytest.approx([step / 10 for step in range(10)])  # the paper
    assert weights(gold_start=0.5) == pytest.approx([0.5 + step / 20 for step in range(10)])
    assert weights(gold_schedule="constant", gold_start=0.25) == [0.25] * 10
    assert weights(gold_schedule="wsd", gold_start=0.1, gold_end=0.9, decay_share=0.4) == pytest.approx([0.1] * 7 + [0.3, 0.5, 0.7])
    assert weights(labels="gold", gold_schedule="constant", gold_start=0.25) == [1.0] * 10


def test_a_decay_that_begins_in_the_warm_up_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"train.decay_share: found 0.9; the last 90% of 10 steps begin before the warm-up of 2 steps"
    ):
        rates(learning_rate_schedule="wsd", decay_share=0.9)


def test_epochs_are_steps_by_the_tokens_of_all_rows(tmp_path: Path) -> None:
    launch(two_language_recipe(tmp_path), tmp_path / "run")
    shards = read_shards(list_shards(str(tmp_path / "run/predictions")))
    choice = Choice(shards=tuple(shards))
    tokens = sum(shard.report["counters"]["tokens"] for shard in shards)
    train = Train(epochs=3, tokens_per_batch=100)
    assert with_steps(train, choice).steps == math.ceil(3 * tokens / 100)
    assert with_steps(train, choice).epochs is None
    assert with_steps(Train(epochs=1e-6), choice).steps == 1
    assert with_steps(Train(steps=7), choice).steps == 7
