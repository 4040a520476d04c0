"""What is tuned for CUDA, as far as a CPU can show it: the padded head, compiled layers, claimed devices, batches that do not fit."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM

from data.examples import Example
from pipeline.teacher.cuda_tuning import claim, compile_layers, float32_logits
from pipeline.teacher.model import TeacherModel
from pipeline.teacher.windows import Windows, padded_batches, ragged
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces
from tests.support.paths import ROOT
from vocab.union import TeacherMap


def small_bert(rows: int, hidden: int = 32) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "bert", vocab_size=rows, hidden_size=hidden, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64
    )
    model = AutoModelForMaskedLM.from_config(config).eval()
    torch.nn.init.normal_(model.get_output_embeddings().bias, std=3.0)
    return model


@pytest.mark.parametrize(("rows", "hidden"), [(64, 32), (131, 32), (131, 36)])
def test_logits_of_bfloat16_weights_in_float32(rows: int, hidden: int) -> None:
    """The exact product of bfloat16 numbers plus the bias, where a bfloat16 result would have 8 bits."""
    model = small_bert(rows, hidden).bfloat16()
    linear = model.get_output_embeddings()
    bias = torch.randn(rows).mul_(3).bfloat16()
    linear.bias.data = bias
    x = torch.randn(1, 7, hidden).bfloat16()
    expected = x.double() @ linear.weight.double().T + bias.double()
    rounded = linear(x)
    assert float32_logits(model)
    found = linear(x)
    assert found.dtype == torch.float32
    assert found.shape == (1, 7, rows)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert (rounded.double() - expected).abs().max() > 1e-3


def test_a_bias_in_float32_keeps_its_digits() -> None:
    model = small_bert(100).bfloat16()
    linear = model.get_output_embeddings()
    bias = torch.randn(100) * 11
    linear.bias.data = bias.clone()
    assert float32_logits(model)
    found = linear(torch.zeros(1, 32).bfloat16())
    torch.testing.assert_close(found[0], bias, rtol=2e-7, atol=1e-7)


def test_a_float32_model_is_left_as_it_is() -> None:
    assert not float32_logits(small_bert(64))


@pytest.mark.parametrize("architecture", ["bert", "roformer", "distilbert"])
def test_the_layers_to_compile_are_found(architecture: str) -> None:
    model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(architecture, vocab_size=50))
    assert compile_layers(model) == AutoConfig.for_model(architecture).num_hidden_layers - 1


def test_processes_claim_one_device_each_and_then_share(tmp_path: Path) -> None:
    script = (
        "import sys; from pipeline.teacher.cuda_tuning import claim; print(claim(2, sys.argv[1]), claim(2, sys.argv[1]), flush=True);"
        "sys.stdin.read()"
    )
    workers = []
    found = []
    for _ in range(3):
        worker = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        found.append([*map(int, worker.stdout.readline().split())])
        workers.append(worker)
    assert found[:2] == [[0, 0], [1, 1]]  # a process keeps its device
    assert found[2][0] in (0, 1)
    workers[0].kill()
    workers[0].wait()
    assert claim(2, str(tmp_path)) == 0  # the lock of a killed process is free
    for worker in workers[1:]:
        worker.communicate()


def windows(lengths: list[int], size: int) -> list[Example]:
    generator = np.random.default_rng(1)
    made = []
    for index, length in enumerate(lengths):
        ids = generator.integers(5, size, length).astype(np.uint32)
        positions = np.sort(generator.permutation(np.arange(1, length - 1))[: length // 5]).astype(np.uint16)
        made.append(Example(doc_id="d", window=index, input_ids=ids, mask_positions=positions, label_ids=ids[positions]))
    return made


def test_padded_batches_hold_every_window() -> None:
    examples = windows([9, 30, 30, 12, 5, 30], 40)
    order = np.array([1, 5, 2, 3, 0, 4])
    batches = padded_batches(Windows.of(examples).take(order), [3, 2, 1], pad=0)
    assert [batch.attention_BT is None for batch in batches] == [True, False, True]
    rows = iter(order)
    for batch in batches:
        places, gold = [], []
        for row in range(len(batch.input_ids_BT)):
            example = examples[next(rows)]
            length = len(example.input_ids)
            assert batch.input_ids_BT[row].tolist() == [*example.input_ids, *[0] * (batch.input_ids_BT.shape[1] - length)]
            if batch.attention_BT is not None:
                assert batch.attention_BT[row].tolist() == [1] * length + [0] * (batch.input_ids_BT.shape[1] - length)
            places += [row * batch.input_ids_BT.shape[1] + int(place) for place in example.mask_positions]
            gold += example.label_ids.tolist()
        assert batch.places_M.tolist() == places
        assert batch.gold_M.tolist() == gold
    assert ragged(np.array([2, 0, 3]), np.array([2, 1, 0])).tolist() == [2, 3, 4, 0, 1]


def test_memory_that_runs_out_halves_the_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device that holds 100 tokens: the same labels, a message, and no second failure."""
    pieces = [*SPECIAL, *word_pieces(TEXTS["en"])]
    ids = np.arange(len(pieces), dtype=np.uint32)
    table = TeacherMap(
        teacher="t", union_ids=ids, predictable=ids > 4, real=ids > 4, lengths=np.ones(len(ids), np.int64), spelled=ids
    )
    teacher = TeacherModel(save_teacher(tmp_path / "t", pieces), "t", table, "float32")
    examples = windows([24] * 20 + [11, 7, 60], len(pieces))
    expected = teacher.label(examples, 0, 4, "auto")
    seen: list[int] = []

    def refuse(_: torch.nn.Module, __: Any, inputs: dict[str, Any]) -> None:
        seen.append(inputs["input_ids"].numel())
        if seen[-1] > 100:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is")

    hook = teacher.model.register_forward_pre_hook(refuse, with_kwargs=True)
    found = teacher.label(examples, 0, 4, "auto")
    assert np.array_equal(found.ids_MK, expected.ids_MK)
    assert np.abs(found.logits_MK.astype(float) - expected.logits_MK.astype(float)).max() < 2e-2
    assert "too little memory for batches of" in capsys.readouterr().err
    seen.clear()
    teacher.label(examples, 0, 4, "auto")
    assert max(seen) <= 100
    hook.remove()
    teacher.model.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):  # not even one window fits
        teacher.label(examples, 0, 4, "auto")
