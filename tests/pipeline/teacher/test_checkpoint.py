"""What is read from a checkpoint before its weights: whether the head is there, and how long a window may be."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

from pipeline.teacher.checkpoint import inspect_checkpoint
from pipeline.teacher.model import load_masked_lm
from tests.support.architectures import save_masked_lm
from vocab.errors import InputError


@pytest.mark.parametrize(
    ("kind", "longest"),
    [("bert", 72), ("roberta", 71), ("mpnet", 70), ("data2vec-text", 71), ("ibert", 71), ("luke", 71), ("modernbert", 72)],
)
def test_a_position_table_that_begins_behind_the_padding(tmp_path: Path, kind: str, longest: int) -> None:
    """72 rows each. The longest window passes through the model, and one token more does not where there is a table."""
    model = save_masked_lm(kind, tmp_path, 50, 64)
    assert inspect_checkpoint(tmp_path, "t").longest == longest
    with torch.no_grad():
        model(input_ids=torch.full((1, longest), 7))
        if kind != "modernbert":
            with pytest.raises((IndexError, RuntimeError)):
                model(input_ids=torch.full((1, longest + 1), 7))


def declare(folder: Path, *names: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"architectures": list(names)}))


@pytest.mark.parametrize("name", ["OurBertWithGloss", "BertModel", "BertForSequenceClassification"])
def test_the_weights_decide_and_not_the_declared_class(tmp_path: Path, name: str) -> None:
    save_masked_lm("bert", tmp_path, 50, 64)
    declare(tmp_path, name)
    inspect_checkpoint(tmp_path, "t")
    load_masked_lm(tmp_path, "t")


def test_a_declared_class_does_not_replace_missing_weights(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    declare(tmp_path, "BertForMaskedLM")
    with pytest.raises(InputError, match=r"lacks \d+ weights of a masked LM \(cls\.predictions.*config names BertForMaskedLM"):
        inspect_checkpoint(tmp_path, "t")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("bert", "cls.predictions.bias", "cls.predictions.decoder.bias"),
        ("roberta", "lm_head.bias", "lm_head.decoder.bias"),
        ("albert", "predictions.bias", "predictions.decoder.bias"),
    ],
)
def test_two_biases_of_a_head(tmp_path: Path, kind: str, one: str, other: str) -> None:
    save_masked_lm(kind, tmp_path, 50, 64)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(weights | {other: weights[one].clone()}, tmp_path / "model.safetensors", {"format": "pt"})
    load_masked_lm(tmp_path, "t")
    save_file(weights | {other: weights[one] + 0.5}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=f"two different biases of its head, {other} and {one}"):
        load_masked_lm(tmp_path, "t")
