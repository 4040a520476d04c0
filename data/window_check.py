"""Does a model's label of a window depend on the window alone? Asked before a teacher is paid, and before a student is trained.

Some published architectures break this: their attention mask does not hide padding (ConvBERT, FNet), or a forward pass changes how the
next one works (BigBird). No check of a shard could find such labels later. So a few windows go through the model in every way that
batches are made, and the logits are compared with those of the plain forward pass of each window alone.

Nothing here imports torch: a model is reached through two functions on arrays. Legend: W windows, B batch, T tokens, M positions that are
compared, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.random_bits import random_bits
from vocab.errors import InputError, first_line
from vocab.roles import Roles

# (input_ids [B, T], attention mask [B, T] or None, places b·T + t [M]) → logits [M, V] in float32
Forward: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]], NDArray[np.float32]]

Batches: TypeAlias = Literal["similar", "equal"]  # lengths of the windows of one batch; equal: also a fresh state for each batch

_TOLERANCE = 1e-3  # of the standard deviation of a position's logits. Rounding in float32 gives less than a tenth of this
_POSITIONS = 8  # that are compared in a window, at most


class WindowsDiffer(Exception):
    """The model's labels depend on more than the window. The text says in which way, and by how much."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a model's windows can be put into batches."""

    batches: Batches
    reason: str = ""  # why not batches of similar lengths


def check_windows(plain: Forward, ours: Forward, windows: Sequence[NDArray[np.int64]], pad: int, model: Any) -> Verdict:
    """Compare `ours` with `plain`, the forward pass that transformers documents, in float32.

    windows  made by `windows_for`
    model    a torch module: its state is put back where a pass changed it

    Raises WindowsDiffer if batches of equal length and a fresh state do not help either.
    """
    state = ModuleState(model)
    expected = []
    for window in windows:
        state.restore()
        expected.append(_run(plain, [window], pad))
    for window, logits in zip(windows, expected, strict=True):
        state.restore()
        if worst := _difference(_run(plain, [window], pad), logits):
            raise WindowsDiffer(f"two passes of one window of {len(window)} tokens differ by {worst}: the model draws at random")
    state.restore()
    try:
        _compare(ours, _ways(windows), windows, expected, pad)
        return Verdict(batches="similar")
    except WindowsDiffer as found:
        reason = str(found)
    finally:
        state.restore()
    equal = [
        [index for index, other in enumerate(windows) if len(other) == length]
        for length in sorted({len(window) for window in windows})
    ]
    for group in equal:
        for masked in (True, False):
            state.restore()
            _compare(ours, [("in a batch of equal lengths", group, masked)], windows, expected, pad)
    state.restore()
    return Verdict(batches="equal", reason=reason)


def windows_for(roles: Roles, usable_V: NDArray[np.bool_], max_length: int) -> list[NDArray[np.int64]]:
    """Windows of several lengths, two of them of one length: random ids of `usable_V`, some masked, between cls and sep."""
    ids = np.flatnonzero(usable_V)
    middle = max(3, min(max_length - 1, 21))
    windows = []
    for number, length in enumerate((max_length, middle, middle, max(3, middle // 3), 3)):
        drawn = random_bits(length - 2, "windows", number) % np.uint64(len(ids))
        inside = ids[drawn.astype(np.int64)]
        inside[:: max(2, length // 6)] = roles.mask
        windows.append(np.array([roles.cls, *inside, roles.sep], dtype=np.int64))
    return windows


class ModuleState:
    """What a forward pass could change in a torch module: its attributes, its parts, and its configuration. Not the weights' values."""

    def __init__(self, model: Any):
        self._saved: list[tuple[dict[str, Any], dict[str, Any]]] = []
        for module in model.modules():
            self._keep(module.__dict__)
            for name in ("_modules", "_parameters", "_buffers"):
                self._keep(module.__dict__[name])
            if hasattr(module, "config"):
                self._keep(module.config.__dict__)

    def _keep(self, place: dict[str, Any]) -> None:
        self._saved.append((place, dict(place)))

    def restore(self) -> None:
        """Put everything back."""
        for place, kept in self._saved:
            place.clear()
            place.update(kept)


