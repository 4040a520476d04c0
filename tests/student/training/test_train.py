"""Training: the result, the metrics, schedules, precision, refusals."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

from data.recipe import Train
from data.shards import list_shards, read_shards
from student.model import new_student
from student.training.checkpoint import list_checkpoints
from student.training.loop import make_optimizer
from student.training.masked_head import MaskedLM
from student.training.memory import fitting_microbatch, training_bytes
from student.training.metrics import read_rows
from student.training.step import GradientStep, split
from student.training.stream import Step, Stream, StreamSettings
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


def one_step(run: Path) -> Step:
    """A step of one micro-batch, with padded rows."""
    order = StreamSettings(
        seed=0, alpha=1.0, with_teacher=True, tokens_per_batch=400, tokens_per_microbatch=400, max_length=24, vocab_size=V, pad=0
    )
    with Stream(read_shards(list_shards(str(run / "predictions"))), order) as stream:
        return next(stream)


def gradients_of(step: Step, most: int | None = None) -> tuple[dict[str, float], list[Tensor | None], list[int]]:
    """(sums, gradients, tokens of each forward pass) of a step. most: tokens that a device of little memory can hold."""
    model = new_student(SHAPE.model_copy(update={"dropout": 0.0}), vocab_size=V, max_length=24, roles=UNION_ROLES, seed=0)
    seen: list[int] = []

    def refuse(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0].numel())
        if most is not None and seen[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    module = MaskedLM(model, "ghost")
    module.register_forward_pre_hook(refuse)
    compute = GradientStep(Accelerator(cpu=True), module, SETTINGS.model_copy(update={"gradient_clip": 1e9}))
    sums = compute(step, 0.3, 0, 7)
    assert sums.pop("rows") == [*step.batches[0].languages]
    return sums, [parameter.grad for parameter in model.parameters()], seen


def test_a_step_does_not_depend_on_its_micro_batches(run: Path) -> None:
    step = one_step(run)
    [whole] = step.batches
    assert whole.padded
    expected, wanted, _ = gradients_of(step)
    for pieces in (2, 3, 64):
        parts = split(whole, pieces)
        assert len(parts) == min(pieces, whole.rows)
        assert sum(part.masked for part in parts) == whole.masked
        assert sum(part.tokens for part in parts) == whole.tokens
        parts[0] = replace(parts[0], languages=whole.languages)
        rest = [replace(part, languages=(0,) * len(whole.languages)) for part in parts[1:]]
        sums, found, _ = gradients_of(replace(step, batches=(parts[0], *rest)))
        assert sums == pytest.approx(expected, abs=1e-5)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_memory_that_runs_out_halves_the_micro_batches(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The step begins again: what the first halves had added to the gradients must not count twice."""
    step = one_step(run)
    expected, wanted, [tokens] = gradients_of(step)
    sums, found, seen = gradients_of(step, most=tokens // 3)
    assert seen[0] == tokens
    assert max(seen[2:]) <= tokens // 3
    assert sum(seen[-4:]) == tokens
    assert sums == pytest.approx(expected, abs=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    assert f"too little memory for micro-batches of {tokens} tokens" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"too little memory for a micro-batch of \d+ tokens; lower train\.tokens_per_microbatch"):
        gradients_of(step, most=3)


def test_the_micro_batch_that_fills_a_card() -> None:
    """The formula on the paper's student: measured on an H100, see tests/benchmarks/results."""
    config = AutoConfig.for_model("bert")  # 12 layers x 768
    parameters = 110_000_000

    def fits(gigabytes: float, most: int = 1 << 20, bfloat16: bool = True) -> int:
        return fitting_microbatch(config, parameters, gigabytes * 1e9, most=most, bfloat16=bfloat16)

    sizes = [fits(gigabytes) for gigabytes in (4, 8, 16, 32, 64)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 65_536
    for gigabytes, tokens in zip((8, 16, 32), sizes[1:], strict=False):
        assert training_bytes(config, parameters, tokens, bfloat16=True) <= gigabytes * 1e9
        assert tokens == 65_536 or training_bytes(config, parameters, 2 * tokens, bfloat16=True) > gigabytes * 1e9
    assert fits(64, most=20_000) == 32_768  # one micro-batch holds the whole step
    assert fits(0.1) == 1024
    assert fits(16, bfloat16=False) < fits(16)


def test_another_device_continues_with_the_micro_batches_of_the_first(run: Path, tmp_path: Path) -> None:
    fit(run, tmp_path / "s", tokens_per_microbatch=80, steps=12)
    (tmp_path / "s/model.safetensors").unlink()
    again = fit(run, tmp_path / "s", resume=True, tokens_per_microbatch="auto", steps=12)
    assert again.resumed_from == 6
    assert_same_rows(tmp_path / "s", fit(run, tmp_path / "whole", tokens_per_microbatch=80, steps=12).out)


def test_a_loss_that_is_not_finite_stops_and_names_the_step(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"step \d+: .*not finite"):
        fit(run, tmp_path / "nan", learning_rate=1e30, checkpoint_steps=1)
    for checkpoint in list_checkpoints(tmp_path / "nan"):
        weights = AutoModelForMaskedLM.from_pretrained(checkpoint).state_dict().values()
        assert all(torch.isfinite(value).all() for value in weights)


def test_weights_that_are_not_finite_are_no_matter_of_the_learning_rate(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(model: torch.nn.Module, settings: Train) -> torch.optim.Optimizer:
        next(model.parameters()).data[0] = torch.nan
        return make_optimizer(model, settings)

    monkeypatch.setattr("student.training.train.make_optimizer", poison)
    with pytest.raises(InputError, match=r"step 1: .*the weights were so before this step, as .*embeddings") as error:
        fit(run, tmp_path / "nan")
    assert "learning_rate" not in str(error.value)


def test_a_warm_up_without_end_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="warmup_steps: found 30; expected fewer"):
        fit(run, tmp_path / "warm", warmup_steps=30)
    assert not (tmp_path / "warm").exists()


def test_bfloat16_trains_too(run: Path, whole: Path, tmp_path: Path) -> None:
    row = fit(run, tmp_path / "half", precision="bfloat16", steps=10).metrics
    assert math.isfinite(row["loss"])
    weights = AutoModelForMaskedLM.from_pretrained(tmp_path / "half")
    assert weights.dtype == torch.float32


def test_biases_and_normalisations_do_not_decay() -> None:
    model = new_student(SHAPE, vocab_size=50, max_length=24, roles=UNION_ROLES, seed=0)
    decayed, plain = make_optimizer(model, SETTINGS).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all(names[id(parameter)].endswith("weight") for parameter in decayed["params"])
    assert all("LayerNorm" in names[id(parameter)] or "bias" in names[id(parameter)] for parameter in plain["params"])


def test_tf32_is_float32_where_there_is_no_card(run: Path, tmp_path: Path) -> None:
    fit(run, tmp_path / "exact", steps=6, precision="float32")
    fit(run, tmp_path / "tf32", steps=6, precision="tf32")
    assert_same_rows(tmp_path / "tf32", tmp_path / "exact")
