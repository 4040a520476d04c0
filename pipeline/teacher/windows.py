"""Masked windows as flat arrays: what a teacher takes, also when it is in another process.

Legend: W windows, B batch, T tokens of its longest window, M masked positions, D draws a position.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.examples import Example
from data.random_bits import random_bits


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """Windows in the teacher's ids, one after the other in each array."""

    input_ids: NDArray[np.uint32]
    lengths_W: NDArray[np.int64]  # tokens of each window
    mask_positions: NDArray[np.uint16]
    label_ids: NDArray[np.uint32]
    masked_W: NDArray[np.int64]  # masked positions of each window
    points_MD: NDArray[np.uint32] | None = None  # random numbers that draw ids from the teacher's distribution; None: its top k

    @classmethod
    def of(cls, examples: Sequence[Example], *, draws: int = 0, seed: int = 0) -> "Windows":
        """The examples, in their order. There is at least one.

        draws: random numbers for each masked position, from the seed and the window's own name. 0: none
        """
        return cls(
            input_ids=np.concatenate([example.input_ids for example in examples]),
            lengths_W=np.array([len(example.input_ids) for example in examples], dtype=np.int64),
            mask_positions=np.concatenate([example.mask_positions for example in examples]).astype(np.uint16),
            label_ids=np.concatenate([example.label_ids for example in examples]),
            masked_W=np.array([len(example.mask_positions) for example in examples], dtype=np.int64),
            points_MD=np.concatenate([_points(example, draws, seed) for example in examples]) if draws else None,
        )

    def take(self, order: NDArray[np.int64]) -> "Windows":
        """Windows in another order."""
        tokens, masked = ragged(self.lengths_W, order), ragged(self.masked_W, order)
        return Windows(
            input_ids=self.input_ids[tokens],
            lengths_W=self.lengths_W[order],
            mask_positions=self.mask_positions[masked],
            label_ids=self.label_ids[masked],
            masked_W=self.masked_W[order],
            points_MD=None if self.points_MD is None else self.points_MD[masked],
        )


def _points(example: Example, draws: int, seed: int) -> NDArray[np.uint32]:
    """The random numbers of one window [M, D]."""
    count = len(example.mask_positions) * draws
    bits = random_bits(-(-count // 2), seed, example.doc_id, example.window, "draws").view("<u4")
    return bits[:count].reshape(-1, draws)


@dataclass(frozen=True, kw_only=True, slots=True)
class PaddedBatch:
    """What one forward pass takes."""

    input_ids_BT: NDArray[np.int64]
    attention_BT: NDArray[np.int64] | None  # 1 at tokens, 0 at padding; None if there is no padding
    places_M: NDArray[np.int64]  # b·T + t of each masked position
    gold_M: NDArray[np.int64]
    points_MD: NDArray[np.uint32] | None


def padded_batches(windows: Windows, sizes: Sequence[int], pad: int) -> list[PaddedBatch]:
    """Consecutive windows as batches of these sizes."""
    ends = np.cumsum(sizes)
    tokens_W, masks_W = (np.concatenate(([0], np.cumsum(counts))) for counts in (windows.lengths_W, windows.masked_W))
    made = []
    for begin, end in zip(ends - sizes, ends, strict=True):
        lengths_B = windows.lengths_W[begin:end]
        longest = int(lengths_B.max())
        input_ids_BT = np.full((end - begin, longest), pad, dtype=np.int64)
        real_BT = np.arange(longest) < lengths_B[:, None]
        input_ids_BT[real_BT] = windows.input_ids[tokens_W[begin] : tokens_W[end]]
        masks = slice(masks_W[begin], masks_W[end])
        row_M = np.repeat(np.arange(end - begin), windows.masked_W[begin:end])
        made.append(
            PaddedBatch(
                input_ids_BT=input_ids_BT,
                attention_BT=None if real_BT.all() else real_BT.astype(np.int64),
                places_M=row_M * longest + windows.mask_positions[masks].astype(np.int64),
                gold_M=windows.label_ids[masks].astype(np.int64),
                points_MD=None if windows.points_MD is None else windows.points_MD[masks],
            )
        )
    return made


def length_batches(
    lengths: Sequence[int] | NDArray[np.int64], tokens_per_batch: int, *, equal: bool = False
) -> list[NDArray[np.int64]]:
    """Indices in batches of similar length: batch size × longest length ≤ the budget. A longer example is a batch of its own.

    equal: all windows of a batch have one length
    """
    lengths_W = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(lengths_W, kind="stable")[::-1]
    batches, start = [], 0
    while start < len(order):
        longest = lengths_W[order[start]]
        size = max(1, tokens_per_batch // int(longest))
        batch = order[start : start + size]
        batches.append(batch[lengths_W[batch] == longest] if equal else batch)
        start += len(batches[-1])
    return batches


def block_windows(tokens_per_batch: int, max_length: int) -> int:
    """Windows that the teacher gets at once: enough windows of similar length for full batches, and four batches at least."""
    return max(1024, 4 * tokens_per_batch // max_length)


def ragged(counts_W: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the values of rows in `order` are in a flat array in which row w has counts_W[w] values."""
    starts_W = np.cumsum(counts_W) - counts_W
    counts = counts_W[order]
    return np.repeat(starts_W[order] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
