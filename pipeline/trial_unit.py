"""A trial: one small unit of real articles, run through the real teacher and written as a shard, to learn what the whole will cost."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.contract import ShardPath
from data.identity import Identity
from data.shards import write_shard
from data.storage import join, resolve
from pipeline.label_unit import LoadedTeacher
from pipeline.plan import Unit
from pipeline.teacher_handler import TeacherHandler


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What a unit of so many articles cost."""

    articles: int
    seconds: float  # from its articles to its shard, the teacher loaded before
    positions: int  # masked
    bytes: int  # of its shard
    bytes_of_half: float  # of a shard with half of its rows, the mean of both halves
    bytes_of_a_row: int  # of a shard with one row: nearly all of it is footer and headers

    def shard_bytes(self, positions: float, row_groups: int) -> float:
        """The bytes of a shard of so many masked positions, by a power law: the more a row group holds, the more of it repeats."""
        if not positions or not self.positions:
            return self.bytes_of_a_row
        whole, half = self.bytes - self.bytes_of_a_row, self.bytes_of_half - self.bytes_of_a_row
        exponent = min(1.0, math.log2(whole / half)) if half > 0 else 1.0
        return float(self.bytes_of_a_row + row_groups * whole * (positions / row_groups / self.positions) ** exponent)


def run_trial(
    articles: Sequence[tuple[str, str]],
    handler: TeacherHandler,
    loaded: LoadedTeacher,
    identity: Identity,
    folder: str,
    seconds: float,
) -> Trial:
    """Run the first of the (doc_id, text) articles: so many that they keep the teacher busy for about `seconds`, or all.

    Units of growing size are run until one takes at least half of that: the first ones also warm the machine up. Files are left in
    `folder`.
    """
    run, count = _runner(handler, loaded, identity, folder), 1
    while True:
        trial = run(articles[:count])
        if count >= len(articles) or trial.seconds >= seconds / 2:
            return trial
        growth = 0.8 * seconds / trial.seconds
        count = min(len(articles), int(count * np.clip(growth, 1.5, 8)) + 1)


def _runner(
    handler: TeacherHandler, loaded: LoadedTeacher, identity: Identity, folder: str
) -> Callable[[Sequence[tuple[str, str]]], Trial]:
    path = ShardPath(language="xx", teacher="trial", name="trial")
    corpus, output = join(folder, "articles.parquet"), path.below(folder)
    unit = Unit(
        teacher=path.teacher,
        language=path.language,
        corpus=corpus,
        corpus_fingerprint="0" * 64,
        first_row_group=0,
        row_groups=1,
        output=output,
    )

    def written(table: pa.Table, report: Mapping[str, Any]) -> int:
        """The bytes of a shard."""
        write_shard(output, table, identity=identity, unit=unit.facts(), report=report)
        filesystem, inner = resolve(output)
        return int(filesystem.get_file_info(inner).size)

    def run(articles: Sequence[tuple[str, str]]) -> Trial:
        pq.write_table(pa.table({"id": [name for name, _ in articles], "text": [text for _, text in articles]}), corpus)
        started = time.perf_counter()
        [labelled] = handler.run_inference([unit], loaded)
        table, report = labelled.table, labelled.report
        size, seconds = written(table, report), time.perf_counter() - started
        middle = table.num_rows // 2
        return Trial(
            articles=len(articles),
            seconds=seconds,
            positions=report["masked_positions"],
            bytes=size,
            bytes_of_half=(written(table.slice(0, middle), report) + written(table.slice(middle), report)) / 2,
            bytes_of_a_row=written(table.slice(0, 1), report),
        )

    return run
