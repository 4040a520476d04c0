"""LT-SFT: sparse fine-tuning by the lottery ticket (Ansell et al., ACL 2022), in two phases from the same beginning.

Full phase: all parameters are trained. The k entries that moved most are chosen, over all sparse parameters together. Everything goes back
to where it was, the head too. Sparse phase: only the chosen entries and the head are trained, with a new optimizer and schedule.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter

from student.bilingual.sparse_model import extract, head_names, sparse_names
from vocab.errors import InputError

EPS = 1e-7  # smaller differences are not kept
T = TypeVar("T")
Hook: TypeAlias = Callable[[], None]  # called after the gradients of a step are there, before they are clipped


@dataclass(frozen=True, kw_only=True)
class SparseTuned(Generic[T]):
    """How a sparse fine-tuning went, and what it found. The model has these weights now, exactly."""

    full: T  # what the full phase returned
    sparse: T
    k: int  # entries that the sparse phase could change
    parameters: int  # all sparse parameters
    indices: Mapping[str, NDArray[np.int32]]
    values: Mapping[str, NDArray[np.float32]]
    shapes: Mapping[str, tuple[int, ...]]
    dense: Mapping[str, NDArray[np.float32]]


def sparse_tune(
    model: Any, share: float, train: Callable[[str, Hook], T], *, freeze_norms: bool = True, l1: float = 0.0
) -> SparseTuned[T]:
    """Both phases on a model in place.

    share         k / all sparse parameters, rounded down
    train         trains the model in place, for a phase ("full", "sparse"); calls the hook in each step. The same beginning must give
                  the same steps: it makes its optimizer and its schedule anew
    freeze_norms  whether the normalisations of the encoder stay as they are, in both phases
    l1            weight of the mean |θ − θ0|, whose gradient is added in each step

    Raises InputError for a share that leaves no parameter.
    """
    frozen = _norms(model) if freeze_norms else set()
    for name, parameter in sparse_names(model).items():
        parameter.requires_grad_(name not in frozen)
    chosen = {name: parameter for name, parameter in sparse_names(model).items() if parameter.requires_grad}
    total = sum(parameter.numel() for parameter in chosen.values())
    k = int(share * total)
    if not 0 < k < total:
        raise InputError(
            f"--sparse {share:g}: leaves {k:,} of {total:,} parameters; expected a share with at least one, and not all"
        )
    start = {name: parameter.detach().clone() for name, parameter in sparse_names(model).items()}
    head = {name: parameter.detach().clone() for name, parameter in head_names(model).items()}

    def penalty() -> None:
        if l1:
            for name, parameter in chosen.items():
                if parameter.grad is not None:
                    parameter.grad.add_(torch.sign(parameter.detach() - start[name]), alpha=l1 / total)

    full = train("full", penalty)
    masks = largest_differences({name: parameter.detach() - start[name] for name, parameter in chosen.items()}, k)
    left = {name: ~mask for name, mask in masks.items()}
    _put(sparse_names(model), start)
    _put(head_names(model), head)

    def keep_chosen() -> None:
        penalty()
        for name, parameter in chosen.items():
            if parameter.grad is not None:
                parameter.grad.masked_fill_(
                    left[name], 0.0
                )  # not a product: 0 · ∞ is no number, and −0 would change the sign of a zero

    sparse = train("sparse", keep_chosen)
    indices, values, shapes = extract(model, start, eps=EPS)
    _put(sparse_names(model), start)
    with torch.no_grad():
        for name, places in indices.items():  # what a file with these differences gives, to the last bit
            flat = sparse_names(model)[name].view(-1)
            flat[torch.from_numpy(places.astype(np.int64)).to(flat.device)] += torch.from_numpy(values[name]).to(flat.device)
    return SparseTuned(
        full=full,
        sparse=sparse,
        k=k,
        parameters=total,
        indices=indices,
        values=values,
        shapes=shapes,
        dense={name: parameter.detach().float().cpu().numpy() for name, parameter in head_names(model).items()},
    )


def largest_differences(differences: Mapping[str, Tensor], k: int) -> dict[str, Tensor]:
    """A mask for each parameter, with k ones together: the entries of the largest size. Of equal ones, those that come first.

    If fewer than k entries moved, the ones that did not fill the number: the mask never has more than k ones. (A comparison with the k-th
    largest size would have all of them if that is 0.)
    """
    threshold = _kth_largest(differences, k)
    masks, larger = {}, 0
    for name, difference in differences.items():
        masks[name] = difference.abs().float() > threshold
        larger += int(masks[name].sum())
    room = k - larger
    for name, difference in differences.items():
        if room <= 0:
            break
        equal = (difference.abs().float() == threshold).view(-1).nonzero().view(-1)[:room]
        masks[name].view(-1)[equal] = True
        room -= len(equal)
    return masks


def _kth_largest(differences: Mapping[str, Tensor], k: int) -> float:
    """The k-th largest size, exactly. The bits of a float that is not negative are in its order, so two counts of 2^16 bins find it."""

    def bits(difference: Tensor) -> Tensor:
        return difference.abs().float().contiguous().view(-1).view(torch.int32)

    def bin_of(counts: Tensor, wanted: int) -> tuple[int, int]:
        """(the bin of the wanted-th largest, how many are wanted of it)."""
        from_above = counts.flip(0).cumsum(0)
        place = int(torch.searchsorted(from_above, torch.tensor(wanted)))
        before = int(from_above[place - 1]) if place else 0
        return len(counts) - 1 - place, wanted - before

    size = 1 << 16
    counts = sum(torch.bincount(bits(found) >> 16, minlength=size).cpu() for found in differences.values())
    high, wanted = bin_of(torch.as_tensor(counts), k)
    inside = [one[(one >> 16) == high] & (size - 1) for one in map(bits, differences.values())]
    counts = sum(torch.bincount(one, minlength=size).cpu() for one in inside)
    low, _left = bin_of(torch.as_tensor(counts), wanted)
    return float(torch.tensor([(high << 16) | low], dtype=torch.int32).view(torch.float32))


def _norms(model: Any) -> set[str]:
    """The sparse parameters that belong to a normalisation."""
    base = model.base_model
    held = {id(p) for module in base.modules() if "norm" in type(module).__name__.lower() for p in module.parameters(recurse=False)}
    return {name for name, parameter in sparse_names(model).items() if id(parameter) in held}


@torch.no_grad()
def _put(parameters: Mapping[str, Parameter], values: Mapping[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])
