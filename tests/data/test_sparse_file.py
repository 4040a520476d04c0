"""The file of a sparse fine-tuning: what is written is read, bit for bit, and everything that is wrong with a file is named."""

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from data.sparse_file import SparseFile, read_sparse, write_sparse
from tests.support.sparse_files import small_content
from vocab.errors import InputError

EMBEDDINGS, BIAS = "embeddings.weight", "layer.0.bias"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "task.safetensors"
    write_sparse(path, small_content())
    return path


def rewritten(path: Path, tensors: Mapping[str, Any] = {}, metadata: Mapping[str, Any] = {}) -> Path:
    """The file with other tensors and metadata, as another program would write it. None removes one."""
    with safe_open(path, framework="np") as opened:
        old = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        facts = {**opened.metadata(), **metadata}
    content = {name: tensor for name, tensor in {**old, **tensors}.items() if tensor is not None}
    save_file(content, path, metadata={name: value for name, value in facts.items() if value is not None} or None)
    return path


def assert_same(found: SparseFile, expected: SparseFile) -> None:
    assert found.header == expected.header
    assert dict(found.shapes) == dict(expected.shapes)
    for part in ("indices", "values", "dense"):
        ours, theirs = getattr(found, part), getattr(expected, part)
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert ours[name].dtype == theirs[name].dtype
            assert ours[name].tobytes() == theirs[name].tobytes()


def test_what_is_written_is_read(file: Path) -> None:
    found = read_sparse(file, base_weights="a" * 64, base_tokenizer="b" * 64)
    assert_same(found, small_content())
    assert found.entries == 4
    assert found.header.density == 0.3
    assert np.signbit(found.values[BIAS][0])  # a negative zero stays one


def test_the_layout_is_what_the_docstring_says(file: Path) -> None:
    """Another program reads it with safetensors alone."""
    with safe_open(file, framework="np") as opened:
        facts = opened.metadata()
        assert sorted(opened.keys()) == sorted(
            [
                "classifier.bias",
                "classifier.weight",
                *(name + end for name in (EMBEDDINGS, BIAS) for end in (".indices", ".values")),
            ]
        )
        assert opened.get_tensor("embeddings.weight.indices").tolist() == [0, 3, 11]
    assert (facts["format"], facts["version"]) == ("mergedistill-sparse", "1")
    assert json.loads(facts["labels"]) == ["NOUN", "„“ 名詞"]
    assert json.loads(facts["shapes"]) == {EMBEDDINGS: [4, 3], BIAS: [3]}
    assert float(facts["density"]) == 0.3
    assert float(facts["eps"]) == 1e-7
    assert (facts["kind"], facts["k"], facts["parameters"]) == ("task", "6", "20")


def test_a_file_without_an_entry_is_legal(tmp_path: Path) -> None:
    nothing: Any = {"indices": {}, "values": {}, "shapes": {}, "dense": {}}
    content = small_content(kind="language", head="", labels=(), task="", k=0, **nothing)
    write_sparse(tmp_path / "none", content)
    assert_same(read_sparse(tmp_path / "none"), content)
    no_index, no_value = {BIAS: np.zeros(0, np.int32)}, {BIAS: np.zeros(0, np.float32)}
    content = replace(content, shapes={BIAS: (3,)}, indices=no_index, values=no_value)
    write_sparse(tmp_path / "empty", content)
    assert_same(read_sparse(tmp_path / "empty"), content)


def test_every_cut_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match="cut or damaged"):
            read_sparse(file)
    file.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match="cut or damaged"):
        read_sparse(file)


