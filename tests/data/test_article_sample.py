"""Articles that are spread evenly over the files of a corpus."""

from pathlib import Path

import pytest

from data.article_sample import count_articles, spread_articles
from tests.support.factories import article_shard


@pytest.mark.parametrize("wanted", [0, 1, 2, 7, 20, 21, 90])
def test_articles_are_spread_evenly(wanted: int, tmp_path: Path) -> None:
    texts = [f"article {number}" for number in range(21)]
    files = [
        str(article_shard(tmp_path / f"{part}.parquet", texts[begin:end], rows_per_group=4))
        for part, (begin, end) in enumerate(((0, 5), (5, 6), (6, 21)))
    ]
    found = [texts.index(text) for _, text in spread_articles(files, wanted)]
    expected = min(wanted or 21, 21)
    assert len(found) == count_articles(files, wanted) == expected
    gaps = [after - before for before, after in zip([-1, *found], found, strict=False)]
    assert min(gaps) >= 21 // expected
    assert max(gaps) <= -(-21 // expected)
