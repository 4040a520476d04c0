"""Pages that cannot be parsed: each is told with its reason, too many of them fail the job, and none ends it with a traceback."""

import inspect
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from data.articles import read_articles
from pipeline.corpus.dump_parts import parts_of
from pipeline.corpus.mediawiki import QuarantinedPage
from pipeline.corpus.read import read_part
from tests.support.dumps import TWO_PROCESSES, dump, multistream, page, prepare_dump, tree
from vocab.errors import InputError

UNCLOSED = "&lt;ref&gt;" * 20_000  # the parser goes back to each of them
NESTED = "&lt;div&gt;" * 98 + "x" + "&lt;/div&gt;" * 98


def poisoned(folder: Path, poison: int, good: int = 30) -> Path:
    pages = [page(number, f"Seite {number}") for number in range(good)]
    for number in range(poison):
        pages.insert(2 * number, page(1000 + number, UNCLOSED, title=f"Gift {number} ☠"))
    path = folder / "dewiki.xml.bz2"
    path.write_bytes(multistream(dump(*pages), 3))
    return path


@pytest.mark.parametrize("beam_args", [[], TWO_PROCESSES], ids=["in process", "two processes"])
def test_a_few_pages_are_quarantined_in_the_order_of_the_dump(tmp_path: Path, beam_args: list[str]) -> None:
    path = poisoned(tmp_path, 10)
    report = prepare_dump(path, tmp_path / "out", part_bytes=400, beam_args=beam_args)
    assert len(report.shards) > 2
    assert (report.articles, report.skipped) == (30, {"unparseable page": 10})
    lines = [json.loads(line) for line in (tmp_path / "out" / "_quarantine.jsonl").read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == [str(1000 + number) for number in range(10)]
    reason = "UnparseablePage: 20000 openers in 100000 characters are never closed"
    assert lines[3] == {"input": str(path), "id": "1003", "title": "Gift 3 ☠", "reason": reason}


def test_too_many_fail_the_job_and_leave_the_quarantine_alone(tmp_path: Path) -> None:
    path, out = poisoned(tmp_path, 11), tmp_path / "out"
    message = rf"^{path}: 11 of 41 articles \(26.8%\) cannot be parsed; expected 1.0% at most: look at {out}/_quarantine.jsonl"
    with pytest.raises(InputError, match=message):
        prepare_dump(path, out, part_bytes=400)
    assert list(tree(out)) == ["_quarantine.jsonl"]
    assert len((out / "_quarantine.jsonl").read_text().splitlines()) == 11

    prepare_dump(path, out, part_bytes=400, max_unparseable=0.27)
    assert len((out / "_quarantine.jsonl").read_text().splitlines()) == 11
    assert len(list(out.glob("*.parquet"))) > 2


def test_the_quarantine_is_that_of_the_last_job(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="cannot be parsed"):
        prepare_dump(poisoned(tmp_path, 11), out)
    prepare_dump(poisoned(tmp_path, 0), out)
    assert (out / "_quarantine.jsonl").read_text() == ""


def test_the_share_is_of_each_input(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    poisoned(tmp_path / "in", 11)
    (tmp_path / "in" / "a.xml").write_text(dump(*(page(number, "Text") for number in range(1000, 2200))))
    with pytest.raises(InputError, match=r"dewiki\.xml\.bz2: 11 of 41"):
        prepare_dump(tmp_path / "in", tmp_path / "out")
    prepare_dump(tmp_path / "in", tmp_path / "out", max_unparseable=0.3)
    with pytest.raises(InputError, match=r"found 1\.5 as the share of unparseable pages"):
        prepare_dump(tmp_path / "in", tmp_path / "new", max_unparseable=1.5)


def test_a_page_that_the_parser_falls_over(tmp_path: Path) -> None:
    """Nested as deep as the parser takes it, it needs 300 frames of Python's stack; here there are fewer."""
    (tmp_path / "a.xml").write_text(dump(page(1, "Eins."), page(2, NESTED, title="Tief"), page(3, "Drei.")))
    skipped: Counter[str] = Counter()
    quarantined: list[QuarantinedPage] = []
    articles = read_part(
        parts_of(str(tmp_path / "a.xml"), "a")[0], lambda reason: skipped.update([reason]), quarantined=quarantined.append
    )
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        texts = [article.text for article in articles]
    finally:
        sys.setrecursionlimit(limit)
    assert texts == ["Eins.", "Drei."]
    assert skipped == {"unparseable page": 1}
    assert [(found.id, found.title) for found in quarantined] == [("2", "Tief")]
    assert quarantined[0].reason.startswith("RecursionError: maximum recursion depth exceeded")


def test_what_utf8_has_no_bytes_for(tmp_path: Path) -> None:
    """A lone surrogate can be spelled in wikitext and in JSON, but not be written."""
    (tmp_path / "a.xml").write_text(dump(page(1, "a &amp;#xD800; b")))
    (tmp_path / "b.jsonl").write_text(json.dumps({"id": "\ud800", "title": "\udfff", "text": "😀 \ud83d"}))
    for name, expected in (("a.xml", ("1", "a \ufffd b")), ("b.jsonl", ("\ufffd", "😀 \ufffd"))):
        prepare_dump(tmp_path / name, tmp_path / name[0])
        assert list(read_articles(str(tmp_path / name[0] / f"{name[0]}-00000.parquet"))) == [expected]


def test_an_input_of_nothing_else_fails_and_leaves_the_quarantine(tmp_path: Path) -> None:
    dump_of_poison = poisoned(tmp_path, poison=3, good=0)
    with pytest.raises(InputError, match=r"3 of 3 articles \(100\.0%\) cannot be parsed"):
        prepare_dump(dump_of_poison, tmp_path / "out")
    assert len((tmp_path / "out/_quarantine.jsonl").read_text().splitlines()) == 3
