"""A trial: units of real articles, labelled by the real teacher, to learn what all units will cost; their rows are written as a shard.

A unit costs more than its FLOPs: every article and every row has a price of its own. So the units of a trial are made as the corpus'
units are, and where time allows they are as large. Their seconds are those of their reports, as a manifest will hold them.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.contract import ShardPath
from data.identity import Identity
from data.shards import read_shard, write_shard
from data.storage import join
from pipeline.forecast.article_sample import Sample
from pipeline.teacher.label_unit import Labelled
from pipeline.teacher.plan import Unit


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What units of the sample's articles cost."""

    units: list[NDArray[np.int64]]  # the articles of each, by their numbers in the sample
    seconds: float  # of these units, from the articles to the labels, the teacher loaded before
    positions: int  # masked, of a shard of the units' articles, each once: copies would compress better than a corpus does
    bytes: int  # of that shard
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
    sample: Sample,
    *,
    articles: int,
    units: int,
    label: Callable[[Unit], Labelled],
    identity: Identity,
    folder: str,
    seconds: float,
) -> Trial:
    """A trial for a corpus of so many `units` of so many `articles` each. It keeps the teacher busy for about `seconds`, or less.

    Units of growing size are run until one takes at least half of that, or is as large as the corpus' units. The smaller ones only warm
    the machine up, and so does the first of full size: it is followed by as many more as the time and the corpus allow. Files are left
    in `folder`.
    """
    path = ShardPath(language="xx", teacher="trial", name="trial")
    unit = Unit(
        teacher=path.teacher,
        language=path.language,
        corpus=join(folder, "articles.parquet"),
        corpus_fingerprint="0" * 64,
        first_row_group=0,
        row_groups=1,
        output=path.below(folder),
    )

    def run_unit(unit_A: NDArray[np.int64], names: _Names) -> tuple[float, Labelled]:
        """A unit of these articles, labelled, and its seconds."""
        ids, texts = zip(*names.of(unit_A), strict=True)
        pq.write_table(pa.table({"id": ids, "text": texts}), unit.corpus)
        labelled = label(unit)
        return max(0.001, labelled.report["seconds"]), labelled  # whole milliseconds

    run_unit(sample.unit(1), _Names(sample))
    count, ends = 1, time.perf_counter() + 2 * seconds
    while True:
        names = _Names(sample)
        tried = [sample.unit(count)]
        first, labelled = run_unit(tried[0], names)
        took, tables = [first], [names.originals(labelled.table)]
        if count >= articles or first >= seconds / 2:
            break
        count = min(articles, int(count * np.clip(0.8 * seconds / first, 1.5, 8)) + 1)
    while count >= articles and len(tried) <= units and sum(took) < seconds / 2 and time.perf_counter() < ends:
        tried.append(sample.unit(count, len(tried)))
        again, labelled = run_unit(tried[-1], names)
        took.append(again)
        tables.append(names.originals(labelled.table))
    table = pa.concat_tables(tables).combine_chunks()
    # Halves of every other article each: later units bring only what the first ones did not have, so they are of another kind.
    article_R = table["doc_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    halves = [table.filter(pa.array(article_R % 2 == half)) for half in (0, 1)]
    return Trial(
        units=tried[1:] or tried,
        seconds=sum(took[1:] or took),
        positions=pc.sum(pc.list_value_length(table["mask_positions"])).as_py() or 0,
        bytes=_bytes(table, labelled, identity),
        bytes_of_half=sum(_bytes(half, labelled, identity) for half in halves) / 2,
        bytes_of_a_row=_bytes(table.slice(0, 1), labelled, identity),
    )


class _Names:
    """Names for articles that come several times: an article's own is for the first time; masks are drawn anew for each."""

    def __init__(self, sample: Sample) -> None:
        self._articles, self._times = sample.articles, Counter[int]()
        self._own = pa.array([doc_id for doc_id, _ in sample.articles], pa.string())

    def of(self, unit_A: NDArray[np.int64]) -> list[tuple[str, str]]:
        """The (doc_id, text) of articles of the sample, by their numbers."""
        named = []
        for number in unit_A.tolist():
            doc_id, text = self._articles[number]
            times = self._times[number]
            self._times[number] += 1
            named.append((f"{doc_id} again {times}" if times else doc_id, text))
        return named

    def originals(self, table: pa.Table) -> pa.Table:
        """The rows of articles that come for the first time."""
        return table.filter(pc.is_in(table["doc_id"], value_set=self._own))


def _bytes(table: pa.Table, labelled: Labelled, identity: Identity) -> int:
    """The bytes of a table as the shard of a unit."""
    write_shard(labelled.unit.output, table, identity=identity, unit=labelled.unit.facts(), report=labelled.report)
    return read_shard(labelled.unit.output).bytes
