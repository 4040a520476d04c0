"""Sparse fine-tunings and models: adds one to a model's weights, takes it off again, and reads one off a trained model.

LT-SFT (Ansell et al., ACL 2022): a model is θ0 + φ_language + φ_task, with the head of the task. The sparse parameters are those of the
base model (`model.base_model`: embeddings and layers). The pooler counts as part of the head: masked LMs are saved without one, so a
base has no θ0 for it. All else (the head) is dense.

Legend: V rows of the vocabulary, d width.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter

from data.identity import weights_fingerprint
from data.sparse_file import SparseFile
from vocab.errors import InputError
from vocab.teacher_vocabulary import vocabulary_of
from vocab.tokenizer_source import open_tokenizer


def base_fingerprints(folder: Path) -> tuple[str, str]:
    """The fingerprints of the weights and of the tokenizer of a model's folder, as a sparse fine-tuning of it names them."""
    name = folder.name
    return weights_fingerprint(folder), vocabulary_of(open_tokenizer(folder, name), name).tokenizer_fingerprint


def sparse_names(model: Any) -> dict[str, Parameter]:
    """P: the parameters of the base model by their name in it, each tied parameter once, without a pooler."""
    return {name: parameter for name, parameter in model.base_model.named_parameters() if "pooler" not in name}


def head_names(model: Any) -> dict[str, Parameter]:
    """The other parameters by their full name in the model: the head, and the pooler. Those tied to P are not among them."""
    sparse = {id(parameter) for parameter in sparse_names(model).values()}
    return {name: parameter for name, parameter in model.named_parameters() if id(parameter) not in sparse}


def add_sparse(model: Any, content: SparseFile) -> None:
    """Add the differences to the model's weights, in place. Only the touched entries are read and written.

    A masked LM whose output is tied to the embeddings changes in both places: see `untie`.

    Raises InputError for a parameter that the model lacks, or has in another shape. Then nothing was changed.
    """
    _change(model, content)


@contextmanager
def applied(model: Any, *contents: SparseFile) -> Iterator[None]:
    """Inside the block, the model has the differences of these sparse fine-tunings; the heads stay the model's own.

    At the end the touched entries get the bits that they had before: they are kept, not computed by a subtraction. Weights that other
    code changes inside the block at the same entries are lost. Raises InputError as `add_sparse`.
    """
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    try:
        for content in contents:
            kept.extend(_change(model, content))
        yield
    finally:
        for flat, places, before in reversed(kept):
            flat.index_copy_(0, places, before)


