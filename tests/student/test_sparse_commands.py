"""`mergedistill sparse`: info, apply, merge and diff on real files of a small base model, as a user calls them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from cli import main
from data.sparse_file import read_sparse, write_sparse
from student.bilingual.sparse_model import add_sparse, load_head, sparse_names, untie
from tests.support.architectures import save_masked_lm
from tests.support.sparse_files import LABELS, PAIRS, TAGS, labelled, of_language, of_task, save_base

TEXT = "The river flows through the city ."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, another base, and files of both."""
    folder = tmp_path_factory.mktemp("sparse")
    base, other = save_base(folder / "base"), save_base(folder / "other", seed=1)
    write_sparse(folder / "de.safetensors", of_language(base, "de", seed=1))
    write_sparse(folder / "tr.safetensors", of_language(base, "tr", seed=2))
    write_sparse(folder / "tags.safetensors", of_task(base, seed=3))
    write_sparse(folder / "pairs.safetensors", of_task(base, seed=4, auto_class=PAIRS))
    write_sparse(folder / "others.safetensors", of_language(other, "de", seed=1))
    return folder


def call(*command: object) -> str:
    result = CliRunner().invoke(main, ["sparse", *map(str, command)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*command: object) -> str:
    """The one line of a mistake."""
    result = CliRunner().invoke(main, ["sparse", *map(str, command)])
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def files(folder: Path, *names: str) -> list[Path]:
    return [folder / f"{name}.safetensors" for name in names]


@torch.no_grad()
def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    return model.eval()(**tokenizer(TEXT, return_tensors="pt"))[0]


def test_info(folder: Path) -> None:
    shown = json.loads(call("info", *files(folder, "de", "tags"), "--json"))
    language, task = shown["rows"]
    content = read_sparse(folder / "tags.safetensors")
    assert (language["kind"], language["language"], language["task"], language["head"]) == ("language", "de", None, None)
    assert (task["kind"], task["language"], task["task"], task["head"], task["base"]) == ("task", "en", "udpos", TAGS, "base")
    assert task["entries"] == task["k"] == content.entries
    assert task["density"] == content.entries / content.header.parameters
    largest = max(content.indices, key=lambda name: len(content.indices[name]))
    assert f"{largest} {len(content.indices[largest]):,}, " in shown["notes"][1]
    assert "entries" in call("info", folder / "de.safetensors").splitlines()[0]


@pytest.mark.parametrize(
    ("names", "opened", "auto_class"),
    [
        (("de", "tags"), AutoModelForTokenClassification, TAGS),
        (("pairs", "tr", "de"), AutoModelForSequenceClassification, PAIRS),
        (("de",), AutoModelForMaskedLM, ""),
    ],
)
def test_an_applied_folder_is_an_ordinary_model(
    folder: Path, tmp_path: Path, names: Sequence[str], opened: Any, auto_class: str
) -> None:
    call("apply", folder / "base", *files(folder, *names), "--out", tmp_path / "new")
    expected = labelled(folder / "base", auto_class) if auto_class else AutoModelForMaskedLM.from_pretrained(folder / "base")
    untie(expected)
    for name in names:
        content = read_sparse(folder / f"{name}.safetensors")
        add_sparse(expected, content)
        if content.header.head:
            load_head(expected, content)
    model, loading = opened.from_pretrained(tmp_path / "new", output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    tokenizer, theirs = (AutoTokenizer.from_pretrained(path) for path in (tmp_path / "new", folder / "base"))
    assert tokenizer(TEXT) == theirs(TEXT)
    assert tokenizer.mask_token_id == theirs.mask_token_id
    ours, wanted = model.state_dict(), expected.state_dict()
    assert ours.keys() == wanted.keys()
    assert all(torch.equal(ours[name], wanted[name]) for name in ours)
    torch.testing.assert_close(logits(model, tokenizer), logits(expected, theirs))
    if auto_class:
        assert model.config.id2label == dict(enumerate(LABELS))
        assert model.config.label2id == {label: place for place, label in enumerate(LABELS)}
    else:  # the output keeps the base's embeddings
        base = AutoModelForMaskedLM.from_pretrained(folder / "base")
        assert torch.equal(model.get_output_embeddings().weight, base.get_input_embeddings().weight)
        assert not torch.equal(model.get_input_embeddings().weight, base.get_input_embeddings().weight)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_a_merged_file_is_the_sum(folder: Path, tmp_path: Path) -> None:
    shown = json.loads(call("merge", *files(folder, "de", "tags", "tr"), "--out", tmp_path / "sum.safetensors", "--json"))
    parts = [read_sparse(path) for path in files(folder, "de", "tags", "tr")]
    merged = read_sparse(tmp_path / "sum.safetensors")
    for name, shape in merged.shapes.items():
        dense = np.zeros(int(np.prod(shape)))
        for part in parts:
            np.add.at(dense, part.indices.get(name, np.zeros(0, np.int32)), part.values.get(name, np.zeros(0)))
        union = np.unique(np.concatenate([part.indices[name] for part in parts if name in part.indices]))
        assert np.array_equal(merged.indices[name], union)
        np.testing.assert_array_equal(merged.values[name], dense[union].astype(np.float32))
    header = merged.header
    assert (header.kind, header.task, header.language, header.labels, header.head) == ("task", "udpos", "de+en+tr", LABELS, TAGS)
    assert header.k == merged.entries == shown["facts"]["entries"] == shown["rows"][-1]["entries"]
    assert merged.entries < sum(part.entries for part in parts)
    assert {name: tensor.tobytes() for name, tensor in merged.dense.items()} == {n: t.tobytes() for n, t in parts[1].dense.items()}


def test_a_merged_file_is_applied_as_its_parts(folder: Path, tmp_path: Path) -> None:
    call("merge", *files(folder, "de", "tags"), "--out", tmp_path / "sum.safetensors")
    call("apply", folder / "base", tmp_path / "sum.safetensors", "--out", tmp_path / "sum")
    call("apply", folder / "base", *files(folder, "de", "tags"), "--out", tmp_path / "parts")
    one, other = (AutoModelForTokenClassification.from_pretrained(tmp_path / name) for name in ("sum", "parts"))
    for name, parameter in sparse_names(one).items():
        torch.testing.assert_close(parameter, sparse_names(other)[name], rtol=1e-6, atol=1e-6)
    call("merge", *files(folder, "de", "tr"), "--out", tmp_path / "languages.safetensors")
    assert read_sparse(tmp_path / "languages.safetensors").header.kind == "language"


def test_diff_against_sets_and_dense_vectors(folder: Path) -> None:
    rows = json.loads(call("diff", *files(folder, "de", "tags"), "--json"))["rows"]
    one, other = (read_sparse(path) for path in files(folder, "de", "tags"))
    assert [row["part"] for row in rows] == [
        "embeddings.LayerNorm",
        "embeddings.position_embeddings",
        "embeddings.token_type_embeddings",
        "embeddings.word_embeddings",
        "encoder.layer.0",
        "all",
    ]
    for row in rows:
        prefix = "" if row["part"] == "all" else row["part"] + "."
        first, second = (
            {
                (name, int(place)): float(value)
                for name, places in content.indices.items()
                if name.startswith(prefix)
                for place, value in zip(places, content.values[name], strict=True)
            }
            for content in (one, other)
        )
        shared = sorted(first.keys() & second.keys())
        assert (row["entries_a"], row["entries_b"], row["in_both"]) == (len(first), len(second), len(shared))
        if first.keys() | second.keys():
            assert row["overlap"] == pytest.approx(len(shared) / len(first.keys() | second.keys()))
        if shared:
            a, b = np.array([first[key] for key in shared]), np.array([second[key] for key in shared])
            assert row["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-9)
            assert row["same_sign"] == pytest.approx(np.mean(np.sign(a) == np.sign(b)))
    assert rows[-1]["in_both"] > 10
    content = read_sparse(folder / "de.safetensors")
    write_sparse(folder / "minus.safetensors", replace(content, values={name: -values for name, values in content.values.items()}))
    opposite = json.loads(call("diff", *files(folder, "de", "minus"), "--json"))["rows"][-1]
    assert (opposite["overlap"], opposite["cosine"], opposite["same_sign"]) == (1.0, pytest.approx(-1.0), 0.0)


def test_another_base_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    for command in (
        ("apply", folder / "base", *files(folder, "de", "others"), "--out", tmp_path / "new"),
        ("merge", *files(folder, "de", "others"), "--out", tmp_path / "new"),
        ("diff", *files(folder, "de", "others")),
    ):
        line = refused(*command)
        fingerprints = [read_sparse(path).header.base_weights[:12] for path in files(folder, "de", "others")]
        assert "others.safetensors: belongs to" in line
        assert "'other'" in line
        assert all(fingerprint in line for fingerprint in fingerprints)
    assert not list(tmp_path.iterdir())


def test_other_mistakes(folder: Path, tmp_path: Path) -> None:
    base, new = folder / "base", ("--out", tmp_path / "new")
    assert "tags.safetensors, " in refused("apply", base, *files(folder, "tags", "pairs"), *new)
    assert "one head" in refused("merge", *files(folder, "tags", "pairs"), *new)
    assert "given twice" in refused("apply", base, *files(folder, "de", "de"), *new)
    assert "given twice" in refused("merge", *files(folder, "de", "de"), *new)
    assert "given twice" in refused("diff", *files(folder, "de", "de"))
    assert "expected two or more" in refused("merge", *files(folder, "de"), *new)
    assert "no such file" in refused("info", tmp_path / "none")
    assert "format: found 'pt'" in refused("info", base / "model.safetensors")
    assert "is not a folder" in refused("apply", tmp_path / "none", *files(folder, "de"), *new)
    assert "already holds something" in refused("apply", base, *files(folder, "de"), "--out", folder)
    assert "de.safetensors: exists" in refused("merge", *files(folder, "de", "tr"), "--out", folder / "de.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_head_that_is_not_the_models(folder: Path, tmp_path: Path) -> None:
    content = read_sparse(folder / "tags.safetensors")
    command = ("apply", folder / "base", tmp_path / "file", "--out", tmp_path / "new")
    for head in ("os", "AutoModelForMissing"):
        write_sparse(tmp_path / "file", replace(content, header=replace(content.header, head=head)))
        assert f"found the head '{head}'; expected a class of transformers" in refused(*command)
    write_sparse(tmp_path / "file", replace(content, header=replace(content.header, labels=LABELS[:2])))
    assert "with the shape [3" in refused(*command)
    write_sparse(tmp_path / "file", replace(content, dense={"classifier.bias": content.dense["classifier.bias"]}))
    assert "classifier.weight" in refused(*command)
    assert not (tmp_path / "new").exists()


def test_a_base_without_its_masked_lm_head(folder: Path, tmp_path: Path) -> None:
    """Its missing weights would be random; a task's file brings its own head, so there it is enough."""
    AutoModel.from_pretrained(folder / "base").save_pretrained(tmp_path / "plain")
    AutoTokenizer.from_pretrained(folder / "base").save_pretrained(tmp_path / "plain")
    write_sparse(tmp_path / "de", of_language(folder / "base", "de", seed=1))
    assert "de: belongs to a base model ('base')" in refused(
        "apply", tmp_path / "plain", tmp_path / "de", "--out", tmp_path / "new"
    )
    write_sparse(tmp_path / "de", of_language(tmp_path / "plain", "de", seed=1))
    assert "weights (cls.predictions" in refused("apply", tmp_path / "plain", tmp_path / "de", "--out", tmp_path / "new")
    write_sparse(tmp_path / "tags", of_task(tmp_path / "plain", seed=3))
    call("apply", tmp_path / "plain", tmp_path / "tags", "--out", tmp_path / "new")
    assert AutoModelForTokenClassification.from_pretrained(tmp_path / "new").config.num_labels == 3


def test_files_that_contradict_each_other(folder: Path, tmp_path: Path) -> None:
    content = read_sparse(folder / "de.safetensors")
    name = next(iter(content.shapes))
    write_sparse(tmp_path / "odd", replace(content, shapes={**content.shapes, name: (1000, 1000)}))
    assert f"odd: has {name} with the shape [1000, 1000]" in refused(
        "merge", folder / "tr.safetensors", tmp_path / "odd", "--out", "x"
    )
    assert f"has {name} with the shape [1000, 1000], and the model's is" in refused(
        "apply", folder / "base", tmp_path / "odd", "--out", tmp_path / "new"
    )
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "odd")
    assert "format: found none" in refused("diff", folder / "tr.safetensors", tmp_path / "odd")


def test_a_type_of_model_that_cannot_be_untied(folder: Path, tmp_path: Path) -> None:
    """BART ties its encoder's and its decoder's embeddings by the same setting: a saved folder would load with random ones."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    save_masked_lm("bart", tmp_path / "bart", vocab_size=len(tokenizer), positions=64)
    tokenizer.save_pretrained(tmp_path / "bart")
    write_sparse(tmp_path / "de", of_language(tmp_path / "bart", "de", seed=1))
    line = refused("apply", tmp_path / "bart", tmp_path / "de", "--out", tmp_path / "new")
    assert "a model of the type 'bart' cannot be saved with untied embeddings" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bart", "de"]
