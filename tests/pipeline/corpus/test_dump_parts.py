"""A bz2 dump shared out in parts: whatever its streams and the parts, the articles are those of the whole, and a fault is one line."""

import bz2
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import fs

from data.articles import Article, read_articles
from pipeline.corpus.bz2_streams import part_starts
from pipeline.corpus.dump_parts import Part, cut_at_pages, parts_of
from pipeline.corpus.read import read_part
from pipeline.prepare import prepare
from tests.support.dumps import TWO_PROCESSES, compressed, dump, multistream, page, prepare_dump, tree
from tests.support.object_store import CREDENTIALS, ObjectStore
from vocab.errors import InputError

TEXTS = [f"Seite {number} ☃ " + "Wort " * number for number in range(1, 40)] + ["😀<page>"]
XML = dump(
    "\n  ",
    *(page(number, f"Seite {number} ☃ " + "Wort " * number) + "\n  " for number in range(1, 40)),
    page(40, "#REDIRECT [[x]]", more="<redirect title='x' />"),
    page(41, "x", ns="<ns>10</ns>"),
    page(42, "😀&lt;page&gt; <!-- no dump has comments -->"),
)


def read(parts: list[Part]) -> tuple[list[Article], Counter[str]]:
    skipped: Counter[str] = Counter()
    return [article for part in parts for article in read_part(part, lambda reason: skipped.update([reason]))], skipped


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(XML.encode())), max_size=60), part_bytes=st.integers(1, 3000))
@example(cuts=[XML.encode().index(b"<page>") + at for at in range(-1, 8)], part_bytes=1)
@example(cuts=list(range(0, len(XML.encode()), 150)), part_bytes=1)
def test_streams_that_cut_pages_anywhere(tmp_path: Path, cuts: list[int], part_bytes: int) -> None:
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(compressed(XML, cuts))
    articles, skipped = read(parts_of(str(path), "a", part_bytes))
    assert (articles, skipped) == read(parts_of(str(path), "a"))
    assert [article.text for article in articles] == [text.strip() for text in TEXTS]
    assert [article.id for article in articles] == [*map(str, range(1, 40)), "42"]
    assert {article.url for article in articles} == {f"https://de.wikipedia.org/wiki/Page_{article.id}" for article in articles}
    assert skipped == {"redirect": 1, "namespace": 1}


@given(
    body=st.lists(st.sampled_from([b"<page>", b"<pa", b"ge>", b"<", b"x", b"</page>", b"<pagex", b""])),
    after=st.lists(st.sampled_from([b"<page>", b"<pa", b"ge>", b"<", b"x", b"</page>", b"<page\n", b""])),
)
def test_a_part_is_from_the_first_page_that_begins_in_it_to_the_first_after_it(body: list[bytes], after: list[bytes]) -> None:
    content, bound = b"".join(body + after), len(b"".join(body))
    begins = [at for at in range(len(content)) if content.startswith((b"<page>", b"<page\n"), at)]
    first, last = (min((at for at in begins if at >= least), default=len(content)) for least in (0, bound))
    pieces = [(False, piece) for piece in body] + [(True, piece) for piece in after]
    expected = content[first:last] + (b"$" if last < len(content) and first < bound else b"")
    assert b"".join(cut_at_pages(pieces, inside=False, end=b"$")) == expected
    assert b"".join(cut_at_pages(pieces, inside=True, end=b"$")) == content[:last] + (b"$" if last < len(content) else b"")


def test_a_part_begins_at_the_first_stream_after_each_multiple(tmp_path: Path) -> None:
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(multistream(XML, 3))
    content = path.read_bytes()
    streams = [at for at in range(len(content)) if content.startswith(b"BZh91AY&SY", at)]
    assert len(streams) == 16
    for part_bytes in (100, 700, 1000, 2500):
        multiples = range(part_bytes, len(content), part_bytes)
        near = {next((at for at in streams if at >= least), -1) for least in multiples}
        parts = parts_of(str(path), "a", part_bytes)
        assert [part.start for part in parts] == [0, *sorted(near - {-1})]
        assert [part.end for part in parts] == [*(part.start for part in parts[1:]), len(content)]
    assert [part.name for part in parts_of(str(path), "a", 1000)] == ["a-part00000", "a-part00001", "a-part00002"]


