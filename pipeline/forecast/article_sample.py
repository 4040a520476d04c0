"""A sample of a corpus' articles that stands for all of them, drawn without reading the corpus.

Long articles hold most of the windows, so an article is drawn with a probability in proportion to its expected windows,
½ + bytes / (bytes a window), and a total over the corpus is the weighted sum over the draws (Hansen and Hurwitz 1943). Footers tell
articles and bytes of text of every row group; so few row groups are read, chosen in the same proportion, and within them few articles
are drawn, both spread evenly by place. Legend: A articles of the sample, D draws, P places, G row groups.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.articles import open_article_shard, read_articles
from pipeline.teacher.plan import Unit

PLACES = 32  # at most so many row groups of a corpus are read
DRAWS = 8  # articles a place
_BYTES_A_TOKEN = 4  # roughly, of text: it steers the draw, and no estimate depends on it
_GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, lie apart however many there are


@dataclass(frozen=True, kw_only=True, slots=True)
class RowGroup:
    """A row group of an article shard, as the footer tells it."""

    location: str
    index: int
    articles: int
    text_bytes: int  # of the column, uncompressed


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Articles, and what each of their draws stands for. An article that was drawn twice is there once."""

    articles: list[tuple[str, str]]  # [A] (doc_id, text)
    article_D: NDArray[np.int64]
    weight_D: NDArray[np.float64]
    place_D: NDArray[np.int64]
    row_groups: int  # read
    whole: bool  # every article is in it

    def total(self, values_A: NDArray[Any]) -> tuple[float, float]:
        """(estimate of the sum over the corpus of a value of each article, half the width of its 95% interval).

        The interval comes from how the places differ from each other, so likeness of neighbours in the corpus is in it.
        """
        sums_P = np.bincount(self.place_D, weights=self.weight_D * values_A[self.article_D], minlength=PLACES)
        return float(sums_P.sum()), 0.0 if self.whole else 2 * float(np.sqrt(PLACES * sums_P.var(ddof=1)))

    def unit(self, count: int, nth: int = 0) -> NDArray[np.int64]:
        """`count` articles that are together as a unit of the corpus is: of each length as many as there, in mixed order.

        The sample has many long articles, each standing for few, and few short ones, each standing for many: these come several
        times. Each `nth` unit has others where there are others to take.
        """
        by_length = np.argsort([len(text) for _, text in self.articles], kind="stable")
        weight_A = np.bincount(self.article_D, weights=self.weight_D, minlength=len(self.articles))
        drawn = spread_evenly(weight_A[by_length], count, (0.5 + nth * _GOLDEN) % 1)
        return np.random.default_rng(nth).permutation(by_length[drawn])


def list_row_groups(units: Iterable[Unit]) -> list[RowGroup]:
    """The row groups of units, in order, from the footers."""
    found: list[RowGroup] = []
    metadata = {}
    for unit in units:
        if unit.corpus not in metadata:
            metadata[unit.corpus] = open_article_shard(unit.corpus).metadata
        for index in range(unit.first_row_group, unit.first_row_group + unit.row_groups):
            group = metadata[unit.corpus].row_group(index)
            text = next(column for column in (group.column(c) for c in range(group.num_columns)) if column.path_in_schema == "text")
            size = int(text.total_uncompressed_size)
            found.append(RowGroup(location=unit.corpus, index=index, articles=group.num_rows, text_bytes=size))
    return found


def draw_sample(groups: Sequence[RowGroup], max_length: int) -> Sample:
    """A sample of all articles of the row groups: PLACES × DRAWS draws, or every article where there are no more.

    max_length: tokens of a window.
    """
    if sum(group.articles for group in groups) <= PLACES * DRAWS:
        articles = [article for group in groups for article in _read(group)]
        once_A = np.arange(len(articles))
        return Sample(
            articles=articles,
            article_D=once_A,
            weight_D=np.ones(len(articles)),
            place_D=once_A % PLACES,
            row_groups=len(groups),
            whole=True,
        )
    window_bytes = _BYTES_A_TOKEN * max_length
    size_G = np.array([group.articles / 2 + group.text_bytes / window_bytes for group in groups])
    chosen_P = spread_evenly(size_G, PLACES)
    articles, article_D, weight_D = [], [], []
    for index in np.unique(chosen_P):
        held = _read(groups[index])
        size_A = np.array([0.5 + len(text.encode()) / window_bytes for _, text in held])
        drawn = spread_evenly(size_A, DRAWS * int(np.count_nonzero(chosen_P == index)))
        # size_A.sum() / size_G: what the footer says of the text is close, and this makes up for the rest.
        weight_D.append(size_G.sum() / (PLACES * DRAWS) * (size_A.sum() / size_G[index]) / size_A[drawn])
        kept, place = np.unique(drawn, return_inverse=True)
        article_D.append(len(articles) + place)
        articles += [held[number] for number in kept]
    return Sample(
        articles=articles,
        article_D=np.concatenate(article_D),
        weight_D=np.concatenate(weight_D),
        place_D=np.repeat(np.arange(PLACES), DRAWS),
        row_groups=len(weight_D),
        whole=False,
    )


def spread_evenly(sizes: NDArray[Any], count: int, offset: float = 0.5) -> NDArray[np.int64]:
    """`count` indices, increasing, spread evenly over the sizes laid end to end: a large one may be there several times.

    offset  of the first, in steps: 0 to 1, 1 excluded
    """
    ends = np.cumsum(sizes)
    return np.asarray(np.searchsorted(ends, (np.arange(count) + offset) / count * ends[-1], side="right"), dtype=np.int64)


def _read(group: RowGroup) -> list[tuple[str, str]]:
    return [*read_articles(group.location, range(group.index, group.index + 1))]
