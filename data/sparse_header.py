"""The header of a sparse fine-tuning's file: what it was trained from and for. In the file it is metadata, a string for each key."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vocab.errors import InputError, first_line

FORMAT, VERSION = "mergedistill-sparse", "1"
Kind = Literal["language", "task"]
_TEXTS = ("kind", "base", "base_weights", "base_tokenizer", "language", "task", "head")
_AGAIN = "fetch the file again, or make it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class SparseHeader:
    """What a sparse fine-tuning is."""

    kind: Kind
    base: str  # name or folder of the base model, for people
    base_weights: str  # data.identity.weights_fingerprint of its folder
    base_tokenizer: str  # fingerprint of its tokenizer
    k: int  # entries that training could change: the ones of the mask
    parameters: int  # all sparse parameters, |P|
    eps: float  # differences of at most this size were dropped
    language: str = ""  # that it was trained in
    task: str = ""  # as "udpos"
    labels: tuple[str, ...] = ()  # of the head's outputs, in their order
    head: str = ""  # a class of transformers, as "AutoModelForTokenClassification"; "" for a language

    @property
    def density(self) -> float:
        """The share of the parameters that training could change."""
        return self.k / self.parameters

    def check(self, path: Path) -> None:
        """Raise InputError for values that cannot be."""
        kinds = get_args(Kind)
        if self.kind not in kinds:
            raise InputError(f"{path}: kind: found '{self.kind}'; expected {' or '.join(kinds)}: {_AGAIN}")
        if not 0 <= self.k <= self.parameters or self.parameters == 0:
            raise InputError(
                f"{path}: found k = {self.k:,} of {self.parameters:,} parameters; expected 0 ≤ k ≤ parameters: {_AGAIN}"
            )
        if not (math.isfinite(self.eps) and self.eps >= 0):
            raise InputError(f"{path}: eps: found {self.eps}; expected a number of at least 0: {_AGAIN}")
        if (self.kind == "task") != bool(self.head):
            raise InputError(
                f"{path}: found the kind {self.kind} and the head '{self.head}'; expected a head for a task only: {_AGAIN}"
            )


def to_metadata(header: SparseHeader, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The metadata of a file: all strings."""
    return {
        "format": FORMAT,
        "version": VERSION,
        **{name: getattr(header, name) for name in _TEXTS},
        "labels": json.dumps(header.labels, ensure_ascii=False),
        "k": str(header.k),
        "parameters": str(header.parameters),
        "density": repr(header.density),
        "eps": repr(header.eps),
        "shapes": json.dumps(dict(shapes), ensure_ascii=False),
    }


def from_metadata(path: Path, metadata: Mapping[str, str]) -> tuple[SparseHeader, dict[str, tuple[int, ...]]]:
    """The header and the shapes of a file with this metadata. Raises InputError for another format or version, and what is missing."""
    if metadata.get("format") != FORMAT:
        found = f"'{metadata['format']}'" if "format" in metadata else "none"
        raise InputError(f"{path}: format: found {found}; expected '{FORMAT}': give a file of a sparse fine-tuning")
    if metadata.get("version") != VERSION:
        raise InputError(
            f"{path}: version: found '{metadata.get('version', '')}'; expected '{VERSION}': read it with the release that wrote it"
        )
    needed = (*_TEXTS, "labels", "k", "parameters", "eps", "shapes")
    if missing := [name for name in needed if name not in metadata]:
        raise InputError(f"{path}: its metadata lacks {', '.join(missing)}; expected all of {', '.join(needed)}: {_AGAIN}")
    numbers: dict[str, Any] = {}
    for name, kind in (("k", int), ("parameters", int), ("eps", float)):
        try:
            numbers[name] = kind(metadata[name])
        except ValueError:
            raise InputError(f"{path}: {name}: found '{metadata[name]}'; expected a number: {_AGAIN}") from None
    labels, shapes = _json(path, "labels", metadata), _json(path, "shapes", metadata)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"{path}: labels: found {labels}; expected a list of strings: {_AGAIN}")
    if not isinstance(shapes, dict) or not all(_is_shape(shape) for shape in shapes.values()):
        raise InputError(f"{path}: shapes: found {str(shapes)[:80]}; expected an object of names and lists of sizes: {_AGAIN}")
    texts: dict[str, Any] = {name: metadata[name] for name in _TEXTS}
    header = SparseHeader(**texts, **numbers, labels=tuple(labels))
    header.check(path)
    return header, {name: tuple(shape) for name, shape in shapes.items()}


def _json(path: Path, name: str, metadata: Mapping[str, str]) -> Any:
    try:
        return json.loads(metadata[name])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {name}: is no JSON ({first_line(error)}): {_AGAIN}") from None


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
