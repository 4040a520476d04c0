"""Sums and comparisons of sparse fine-tunings of one base, without the model.

A sum of differences is again a sparse fine-tuning: θ0 + φ_language + φ_task (LT-SFT, Ansell et al., ACL 2022, section 3).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.sparse_file import SparseFile, SparseHeader
from vocab.errors import InputError


def added_up(contents: Mapping[Path, SparseFile]) -> SparseFile:
    """The sum of the differences, with the head of the one task. k is the number of its entries; |P| the largest of the files.

    Raises InputError for different bases and two heads.
    """
    require_one_base(contents)
    task = only_task(contents)
    shapes = {name: shape for content in contents.values() for name, shape in content.shapes.items()}
    sums = {name: _sum([content for content in contents.values() if name in content.shapes], name) for name in shapes}
    headers = [content.header for content in contents.values()]
    entries = sum(len(places) for places, _ in sums.values())
    return SparseFile(
        header=SparseHeader(
            kind="task" if task else "language",
            base=headers[0].base,
            base_weights=headers[0].base_weights,
            base_tokenizer=headers[0].base_tokenizer,
            k=entries,
            parameters=max(entries, *(header.parameters for header in headers)),
            eps=max(header.eps for header in headers),
            language="+".join(dict.fromkeys(header.language for header in headers if header.language)),
            task=task.header.task if task else "",
            labels=task.header.labels if task else (),
            head=task.header.head if task else "",
        ),
        indices={name: places for name, (places, _) in sums.items()},
        values={name: values for name, (_, values) in sums.items()},
        shapes=shapes,
        dense=task.dense if task else {},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How two sparse fine-tunings agree in a part of the model. None: there is nothing to compare."""

    part: str
    first: int  # entries of the first
    second: int  # entries of the second
    shared: int  # entries of both
    overlap: float | None  # entries of both, as a share of those of one or both (Jaccard)
    cosine: float | None  # of the differences at the entries of both
    same_sign: float | None  # share of the entries of both


def agreements(one: SparseFile, other: SparseFile) -> list[Agreement]:
    """A row for each part of the model (a layer, or a module outside of layers), and a last one, "all"."""
    parts: dict[str, NDArray[np.float64]] = {}
    for name in dict.fromkeys((*one.shapes, *other.shapes)):
        part = _part(name)
        parts[part] = parts.get(part, np.zeros(7)) + _compared(one, other, name)
    ordered = sorted(parts.items(), key=lambda item: _order(item[0]))
    return [_agreement(part, figures) for part, figures in (*ordered, ("all", sum(parts.values(), np.zeros(7))))]


def only_task(contents: Mapping[Path, SparseFile]) -> SparseFile | None:
    """The one content of a task, if there is one. Raises InputError for two: a model has one head."""
    tasks = [file for file, content in contents.items() if content.header.kind == "task"]
    if len(tasks) > 1:
        raise InputError(
            f"found {len(tasks)} files of tasks ({tasks[0]}, {tasks[1]}); expected at most one, because a model has one head"
        )
    return contents[tasks[0]] if tasks else None


def require_one_base(contents: Mapping[Path, SparseFile]) -> None:
    """Raise InputError if the files belong to different base models, or contradict each other in a shape."""
    (first, expected), *others = contents.items()
    shapes = dict(expected.shapes)
    for file, content in others:
        for field, what in (("base_weights", "weights"), ("base_tokenizer", "tokenizer")):
            one, other = getattr(expected.header, field), getattr(content.header, field)
            if one != other:
                raise InputError(
                    f"{file}: belongs to the base '{content.header.base}' ({what} {other[:12]}…), and {first} to "
                    f"'{expected.header.base}' ({one[:12]}…); expected files of one base"
                )
        for name, shape in content.shapes.items():
            if shapes.setdefault(name, shape) != shape:
                found = f"{name} with the shape {list(shape)}, and another file with {list(shapes[name])}"
                raise InputError(f"{file}: has {found}; expected files of one base: one of them was damaged")


def _sum(contents: Sequence[SparseFile], name: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The union of the places of a parameter, and the sums of the differences there."""
    places, back = np.unique(np.concatenate([content.indices[name] for content in contents]), return_inverse=True)
    values = np.concatenate([content.values[name] for content in contents])
    return places, np.bincount(back, weights=values, minlength=len(places)).astype(np.float32)


def _part(name: str) -> str:
    """The part of a model that a parameter belongs to: its layer as "encoder.layer.3", or its module."""
    layer = re.match(r".*?\.\d+(?=\.)", name)
    return layer[0] if layer else name.rpartition(".")[0] or name


def _order(part: str) -> list[tuple[int, int | str]]:
    return [(0, int(word)) if word.isdigit() else (1, word) for word in part.split(".")]


def _compared(one: SparseFile, other: SparseFile, name: str) -> NDArray[np.float64]:
    """Sums over one parameter: entries of both files, shared entries, same signs, a·b, a·a, b·b."""
    none = np.zeros(0, dtype=np.int32)
    first, second = one.indices.get(name, none), other.indices.get(name, none)
    shared, at_first, at_second = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    a, b = np.zeros(0), np.zeros(0)
    if len(shared):
        a, b = one.values[name][at_first].astype(np.float64), other.values[name][at_second].astype(np.float64)
    signs = (np.sign(a) == np.sign(b)).sum()
    return np.array([len(first), len(second), len(shared), signs, a @ b, a @ a, b @ b], dtype=np.float64)


def _agreement(part: str, figures: NDArray[np.float64]) -> Agreement:
    first, second, shared = (int(count) for count in figures[:3])
    signs, product, of_first, of_second = (float(figure) for figure in figures[3:])
    union, norms = first + second - shared, float(np.sqrt(of_first * of_second))
    return Agreement(
        part=part,
        first=first,
        second=second,
        shared=shared,
        overlap=shared / union if union else None,
        cosine=product / norms if norms else None,
        same_sign=signs / shared if shared else None,
    )
