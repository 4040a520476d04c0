"""Corpus files of every format as articles, and the errors of those that cannot be read."""

import bz2
import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.articles import Article, read_articles
from pipeline.corpus.read import read_corpus
from tests.support.dumps import GOOD, doc, dump, page, prepare_all
from vocab.errors import InputError


def read(path: Path) -> tuple[list[Article], dict[str, int]]:
    skipped: Counter[str] = Counter()
    return list(read_corpus(str(path), lambda reason: skipped.update([reason]))), dict(skipped)


@pytest.mark.parametrize(
    ("name", "pack"), [("a.xml", bytes), ("a.xml.bz2", bz2.compress), ("a.xml.gz", gzip.compress), ("a.xml-p1p9.bz2", bz2.compress)]
)
def test_a_dump(tmp_path: Path, name: str, pack: type[bytes]) -> None:
    content = dump(
        page(1, "'''Ulm''' [[Datei:x.jpg|mini]]ist eine [[Stadt]].", title="Ulm an der Donau"),
        page(2, "#REDIRECT [[Ulm]]", more="<redirect title='Ulm' />"),
        page(3, "#WEITERLEITUNG [[Ulm]]"),
        page(4, "x", ns="<ns>10</ns>"),
        page(5, "x", ns="", title="Vorlage:y"),
        page(6, "{{only|templates}}"),
        page(7, "&lt;ref&gt;" * 20_000),
        page(8, "x").replace("wikitext", "json"),
        page(9, "😀"),
    )
    (tmp_path / name).write_bytes(pack(content.encode()))
    articles, skipped = read(tmp_path / name)
    url = "https://de.wikipedia.org/wiki/Ulm_an_der_Donau"
    assert articles[0] == Article(id="1", url=url, title="Ulm an der Donau", text="Ulm ist eine Stadt.")
    assert [article.text for article in articles[1:]] == ["😀"]
    assert skipped == {"redirect": 2, "namespace": 2, "empty": 1, "unparseable page": 1, "not wikitext": 1}


def test_a_dump_without_siteinfo_and_with_old_revisions(tmp_path: Path) -> None:
    revisions = "<revision><text>old</text></revision><revision><text>new</text></revision>"
    (tmp_path / "a.xml").write_text(f"<mediawiki><page><title>A</title><id>1</id>{revisions}</page></mediawiki>")
    assert [(article.text, article.url) for article in read(tmp_path / "a.xml")[0]] == [("new", "")]


def test_wikiextractor_docs_by_content_and_not_by_name(tmp_path: Path) -> None:
    other = '<doc id="3" title="C" url="u">\nno title line &lt;b&gt;</doc>\n'
    (tmp_path / "wiki_00").write_bytes(gzip.compress((doc(1, "Tom &amp; Eva\n\nzwei") + doc(2, "") + other).encode()))
    articles, skipped = read(tmp_path / "wiki_00")
    assert articles[0] == Article(id="1", url="https://x.org/?curid=1", title='T "1"', text="Tom & Eva\n\nzwei")
    assert (articles[1].id, articles[1].text, skipped) == ("3", "no title line <b>", {"empty": 1})


def test_jsonl(tmp_path: Path) -> None:
    rows = [{"id": 7, "url": "u", "title": "t", "text": "a &lt;"}, {"text": "b\0c"}, {"text": None}, {"revid": "1", "text": "&lt;"}]
    (tmp_path / "wiki_00.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    articles, skipped = read(tmp_path / "wiki_00.jsonl")
    assert [(article.id, article.text) for article in articles] == [("7", "a &lt;"), ("wiki_00:1", "bc"), ("wiki_00:3", "<")]
    assert skipped == {"null text": 1}


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None, "", "b"], "title": ["A", "N", "E", None]}), tmp_path / "a.parquet")
    articles, skipped = read(tmp_path / "a.parquet")
    assert [(article.id, article.title, article.text) for article in articles] == [("a:0", "A", "a"), ("a:3", "", "b")]
    assert skipped == {"null text": 1, "empty": 1}


