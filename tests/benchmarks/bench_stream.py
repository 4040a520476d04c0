"""The student's stream against Hugging Face `datasets` streaming with a collate function: the same shards, one thread each.

Both give shuffled, padded batches as tensors, teacher labels included. Then how long a trainer waits for the stream, with steps of 10 ms
(65,536 tokens, as a fast GPU takes) and with steps of a second. Floor: the bytes of the tensors over the rate of a plain copy.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from data.contract import SCHEMA, ShardPath
from data.shards import Shard, list_column, list_shards, read_shards, write_shard
from student.training.stream import Stream, StreamSettings

ROWS, TOKENS, MASKED, K, V, FILES = 20_000, 128, 19, 8, 100_000, 4
SECONDS = 10.0


def make_shards(folder: Path) -> list[Shard]:
    """Rows of full windows and of shorter ones, with ids as in real text: few are frequent."""
    rng = np.random.default_rng(0)
    for file in range(FILES):
        rows = ROWS // FILES
        lengths = np.where(rng.random(rows) < 0.7, TOKENS, rng.integers(TOKENS // 4, TOKENS + 1, rows))
        masked = np.maximum(1, MASKED * lengths // TOKENS)
        ids = np.minimum(5 + rng.zipf(1.3, lengths.sum()), V - 1)
        places = np.concatenate(
            [np.sort(rng.choice(np.arange(1, length - 1), m, replace=False)) for length, m in zip(lengths, masked, strict=True)]
        )
        topk = np.argsort(rng.random((masked.sum(), 40)), axis=1)[:, :K] * 1000 + 5 + rng.integers(0, 900, (masked.sum(), 1))
        logits = np.sort(np.log(rng.dirichlet(np.full(K + 1, 0.4), masked.sum())[:, :K] + 1e-6))[:, ::-1].astype(np.float16)
        starts = np.repeat(np.cumsum(lengths) - lengths, masked)
        gold = ids[starts + places].copy()
        ids[starts + places] = np.where(rng.random(len(places)) < 0.8, 4, np.where(rng.random(len(places)) < 0.5, gold, 77))
        table = pa.Table.from_arrays(
            [
                pa.array([f"doc-{file}-{row}" for row in range(rows)]),
                pa.array(np.zeros(rows, np.int32)),
                list_column(ids, lengths, "input_ids"),
                list_column(places, masked, "mask_positions"),
                list_column(gold, masked, "label_ids"),
                list_column(logits[:, 0], masked, "label_logits"),
                list_column(topk.ravel(), masked * K, "topk_ids"),
                list_column(logits.ravel(), masked * K, "topk_logits"),
            ],
            schema=SCHEMA,
        )
        location = ShardPath(language="de", teacher="t", name=f"part-{file:05d}").below(str(folder))
        write_shard(location, table, identity={"schema_version": 2, "union": "u", "teacher.weights": "t"}, unit={}, report={})
    return read_shards(list_shards(str(folder)))


def settings(tokens_per_batch: int) -> StreamSettings:
    return StreamSettings(
        seed=0,
        alpha=0.7,
        with_teacher=True,
        tokens_per_batch=tokens_per_batch,
        tokens_per_microbatch=16_384,
        max_length=TOKENS,
        vocab_size=V,
        pad=0,
    )


def ours(shards: list[Shard]) -> Iterator[int]:
    """Tokens of each batch."""
    with Stream(shards, settings(16_384)) as stream:
        for step in stream:
            yield sum(batch.tokens for batch in step.batches)


def collate(rows: list[dict[str, Any]]) -> tuple[torch.Tensor, ...]:
    """What the documentation of `datasets` and of torch's DataLoader leads to."""
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row["input_ids"]) for row in rows], batch_first=True)
    places = torch.cat([torch.tensor(row["mask_positions"]) + ids.shape[1] * index for index, row in enumerate(rows)])
    labels, topk_ids, topk_logits = (
        torch.cat([torch.tensor(row[name]) for row in rows]) for name in ("label_ids", "topk_ids", "topk_logits")
    )
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    return ids, lengths, places, labels, topk_ids.reshape(-1, K), topk_logits.reshape(-1, K)


def of_datasets(shards: list[Shard]) -> Iterator[int]:
    """Tokens of each batch, by Hugging Face `datasets`."""
    from datasets import load_dataset

    files = [shard.location for shard in shards]
    columns = ["input_ids", "mask_positions", "label_ids", "topk_ids", "topk_logits"]
    rows = load_dataset("parquet", data_files=files, streaming=True, split="train", columns=columns).shuffle(
        seed=0, buffer_size=4096
    )
    while True:
        for batch in torch.utils.data.DataLoader(rows, batch_size=16_384 // TOKENS, collate_fn=collate):
            yield int(batch[1].sum())


def rate(batches: Iterator[int]) -> float:
    """Tokens a second, after the first batch."""
    next(batches)
    tokens, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        tokens += next(batches)
    return tokens / (time.perf_counter() - started)


def waiting(shards: list[Shard], step_seconds: float, tokens: int) -> float:
    """The share of a trainer's time for which it waits, with steps of so many seconds and tokens."""
    with Stream(shards, settings(tokens)) as stream:
        next(stream)
        before, started = stream.waited, time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            time.sleep(step_seconds)
            next(stream)
        return (stream.waited - before) / (time.perf_counter() - started)


def copy_rate() -> float:
    """Bytes a second of a plain copy, one thread."""
    source = np.ones(1 << 27, np.uint8)
    target = source.copy()
    started = time.perf_counter()
    for _ in range(5):
        np.copyto(target, source)
    return 5 * source.nbytes / (time.perf_counter() - started)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        shards = make_shards(Path(folder))
        found = {"ours": rate(ours(shards))}
        try:
            found["datasets (baseline)"] = rate(of_datasets(shards))
        except ImportError:
            print("no baseline: pip install 'mergedistill[bench]'", file=sys.stderr)
        base = found.get("datasets (baseline)")
        for name, tokens in found.items():
            print(f"{name:22}{tokens / 1e6:>10.2f} M tokens/s{f'{tokens / base:>8.1f}x' if base else ''}")
        bytes_a_token = 8 + 8 * MASKED / TOKENS * (2 + K) + 4 * MASKED / TOKENS * K  # the tensors of a batch
        print(f"{'floor: a plain copy':22}{copy_rate() / bytes_a_token / 1e6:>10.2f} M tokens/s, {bytes_a_token:.0f} bytes a token")
        for seconds, tokens in ((0.01, 65_536), (1.0, 16_384)):
            print(f"waiting, steps of {seconds:g} s with {tokens:,} tokens: {waiting(shards, seconds, tokens):.2%} of the time")


if __name__ == "__main__":
    main()
