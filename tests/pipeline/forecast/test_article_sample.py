"""A sample of articles against its corpus."""

from pathlib import Path

import numpy as np
import pytest

from data.articles import read_articles
from pipeline.forecast.article_sample import DRAWS, PLACES, RowGroup, draw_sample
from tests.support.factories import article_shard


def skewed_corpus(folder: Path, seed: int) -> list[RowGroup]:
    """3,000 articles in 60 row groups, of heavy-tailed lengths: long ones first, as in a real dump."""
    generator = np.random.default_rng(seed)
    lengths = np.sort(generator.lognormal(5, 1.3, 3000).astype(int))[::-1] // generator.integers(1, 4, 3000)
    texts = [chr(97 + index % 26) * int(length) for index, length in enumerate(lengths)]
    location = str(article_shard(folder / f"{seed}.parquet", texts, rows_per_group=50))
    sizes = [sum(map(len, texts[start : start + 50])) for start in range(0, 3000, 50)]
    return [RowGroup(location=location, index=index, articles=50, text_bytes=size) for index, size in enumerate(sizes)]


def test_a_sample_represents_its_corpus(tmp_path: Path) -> None:
    """Windows of 512 bytes, from half of the row groups: within a tenth, and in the 95% interval nearly always."""
    covered = []
    for seed in range(12):
        groups = skewed_corpus(tmp_path, seed)
        sample = draw_sample(groups, max_length=128)
        assert len({int(doc_id.split("-")[1]) // 50 for doc_id, _ in sample.articles}) <= PLACES  # row groups
        assert len(sample.articles) <= PLACES * DRAWS
        total, width = sample.total(np.array([-(-len(text) // 512) for _, text in sample.articles]))
        actual = sum(-(-len(text) // 512) for _, text in read_articles(groups[0].location))
        assert total == pytest.approx(actual, rel=0.1)
        covered.append(abs(total - actual) <= width)
    assert sum(covered) >= 10
    assert width < 0.1 * total


def test_what_footers_say_wrongly_is_made_up_for(tmp_path: Path) -> None:
    """A column of few different texts is kept as a dictionary, and its size in the footer says little of the text."""
    texts = [text * (1 + index % 7) for index, text in enumerate(["one ", "two ", "three "] * 200)]
    location = str(article_shard(tmp_path / "a.parquet", texts, rows_per_group=100))
    sample = draw_sample([RowGroup(location=location, index=i, articles=100, text_bytes=60) for i in range(6)], max_length=2)
    total, width = sample.total(np.array([len(text) for _, text in sample.articles]))
    assert not sample.complete
    assert total == pytest.approx(sum(map(len, texts)), rel=0.1)
    assert width < 0.1 * total


def test_a_unit_of_a_sample_is_like_the_corpus(tmp_path: Path) -> None:
    """Lengths in the corpus' proportions, shuffled."""
    counts = np.where(np.random.default_rng(1).random(3000) < 0.05, 400, 8)
    texts = [f"{index} " + "wort " * count for index, count in enumerate(counts)]
    article_shard(tmp_path / "a.parquet", texts, rows_per_group=50)
    groups = [
        RowGroup(location=str(tmp_path / "a.parquet"), index=index, articles=50, text_bytes=len("".join(texts[50 * index :][:50])))
        for index in range(60)
    ]
    sample = draw_sample(groups, max_length=16)
    lengths = np.array([len(text.split()) for _, text in sample.articles])
    one = lengths[sample.unit(600)]
    assert one.mean() == pytest.approx(counts.mean(), rel=0.1)
    assert lengths.mean() > 2 * counts.mean()
    assert abs(np.flatnonzero(one > 100).mean() / 600 - 0.5) < 0.1
