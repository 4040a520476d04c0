"""The teacher pass on one GPU, against the plain loop of most scripts."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, BertConfig

from data.examples import Example
from data.flops import encoder_flops, head_flops
from pipeline.teacher.model import TeacherModel, batch_budget
from pipeline.teacher.windows import Windows, block_windows
from tests.benchmarks.gpu_measure import (
    CUDA,
    DEVICE,
    HEADS,
    HIDDEN,
    LAYERS,
    PEAK,
    TEACHER_V,
    TINY,
    K,
    Row,
    gigabytes,
    host_waits,
    timed,
)
from vocab.union import TeacherMap


def everything(size: int) -> TeacherMap:
    ids = np.arange(size, dtype=np.uint32)
    return TeacherMap(teacher="t", union_ids=ids, predictable=ids > 4, real=ids > 4, lengths=np.ones(size, np.int64), spelled=ids)


def full_windows(count: int, length: int) -> list[Example]:
    generator, made = np.random.default_rng(0), []
    for index in range(count):
        masks = np.sort(generator.permutation(np.arange(1, length - 1))[: round(0.15 * (length - 2))]).astype(np.uint16)
        ids = generator.integers(5, TEACHER_V, length).astype(np.uint32)
        made.append(Example(doc_id="d", window=index, input_ids=ids, mask_positions=masks, label_ids=ids[masks]))
    return made


def save_teacher(folder: Path) -> BertConfig:
    """Put a teacher into folder/teacher, if it is not there."""
    config = BertConfig(
        vocab_size=TEACHER_V,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * HIDDEN,
    )
    if not (folder / "teacher").exists():
        with torch.device(DEVICE):
            AutoModelForMaskedLM.from_config(config).save_pretrained(folder / "teacher")
    return config


def teacher(folder: Path) -> Iterator[Row]:
    config = save_teacher(folder)
    for length in (128, 512):
        budget = batch_budget("auto", DEVICE.type)
        size = 16 if TINY else block_windows(budget, length)
        some = full_windows(3 * size, length)
        blocks = [Windows.of(some[at : at + size]) for at in range(0, len(some), size)]
        needed = encoder_flops(config, np.array([length])).item() + len(some[0].mask_positions) * head_flops(config)

        def row(name: str, seconds: float, windows: int, needed: float = needed, length: int = length) -> Row:
            rate = windows / seconds
            return {
                "what": f"teacher, T = {length}: {name}",
                "tokens/s": round(rate * length),
                "of peak": round(rate * needed / PEAK["bfloat16"], 3),
            }

        def ours(model: TeacherModel, blocks: list[Windows] = blocks) -> None:
            running = None
            for block in blocks:  # as predict: a block is on the device while the one before it is collected
                started = model.begin(block, 0, K, "auto")
                if running:
                    running.result()
                running = started
            assert running
            running.result()

        for name, dtype, compiled in (
            ("ours", "bfloat16", False),
            ("ours, compiled", "bfloat16", CUDA),
            ("ours", "float32", False),
        ):
            if dtype == "float32" and length != 128:
                continue
            model = TeacherModel(folder / "teacher", "t", everything(TEACHER_V), dtype, compiled=compiled)
            yield row(f"{name}, {dtype}", timed(partial(ours, model), 3), len(some))
            if name == "ours" and dtype == "bfloat16":
                waits = host_waits(partial(model.begin, blocks[0], 0, K, "auto"))
                yield {"what": f"teacher, T = {length}: a block", "waits": waits, "GB": gigabytes(partial(ours, model))}
            del model
        base = AutoModelForMaskedLM.from_pretrained(folder / "teacher").to(DEVICE).eval()
        for type_ in (torch.bfloat16, torch.float32):
            part = some[: 16 if TINY else 512 * 128 // length]
            yield row(f"plain loop, {str(type_)[6:]}", timed(partial(plain, base.to(type_), part), 2, 1), len(part))


@torch.inference_mode()
def plain(model: Any, examples: list[Example]) -> None:
    """What most scripts do: logits at every position, log-softmax, top-k at the masks; 32 windows a batch."""
    for start in range(0, len(examples), 32):
        part = examples[start : start + 32]
        ids = torch.from_numpy(np.stack([example.input_ids for example in part]).astype(np.int64)).to(DEVICE)
        logits = torch.log_softmax(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits, -1)
        masks = [row * ids.shape[1] + example.mask_positions.astype(np.int64) for row, example in enumerate(part)]
        for found in logits.flatten(0, 1)[torch.from_numpy(np.concatenate(masks)).to(DEVICE)].topk(K):
            found.cpu()
