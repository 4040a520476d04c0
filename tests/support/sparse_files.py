"""Small base models and sparse fine-tunings of them, made from random differences. The files are real, and so are the models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModelForMaskedLM

from data.sparse_file import SparseFile, SparseHeader
from student.bilingual.sparse_model import base_fingerprints, extract, head_names, sparse_names
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces

TAGS = "AutoModelForTokenClassification"
PAIRS = "AutoModelForSequenceClassification"
LABELS = ("ADJ", "NOUN", "VERB")


def save_base(folder: Path, seed: int = 0) -> Path:
    """A small BERT masked LM with its tokenizer."""
    return save_teacher(folder, [*SPECIAL, *word_pieces(TEXTS["en"])], seed=seed)


def labelled(folder: Path, auto_class: str = TAGS, labels: Sequence[str] = LABELS, seed: int = 0) -> Any:
    """The model of a folder with a random head."""
    torch.manual_seed(seed)
    names = dict(enumerate(labels))
    options = {"num_labels": len(labels), "id2label": names, "label2id": {label: place for place, label in names.items()}}
    return getattr(transformers, auto_class).from_pretrained(folder, **options).eval()


def changed(model: Any, seed: int, share: float = 0.05) -> dict[str, torch.Tensor]:
    """Change a share of the sparse parameters at random, in place. Returns what they were."""
    generator = torch.Generator().manual_seed(seed)
    before = {name: parameter.detach().clone() for name, parameter in sparse_names(model).items()}
    with torch.no_grad():
        for parameter in sparse_names(model).values():
            chosen = torch.rand(parameter.shape, generator=generator) < share
            parameter.add_(chosen * torch.randn(parameter.shape, generator=generator))
    return before


def sparse_of(model: Any, before: Mapping[str, torch.Tensor], base: Path, **fields: Any) -> SparseFile:
    """The differences of a changed model as content of a file. With `head`, its head too."""
    indices, values, shapes = extract(model, before)
    weights, tokenizer = base_fingerprints(base)
    header: dict[str, Any] = {
        "kind": "language",
        "base": base.name,
        "base_weights": weights,
        "base_tokenizer": tokenizer,
        "k": sum(map(len, indices.values())),
        "parameters": sum(tensor.numel() for tensor in before.values()),
        "eps": 1e-7,
    }
    dense = {name: parameter.detach().numpy().copy() for name, parameter in head_names(model).items()} if "head" in fields else {}
    return SparseFile(header=SparseHeader(**(header | fields)), indices=indices, values=values, shapes=shapes, dense=dense)


def of_language(base: Path, language: str, seed: int) -> SparseFile:
    """A sparse fine-tuning of a language."""
    model = AutoModelForMaskedLM.from_pretrained(base)
    return sparse_of(model, changed(model, seed), base, language=language)


def of_task(base: Path, seed: int, auto_class: str = TAGS) -> SparseFile:
    """A sparse fine-tuning of a task, with a head."""
    model = labelled(base, auto_class, seed=seed)
    return sparse_of(model, changed(model, seed), base, kind="task", task="udpos", language="en", labels=LABELS, head=auto_class)


def small_content(**parts: Any) -> SparseFile:
    """A sparse fine-tuning of no real model, in which parts can be replaced: fields of SparseFile or of its header."""
    header: dict[str, Any] = {
        "kind": "task",
        "base": "models/base",
        "base_weights": "a" * 64,
        "base_tokenizer": "b" * 64,
        "k": 6,
        "parameters": 20,
        "eps": 1e-7,
        "language": "de",
        "task": "udpos",
        "labels": ("NOUN", "„“ 名詞"),
        "head": TAGS,
    }
    content: dict[str, Any] = {
        "indices": {"embeddings.weight": np.array([0, 3, 11], np.int32), "layer.0.bias": np.array([2], np.int32)},
        "values": {"embeddings.weight": np.array([0.5, -1.25, 3e-6], np.float32), "layer.0.bias": np.array([-0.0], np.float32)},
        "shapes": {"embeddings.weight": (4, 3), "layer.0.bias": (3,)},
        "dense": {"classifier.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "classifier.bias": np.zeros(2, np.float32)},
    }
    fields = {name: value for name, value in parts.items() if name in header}
    content |= {name: value for name, value in parts.items() if name not in header}
    return SparseFile(header=SparseHeader(**(header | fields)), **content)