def test_flipped_bits_of_the_header_never_give_other_tensors(file: Path) -> None:
    """A flip is refused, or it changed a text of the metadata, or the name or shape of a tensor of the head."""
    whole, expected = file.read_bytes(), small_content()
    random.seed(0)
    refused = 0
    length = 8 + int.from_bytes(whole[:8], "little")
    for place in range(length):
        content = bytearray(whole)
        content[place] ^= 1 << random.randrange(8)
        file.write_bytes(content)
        try:
            found = read_sparse(file)
        except InputError:
            refused += 1
            continue
        assert sorted(tensor.tobytes() for tensor in found.dense.values()) == sorted(t.tobytes() for t in expected.dense.values())
        assert {name: list(places) for name, places in found.indices.items()} == {n: list(p) for n, p in expected.indices.items()}
    assert refused > 0.7 * length


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({}, {"format": None}, r"format: found none; expected 'mergedistill-sparse'"),
        ({}, {"format": "pt"}, r"format: found 'pt'"),
        ({}, {"version": "2"}, r"version: found '2'; expected '1'"),
        ({}, {"base_weights": None, "k": None}, r"lacks base_weights, k; expected all of"),
        ({}, {"k": "many"}, r"k: found 'many'; expected a number"),
        ({}, {"k": "21"}, r"k = 21 of 20 parameters"),
        ({}, {"k": "3"}, r"has 4 entries; expected at most k = 3"),
        ({}, {"eps": "nan"}, r"eps: found nan"),
        ({}, {"kind": "adapter"}, r"kind: found 'adapter'; expected language or task"),
        ({}, {"kind": "language"}, r"expected a head for a task only"),
        ({}, {"labels": "[1]"}, r"labels: found \[1\]; expected a list of strings"),
        ({}, {"labels": "[["}, r"labels: is no JSON"),
        ({}, {"shapes": json.dumps({EMBEDDINGS: [4, 3], BIAS: [True]})}, r"shapes: found"),
        ({}, {"shapes": json.dumps({EMBEDDINGS: [4, 3]})}, r"found layer.0.bias.indices, and no shape of layer.0.bias"),
        ({}, {"shapes": json.dumps({EMBEDDINGS: [11], BIAS: [3]})}, rf"{EMBEDDINGS} has the index 11; expected 0 to 10"),
        (
            {},
            {"shapes": json.dumps({EMBEDDINGS: [2**16, 2**15], BIAS: [3]})},
            r"has 2,147,483,648 entries; expected at most 2,147,",
        ),
        ({}, {"shapes": json.dumps({EMBEDDINGS: [4, 3], BIAS: [3], "x": [1]})}, r"x has no indices and no values"),
        ({f"{BIAS}.indices": np.array([2], np.int64)}, {}, rf"{BIAS}.indices is of the type I64; expected int32"),
        ({f"{BIAS}.values": np.array([2], np.float16)}, {}, rf"{BIAS}.values is of the type F16; expected float32"),
        ({f"{BIAS}.values": np.array([2], np.int32)}, {}, rf"{BIAS} has indices int32\[1\] and values int32\[1\]"),
        ({f"{BIAS}.values": np.array([[2]], np.float32)}, {}, rf"{BIAS} has indices int32\[1\] and values float32\[1, 1\]"),
        ({f"{EMBEDDINGS}.indices": np.array([0, 3, 3], np.int32)}, {}, rf"{EMBEDDINGS} has the index 3 twice"),
        ({f"{EMBEDDINGS}.indices": np.array([0, 3, 1], np.int32)}, {}, rf"{EMBEDDINGS} has the index 3 before 1"),
        ({f"{EMBEDDINGS}.indices": np.array([-1, 3, 4], np.int32)}, {}, rf"{EMBEDDINGS} has the index -1; expected 0 to 11"),
        (
            {f"{EMBEDDINGS}.indices": np.array([-(2**31), 2**31 - 1, 4], np.int32)},
            {},
            rf"{EMBEDDINGS} has the index 2147483647 before",
        ),
        ({f"{EMBEDDINGS}.indices": np.array([0, 3], np.int32)}, {}, rf"{EMBEDDINGS} has 2 indices and 3 values"),
        ({f"{EMBEDDINGS}.values": np.array([0, np.nan, 1], np.float32)}, {}, rf"{EMBEDDINGS} has the value nan at 3"),
        ({f"{EMBEDDINGS}.values": np.array([0, 1, np.inf], np.float32)}, {}, rf"{EMBEDDINGS} has the value inf at 11"),
        ({f"{BIAS}.values": None}, {}, rf"{BIAS} has indices and no values"),
        ({f"{BIAS}.indices": None}, {}, rf"{BIAS} has values and no indices"),
        ({"classifier.bias": np.array([np.inf, 0], np.float32)}, {}, r"classifier.bias is float32, or not finite"),
        ({"classifier.bias": None, "classifier.weight": None}, {}, r"0 tensors of a head and the class 'AutoModelForToken"),
    ],
)
def test_refusals(file: Path, tensors: Mapping[str, Any], metadata: Mapping[str, Any], message: str) -> None:
    rewritten(file, tensors, metadata)
    with pytest.raises(InputError, match=message) as caught:
        read_sparse(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: path.write_bytes(b""), "no safetensors file, or was cut"),
        (lambda path: path.write_text('{"format": "mergedistill-sparse"}'), "no safetensors file, or was cut"),
        (lambda path: save_file({"weight": np.zeros(1, np.float32)}, path, metadata={"format": "pt"}), "format: found 'pt'"),
    ],
)
def test_other_things_than_such_a_file(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "file")
    with pytest.raises(InputError, match=message):
        read_sparse(tmp_path / "file")


def test_another_base_is_refused_by_name(file: Path) -> None:
    with pytest.raises(InputError, match=r"'models/base'\) with weights of the fingerprint aaaaaaaaaaaa….* has cccccccccccc…"):
        read_sparse(file, base_weights="c" * 64)
    with pytest.raises(InputError, match=r"'models/base'\) with a tokenizer of the fingerprint bbbbbbbbbbbb….* has cccccccccccc…"):
        read_sparse(file, base_weights="a" * 64, base_tokenizer="c" * 64)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"shapes": {EMBEDDINGS: (2**16, 2**15), BIAS: (3,)}}, "entries; expected at most 2,147,483,647"),
        ({"shapes": {EMBEDDINGS: (4, 3)}}, f"{BIAS} has no shapes"),
        ({"values": {EMBEDDINGS: np.zeros(3, np.float32)}}, f"{BIAS} has no values"),
        ({"values": {EMBEDDINGS: np.zeros(3), BIAS: np.zeros(1, np.float32)}}, r"values float64\[3\]"),
        ({"k": 3}, "at most k = 3"),
        ({"kind": "language"}, "a head for a task only"),
        ({"dense": {"head.values": np.zeros(1, np.float32)}}, "found head.values, and no shape"),
    ],
)
def test_nothing_is_written_that_would_be_refused(tmp_path: Path, parts: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_sparse(tmp_path / "file", small_content(**parts))
    assert not list(tmp_path.iterdir())


def test_one_flipped_bit_is_found_wherever_it_is(file: Path) -> None:
    content = file.read_bytes()
    generator = random.Random(3)
    for place in [*range(len(content) - 40, len(content)), *generator.sample(range(len(content)), 200)]:
        broken = bytearray(content)
        broken[place] ^= 1 << generator.randrange(8)
        file.write_bytes(broken)
        with pytest.raises(InputError, match=re.escape(str(file))):
            read_sparse(file)
