"""The memory that training takes on a GPU, by formula, and the micro-batch that fills a card.

Legend: P parameters, V vocabulary, H hidden size, I size of the feed-forward block, L layers, t tokens of a micro-batch, m its masked
positions. In bytes, with mixed precision:

weights, gradients, Adam's two moments   16 P      float32
copies for bfloat16 products              2 P
gradients of both embedding tables        8 V H    before they are added up
logits                                    2 min(m V, 2^30)
activations                               t L (26 H + 4 I)   what the backward pass keeps, with dropout

With float32 products there are no copies, and logits and activations take twice as much. On an H100, with BERT-base's shape and
V = 120,000, a step took 11.1 and 31.6 GB with micro-batches of 16,384 and 65,536 tokens; the formula has 10.9 and 31.5
(`tests/benchmarks/bench_gpu.py`).
"""

from pathlib import Path
from typing import Any

import torch

from data.recipe import Train
from data.state_file import read_state_file
from student.hardware import use_bfloat16
from student.training.loss import BLOCK_LOGITS
from student.training.output import IDENTITY

MICROBATCH = 16_384  # tokens, where there is no card to fill
LARGEST = 65_536  # more tokens make no product faster
SMALLEST = 1024
_SHARE = 0.8  # of the card's memory: the rest is for the libraries, other processes, and what falls between allocations


def training_bytes(config: Any, parameters: int, tokens: int, *, bfloat16: bool, mask_rate: float = 0.15) -> int:
    """The peak of a training step's device memory. `config` is a transformers configuration; tokens are those of a micro-batch."""
    hidden, size = config.hidden_size, 2 if bfloat16 else 4
    inner = next((value for name in ("intermediate_size", "hidden_dim") if (value := getattr(config, name, None))), 4 * hidden)
    logits = min(int(mask_rate * tokens) * config.vocab_size, BLOCK_LOGITS["cuda"])
    activations = tokens * config.num_hidden_layers * (13 * hidden + 2 * inner)
    copies = 2 * parameters if bfloat16 else 0
    return int(16 * parameters + copies + 8 * config.vocab_size * hidden + size * (logits + activations))


def choose_microbatch(settings: Train, model: Any, device: torch.device, processes: int, out: Path) -> int:
    """The tokens of a micro-batch for train.tokens_per_microbatch.

    "auto" is the value with which the student in `out` was begun, so that another card can continue it; for a new student the largest
    power of two that the formula puts into the card's memory, and MICROBATCH where there is no card.
    """
    if settings.tokens_per_microbatch != "auto":
        return settings.tokens_per_microbatch
    begun = out / IDENTITY
    if begun.exists():
        recorded = read_state_file(begun).get("train.tokens_per_microbatch")
        if isinstance(recorded, int):
            return recorded
    if device.type != "cuda":
        return MICROBATCH
    room = _SHARE * torch.cuda.get_device_properties(device).total_memory
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return fitting_microbatch(
        model.config,
        parameters,
        room,
        most=settings.tokens_per_batch // processes,
        bfloat16=use_bfloat16(settings.precision, device),
    )


def fitting_microbatch(config: Any, parameters: int, room: float, *, most: int, bfloat16: bool) -> int:
    """The largest power of two of tokens, at most `most` and LARGEST, with which training takes at most `room` bytes."""
    tokens = LARGEST
    while tokens > SMALLEST and (tokens // 2 >= most or training_bytes(config, parameters, tokens, bfloat16=bfloat16) > room):
        tokens //= 2
    return tokens
