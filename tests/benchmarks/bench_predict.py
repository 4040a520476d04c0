"""The teacher pass: ours against the plain loop, on one teacher and the same windows, in one run.

Baseline: `AutoModelForMaskedLM(...).logits` in float32 at every position, the usual way. Floor: the model FLOPs that the labels
need, over the rate of this machine's own matrix product. FLOPs a token of the encoder: layers · (24 H² + 4 T H); of the head, a
masked position: 2 H² + 2 H V (a multiplication and an addition count as two; softmax and norms count nothing).
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, BertConfig

from data.examples import Example
from pipeline.teacher import Teacher
from vocab.union import TeacherMap

LAYERS, HIDDEN, VOCABULARY, TOKENS, WINDOWS, K = 6, 512, 30_000, 128, 48, 8
MASKED = round(0.15 * TOKENS)


def windows() -> list[Example]:
    generator = np.random.default_rng(0)
    made = []
    for index in range(WINDOWS):
        positions = np.sort(generator.permutation(np.arange(1, TOKENS - 1))[:MASKED]).astype(np.uint16)
        ids = generator.integers(5, VOCABULARY, TOKENS).astype(np.uint32)
        made.append(Example(doc_id="d", window=index, input_ids=ids, mask_positions=positions, label_ids=ids[positions]))
    return made


def plain(model: Any, examples: list[Example]) -> None:
    """Eight windows a batch, logits everywhere, top-k at the masks."""
    with torch.inference_mode():
        for start in range(0, len(examples), 8):
            part = examples[start : start + 8]
            ids = torch.from_numpy(np.stack([example.input_ids for example in part]).astype(np.int64))
            logits = torch.log_softmax(model(input_ids=ids).logits, dim=-1)
            for row, example in enumerate(part):
                logits[row, torch.from_numpy(example.mask_positions.astype(np.int64))].topk(K)


def matrix_rate(dtype: torch.dtype) -> float:
    """FLOP/s of this machine's matrix product of the encoder's largest shape."""
    left, right = torch.randn(4096, HIDDEN).to(dtype), torch.randn(HIDDEN, 4 * HIDDEN).to(dtype)
    return 2 * 4096 * HIDDEN * 4 * HIDDEN / best(lambda: left @ right, 20)


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several goes."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=8, intermediate_size=4 * HIDDEN
    )
    model = AutoModelForMaskedLM.from_config(config).eval()
    examples = windows()
    everything = TeacherMap(
        teacher="t", union_ids=np.arange(VOCABULARY, dtype=np.uint32), predictable=np.ones(VOCABULARY, dtype=np.bool_)
    )
    tokens = WINDOWS * TOKENS
    needed = tokens * LAYERS * (24 * HIDDEN**2 + 4 * TOKENS * HIDDEN) + WINDOWS * MASKED * (2 * HIDDEN**2 + 2 * HIDDEN * VOCABULARY)
    baseline = best(lambda: plain(model, examples), 2)
    print(f"{'':34}{'tokens/s':>10}{'ratio':>8}{'of the matrix rate':>20}")
    print(f"{'plain loop, float32 (baseline)':34}{tokens / baseline:>10,.0f}{1.0:>8.2f}")
    for dtype in (torch.float32, torch.bfloat16):
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            teacher = Teacher(Path(folder), "t", everything, str(dtype).removeprefix("torch."))
        seconds = best(lambda bound=teacher: bound.label(examples, 0, K, 4096), 3)
        share = needed / seconds / matrix_rate(dtype)
        name = f"head at masks, {str(dtype).removeprefix('torch.')}"
        print(f"{name:34}{tokens / seconds:>10,.0f}{baseline / seconds:>8.2f}{share:>20.0%}")


if __name__ == "__main__":
    main()
