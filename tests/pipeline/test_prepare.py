"""`prepare`: every format and every bad input on real files, the same shards on any runner, and all or nothing."""

import bz2
import errno
import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.articles import SCHEMA, Article, read_articles
from pipeline.beam import staging
from pipeline.corpus import stage_part
from pipeline.corpus.read import read_corpus
from pipeline.corpus.stage_part import is_heldout
from pipeline.prepare import PrepareReport, prepare, shard_names
from tests.support.paths import ROOT
from vocab.errors import InputError

TWO_PROCESSES = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


def page(number: int, text: str, *, title: str = "", ns: str = "<ns>0</ns>", more: str = "") -> str:
    return (
        f"<page><title>{title or f'Page {number}'}</title>{ns}<id>{number}</id>{more}"
        f"<revision><id>9</id><model>wikitext</model><text>{text}</text></revision></page>"
    )


def dump(*pages: str) -> str:
    info = (
        "<siteinfo><base>https://de.wikipedia.org/wiki/Start</base><namespaces>"
        "<namespace key='0' /><namespace key='6'>Datei</namespace><namespace key='10'>Vorlage</namespace></namespaces></siteinfo>"
    )
    return f"<mediawiki xmlns='http://www.mediawiki.org/xml/export-0.10/' xml:lang='de'>{info}{''.join(pages)}</mediawiki>"


def doc(number: int, text: str) -> str:
    return (
        f'<doc id="{number}" url="https://x.org/?curid={number}" title="T &quot;{number}&quot;">\nT "{number}"\n\n{text}\n</doc>\n'
    )


def read(path: Path) -> tuple[list[Article], dict[str, int]]:
    skipped: Counter[str] = Counter()
    return list(read_corpus(str(path), lambda reason: skipped.update([reason]))), dict(skipped)


def run(inputs: list[Path], out: Path, **options: object) -> PrepareReport:
    return prepare([str(path) for path in inputs], "de", str(out), show_progress=False, **options)  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


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


