"""Rows of shards as tensors: a batch is a run of consecutive rows.

Legend: R rows of a table, B rows of a batch, T tokens of its longest row, M masked positions, K top-k labels a position.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from student.training.columns import Columns

GOLD_COLUMNS = ("input_ids", "mask_positions", "label_ids")
TEACHER_COLUMNS = ("topk_ids", "topk_logits")


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """A micro-batch: what one forward pass takes."""

    input_ids: Tensor  # [B, T] int64, padded
    lengths: Tensor  # [B] int64
    places: Tensor  # [M] int64, b·T + t of each masked position
    label_ids: Tensor  # [M] int64
    topk_ids: Tensor | None  # [M, K] int64
    topk_logits: Tensor | None  # [M, K] float32, the teacher's normalised logits
    label_logits: Tensor | None  # [M] float32, the teacher's normalised logit of the gold id; evaluation only
    tokens: int  # without padding
    padded: bool  # whether a row is shorter than T
    languages: tuple[int, ...]  # rows of each language
    names: tuple[str, ...] = ()  # "language: article, window n" of each row, if the stream was asked for them

    @property
    def rows(self) -> int:
        return len(self.lengths)

    @property
    def masked(self) -> int:
        """M"""
        return len(self.label_ids)

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device. A copy from pinned memory runs in the background."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin(self) -> "Batch":
        """The batch in page-locked memory."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Any) -> "Batch":
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(value) for name, value in tensors.items() if isinstance(value, Tensor)})


def make_batch(columns: Columns, begin: int, end: int, *, pad: int, languages: Sequence[str] = ("",)) -> Batch:
    """Rows begin to end as a batch. languages: their names, by the numbers in the table."""
    lengths_B = columns.lengths()[begin:end].astype(np.int64)
    width = int(lengths_B.max())
    padded = bool((lengths_B < width).any())
    if padded:
        ids_BT = np.full((end - begin, width), pad, dtype=np.int64)
        ids_BT[np.arange(width) < lengths_B[:, None]] = columns.values("input_ids", begin, end)
    else:
        ids_BT = columns.values("input_ids", begin, end).astype(np.int64).reshape(-1, width)
    row_M = np.repeat(np.arange(end - begin), columns.lengths("mask_positions")[begin:end])
    places_M = row_M * width + columns.values("mask_positions", begin, end).astype(np.int64)
    label_ids_M = columns.values("label_ids", begin, end).astype(np.int64)
    M = len(label_ids_M)
    assert len(places_M) == M, f"{len(places_M)} mask positions, {M} labels"

    def optional(name: str, kind: Any, *shape: int) -> Tensor | None:
        if name not in columns.leaves:
            return None
        return torch.from_numpy(
            columns.values(name, begin, end).astype(kind).reshape(M, *shape) if M else np.zeros((0, *(1 for _ in shape)), kind)
        )

    numbers_B = columns.languages[begin:end]
    docs, windows = (column[begin:end].to_pylist() for column in columns.names.values()) if columns.names else ((), ())
    return Batch(
        input_ids=torch.from_numpy(ids_BT),
        lengths=torch.from_numpy(lengths_B),
        places=torch.from_numpy(places_M),
        label_ids=torch.from_numpy(label_ids_M),
        topk_ids=optional("topk_ids", np.int64, -1),
        topk_logits=optional("topk_logits", np.float32, -1),
        label_logits=optional("label_logits", np.float32),
        tokens=int(lengths_B.sum()),
        padded=padded,
        languages=tuple(np.bincount(numbers_B, minlength=len(languages)).tolist()),
        names=tuple(
            f"{languages[number]}: {doc}, window {window}" for number, doc, window in zip(numbers_B, docs, windows, strict=False)
        ),
    )


def batch_bounds(lengths_R: NDArray[np.integer], budget: int) -> list[int]:
    """Where to cut rows, sorted longest first, into batches of at most `budget` tokens (rows × longest length).

    Makes as few batches as possible, and makes these as equal as possible: the smallest budget that needs no more batches is used.
    A row that is longer than the budget is a batch of its own. Returns the cuts, including 0 and R.
    """
    cuts = _cut(lengths_R, budget)
    low, high = 1, budget
    while low < high:
        middle = (low + high) // 2
        if len(_cut(lengths_R, middle)) <= len(cuts):
            high = middle
        else:
            low = middle + 1
    return _cut(lengths_R, high)


def _cut(lengths_R: NDArray[np.integer], budget: int) -> list[int]:
    cuts = [0]
    while cuts[-1] < len(lengths_R):
        cuts.append(min(len(lengths_R), cuts[-1] + max(1, budget // int(lengths_R[cuts[-1]]))))
    return cuts
