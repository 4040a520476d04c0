"""How fast `validate` is, against a plain read of the same files in the same run: python -m tests.benchmarks.bench_validate [PREDICTIONS]

PREDICTIONS: a folder of real shards. Without it, shards of random labels are made.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq

from data.shards import list_shards
from data.validation.validate import validate
from tests.support.shard_factory import make_identity, make_shard, make_vocabulary

FILES, ARTICLES, TIMES = 4, 6000, 5  # BERT's usual shape: 128 tokens, 15% masked, top 8


def timed(work: Callable[[], Any]) -> float:
    work()  # the files are in the page cache, the code is imported
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder, vocabulary = (sys.argv[1], None) if sys.argv[1:] else (scratch, make_vocabulary("gbert"))
        if not sys.argv[1:]:
            identity = make_identity(top_k=8, examples_max_length=128)
            for group in range(FILES):
                make_shard(folder, first_row_group=group, articles=ARTICLES, identity=identity)
        files = list_shards(folder)
        report = validate(folder, vocabulary=vocabulary, manifest=False, workers=1)
        assert report.sound, report.faults[:3]
        print(
            f"{report.files} files, {report.row_groups} row groups, {report.rows:,} rows, {report.masked_positions:,} masked positions, "
            f"{report.bytes / 1e6:.0f} MB; M masked positions/s:"
        )
        runs: list[tuple[str, Callable[[], Any]]] = [
            ("baseline: pq.read_table, one thread", lambda: [pq.read_table(file, use_threads=False) for file in files]),
            ("baseline: pq.read_table, all threads", lambda: [pq.read_table(file) for file in files]),
            ("validate, one worker", lambda: validate(folder, vocabulary=vocabulary, manifest=False, workers=1)),
            ("validate, two workers", lambda: validate(folder, vocabulary=vocabulary, manifest=False, workers=2)),
        ]
        for name, work in runs:
            print(f"{name:40} {report.masked_positions / timed(work) / 1e6:6.2f}")
        seconds = timed(lambda: validate(folder, vocabulary=vocabulary, manifest=False, workers=1, sample=2))
        print(f"{'validate, a sample of 2 row groups':40} {seconds:6.2f} s")


if __name__ == "__main__":
    main()