def _ways(windows: Sequence[NDArray[np.int64]]) -> list[tuple[str, list[int], bool]]:
    """(what it is called, the windows of a batch, whether it gets an attention mask), in the order in which they are run."""
    each = range(len(windows))
    shortest, longest = min(each, key=lambda w: len(windows[w])), max(each, key=lambda w: len(windows[w]))
    return [
        ("as it is", [longest], True),
        ("after a shorter window", [shortest], True),
        ("after a shorter window", [longest], True),
        ("beside other windows of its length", [w for w in each if len(windows[w]) == len(windows[1])], True),
        ("with padding", [longest, *(w for w in each if w != longest)], True),
        *(("after a padded batch", [w], masked) for w in each for masked in (True, False)),
    ]


def _compare(
    forward: Forward,
    ways: Sequence[tuple[str, list[int], bool]],
    windows: Sequence[NDArray[np.int64]],
    expected: Sequence[NDArray[np.float32]],
    pad: int,
) -> None:
    for name, batch, masked in ways:
        found = _run(forward, [windows[w] for w in batch], pad, masked)
        if worst := _difference(found, np.concatenate([expected[w] for w in batch])):
            raise WindowsDiffer(f"the logits of a window {name} differ by {worst} from those of the window alone")


def _run(forward: Forward, windows: Sequence[NDArray[np.int64]], pad: int, masked: bool = True) -> NDArray[np.float32]:
    lengths_B = np.array([len(window) for window in windows])
    width = int(lengths_B.max())
    real_BT = np.arange(width) < lengths_B[:, None]
    input_ids_BT = np.full(real_BT.shape, pad, dtype=np.int64)
    input_ids_BT[real_BT] = np.concatenate(windows)
    places_M = np.concatenate([row * width + _positions(length) for row, length in enumerate(lengths_B.tolist())])
    try:
        return forward(input_ids_BT, real_BT.astype(np.int64) if masked or not real_BT.all() else None, places_M)
    except (WindowsDiffer, InputError, MemoryError):
        raise
    except Exception as error:  # each architecture fails in its own way
        raise WindowsDiffer(
            f"its forward pass of {len(windows)} windows of up to {width} tokens fails ({type(error).__name__}: {first_line(error)})"
        ) from error


def _positions(length: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(1, length - 2, min(_POSITIONS, length - 2)).astype(np.int64))


def _difference(found_MV: NDArray[np.float32], expected_MV: NDArray[np.float32]) -> str:
    """The largest difference of the log-probabilities, if it is more than rounding; else nothing."""
    if found_MV.shape != expected_MV.shape:
        return f"their shape ({found_MV.shape} and {expected_MV.shape})"
    one_MV, other_MV = _log_softmax(found_MV), _log_softmax(expected_MV)
    with np.errstate(invalid="ignore"):
        apart_M = np.abs(one_MV - other_MV).max(axis=1)
    broken_M = ~np.isfinite(found_MV).all(axis=1) & ~np.isfinite(expected_MV).all(axis=1)
    apart_M[broken_M] = 0  # a weight that is not finite: articles with it are set aside
    allowed_M = _TOLERANCE * other_MV.std(axis=1) + 1e-5
    if np.all((apart_M <= allowed_M) | broken_M):  # false for NaN in one of them alone
        return ""
    return f"up to {np.nanmax(apart_M):.2g} nats" if np.isfinite(apart_M).any() else "values that are not finite"


def _log_softmax(logits_MV: NDArray[np.float32]) -> NDArray[np.float64]:
    z_MV = logits_MV.astype(np.float64)
    with np.errstate(invalid="ignore"):
        z_MV -= z_MV.max(axis=1, keepdims=True)
        return np.asarray(z_MV - np.log(np.exp(z_MV).sum(axis=1, keepdims=True)))


def longest_window(model: Any) -> int | None:
    """The tokens for which the position table has rows. In RoBERTa, MPNet and others they begin behind the padding's row."""
    for place, module in model.named_modules():
        if place.endswith("position_embeddings") and hasattr(module, "padding_idx") and "entity" not in place:
            first = 0 if module.padding_idx is None else int(module.padding_idx) + 1
            return int(module.weight.shape[0]) - first
    declared = getattr(model.config, "max_position_embeddings", None)
    return int(declared) if declared and declared > 0 else None