@torch.no_grad()
def _change(model: Any, content: SparseFile) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Add the differences. Returns what was there: (flat parameter, places, values)."""
    parameters = sparse_names(model)
    for name, shape in content.shapes.items():
        if name not in parameters:
            raise InputError(
                f"the sparse fine-tuning changes {name}, which {type(model).__name__} lacks; expected one of this model"
            )
        if tuple(parameters[name].shape) != tuple(shape):
            found = f"{list(shape)}, and the model's is {list(parameters[name].shape)}"
            raise InputError(f"the sparse fine-tuning has {name} with the shape {found}; expected one of this model")
    before = []
    for name in content.shapes:
        flat = parameters[name].detach().view(-1)
        places = torch.from_numpy(content.indices[name].astype(np.int64)).to(flat.device)
        values = torch.from_numpy(np.array(content.values[name])).to(flat.device)
        old = flat[places]
        before.append((flat, places, old))
        wide = torch.promote_types(flat.dtype, torch.float32)  # half a precision would round the difference before the sum
        flat.index_copy_(0, places, (old.to(wide) + values.to(wide)).to(flat.dtype))
    return before


@torch.no_grad()
def load_head(model: Any, content: SparseFile) -> None:
    """Put the head of a task's sparse fine-tuning into a model of the class `content.header.head`.

    Raises InputError if the names or the shapes are not those of the model's own head. Then nothing was changed.
    """
    head = head_names(model)
    whose = f"the head of the sparse fine-tuning ({content.header.task or content.header.kind})"
    if wrong := sorted(head.keys() ^ content.dense.keys()):
        without = "the model has no" if wrong[0] in content.dense else "it has no"
        raise InputError(f"{whose} is not that of {type(model).__name__}: {without} {wrong[0]}; expected a model of its class")
    for name, tensor in content.dense.items():
        if tensor.shape != tuple(head[name].shape):
            found = f"{list(tensor.shape)}, and the model's is {list(head[name].shape)}"
            raise InputError(f"{whose} has {name} with the shape {found}; expected a model with its labels")
    for name, tensor in content.dense.items():
        head[name].copy_(torch.from_numpy(np.array(tensor)))


Differences = tuple[dict[str, NDArray[np.int32]], dict[str, NDArray[np.float32]], dict[str, tuple[int, ...]]]


@torch.no_grad()
def extract(model: Any, base_state: Mapping[str, Tensor], *, eps: float = 1e-7) -> Differences:
    """The differences of a trained model from its base: (indices, values, shapes) of a SparseFile, entries with |θ − θ0| > eps.

    base_state  θ0 of every sparse parameter, by the names of `sparse_names`

    Parameters without such an entry are left out.
    """
    indices: dict[str, NDArray[np.int32]] = {}
    values: dict[str, NDArray[np.float32]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, parameter in sparse_names(model).items():
        difference = (parameter.detach().float() - base_state[name].to(parameter.device).float()).view(-1)
        places = (difference.abs() > eps).nonzero().view(-1)
        if len(places):
            indices[name] = places.cpu().numpy().astype(np.int32)
            values[name] = difference[places].cpu().numpy()
            shapes[name] = tuple(parameter.shape)
    return indices, values, shapes


def restrict_rows(content: SparseFile, name: str, kept_ids: NDArray[np.int64]) -> SparseFile:
    """The same for a model with a trimmed vocabulary: rows of the parameter `name` [V, d] that were dropped go, the others move.

    kept_ids  [V'] old id of each new id, strictly increasing

    The header stays, the base's fingerprints and k too: such content is for memory, not for a file. Content that does not touch the
    parameter is returned as it is. Raises InputError for ids that are not increasing or have no row.
    """
    if name not in content.shapes:
        return content
    rows, *rest = content.shapes[name]
    width = int(np.prod(rest, dtype=np.int64))
    if len(kept_ids) and (kept_ids[0] < 0 or kept_ids[-1] >= rows or (np.diff(kept_ids) <= 0).any()):
        raise InputError(
            f"the kept ids are not increasing or not below {rows:,}, the rows of {name}; expected ids of its vocabulary"
        )
    old_row, column = np.divmod(content.indices[name].astype(np.int64), width)
    new_row = np.searchsorted(kept_ids, old_row)
    inside = new_row < len(kept_ids)
    inside[inside] = kept_ids[new_row[inside]] == old_row[inside]
    places = (new_row * width + column)[inside].astype(np.int32)
    return replace(
        content,
        indices={**content.indices, name: places},
        values={**content.values, name: content.values[name][inside]},
        shapes={**content.shapes, name: (len(kept_ids), *rest)},
    )


@torch.no_grad()
def untie(model: Any) -> None:
    """Give a masked LM's head its own copy of each parameter that it shares, as the embeddings: its logits stay as they are.

    A language's sparse fine-tuning was trained with an output that kept the embeddings of θ0 (Ansell et al. 2022). Without this, it
    would change the output too. Also saved as config.tie_word_embeddings = False, so that a saved model loads as it is. A bias that
    the head has under two names gets a copy too: transformers ties it by the same setting, and would load it as zeros.
    """
    base, prefix = model.base_model, f"{model.base_model_prefix}."
    seen = {id(parameter) for parameter in base.parameters()}
    if base is not model:
        for name, parameter in list(model.named_parameters(remove_duplicate=False)):
            if name.startswith(prefix):
                continue
            if id(parameter) in seen:
                module, _, leaf = name.rpartition(".")
                setattr(model.get_submodule(module), leaf, Parameter(parameter.clone(), requires_grad=parameter.requires_grad))
            seen.add(id(parameter))
    model.config.tie_word_embeddings = False
