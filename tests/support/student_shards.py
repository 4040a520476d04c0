"""Shards for the student's tests: random rows that can be told apart (the second token of a row is its number), written as real files."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data import shards as shard_module
from data.contract import GOLD_SCHEMA, SCHEMA, ShardPath
from data.shards import Shard, list_column, list_shards, read_shards, write_shard

V = 3000
FIRST = 10  # ids of row numbers begin here


def table(
    rows: int,
    *,
    k: int = 4,
    seed: int = 0,
    first: int = 0,
    vocab_size: int = V,
    gold_only: bool = False,
    longest: int = 24,
    windows_each: int = 1,
) -> pa.Table:
    """`rows` rows of 6 to `longest` tokens; row i has the id FIRST + first + i as its second token, never masked.

    windows_each: rows of an article
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, longest + 1, rows)
    masked = rng.integers(1, 4, rows)
    ids, places, labels = [], [], []
    for row in range(rows):
        tokens = rng.integers(5, vocab_size, lengths[row])
        tokens[[0, 1, -1]] = 2, FIRST + first + row, 3
        chosen = np.sort(rng.choice(np.arange(2, lengths[row] - 1), masked[row], replace=False))
        labels.append(tokens[chosen].copy())
        tokens[chosen] = 4
        ids.append(tokens)
        places.append(chosen)
    count = int(masked.sum())
    gold = np.concatenate(labels)
    topk = np.stack([rng.choice(vocab_size - 5, k, replace=False) + 5 for _ in range(count)])
    topk[::2, 0] = gold[::2]
    for row in range(count):  # distinct within a position
        assert len(set(topk[row])) == k or topk[row, 0] in topk[row, 1:]
        topk[row, 1:] = [other if other != topk[row, 0] else 5 + (int(other) + 1) % (vocab_size - 5) for other in topk[row, 1:]]
    logits = np.sort(np.log(rng.dirichlet(np.ones(k + 1), count)[:, :k] + 1e-6))[:, ::-1]
    columns = [
        pa.array([f"doc-{(first + row) // windows_each}" for row in range(rows)]),
        pa.array(np.array([(first + row) % windows_each for row in range(rows)], np.int32)),
        list_column(np.concatenate(ids), lengths, "input_ids"),
        list_column(np.concatenate(places), masked, "mask_positions"),
        list_column(gold, masked, "label_ids"),
    ]
    if gold_only:
        return pa.Table.from_arrays(columns, schema=GOLD_SCHEMA)
    columns += [
        list_column(logits[:, 0] - 0.5, masked, "label_logits"),
        list_column(topk.ravel(), masked * k, "topk_ids"),
        list_column(logits.ravel(), masked * k, "topk_logits"),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def make_shards(
    folder: Path,
    sizes: dict[tuple[str, str], list[int]],
    *,
    group_rows: int = 16,
    gold_only: bool = False,
    numbers_by_teacher: bool = False,
    same_labels: bool = False,
    **options: Any,
) -> list[Shard]:
    """Shards below `folder`: (language, teacher) → rows of each file. Rows of a language are numbered through all its files.

    numbers_by_teacher  each teacher's rows have the same numbers and so the same articles
    same_labels         rows of one number are the same in all files
    """
    numbers: dict[tuple[str, str], int] = {}
    saved = shard_module.ROW_GROUP_ROWS
    shard_module.ROW_GROUP_ROWS = group_rows
    try:
        for (language, teacher), files in sizes.items():
            for index, rows in enumerate(files):
                counted = (language, teacher if numbers_by_teacher else "")
                first = numbers.get(counted, 0)
                numbers[counted] = first + rows
                seeds = 0 if same_labels else len(numbers)
                content = table(rows, first=first, seed=seeds * 1000 + first, gold_only=gold_only, **options)
                path = ShardPath(language=language, teacher=teacher, name=f"part-{index:05d}").below(str(folder))
                identity = {"schema_version": 2, "top_k": 4, "union": "u"} | ({} if gold_only else {"teacher.weights": teacher})
                write_shard(path, content, identity=identity, unit={}, report={})
    finally:
        shard_module.ROW_GROUP_ROWS = saved
    return read_shards(list_shards(str(folder)))