def test_what_is_no_dump_of_many_streams_is_one_part(tmp_path: Path) -> None:
    text = b"".join(bz2.compress(f"article {number}\n\n".encode()) for number in range(99))
    for name, content in (("one.xml.bz2", bz2.compress(XML.encode())), ("a.txt.bz2", text), ("a.xml", XML.encode() * 9)):
        (tmp_path / name).write_bytes(content)
        assert [part.whole for part in parts_of(str(tmp_path / name), "a", 100)] == [True]


def with_false_start(stream: bytes) -> bytes:
    """The same content, with the ten bytes of a stream's start in the midst of the compressed data.

    bz2 lets a block name more Huffman tables ("selectors", unary numbers) than it uses, and those may spell anything with few
    1-bits in a row.
    """
    bits = f"{int.from_bytes(stream):0{8 * len(stream)}b}"
    bits = bits[: bits.rindex(f"{0x177245385090:048b}") + 80]
    at = 137  # the header of the stream, and of the block up to the map of the bytes that occur in it
    at += 16 + 16 * bits[at : at + 16].count("1") + 3
    count, begin = int(bits[at : at + 15], 2), at + 15
    end = begin
    for _ in range(count):
        end = bits.index("0", end) + 1
    more = "0" * (-end % 8) + f"{int.from_bytes(b'BZh91AY&SY'):080b}" + "0"
    bits = bits[:at] + f"{count + more.count('0'):015b}" + bits[begin:end] + more + bits[end:]
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))


def test_the_magic_of_a_stream_inside_compressed_data(tmp_path: Path) -> None:
    content = XML.encode()
    first, second = content[:6000], content[6000:]
    false = with_false_start(bz2.compress(first))
    assert bz2.decompress(false) == first
    inside = false.index(b"BZh91AY&SY", 1)
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(false + bz2.compress(second))
    for part_bytes in (inside - 5, inside):
        parts = parts_of(str(path), "a", part_bytes)
        assert parts[1].start == len(false)
        assert read(parts) == read(parts_of(str(path), "a"))
    wrong = Part(location=str(path), name="a", start=0, end=inside, size=path.stat().st_size)
    with pytest.raises(InputError, match=rf"is damaged \(no stream ends at byte {inside}, .* articles of its part from byte 0\)$"):
        read([wrong])


def test_a_start_is_searched_across_the_blocks_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.bz2").write_bytes(b"x" * 95 + bz2.compress(b"y"))
    (tmp_path / "cut.bz2").write_bytes(b"x" * 95 + bz2.compress(b"y")[:-1])
    for name, starts in (("a.bz2", [0, 95]), ("cut.bz2", [0])):  # a stream that is cut is not proved
        with fs.LocalFileSystem().open_input_file(str(tmp_path / name)) as source:
            for read_bytes in range(1, 12):
                monkeypatch.setattr("pipeline.corpus.bz2_streams._READ_BYTES", read_bytes)
                assert part_starts(source, source.size(), 50) == starts


def test_reads_may_end_inside_the_magic_of_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(multistream(XML, 10))
    expected = read(parts_of(str(path), "a"))
    for read_bytes in range(10, 40):
        monkeypatch.setattr("pipeline.corpus.bz2_streams._READ_BYTES", read_bytes)
        assert read(parts_of(str(path), "a", 1000)) == expected


