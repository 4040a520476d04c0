"""Inputs as they are found: some without an article, other types of columns, texts cut by lines, WikiExtractor's quirks, languages."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.articles import read_articles
from data.recipe import check_language
from pipeline.prepare import prepare
from tests.support.dumps import doc, dump, page, prepare_all, prepare_dump
from vocab.errors import InputError


def texts(out: Path) -> list[str]:
    return [text for shard in sorted(out.glob("*.parquet")) for _, text in read_articles(str(shard))]


def test_inputs_without_an_article_are_counted_and_passed_over(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "none.parquet")
    (tmp_path / "redirects.xml").write_text(dump(page(1, "#REDIRECT [[x]]"), page(2, "#REDIRECT [[y]]")))
    (tmp_path / "a.txt").write_text("ein Text\n")
    names = ["none.parquet", "redirects.xml", "a.txt"]
    report = prepare_all([tmp_path / name for name in names], tmp_path / "out")
    assert report.articles == 1
    assert sorted((Path(row.input).name, row.articles) for row in report.inputs) == [
        ("a.txt", 1),
        ("none.parquet", 0),
        ("redirects.xml", 0),
    ]
    with pytest.raises(InputError, match=r"none\.parquet: holds no article"):
        prepare_all([tmp_path / name for name in names[:2]], tmp_path / "other")


@pytest.mark.parametrize(
    "kind",
    [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary(), pa.large_binary()],
    ids=str,
)
def test_types_that_hold_text(tmp_path: Path, kind: pa.DataType) -> None:
    column = pa.array(["größer", None, "b"], pa.string())
    column = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    report = prepare_all([tmp_path / "a.parquet"], tmp_path / "out")
    assert texts(tmp_path / "out") == ["größer", "b"]
    assert report.skipped == {"null text": 1}


def test_types_that_hold_none(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="column 'text' is int64"):
        prepare_all([tmp_path / "a.parquet"], tmp_path / "out")
    pq.write_table(pa.table({"text": [b"\xff\xfe"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="binary and not UTF-8"):
        prepare_all([tmp_path / "b.parquet"], tmp_path / "out")


@pytest.mark.parametrize(
    ("by", "wanted"),
    [("lines", ["eins", "zwei", "drei"]), ("blank-lines", ["eins\nzwei", "drei"]), ("file", ["eins\nzwei\n\ndrei"])],
)
def test_what_separates_the_articles_of_plain_text(tmp_path: Path, by: str, wanted: list[str]) -> None:
    (tmp_path / "a.txt").write_text("eins\nzwei\n\ndrei\n")
    prepare_all([tmp_path / "a.txt"], tmp_path / "out", articles_by=by)
    assert texts(tmp_path / "out") == wanted


def test_one_giant_article_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ein Satz in jeder Zeile .\n" * 50_000)
    notes = prepare_all([tmp_path / "a.txt"], tmp_path / "out").table("out").notes
    assert "found one article of 1,299,999 characters" in notes[0]
    assert "--articles lines" in notes[0]


def test_the_language_that_a_dump_declares(tmp_path: Path) -> None:
    xml = dump(page(1, "x")).replace("xml:lang='de'", "xml:lang='fr'")
    (tmp_path / "a.xml").write_text(xml)
    for language, warned in (("de", True), ("fr", False), ("fr-x", False)):
        report = prepare([str(tmp_path / "a.xml")], language, str(tmp_path / language), show_progress=False)
        assert any("declares the language 'fr'" in note for note in report.table("out").notes) == warned


@pytest.mark.parametrize("code", ["de", "simple", "zh-min-nan", "be-tarask", "roa-rup", "nds_nl"])
def test_codes_of_wikipedias(code: str) -> None:
    assert check_language(code) == code


@pytest.mark.parametrize("code", ["DE", "d", "de ", "de/fr", "", "Deutsch"])
def test_other_codes_are_told_in_a_sentence(code: str) -> None:
    with pytest.raises(InputError, match="expected the code of a language or of its Wikipedia in small letters, such as de"):
        check_language(code)


def test_what_templates_cost_is_in_the_report_and_printed(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        dump(page(1, "It is {{abc|1}} long. It stays here. So is {{abc}} this."), page(2, "{{xyz}} ends."))
    )
    report = prepare_dump(tmp_path / "a.xml", tmp_path / "out")
    content = json.loads((tmp_path / "out/_prepare.json").read_text())
    assert (content["sentences"], content["sentences_taken_out"], content["templates_that_cost"]) == (1, 3, {"abc": 2, "xyz": 1})
    assert "75.0% of the sentences are left out" in report.table("out").notes[0]
    (tmp_path / "own.toml").write_text('[any]\nabc = "very"\n')
    prepare_dump(tmp_path / "a.xml", tmp_path / "mine", templates=str(tmp_path / "own.toml"))
    assert texts(tmp_path / "mine") == ["It is very long. It stays here. So is very this."]


def test_wikiextractors_addresses_and_brackets(tmp_path: Path) -> None:
    line = {"id": "1", "revid": "9", "title": "Ulm", "text": "Ulm\n\nSee ?a=1&section=2&copy=3 &amp; x (; y) () z."}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "wiki_00").write_text(
        '<doc id="1" url="u" title="Ulm">\nUlm\n\nSee ?a=1&section=2&copy=3 &amp; x (; y) () z.\n\n</doc>\n'
    )
    for name in ("a.jsonl", "wiki_00"):
        prepare_all([tmp_path / name], tmp_path / name[0])
        assert texts(tmp_path / name[0]) == ["See ?a=1&section=2&copy=3 & x (y) z."]


@pytest.mark.parametrize("quoted", ['<doc id="7">\nmore', "</doc>\nmore", "</doc>\n<p>\n</doc>"])
def test_a_page_that_quotes_the_marks_is_set_aside_alone(tmp_path: Path, quoted: str) -> None:
    text = (
        doc(1, "one")
        + f'<doc id="2" url="" title="quotes">\nquotes\n\na\n{quoted}\n</doc>\n'
        + "".join(doc(number, "three") for number in range(3, 33))
    )
    (tmp_path / "wiki_00.gz").write_bytes(gzip.compress(text.encode()))
    report = prepare_all([tmp_path / "wiki_00.gz"], tmp_path / "out")
    assert report.skipped == {"unparseable page": 1}
    line = json.loads((tmp_path / "out/_quarantine.jsonl").read_text())
    assert line["id"] == "2"
    assert texts(tmp_path / "out") == ["one"] + ["three"] * 30
