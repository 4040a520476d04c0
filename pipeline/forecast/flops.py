"""The FLOPs that a teacher spends on padding. Those of its windows are in `data.flops`. Legend: W windows, T tokens of a window."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.flops import encoder_flops
from pipeline.teacher.windows import block_windows, length_batches


def padding_flops(config: Any, tokens_W: NDArray[np.int64], tokens_per_batch: int, max_length: int) -> float:
    """FLOPs that the encoder spends on padding in a unit of these windows, in the batches that the teacher makes of them."""
    padded_W, size = tokens_W.copy(), block_windows(tokens_per_batch, max_length)
    for start in range(0, len(tokens_W), size):
        block = tokens_W[start : start + size]
        for batch in length_batches(block.tolist(), tokens_per_batch):
            padded_W[start + batch] = block[batch].max()
    return float(encoder_flops(config, padded_W).sum() - encoder_flops(config, tokens_W).sum())
