"""The identity of a shard: what its labels depend on, so that no reader mixes shards that do not belong together.

An identity is a flat dict "field" → JSON scalar (or the mask rates, a list). Settings are stored as they are, so that an error can
show them; files as their sha256.
Two shards can be read together only if all fields agree, except the teacher's own fields (see `data.shards.check_identity`).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from data.contract import SCHEMA_VERSION
from data.recipe import Recipe
from data.storage import resolve
from data.storage_faults import storage_fault
from vocab.errors import InputError

Identity: TypeAlias = dict[str, str | int | float | list[float]]


def shard_identity(recipe: Recipe, *, dtype: str, union: str, tokenizer: str, weights: str, heldout: bool = False) -> Identity:
    """The identity of one teacher's shards.

    dtype      the type in which the teacher computes; "auto" was resolved, because it depends on the hardware
    union      fingerprint of the union vocabulary up to and including the teacher (its link of the chain), so a teacher that is
               added later changes nothing
    tokenizer  fingerprint of the teacher's tokenizer
    weights    fingerprint of the teacher's weights and configuration
    heldout    of the shards of held-out articles, which have the top k whatever predict.selection says
    """
    examples = {f"examples.{key}": value for key, value in recipe.examples.model_dump().items()}
    if isinstance(recipe.examples.maskings, list):  # a reader wants the number of copies; it is there whatever their rates
        examples |= {"examples.maskings": recipe.examples.copies, "examples.mask_rate": recipe.examples.rates}
    return {
        "schema_version": SCHEMA_VERSION,
        "top_k": recipe.predict.width(heldout=heldout),
        **({"selection": "sampled"} if recipe.predict.drawn(heldout=heldout) else {}),
        "logits": recipe.predict.logits,
        "dtype": dtype,
        "seed": recipe.seed,
        **examples,
        "union": union,
        "teacher.tokenizer": tokenizer,
        "teacher.weights": weights,
    }


def split_identity(identity: Identity, recipe: Recipe, *, heldout: bool) -> Identity:
    """The identity of a teacher's held-out or other shards, from that of the others."""
    if not heldout or not recipe.predict.drawn(heldout=False):
        return identity
    return {key: value for key, value in identity.items() if key != "selection"} | {"top_k": recipe.predict.top_k}


def differences(found: Mapping[str, object], expected: Mapping[str, object]) -> list[str]:
    """A line for each field that differs: "field: found X, expected Y". Empty if the identities agree."""
    fields = [*expected, *(field for field in found if field not in expected)]
    return [
        f"{field}: found {_short(found.get(field))}, expected {_short(expected.get(field))}"
        for field in fields
        if found.get(field) != expected.get(field)
    ]


def fingerprint(content: object) -> str:
    """sha256 of JSON content. The order of keys does not matter."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def file_fingerprint(*files: Path) -> str:
    """sha256 over the names and the bytes of files."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def location_fingerprint(location: str) -> str:
    """sha256 of the bytes of a file, local or at a URI."""
    filesystem, path = resolve(location)
    digest = hashlib.sha256()
    try:
        with filesystem.open_input_file(path) as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise storage_fault(location, error) or error from None
    return digest.hexdigest()


def weights_fingerprint(folder: Path) -> str:
    """sha256 of the configuration and the weights of a model folder (safetensors, else PyTorch's format)."""
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise InputError(
            f"model folder {folder}: found no weights; expected *.safetensors or pytorch_model*.bin: save the model there"
        )
    return file_fingerprint(folder / "config.json", *weights)


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text[:12] + "…" if len(text) == 64 else text
