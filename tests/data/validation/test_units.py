"""Rows that no predict can write: articles or windows that are missing with the counts mended, and masks that chance does not give."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.contract import SCHEMA
from data.validation import window_rules
from data.validation.unit_rules import check_shown
from tests.support.faults import TARGET, VOCABULARY, check, copy_sound, expect, footer, rewrite
from tests.support.shard_factory import UNION_SIZE, make_identity, make_shard, make_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_sound(tmp_path)


def without(*places: int) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.take([row for row in range(table.num_rows) if row not in places])


def windows_of(folder: Path) -> list[list[int]]:
    """The rows of each article."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(pa.parquet.read_table(folder / TARGET)["doc_id"].to_pylist()):
        rows.setdefault(name, []).append(row)
    return [*rows.values()]


def test_half_of_a_unit_is_gone(folder: Path) -> None:
    articles = footer(folder / TARGET)["unit"]["articles"]
    rewrite(folder / TARGET, lambda table: table.slice(0, table.num_rows // 2), unit={"articles": articles})
    report = check(folder)
    expect(report, "unit.articles", TARGET, "doc_id", None)
    assert f"the {articles} articles of the unit" in report.faults[0].expected


def test_a_window_is_missing_in_the_middle(folder: Path) -> None:
    article = next(rows for rows in windows_of(folder) if len(rows) == 3)
    rewrite(folder / TARGET, without(article[1]))
    report = check(folder)
    expect(report, "window.missing", TARGET, "window", None)
    assert report.faults[0].found.startswith("1 windows are missing, the first is window 1 of article 'de-0-0-")
    rewrite(
        folder / TARGET, report={"counters": footer(folder / TARGET)["report"]["counters"] | {"windows_without_maskable_token": 1}}
    )
    assert check(folder).sound  # the unit has a window of unknown words alone


def test_the_first_windows_are_missing(folder: Path) -> None:
    article = next(rows for rows in windows_of(folder) if len(rows) == 3)
    rewrite(folder / TARGET, without(*article[:2]))
    report = check(folder)
    expect(report, "window.missing", TARGET, "window", None)
    assert "2 windows are missing, the first is window 0 of" in report.faults[0].found


def test_a_window_number_that_no_article_reaches(folder: Path) -> None:
    def renumber(table: pa.Table) -> pa.Table:
        windows = table["window"].to_pylist()
        windows[0] = 2**31 - 1
        return table.set_column(1, SCHEMA.field("window"), pa.array(windows, pa.int32()))

    rewrite(folder / TARGET, renumber)
    report = check(folder)
    assert [fault.rule for fault in report.faults] == ["window.missing"]
    assert "2,147,483,64" in report.faults[0].found


def test_the_footer_counts_other_windows(folder: Path) -> None:
    counters = footer(folder / TARGET)["report"]["counters"]
    rewrite(folder / TARGET, report={"counters": counters | {"windows": counters["windows"] + 1}})
    expect(check(folder), "report.windows", TARGET, "report.counters.windows", None)
    rewrite(folder / TARGET, report={"counters": counters | {"windows": -1}})
    expect(check(folder), "footer.field", TARGET, "report.counters", None)


def test_one_masked_position_in_a_long_window(folder: Path) -> None:
    def thin(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        k = len(rows[0]["topk_ids"]) // len(rows[0]["mask_positions"])
        assert len(rows[0]["mask_positions"]) > 1
        for position, gold in list(zip(rows[0]["mask_positions"], rows[0]["label_ids"], strict=True))[1:]:
            rows[0]["input_ids"][position] = gold
        for name, width in (("mask_positions", 1), ("label_ids", 1), ("label_logits", 1), ("topk_ids", k), ("topk_logits", k)):
            rows[0][name] = rows[0][name][:width]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    rewrite(folder / TARGET, thin)
    expect(check(folder), "mask_positions.share", TARGET, "mask_positions", 0)
    dropped = VOCABULARY.__class__(size=VOCABULARY.size, links=VOCABULARY.links)
    assert check(folder, dropped).sound  # the union lacks pieces of the teacher: tokens that spell them cannot be masked


@pytest.mark.parametrize(("shown", "what"), [("gold", "100.0% of"), ("random", "0.0% of"), ("mask", "100.0% of")])
def test_every_masked_position_shows_the_same(tmp_path: Path, shown: str, what: str) -> None:
    """Each row alone is one that masking can give."""

    def show(row: dict[str, Any]) -> None:
        for position, gold in zip(row["mask_positions"], row["label_ids"], strict=True):
            row["input_ids"][position] = {"gold": gold, "random": 5 + (gold - 4) % (UNION_SIZE - 5), "mask": 4}[shown]

    identity = make_identity()
    rows = make_table(identity, articles=60).to_pylist()
    for row in rows:
        show(row)
    make_shard(str(tmp_path), articles=60, table=pa.Table.from_pylist(rows, schema=SCHEMA))
    [fault, *more] = check(tmp_path).faults
    assert fault.rule == "input_ids.shown"
    assert any(found.found.startswith(what) for found in (fault, *more))
    assert "chance does not explain the difference" in fault.expected
    assert {other.rule for other in more} <= {"input_ids.shown"}


def test_chance_is_no_fault() -> None:
    """20,000 files of every size from 1 to 20,000 positions, masked as BERT does it: none is refused."""
    rng = np.random.default_rng(0)
    for total in range(1, 20_001):
        masks, gold, _ = rng.multinomial(total, [0.8, 0.1, 0.1]).tolist()
        assert not [*check_shown(masks, gold, total, top_k=8)], (masks, gold, total)
    assert not [*check_shown(0, 0, 0, top_k=8)]


@pytest.mark.parametrize(("masks", "gold", "total"), [(0, 14, 14), (0, 0, 14), (15_000, 3_000, 20_000), (16_000, 1_000, 20_000)])
def test_what_chance_does_not_give(masks: int, gold: int, total: int) -> None:
    assert [*check_shown(masks, gold, total, top_k=8)]


@pytest.mark.parametrize("hashes", [lambda names: np.zeros(len(names), np.int64), lambda names: np.arange(len(names)) % 2])
def test_articles_with_the_same_hash_are_compared_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch, hashes: Any) -> None:
    monkeypatch.setattr(window_rules, "_hash", hashes)
    assert check(folder).sound
    article = next(rows for rows in windows_of(folder) if len(rows) == 3)
    rewrite(folder / TARGET, without(article[1]))
    report = check(folder)
    expect(report, "window.missing", TARGET, "window", None)
    assert report.faults[0].found.startswith("1 windows are missing, the first is window 1 of article 'de-0-0-")
