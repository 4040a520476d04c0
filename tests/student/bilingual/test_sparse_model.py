"""Sparse fine-tunings and models, against models that were changed densely."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM

from data.sparse_file import SparseFile, read_sparse, write_sparse
from student.bilingual.sparse_model import (
    add_sparse,
    applied,
    base_fingerprints,
    extract,
    head_names,
    load_head,
    restrict_rows,
    sparse_names,
    untie,
)
from tests.support.architectures import save_masked_lm
from tests.support.sparse_files import LABELS, PAIRS, TAGS, changed, labelled, of_language, of_task, save_base, sparse_of
from vocab.errors import InputError

WORDS = "embeddings.word_embeddings.weight"
IDS = torch.arange(4, 28).view(2, 12)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "base")


def masked_lm(base: Path) -> Any:
    return AutoModelForMaskedLM.from_pretrained(base).eval()


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model.eval()(input_ids=IDS)[0]


def bits(model: Any) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


@torch.no_grad()
def add_densely(model: Any, content: SparseFile) -> None:
    """The slow way: a dense difference for each parameter."""
    for name, parameter in model.base_model.named_parameters():
        if name in content.shapes:
            dense = np.zeros(parameter.numel(), dtype=np.float32)
            dense[content.indices[name]] = content.values[name]
            parameter.copy_(torch.from_numpy(dense.reshape(content.shapes[name])) + parameter)


def test_the_sparse_parameters_are_those_of_the_base_model(base: Path) -> None:
    plain = AutoModel.from_pretrained(base)
    names = {name for name, _ in plain.named_parameters() if not name.startswith("pooler.")}
    for model in (masked_lm(base), labelled(base), labelled(base, PAIRS), plain):
        assert set(sparse_names(model)) == names
    assert set(head_names(labelled(base))) == {"classifier.weight", "classifier.bias"}
    pooler = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert set(head_names(labelled(base, PAIRS))) == pooler | {"classifier.weight", "classifier.bias"}


def test_a_trained_model_is_its_base_with_the_differences(base: Path, tmp_path: Path) -> None:
    trained = labelled(base, seed=3)
    before = changed(trained, seed=1)
    write_sparse(tmp_path / "file", sparse_of(trained, before, base, kind="task", task="udpos", labels=LABELS, head=TAGS))
    weights, tokenizer = base_fingerprints(base)
    content = read_sparse(tmp_path / "file", base_weights=weights, base_tokenizer=tokenizer)
    found = labelled(base, seed=4)
    assert not torch.allclose(logits(found), logits(trained), atol=1e-2)
    add_sparse(found, content)
    load_head(found, content)
    torch.testing.assert_close(logits(found), logits(trained), rtol=1e-5, atol=1e-5)
    for name, parameter in sparse_names(found).items():
        torch.testing.assert_close(parameter, sparse_names(trained)[name], rtol=0, atol=1e-6)


def test_extract_keeps_what_is_larger_than_eps(base: Path) -> None:
    model = masked_lm(base)
    before = {name: parameter.detach().clone() for name, parameter in sparse_names(model).items()}
    bias = sparse_names(model)["encoder.layer.0.output.dense.bias"]  # zeros
    with torch.no_grad():
        bias[:4] = torch.tensor([0.5, 1e-6, -3e-7, 0.9e-7])
    indices, values, shapes = extract(model, before)
    assert {name: places.tolist() for name, places in indices.items()} == {"encoder.layer.0.output.dense.bias": [0, 1, 2]}
    assert shapes == {"encoder.layer.0.output.dense.bias": (32,)}
    assert next(iter(values.values())).tolist() == np.array([0.5, 1e-6, -3e-7], np.float32).tolist()
    assert next(iter(extract(model, before, eps=1e-3)[0].values())).tolist() == [0]


def test_a_language_and_a_task_add_up_as_densely(base: Path) -> None:
    language, task = of_language(base, "de", seed=1), of_task(base, seed=2)
    expected, found = labelled(base), labelled(base)
    for content in (language, task):
        add_densely(expected, content)
        add_sparse(found, content)
    assert bits(found) == bits(expected)
    assert bits(found) != bits(labelled(base))


def test_applied_puts_back_the_same_bits(base: Path) -> None:
    language, task = of_language(base, "de", seed=1), of_task(base, seed=2)
    model = masked_lm(base)
    with torch.no_grad():  # values that a subtraction would not give back
        sparse_names(model)[WORDS].view(-1)[torch.from_numpy(language.indices[WORDS]).long()[::2]] = -0.0
        sparse_names(model)["encoder.layer.0.output.dense.weight"].mul_(1e-9)
    before = bits(model)
    expected = AutoModelForMaskedLM.from_pretrained(base)
    expected.load_state_dict(model.state_dict())
    for content in (language, task):
        add_densely(expected, content)
    with applied(model, language, task):
        assert bits(model) == bits(expected)
    assert bits(model) == before
    with pytest.raises(ZeroDivisionError), applied(model, language):
        raise ZeroDivisionError
    assert bits(model) == before


def test_gradients_flow_inside_and_after_the_block(base: Path) -> None:
    model = masked_lm(base)
    with applied(model, of_language(base, "de", seed=1)):
        model(input_ids=IDS)[0].sum().backward()
    model(input_ids=IDS)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in sparse_names(model).values())


def test_half_precision_is_rounded_once(base: Path) -> None:
    content = of_language(base, "de", seed=1)
    model = masked_lm(base).to(torch.bfloat16)
    exact = {name: parameter.detach().float() for name, parameter in sparse_names(model).items()}
    add_sparse(model, content)
    for name, parameter in sparse_names(model).items():
        if name in content.shapes:
            dense = exact[name].view(-1).clone()
            dense[torch.from_numpy(content.indices[name]).long()] += torch.from_numpy(content.values[name])
            assert torch.equal(parameter.view(-1), dense.to(torch.bfloat16)), name


def test_what_does_not_fit_changes_nothing(base: Path, tmp_path: Path) -> None:
    language, task = of_language(base, "de", seed=1), of_task(base, seed=2)
    model = labelled(base)
    before = bits(model)
    unknown = {"encoder.layer.9.output.dense.bias": (32,)}
    places = {**language.indices, "encoder.layer.9.output.dense.bias": np.zeros(1, np.int32)}
    with pytest.raises(InputError, match=r"changes encoder.layer.9.output.dense.bias, which BertForTokenClassification lacks"):
        add_sparse(model, replace(language, shapes={**language.shapes, **unknown}, indices=places))
    with pytest.raises(InputError, match=rf"{WORDS} with the shape \[2, 16\], and the model's is"):
        add_sparse(model, replace(language, shapes={**language.shapes, WORDS: (2, 16)}))
    with pytest.raises(InputError, match=r"has no classifier.bias"):
        load_head(model, replace(task, dense={"classifier.weight": task.dense["classifier.weight"]}))
    with pytest.raises(InputError, match=r"the model has no classifier.extra"):
        load_head(model, replace(task, dense={**task.dense, "classifier.extra": np.zeros(1, np.float32)}))
    with pytest.raises(InputError, match=r"classifier.bias with the shape \[3\], and the model's is \[2\]"):
        load_head(labelled(base, labels=("A", "B")), replace(task, dense=dict(sorted(task.dense.items()))))
    with (
        pytest.raises(InputError, match=r"encoder.layer.9"),
        applied(model, language, replace(language, shapes=unknown, indices=places)),
    ):
        pass
    assert bits(model) == before


def test_restricted_rows_are_those_of_the_dense_difference(base: Path) -> None:
    content = of_language(base, "de", seed=1)
    rows, width = content.shapes[WORDS]
    for kept in (np.arange(0, rows, 3), np.array([rows - 1]), np.arange(rows), np.zeros(0, np.int64)):
        dense = np.zeros(rows * width, np.float32)
        dense[content.indices[WORDS]] = content.values[WORDS]
        expected = dense.reshape(rows, width)[kept]
        found = restrict_rows(content, WORDS, kept)
        assert found.shapes[WORDS] == expected.shape
        rebuilt = np.zeros(expected.size, np.float32)
        rebuilt[found.indices[WORDS]] = found.values[WORDS]
        assert np.array_equal(rebuilt.reshape(expected.shape), expected)
        assert found.indices[WORDS].dtype == np.int32
        assert (np.diff(found.indices[WORDS].astype(np.int64)) > 0).all()
        assert found.header == content.header
        others = [name for name in content.shapes if name != WORDS]
        assert all(found.indices[name] is content.indices[name] for name in others)
    assert restrict_rows(content, "no such parameter", np.arange(3)) is content
    for wrong in ([0, rows], [-1, 2], [3, 3], [4, 2]):
        with pytest.raises(InputError, match=f"not below {rows}"):
            restrict_rows(content, WORDS, np.array(wrong))


@pytest.mark.parametrize("kind", ["bert", "roformer", "roberta", "distilbert", "xlm-roberta", "deberta-v2", "electra", "albert"])
def test_an_untied_model_is_saved_and_loaded_as_it_is(kind: str, tmp_path: Path) -> None:
    model = save_masked_lm(kind, tmp_path / "base", vocab_size=50, positions=64)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    whole, embeddings = logits(model), model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is embeddings
    untie(model)
    assert torch.equal(logits(model), whole)
    theta0 = embeddings.detach().clone()
    with torch.no_grad():
        embeddings[5:30] += torch.randn(25, embeddings.shape[1])
    assert torch.equal(model.get_output_embeddings().weight, theta0)  # the output keeps θ0
    model.save_pretrained(tmp_path / "saved")
    loaded, loading = AutoModelForMaskedLM.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loaded.config.tie_word_embeddings
    assert torch.equal(logits(loaded), logits(model))
    assert not torch.allclose(logits(loaded), whole, atol=1e-2)
    untie(loaded)  # again: nothing happens
    assert torch.equal(logits(loaded), logits(model))


def test_fingerprints_follow_the_weights_and_the_tokenizer(base: Path, tmp_path: Path) -> None:
    weights, tokenizer = base_fingerprints(base)
    other = base_fingerprints(save_base(tmp_path / "other", seed=1))
    assert other[0] != weights
    assert other[1] == tokenizer