GOOD = dump(*(page(number, "word " * 2000) for number in range(3))).encode()
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
    "unknown": ("a.csv", b"id,text\n1,b\n", "begins with 'id,text'; expected a MediaWiki XML dump"),
    "7z": ("a.7z", b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
    "json line": ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: .*expected one JSON object a line.*1 articles"),
    "json key": ("a.jsonl", b'{"body": "a"}\n', "line 1: found keys 'body'; expected an object with the key 'text'"),
    "json type": ("a.jsonl", b'{"text": 1}\n', "line 1: 'text' is int"),
    "unclosed doc": ("wiki_00", doc(1, "a").encode() + b'<doc id="2">\nb\n', "ends inside the <doc> of line 6.*1 articles"),
    "doc in doc": ("wiki_00", b'<doc id="1">\na\n<doc id="2">\n', "line 3: a <doc> begins inside the one of line 1"),
    "outside doc": ("wiki_00", doc(1, "a").encode() + b"b\n", "line 6: 'b' is outside of <doc>"),
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
    run([tmp_path / "a.txt"], tmp_path / "out")
    shard = tmp_path / "out" / "a-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[content.index(b"\x28\xb5\x2f\xfd") + 20] ^= 1  # inside the first compressed page
    shard.write_bytes(content)
    with pytest.raises(InputError, match="row group 0 is damaged"):
        list(read_articles(str(shard)))
    with pytest.raises(InputError, match="is damaged"):
        read(shard)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for part in ("AA", "AB"):
        (folder / part).mkdir(parents=True)
        texts = (doc(number, f"{part} " * number) for number in range(1, 13))
        (folder / part / "wiki_00").write_text("".join(texts))
    (folder / "d.xml.bz2").write_bytes(bz2.compress(dump(page(50, "Text."), page(51, "#REDIRECT [[x]]")).encode()))
    return folder


def test_prepare(corpus: Path, tmp_path: Path) -> None:
    report = run([corpus], tmp_path / "out", shard_articles=5, heldout_percent=20)
    assert not list((tmp_path / "out").glob(".*"))
    assert sorted(report.shards) == sorted(name for name in tree(tmp_path / "out") if name.endswith(".parquet"))
    kept = [row for shard in report.shards if "/" not in shard for row in read_articles(str(tmp_path / "out" / shard))]
    heldout = [row for shard in report.shards if "/" in shard for row in read_articles(str(tmp_path / "out" / shard))]
    assert (len(kept), len(heldout)) == (report.articles, report.heldout_articles)
    assert len(kept) + len(heldout) == 25
    assert heldout
    assert all(is_heldout("de", doc_id, 20) for doc_id, _ in heldout)
    assert not any(is_heldout("de", doc_id, 20) for doc_id, _ in kept)
    assert report.characters == sum(len(text) for _, text in kept + heldout)
    assert {shard.rsplit("-", 1)[0].removeprefix("heldout/") for shard in report.shards} == {"AA-wiki_00", "AB-wiki_00", "in-d"}
    shard = pq.ParquetFile(tmp_path / "out" / "AA-wiki_00-00000.parquet", page_checksum_verification=True)
    assert shard.schema_arrow == SCHEMA
    assert shard.read().num_rows == 5
    assert json.loads((tmp_path / "out" / "_prepare.json").read_text())["skipped"] == {"redirect": 1}


def test_the_same_bytes_in_two_processes(corpus: Path, tmp_path: Path) -> None:
    run([corpus], tmp_path / "one", shard_articles=5, heldout_percent=20)
    run([corpus], tmp_path / "two", shard_articles=5, heldout_percent=20, beam_args=TWO_PROCESSES)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_row_groups_and_uri(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(str(number) for number in range(2500)))
    prepare([f"file://{tmp_path}/a.txt"], "de", f"file://{tmp_path}/out", show_progress=False)
    metadata = pq.ParquetFile(tmp_path / "out" / "a-00000.parquet").metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [1000, 1000, 500]


@pytest.mark.parametrize("beam_args", [[], TWO_PROCESSES], ids=["in process", "two processes"])
def test_a_bad_file_leaves_nothing(corpus: Path, tmp_path: Path, beam_args: list[str]) -> None:
    (corpus / "z.xml").write_bytes(GOOD[:-200])
    with pytest.raises(InputError, match="is cut") as raised:
        run([corpus], tmp_path / "out", beam_args=beam_args)
    assert "while running" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_bug_keeps_its_traceback_and_leaves_nothing(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_part, "is_heldout", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run([corpus], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stage_part.pq.ParquetWriter, "write_table", full)
    with pytest.raises(
        InputError, match=r"^no space left on device while writing .*out; free space or choose another --out; nothing"
    ):
        run([corpus], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failure_while_publishing_takes_everything_back(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("power")

    real = staging.write_text
    monkeypatch.setattr(staging, "write_text", lambda path, text: fail() if path.endswith(staging.REPORT) else real(path, text))
    with pytest.raises(RuntimeError, match="power"):
        run([corpus], tmp_path / "out", heldout_percent=20)
    assert not (tmp_path / "out").exists()


KILLED_WHILE_PUBLISHING = """
import os, signal, sys
from pipeline.beam import staging
from pipeline.prepare import prepare
real = staging.write_text
staging.write_text = lambda path, text: os.kill(os.getpid(), signal.SIGKILL) if path.endswith("_prepare.json") else real(path, text)
prepare([sys.argv[1]], "de", sys.argv[2], heldout_percent=20, show_progress=False)
"""


def test_a_killed_job_is_cleared_away_by_the_next(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_PUBLISHING, corpus, out], env=environment, check=False)
    assert killed.returncode == -9
    assert list(out.glob("*.parquet"))
    assert not (out / "_prepare.json").exists()
    run([corpus], out, heldout_percent=20)
    run([corpus], tmp_path / "fresh", heldout_percent=20)
    assert tree(out) == tree(tmp_path / "fresh")


def test_refusals(corpus: Path, tmp_path: Path) -> None:
    run([corpus], tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(InputError, match="already holds 3 shards"):
        run([corpus], tmp_path / "out")
    assert tree(tmp_path / "out") == before
    (tmp_path / "file").write_text("x")
    for out, options, message in (
        (tmp_path / "file", {}, "is a file"),
        (tmp_path / "file" / "below", {}, "cannot be created"),
        (tmp_path / "new", {"heldout_percent": 100}, "held-out percent"),
        (tmp_path / "new", {"shard_articles": 0}, "articles a shard"),
        (tmp_path / "new", {"beam_args": ["--directnum_workers=2"]}, "'--directnum_workers=2', which Beam does not know"),
        (tmp_path / "new", {"beam_args": ["--direct_num_workers=two"]}, "invalid int value: 'two'"),
        (tmp_path / "new", {"beam_args": ["--runner=NoRunner"]}, "NoRunner"),
    ):
        with pytest.raises(InputError, match=message):
            run([corpus], out, **options)
        assert not (tmp_path / "new").exists()
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        run([tmp_path / "nothing"], tmp_path / "new")


def test_two_jobs_do_not_write_to_one_folder(corpus: Path, tmp_path: Path) -> None:
    with staging.lock_folder(str(tmp_path / "out")), pytest.raises(InputError, match="another prepare is writing here"):
        run([corpus], tmp_path / "out")


def test_shard_names() -> None:
    assert set(shard_names(["/x/a.xml.bz2", "/x/b.jsonl.gz"]).values()) == {"a", "b"}
    assert set(shard_names(["/x/a.xml", "/x/a.txt"]).values()) == {"a.xml", "a.txt"}
    assert set(shard_names(["/x/AA/wiki_00", "/x/AB/wiki_00"]).values()) == {"AA-wiki_00", "AB-wiki_00"}
    assert set(shard_names(["/p/x/wiki_00", "/q/x/wiki_00"]).values()) == {"p-x-wiki_00", "q-x-wiki_00"}


PEAK_MEMORY = """
import sys
from pipeline.corpus.read import read_corpus
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
articles = read_corpus(sys.argv[1], print)
next(articles)
before = peak()
for article in articles:
    pass
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_one_page(tmp_path: Path) -> None:
    """Measured in a process of its own; not by getrusage, whose peak is inherited from the parent."""
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(bz2.compress(dump(*(page(number, f"{number} word " * 1500) for number in range(2500))).encode(), 1))
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", PEAK_MEMORY, path], env=environment, check=True, capture_output=True)
    assert int(done.stdout) < 10_000  # KiB, of a dump of 40 MB


def test_reading_starts_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(dump(*(page(number, "word " * 500) for number in range(5000))))
    started = time.perf_counter()
    first = next(read_corpus(str(tmp_path / "a.xml"), print))
    assert first.id == "0"
    assert time.perf_counter() - started < 1
