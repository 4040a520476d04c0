"""The file of a sparse fine-tuning: the few differences between a fine-tuned model and its base, and the head that was trained with it.

The method is LT-SFT (Ansell et al., Composable Sparse Fine-Tuning for Cross-Lingual Transfer, ACL 2022). Several of one base can be
added up: base + a language's + a task's. The file is safetensors. A parameter NAME has two tensors: NAME.indices, int32, places in the
flattened parameter (row by row), increasing; NAME.values, float32, the differences. The head's tensors have their own names. The
metadata is the header; `shapes` in it lists the sparse parameters, `sha256` is that of everything else.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from data.atomic import write_atomically
from data.identity import fingerprint
from data.sparse_header import SparseHeader as SparseHeader
from data.sparse_header import from_metadata, to_metadata
from data.storage_faults import storage_fault
from vocab.errors import InputError, first_line

INDICES, VALUES = ".indices", ".values"
CHECKSUM = "sha256"  # in the metadata
LARGEST = 2**31 - 1  # entries of a parameter: its places are int32
_AGAIN = "fetch the file again, or make it again"


@dataclass(frozen=True, kw_only=True)
class SparseFile:
    """A sparse fine-tuning.

    Names of sparse parameters are those of the base model without the prefix of its class, as "embeddings.word_embeddings.weight": they
    are the same in a masked LM and in a classifier.
    """

    header: SparseHeader
    indices: Mapping[str, NDArray[np.int32]]  # parameter → places in the flattened parameter, strictly increasing
    values: Mapping[str, NDArray[np.float32]]  # parameter → differences θ − θ0 at these places
    shapes: Mapping[str, tuple[int, ...]]  # parameter → its shape
    dense: Mapping[str, NDArray[np.float32]]  # tensors of the head by their full name in the model, as "classifier.weight"

    @property
    def entries(self) -> int:
        """The number of differences."""
        return sum(len(places) for places in self.indices.values())

    def fingerprint(self) -> str:
        """sha256 of what it adds to a model, and of the head."""
        digest = hashlib.sha256()
        for name, tensor in sorted(_tensors(self).items()):
            digest.update(f"{name}\0{tensor.shape}\0".encode())
            digest.update(np.ascontiguousarray(tensor).tobytes())
        return digest.hexdigest()


def write_sparse(path: Path, content: SparseFile) -> None:
    """Write the file atomically, and read it back before it becomes visible.

    Raises InputError for content that `read_sparse` would refuse, and for a parameter of more than 2^31 - 1 entries.
    """
    _check(path, content)
    tensors: dict[str, NDArray[Any]] = {}
    for name in content.shapes:
        tensors[name + INDICES] = np.ascontiguousarray(content.indices[name])
        tensors[name + VALUES] = np.ascontiguousarray(content.values[name])
    for name, tensor in content.dense.items():
        tensors[name] = np.asarray(tensor, order="C")
    metadata = to_metadata(content.header, content.shapes)
    written = save(tensors, metadata={**metadata, CHECKSUM: _checksum(metadata, content)})

    def check(temporary: str) -> None:
        found = read_sparse(Path(temporary))
        assert found.header == content.header
        assert dict(found.shapes) == dict(content.shapes)
        for name, tensor in _tensors(found).items():
            assert tensor.tobytes() == np.asarray(tensors[name]).tobytes(), name

    write_atomically(path, lambda out: out.write(written), check)


def read_sparse(path: Path, *, base_weights: str | None = None, base_tokenizer: str | None = None) -> SparseFile:
    """Read a file and check all of it.

    base_weights    fingerprint of the weights of the model that it is meant for (`data.identity.weights_fingerprint`); None: any
    base_tokenizer  fingerprint of that model's tokenizer; None: any

    Raises InputError for a file that is missing, damaged, of another format or version, or of another base.
    """
    metadata, tensors = _open(path)
    header, shapes = from_metadata(path, metadata)
    for what, found, expected in (
        ("weights", header.base_weights, base_weights),
        ("a tokenizer", header.base_tokenizer, base_tokenizer),
    ):
        if expected is not None and found != expected:
            raise InputError(
                f"{path}: belongs to a base model ('{header.base}') with {what} of the fingerprint {found[:12]}…; the given model has "
                f"{expected[:12]}…: give the model that it was trained from"
            )
    for name in shapes:
        for ending, other in ((INDICES, VALUES), (VALUES, INDICES)):
            if name + ending not in tensors:
                has = f"has {other[1:]} and no {ending[1:]}" if name + other in tensors else "has no indices and no values"
                raise InputError(f"{path}: {name} {has}; expected both: {_AGAIN}")
    sparse = {name + ending for name in shapes for ending in (INDICES, VALUES)}
    content = SparseFile(
        header=header,
        shapes=shapes,
        indices={name: tensors[name + INDICES] for name in shapes},
        values={name: tensors[name + VALUES] for name in shapes},
        dense={name: tensor for name, tensor in tensors.items() if name not in sparse},
    )
    _check(path, content)
    if metadata.get(CHECKSUM) != _checksum(metadata, content):
        raise InputError(f"{path}: its content is not what was written (sha256): {_AGAIN}")
    return content


def read_language_sparse(path: Path, language: str, *, base_weights: str, base_tokenizer: str) -> SparseFile:
    """The sparse fine-tuning of a language. Raises InputError as `read_sparse`, and for that of a task or of another language."""
    found = read_sparse(path, base_weights=base_weights, base_tokenizer=base_tokenizer)
    if found.header.kind != "language" or language not in found.header.language.split("+"):
        what = f"a {found.header.kind}'s, trained in '{found.header.language}'"
        raise InputError(f"{path}: is {what}; expected the sparse fine-tuning of the language '{language}'")
    return found


def _checksum(metadata: Mapping[str, str], content: SparseFile) -> str:
    """sha256 of the metadata without itself, and of all tensors."""
    facts = {name: value for name, value in metadata.items() if name != CHECKSUM}
    return fingerprint([facts, content.fingerprint()])


def _open(path: Path) -> tuple[Mapping[str, str], dict[str, NDArray[Any]]]:
    """The metadata and all tensors of a safetensors file."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no regular file" if path.exists() else "no such file"
        raise InputError(f"{path}: {found}; expected a file of a sparse fine-tuning (.safetensors): correct the path")
    try:
        with path.open("rb"):
            pass  # safetensors gives no reason for a file that it may not read
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - it is no dict
            if other := {name: found for name, found in types.items() if found not in ("I32", "F32")}:
                name, found = next(iter(other.items()))
                needed = "int32 (I32)" if name.endswith(INDICES) else "float32 (F32)"
                raise InputError(f"{path}: {name} is of the type {found}; expected {needed}: {_AGAIN}")
            return metadata, {name: file.get_tensor(name) for name in types}
    except OSError as error:
        raise storage_fault(path, error, local=True) or error from None
    except (SafetensorError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no safetensors file, or was cut or damaged ({first_line(error)}): {_AGAIN}") from None


def _tensors(content: SparseFile) -> dict[str, NDArray[Any]]:
    """The tensors as the file names them."""
    return {
        **{name + INDICES: places for name, places in content.indices.items()},
        **{name + VALUES: values for name, values in content.values.items()},
        **content.dense,
    }


def _check(path: Path, content: SparseFile) -> None:
    """Raise InputError for the first thing that is wrong."""
    header = content.header
    header.check(path)
    for name in content.shapes.keys() | content.indices.keys() | content.values.keys():
        parts = ("shapes", content.shapes), ("indices", content.indices), ("values", content.values)
        if missing := [part for part, found in parts if name not in found]:
            raise InputError(f"{path}: {name} has no {' and no '.join(missing)}; expected indices, values and a shape: {_AGAIN}")
        _check_parameter(f"{path}: {name}", content.indices[name], content.values[name], content.shapes[name])
    if content.entries > header.k:
        raise InputError(f"{path}: has {content.entries:,} entries; expected at most k = {header.k:,}: {_AGAIN}")
    if bool(content.dense) != bool(header.head):
        found = f"{len(content.dense)} tensors of a head and the class '{header.head}'"
        raise InputError(f"{path}: found {found}; expected a head's class and its tensors, or none of both: {_AGAIN}")
    for name, tensor in content.dense.items():
        if name.endswith((INDICES, VALUES)):
            whole = f"no shape of {name.removesuffix(INDICES).removesuffix(VALUES)} in the header"
            raise InputError(f"{path}: found {name}, and {whole}; expected one for each sparse parameter: {_AGAIN}")
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            raise InputError(f"{path}: {name} is {tensor.dtype}, or not finite; expected finite float32 numbers: {_AGAIN}")


def _check_parameter(where: str, indices: NDArray[np.int32], values: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    size = math.prod(shape)
    if size > LARGEST:
        raise InputError(f"{where} has {size:,} entries; expected at most {LARGEST:,}, because places are int32: leave it frozen")
    if indices.dtype != np.int32 or indices.ndim != 1 or values.dtype != np.float32 or values.ndim != 1:
        found = f"indices {indices.dtype}{list(indices.shape)} and values {values.dtype}{list(values.shape)}"
        raise InputError(f"{where} has {found}; expected int32[n] and float32[n]: {_AGAIN}")
    if len(indices) != len(values):
        raise InputError(f"{where} has {len(indices):,} indices and {len(values):,} values; expected as many: {_AGAIN}")
    if not len(indices):
        return
    steps = np.diff(indices.astype(np.int64))
    if (steps <= 0).any():
        place = int(np.argmax(steps <= 0))
        what = "twice" if steps[place] == 0 else f"before {indices[place + 1]}"
        raise InputError(f"{where} has the index {indices[place]} {what}; expected increasing indices, each once: {_AGAIN}")
    if indices[0] < 0 or indices[-1] >= size:
        wrong = indices[0] if indices[0] < 0 else indices[-1]
        raise InputError(f"{where} has the index {wrong}; expected 0 to {size - 1:,}, by its shape {list(shape)}: {_AGAIN}")
    if not np.isfinite(values).all():
        place = int(np.argmin(np.isfinite(values)))
        raise InputError(f"{where} has the value {values[place]} at {indices[place]}; expected finite numbers: {_AGAIN}")
