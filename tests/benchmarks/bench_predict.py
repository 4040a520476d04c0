"""The teacher pass: ours against the plain loop and Beam's stock handler, on one teacher and the same windows, in one run.

The teacher: BERT-base's shape, random weights, a head of multilingual BERT's size. Baseline: `AutoModelForMaskedLM(...).logits` in
float32 at every position, the usual way. Beam's: `HuggingFacePipelineModelHandler` for the task fill-mask, as it comes.

FLOPs that the labels need (a multiplication and an addition are two; softmax, norms and activations count nothing): of the encoder, a
token: layers · (24 H² + 4 T H), less the last layer's 16 H² where nothing is masked; of the head, a masked position: 2 H² + 2 H V. Two
rates of this machine to hold them against, both measured here: `products`, the same matrix products in the same dtype alone, weights
and all; and `best`, a product of 4096 × H × 4H. How the ratios come out without AMX: ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import transformers.pipelines  # before Beam's module: see below
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn.functional import linear
from transformers import AutoModelForMaskedLM, BertConfig, PreTrainedTokenizerFast

from data.examples import Example
from pipeline.teacher.model import TeacherModel
from vocab.union import TeacherMap

# Beam's module names classes of TensorFlow in its type hints, and one that transformers 5 has no more; its PyTorch path needs neither.
sys.modules["tensorflow"] = ModuleType("tensorflow")
vars(sys.modules["tensorflow"])["Tensor"] = vars(transformers)["TFAutoModel"] = torch.Tensor
from apache_beam.ml.inference.huggingface_inference import HuggingFacePipelineModelHandler, PipelineTask  # noqa: E402

del sys.modules["tensorflow"]

LAYERS, HIDDEN, HEADS, VOCABULARY, TOKENS, WINDOWS, K = 12, 768, 12, 119_547, 128, 64, 8
MASKED = round(0.15 * TOKENS)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def windows() -> list[Example]:
    generator = np.random.default_rng(0)
    made = []
    for index in range(WINDOWS):
        positions = np.sort(generator.permutation(np.arange(1, TOKENS - 1))[:MASKED]).astype(np.uint16)
        ids = generator.integers(len(SPECIAL), VOCABULARY, TOKENS).astype(np.uint32)
        ids[0], ids[-1] = 2, 3
        labels = ids[positions]
        ids[positions] = 4
        made.append(Example(doc_id="d", window=index, input_ids=ids, mask_positions=positions, label_ids=labels))
    return made


def save_tokenizer(folder: Path) -> None:
    """A word a token: "w5", "w6", …"""
    vocab = {piece: index for index, piece in enumerate([*SPECIAL, *(f"w{index}" for index in range(len(SPECIAL), VOCABULARY))])}
    backend = Tokenizer(models.WordLevel(vocab, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=backend, **roles).save_pretrained(folder)


def plain(model: Any, examples: list[Example]) -> None:
    """Eight windows a batch, logits everywhere, top-k at the masks."""
    with torch.inference_mode():
        for start in range(0, len(examples), 8):
            part = examples[start : start + 8]
            ids = torch.from_numpy(np.stack([example.input_ids for example in part]).astype(np.int64))
            logits = torch.log_softmax(model(input_ids=ids).logits, dim=-1)
            for row, example in enumerate(part):
                logits[row, torch.from_numpy(example.mask_positions.astype(np.int64))].topk(K)


def flops(examples: int) -> int:
    encoder = examples * TOKENS * LAYERS * (24 * HIDDEN**2 + 4 * TOKENS * HIDDEN) - examples * (TOKENS - MASKED) * 16 * HIDDEN**2
    return encoder + examples * MASKED * (2 * HIDDEN**2 + 2 * HIDDEN * VOCABULARY)


def products(examples: int, dtype: torch.dtype) -> float:
    """FLOP/s of the teacher's own matrix products, those of attention left out, with nothing between them."""
    shapes = [(HIDDEN, HIDDEN)] * 4 + [(HIDDEN, 4 * HIDDEN), (4 * HIDDEN, HIDDEN)]
    weights = [[torch.randn(wide, deep).to(dtype) for deep, wide in shapes] for _ in range(LAYERS)]
    head, at_masks = torch.randn(VOCABULARY, HIDDEN).to(dtype), torch.randn(examples * MASKED, HIDDEN).to(dtype)
    inputs = {size: torch.randn(examples * TOKENS, size).to(dtype) for size in (HIDDEN, 4 * HIDDEN)}

    def work() -> None:
        for layer in weights:
            for weight in layer:
                linear(inputs[weight.shape[1]], weight)
        linear(at_masks, head)

    needed = 24 * LAYERS * HIDDEN**2 * examples * TOKENS + 2 * HIDDEN * VOCABULARY * examples * MASKED
    return needed / best(work, 5)


