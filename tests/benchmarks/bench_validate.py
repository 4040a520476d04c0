"""How fast `validate` is, against a plain read of the same files in the same run: python tests/benchmarks/bench_validate.py"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from shard_factory import make_identity, make_shard, make_vocabulary  # noqa: E402

from data.validate import validate  # noqa: E402

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
    identity = make_identity(top_k=8, examples_max_length=128)
    with tempfile.TemporaryDirectory() as folder:
        files = [make_shard(folder, first_row_group=group, articles=ARTICLES, identity=identity) for group in range(FILES)]
        report = validate(folder, vocabulary=make_vocabulary("gbert"), workers=1)
        assert report.sound, report.faults[:3]
        print(
            f"{report.files} files, {report.rows:,} rows, {report.masked_positions:,} masked positions, {report.bytes / 1e6:.0f} MB"
        )
        runs: list[tuple[str, Callable[[], Any]]] = [
            ("baseline: pq.read_table, one thread", lambda: [pq.read_table(file, use_threads=False) for file in files]),
            ("baseline: pq.read_table, all threads", lambda: [pq.read_table(file) for file in files]),
            ("validate, one thread", lambda: validate(folder, vocabulary=make_vocabulary("gbert"), workers=1)),
            ("validate, all threads", lambda: validate(folder, vocabulary=make_vocabulary("gbert"))),
        ]
        for name, work in runs:
            print(f"{name:40} {report.masked_positions / timed(work) / 1e6:6.2f} M masked positions/s")


if __name__ == "__main__":
    main()
