"""Training: the result, the metrics, schedules, precision, refusals."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from data.recipe import Train
from data.shards import list_shards, read_shards
from student.model import new_student
from student.training.checkpoint import list_checkpoints
from student.training.loop import make_optimizer
from student.training.metrics import read_rows
from student.training.schedule import gold_weight, learning_rate
from tests.support.student_shards import V
from tests.support.training import SETTINGS, SHAPE, TIMINGS, assert_same_rows, fit
from vocab.errors import InputError
from vocab.roles import UNION_ROLES


def test_the_result_is_an_hf_folder(run: Path, whole: Path) -> None:
    model = AutoModelForMaskedLM.from_pretrained(whole)
    assert model.config.vocab_size == V
    assert AutoTokenizer.from_pretrained(whole).mask_token_id == UNION_ROLES.mask
    assert [path.name for path in list_checkpoints(whole)] == ["step-00000018", "step-00000024"]
    assert not [path for path in whole.rglob("*") if "partial" in path.name]
    assert AutoModelForMaskedLM.from_pretrained(list_checkpoints(whole)[0]).config.vocab_size == V


def test_metrics_rows(whole: Path) -> None:
    rows = read_rows(whole)
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert list(rows[0])[-3:] == list(TIMINGS)
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.05
    assert rows[-1]["lambda"] == pytest.approx(29 / 30, abs=1e-6)
    assert rows[-1]["rows"] == sum(round(share * size) for share, size in zip(rows[-1]["epochs"].values(), (180, 40), strict=True))
    assert all(row["teacher_loss"] > 0 and row["tokens_per_second"] > 0 for row in rows)
    assert 0 <= rows[-1]["stream_wait_share"] <= 1


def test_the_same_run_gives_the_same_numbers(run: Path, whole: Path, tmp_path: Path) -> None:
    fit(run, tmp_path / "again")
    assert_same_rows(tmp_path / "again", whole)


def test_gold_labels(run: Path, tmp_path: Path) -> None:
    fit(run, tmp_path / "gold", labels="gold", steps=6)
    rows = read_rows(tmp_path / "gold")
    assert "teacher_loss" not in rows[-1]
    assert rows[-1]["lambda"] == 1.0
    assert rows[-1]["loss"] == rows[-1]["gold_loss"]


def test_a_step_does_not_depend_on_its_micro_batches(run: Path, tmp_path: Path) -> None:
    still = SHAPE.model_copy(update={"dropout": 0.0})
    losses = []
    shards = read_shards(list_shards(str(run / "predictions")))
    from accelerate import Accelerator

    from student.training.loop import _step
    from student.training.masked_head import MaskedLM
    from student.training.stream import Stream, StreamSettings

    order = StreamSettings(
        seed=0, alpha=1.0, with_teacher=True, tokens_per_batch=400, tokens_per_microbatch=400, max_length=24, vocab_size=V, pad=0
    )
    with Stream(shards, order) as stream:
        step = next(stream)
    from dataclasses import replace

    big = step.batches[0]
    half = int((big.places < 5 * big.input_ids.shape[1]).sum())  # rows 0 to 4, and the rest
    assert big.topk_ids is not None
    assert big.topk_logits is not None

    def part(rows: slice, masks: slice) -> Any:
        return replace(
            big,
            input_ids=big.input_ids[rows],
            lengths=big.lengths[rows],
            places=big.places[masks] - rows.start * big.input_ids.shape[1],
            label_ids=big.label_ids[masks],
            topk_ids=big.topk_ids[masks],  # type: ignore[index]
            topk_logits=big.topk_logits[masks],  # type: ignore[index]
        )

    gradients = []
    for batches in ((big,), (part(slice(0, 5), slice(0, half)), part(slice(5, None), slice(half, None)))):
        model = new_student(still, vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0)
        accelerator = Accelerator(cpu=True)
        settings = SETTINGS.model_copy(update={"gradient_clip": 1e9})
        sums = _step(accelerator, MaskedLM(model, "ghost"), replace(step, batches=batches), 0.3, settings, 0)
        losses.append(sums["loss"])
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_a_loss_that_is_not_finite_stops_and_names_the_step(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"step \d+: .*not finite"):
        fit(run, tmp_path / "nan", learning_rate=1e30, checkpoint_steps=1)
    for checkpoint in list_checkpoints(tmp_path / "nan"):
        weights = AutoModelForMaskedLM.from_pretrained(checkpoint).state_dict().values()
        assert all(torch.isfinite(value).all() for value in weights)


def test_a_warm_up_without_end_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="warmup_steps: found 30; expected fewer"):
        fit(run, tmp_path / "warm", warmup_steps=30)
    assert not (tmp_path / "warm").exists()


def test_bfloat16_trains_too(run: Path, whole: Path, tmp_path: Path) -> None:
    row = fit(run, tmp_path / "half", precision="bfloat16", steps=10).metrics
    assert math.isfinite(row["loss"])
    weights = AutoModelForMaskedLM.from_pretrained(tmp_path / "half")
    assert weights.dtype == torch.float32


def test_schedules() -> None:
    settings = Train(steps=10, warmup_steps=4, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == pytest.approx([1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert [gold_weight(step, settings) for step in (0, 5, 9)] == [0.0, 0.5, 0.9]
    assert gold_weight(0, Train(labels="gold")) == 1.0


def test_biases_and_normalisations_do_not_decay() -> None:
    model = new_student(SHAPE, vocab_size=50, max_length=24, roles=UNION_ROLES, seed=0)
    decayed, plain = make_optimizer(model, SETTINGS).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all(names[id(parameter)].endswith("weight") for parameter in decayed["params"])
    assert all("LayerNorm" in names[id(parameter)] or "bias" in names[id(parameter)] for parameter in plain["params"])