def test_the_same_shards_with_any_number_of_workers(tmp_path: Path) -> None:
    path = tmp_path / "dewiki.xml.bz2"
    path.write_bytes(multistream(XML, 3))
    options = {"part_bytes": 700, "shard_articles": 5, "heldout_percent": 20}
    report = prepare_dump(path, tmp_path / "one", **options)
    prepare_dump(path, tmp_path / "two", **options, beam_args=TWO_PROCESSES)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert sorted(report.shards) == [name for name in tree(tmp_path / "one") if name.endswith(".parquet")]

    whole = prepare_dump(path, tmp_path / "whole", heldout_percent=20)
    assert [shard.removeprefix("heldout/") for shard in whole.shards] == ["dewiki-00000.parquet"] * 2
    for folder in (".", "heldout"):
        rows = [row for shard in sorted((tmp_path / "one" / folder).glob("*.parquet")) for row in read_articles(str(shard))]
        assert rows == list(read_articles(str(tmp_path / "whole" / folder / "dewiki-00000.parquet")))
    row, expected = (json.loads((tmp_path / name / "_prepare.json").read_text())["inputs"] for name in ("one", "whole"))
    assert len(row) == 1
    assert {**row[0], "shards": []} == {**expected[0], "shards": []}
    assert row[0]["bytes"] == path.stat().st_size


def test_a_dump_on_an_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in CREDENTIALS.items():
        monkeypatch.setenv(key, value)
    path = tmp_path / "dewiki.xml.bz2"
    path.write_bytes(multistream(XML, 3))
    prepare_dump(path, tmp_path / "out", part_bytes=1000)
    shards = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(shards) == 3
    store = ObjectStore()
    with store.files.open_output_stream("shards/parts/in/dewiki.xml.bz2", compression=None) as file:
        file.write(path.read_bytes())
    for number, name in enumerate(("in/dewiki.xml.bz2", "in", "in/*.bz2")):
        there = f"s3://shards/parts/out{number}?{store.options}"
        prepare([f"s3://shards/parts/{name}?{store.options}"], "de", there, part_bytes=1000, show_progress=False)
        for shard in shards:
            with store.files.open_input_file(f"shards/parts/out{number}/{shard.name}") as file:
                assert file.read() == shard.read_bytes()
    store.close()


def test_a_cut_or_damaged_dump_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    content = multistream(XML, 3)
    streams = [at for at in range(len(content)) if content.startswith(b"BZh91AY&SY", at)]
    damaged = {at: content[:at] + b"XXXX" + content[at + 4 :] for stream in streams[1:5] for at in (stream, stream + 100)}
    cut = {at: content[:at] for at in (*streams[2:5], streams[-1], streams[-1] + 20, *range(1800, len(content), 701))}
    for fault, contents in (("is (damaged|cut)", damaged), ("is cut", cut)):
        for at, faulty in contents.items():
            path = tmp_path / f"{at}.xml.bz2"
            path.write_bytes(faulty)
            for part_bytes in (300, 1000):
                with pytest.raises(InputError, match=rf"^{path}: {fault}.*: fetch it again"):
                    read(parts_of(str(path), "a", part_bytes))
    with pytest.raises(InputError, match=r"is cut.* of its part from byte [\d,]+\)$"):
        prepare_dump(tmp_path / f"{streams[-1]}.xml.bz2", tmp_path / "out", part_bytes=300)
    assert not (tmp_path / "out").exists()


def test_a_dump_of_which_no_part_holds_an_article(tmp_path: Path) -> None:
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(multistream(dump(*(page(number, "x", ns="<ns>4</ns>") for number in range(40))), 4))
    with pytest.raises(InputError, match=r"a.xml.bz2: holds no article \(skipped: 40 namespace\)"):
        prepare_dump(path, tmp_path / "out", part_bytes=300)


def test_an_input_named_as_a_part(tmp_path: Path) -> None:
    (tmp_path / "a.xml.bz2").write_bytes(multistream(XML, 3))
    (tmp_path / "a-part00001.txt").write_text("x")
    with pytest.raises(InputError, match="has the name of a part of another"):
        prepare_dump(tmp_path, tmp_path / "out", part_bytes=1000)
    assert not (tmp_path / "out").exists()