def best_product(dtype: torch.dtype) -> float:
    left, right = torch.randn(4096, HIDDEN).to(dtype), torch.randn(4 * HIDDEN, HIDDEN).to(dtype)
    return 2 * 4096 * HIDDEN * 4 * HIDDEN / best(lambda: linear(left, right), 30)


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several goes."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def baselines(folder: str) -> None:
    """Print the tokens a second of the plain loop and of Beam's handler: in a process that our teacher has not tuned."""
    model, examples = AutoModelForMaskedLM.from_pretrained(folder).eval(), windows()
    plain(model, examples[:1])
    print(16 * TOKENS / best(lambda: plain(model, examples[:16]), 2))
    handler = HuggingFacePipelineModelHandler(
        task=PipelineTask.FillMask, model=folder, device="CPU", load_pipeline_args={"top_k": K}
    )
    stock = handler.load_model()
    names = [*SPECIAL, *(f"w{index}" for index in range(len(SPECIAL), VOCABULARY))]
    texts = [" ".join(names[token] for token in example.input_ids[1:-1]) for example in examples[:8]]
    handler.run_inference(texts[:1], stock)
    print(8 * TOKENS / best(lambda: [*handler.run_inference(texts, stock)], 2))


def main() -> None:
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=4 * HIDDEN
    )
    examples = windows()
    ids = np.arange(VOCABULARY, dtype=np.uint32)
    allowed = ids >= len(SPECIAL)
    everything = TeacherMap(
        teacher="t", union_ids=ids, predictable=allowed, real=allowed, lengths=np.ones(VOCABULARY, dtype=np.int64), spelled=ids
    )
    with tempfile.TemporaryDirectory() as folder:
        AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
        save_tokenizer(Path(folder))
        environment = {**os.environ, "THP_MEM_ALLOC_ENABLE": "0"}
        run = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_predict", folder],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        loop, stock = map(float, run.stdout.split())
        print(f"{'':34}{'tokens/s':>10}{'ratio':>8}{'of stock':>10}{'of products':>13}{'of best':>9}")

        def row(name: str, rate: float, shares: str = "") -> None:
            print(f"{name:34}{rate:>10,.0f}{rate / loop:>8.2f}{rate / stock:>10.2f}{shares}", flush=True)

        row("plain loop, float32 (baseline)", loop)
        row("Beam's stock fill-mask handler", stock)
        for dtype in (torch.float32, torch.bfloat16):
            name = str(dtype).removeprefix("torch.")
            part = examples[: 32 if dtype == torch.float32 else WINDOWS]
            teacher = TeacherModel(Path(folder), "t", everything, name)
            teacher.label(part, 0, K, 4096)
            seconds = best(lambda bound=teacher, some=part: bound.label(some, 0, K, 4096), 4)  # type: ignore[misc]
            rate = flops(len(part)) / seconds
            shares = (rate / products(32, dtype), rate / best_product(dtype))
            row(f"ours, {name}", len(part) * TOKENS / seconds, f"{shares[0]:>13.0%}{shares[1]:>9.0%}   {rate / 1e12:.2f} TFLOP/s")


if __name__ == "__main__":
    baselines(sys.argv[1]) if len(sys.argv) > 1 else main()