def test_plain_text_and_extreme_articles(tmp_path: Path) -> None:
    long = "wörter " * 1_400_000
    (tmp_path / "a.txt.bz2").write_bytes(bz2.compress(f"\ufeffx\n\n\n😀😀\r\nzwei\r\n\r\n{long}\n".encode(), 1))
    assert [article.text for article in read(tmp_path / "a.txt.bz2")[0]] == ["x", "😀😀\nzwei", long]


BAD: dict[str, tuple[str, bytes, str]] = {
    "empty file": ("a.xml", b"", r"is empty \(0 bytes\)"),
    "empty gz": ("a.gz", gzip.compress(b""), "is empty"),
    "cut xml": ("a.xml", GOOD[:-200], r"is cut: the XML ends before </mediawiki>.* \(read before this: 2 articles\)"),
    "cut bz2": ("a.xml.bz2", bz2.compress(GOOD)[:-20], "is cut: its compressed data end too early"),
    "cut gz": ("a.xml.gz", gzip.compress(GOOD)[:-20], "is cut: its compressed data end too early.*read before this"),
    "damaged bz2": ("a.xml.bz2", b"BZh9" + b"x" * 99, "is damaged"),
    "damaged gz": ("a.xml.gz", gzip.compress(os.urandom(9999))[:40] + b"x" * 9999, "is damaged"),
    "broken xml": ("a.xml", GOOD.replace(b"</page>", b"</pag>"), "broken XML at line 1, column .*mismatched tag"),
    "utf-16": ("a.xml", GOOD.decode().encode("utf-16"), "looks like UTF-16; .*`iconv -f UTF-16 -t UTF-8`"),
    "utf-16 without mark": ("a.txt", b"h\0e\0l\0l\0o\0", "looks like UTF-16LE"),
    "windows": ("a.txt", "gut\n\nschön".encode("cp1252"), "line 3, byte 0xf6 is not UTF-8, it looks like WINDOWS-1252"),
    "cyrillic": ("a.txt", "Привет, как дела".encode("cp1251"), "looks like WINDOWS-1251"),
    "chinese": ("wiki_00", b'<doc id="1">\n' + "我们今天去北京".encode("gb18030"), "looks like GB18030"),
    "no article": ("a.xml", dump(page(1, "x", ns="<ns>4</ns>")).encode(), r"holds no article \(skipped: 1 namespace\)"),
    "no page": ("a.xml", dump().encode(), "holds no article .skipped: no record at all"),
    "other xml": ("a.xml", b"<?xml version='1.0'?><rss></rss>", "XML without <mediawiki>"),
    "unknown": ("a.csv", b"id,text\n1,b\n", r"is a table of text \(\.csv\); expected a MediaWiki XML dump.*column 'text'"),
    "7z": ("a.7z", b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
    "json line": ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: .*expected one JSON object a line.*1 articles"),
    "json key": ("a.jsonl", b'{"body": "a"}\n', "line 1: found keys 'body'; expected an object with the key 'text'"),
    "json type": ("a.jsonl", b'{"text": 1}\n', "line 1: 'text' is int"),
    "unclosed doc": ("wiki_00", doc(1, "a").encode() + b'<doc id="2">\nb\n', "ends inside the <doc> of line 6.*1 articles"),
    "doc in doc": ("wiki_00", b'<doc id="1">\na\n<doc id="2">\n', "ends inside the <doc> of line 1"),
    "cut parquet": ("a.parquet", b"PAR1" + b"x" * 99, "cannot be read as Parquet"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(raised.value)


def test_a_parquet_file_without_text_and_a_missing_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="found columns body; expected a column 'text'"):
        read(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "no.xml")


def test_a_flipped_bit_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(f"article {number}" for number in range(500)))
    prepare_all([tmp_path / "a.txt"], tmp_path / "out")
    shard = tmp_path / "out" / "a-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[content.index(b"\x28\xb5\x2f\xfd") + 20] ^= 1  # inside the first compressed page
    shard.write_bytes(content)
    with pytest.raises(InputError, match="row group 0 is damaged"):
        list(read_articles(str(shard)))
    with pytest.raises(InputError, match="is damaged"):
        read(shard)
