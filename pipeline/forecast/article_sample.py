"""A weighted sample of a corpus' articles, drawn without reading the corpus.

Long articles hold most of the windows. So an article is drawn with a probability in proportion to its expected windows,
½ + bytes / (bytes per window), and a total over the corpus is the weighted sum over the draws (Hansen and Hurwitz 1943). The footers
record articles and bytes of each row group. Few row groups are read, chosen in the same proportion, and few articles are drawn from
each. Both draws are systematic: evenly spaced. Legend: A articles of the sample, P places, G row groups.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.articles import open_article_shard, read_articles
from pipeline.teacher.plan import Unit

PLACES = 32  # row groups of a corpus that are read, at most
DRAWS = 8  # articles per place
_BYTES_PER_TOKEN = 4  # roughly, of text: it only steers the draw, the weights make up for it


@dataclass(frozen=True, kw_only=True, slots=True)
class RowGroup:
    """A row group of an article shard, from its footer."""

    location: str
    index: int
    articles: int
    text_bytes: int  # of the column, uncompressed


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Articles and their weights. An article that was drawn twice is listed twice."""

    articles: list[tuple[str, str]]  # [A] (doc_id, text)
    weight_A: NDArray[np.float64]  # how many articles of the corpus this one represents
    place_A: NDArray[np.int64]
    complete: bool  # every article of the corpus is in it

    def total(self, values_A: NDArray[Any]) -> tuple[float, float]:
        """(estimate of the sum of a value over all articles of the corpus, half the width of its 95% interval).

        The interval comes from the differences between places, so it allows for neighbours in the corpus that are alike.
        """
        sums_P = np.bincount(self.place_A, weights=self.weight_A * values_A, minlength=PLACES)
        return float(sums_P.sum()), 0.0 if self.complete else 2 * float(np.sqrt(PLACES * sums_P.var(ddof=1)))

    def unit(self, count: int) -> NDArray[np.int64]:
        """`count` articles with the lengths that a unit of the corpus has, shuffled. Articles of large weight come several times."""
        by_length = np.argsort([len(text) for _, text in self.articles], kind="stable")
        return np.random.default_rng(0).permutation(by_length[spread_evenly(self.weight_A[by_length], count)])


def list_row_groups(units: Iterable[Unit]) -> list[RowGroup]:
    """The row groups of units, in order, from the footers."""
    found: list[RowGroup] = []
    metadata = {}
    for unit in units:
        if unit.corpus not in metadata:
            metadata[unit.corpus] = open_article_shard(unit.corpus).metadata
        for index in range(unit.first_row_group, unit.first_row_group + unit.row_groups):
            group = metadata[unit.corpus].row_group(index)
            columns = (group.column(number) for number in range(group.num_columns))
            size = next(int(column.total_uncompressed_size) for column in columns if column.path_in_schema == "text")
            found.append(RowGroup(location=unit.corpus, index=index, articles=group.num_rows, text_bytes=size))
    return found


def draw_sample(groups: Sequence[RowGroup], max_length: int) -> Sample:
    """A sample of all articles of the row groups: PLACES × DRAWS draws, or every article if there are no more.

    max_length: tokens of a window.
    """
    if sum(group.articles for group in groups) <= PLACES * DRAWS:
        articles = [article for group in groups for article in _read(group)]
        places = np.arange(len(articles)) % PLACES
        return Sample(articles=articles, weight_A=np.ones(len(articles)), place_A=places, complete=True)
    window_bytes = _BYTES_PER_TOKEN * max_length
    size_G = np.array([group.articles / 2 + group.text_bytes / window_bytes for group in groups])
    chosen, places = np.unique(spread_evenly(size_G, PLACES), return_counts=True)
    articles, weights = [], []
    for index, times in zip(chosen, places, strict=True):
        group = _read(groups[index])
        sizes = np.array([0.5 + len(text.encode()) / window_bytes for _, text in group])
        drawn = spread_evenly(sizes, DRAWS * int(times))
        articles += [group[number] for number in drawn]
        # sizes.sum() / size_G corrects for a footer whose size of the text is not exact.
        weights.append(size_G.sum() / (PLACES * DRAWS) * (sizes.sum() / size_G[index]) / sizes[drawn])
    place_A = np.repeat(np.arange(PLACES), DRAWS)
    return Sample(articles=articles, weight_A=np.concatenate(weights), place_A=place_A, complete=False)


def spread_evenly(sizes: NDArray[Any], count: int) -> NDArray[np.int64]:
    """`count` indices, increasing, evenly spaced over the sizes laid end to end. The index of a large size may come several times."""
    ends = np.cumsum(sizes)
    return np.asarray(np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1], side="right"), dtype=np.int64)


def _read(group: RowGroup) -> list[tuple[str, str]]:
    return [*read_articles(group.location, range(group.index, group.index + 1))]
