"""Articles that are spread evenly over files."""

from collections.abc import Iterator, Sequence
from itertools import compress

from data.articles import open_article_shard, read_articles


def count_articles(files: Sequence[str], wanted: int = 0) -> int:
    """How many articles `spread_articles` gives. Reads only footers."""
    total: int = sum(open_article_shard(file).metadata.num_rows for file in files)
    return total if wanted == 0 else min(wanted, total)


def spread_articles(files: Sequence[str], wanted: int = 0) -> Iterator[tuple[str, str]]:
    """(doc_id, text) of `wanted` articles of all files together, at equal distances, in order; 0: all.

    Reads only the row groups that hold one of them.
    """
    total, wanted = count_articles(files), count_articles(files, wanted)
    first = 0  # the number of the row group's first article among all
    for file in files:
        metadata = open_article_shard(file).metadata
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            picked = [place * wanted // total < (place + 1) * wanted // total for place in range(first, first + rows)]
            if any(picked):
                yield from compress(read_articles(file, range(group, group + 1)), picked)
            first += rows
