"""Wikitext → plain text: what is kept, what goes, and that broken markup leaves nothing behind and takes no time."""

import random
import re
import time

import pytest

from pipeline.corpus.wikitext import UnparseablePage, hidden_prefixes, plain_text

MARKUP = ("{{", "}}", "[[", "]]", "{|", "|}", "''", "<ref", "</", "\n|-", "\n==", "&nbsp;", "File:", "<!--", "-->", "Category:")

PAGE = """{{Infobox city|name=Ulm|image=[[File:Ulm.jpg|thumb]]<ref>x</ref>}}
'''Ulm''' ({{IPA|ʊlm}}; {{circa}}) is a [[city]] on the [[Danube|river Danube]].<ref name="a">{{cite|x}}</ref><!-- note -->
[[File:Minster.jpg|thumb|The [[Ulm Minster|Minster]]]]
== History ==
It was ''first'' named in 854&nbsp;AD.<ref name="a" />
{| class="wikitable"
|-
! Year !! People
|-
| 1900 || 42,982
|}
=== Empty ===
{{main|History of Ulm}}
== Sights ==
* the [[Ulm Minster|Minster]], {{convert|161|m|ft}} tall
* [https://ulm.de the town]
== References ==
{{reflist}}
== External links ==
<references/>
[[Category:Ulm]]
[[de:Ulm]]
__NOTOC__
"""


def test_a_page() -> None:
    assert plain_text(PAGE) == (
        "Ulm is a city on the river Danube.\n\nHistory\n\nIt was first named in 854 AD.\n\n"
        "Sights\n\nthe Minster, 161 m tall\nthe town"
    )


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("l'''Iliade'' d'Homère, '''gras'''", "l'Iliade d'Homère, gras"),
        ("'''''both''''' and '''{{flag|UK}}''' (UK)", "both and (UK)"),
        ("[[Datei:x.jpg|mini|Ein [[Haus]]]][[Archivo:y.png]][[文件:z.svg]][[ملف:w.jpg]]a", "a"),
        ("[[:de:Haus]] [[wikt:a|b]] [[:Category:Towns]] [[:File:x.jpg|picture]] [[#Top]]", "de:Haus b Towns picture Top"),
        (
            "x<math>a<b</math>y <syntaxhighlight>[[</syntaxhighlight><gallery>\nFile:a.jpg|b\n</gallery><timeline>q</timeline>z",
            "xy z",
        ),
        ("call <code>main()</code> and <nowiki>[[this]]</nowiki>", "call main() and this"),
        ("H<sub>2</sub>O, 5 < 6 and 7 > 6, <b>bold</b>, a<br/>b", "H2O, 5 < 6 and 7 > 6, bold, a\nb"),
        ("AT&amp;T &amp;nbsp;&#8212; x", "AT&T — x"),
        ("* a\n** b\n# c\n; d : e\n: f", "a\nb\nc\nd : e\nf"),
        ("__TOC__ __KEIN_INHALT__ __init__", "__init__"),
        ("-{zh-hans:计算机; zh-hant:電腦}-和-{字}-", "计算机和字"),
        ("{{lang|de|Haus}} {{nowrap|10 km}}", "Haus 10 km"),
        ("a ({{x}}) b ( , ) c （{{x}}；）d (1; {{x}}) e({{x}}) f ({{x}}; 2)", "a b c d (1) e() f (2)"),
        ("<span style='display: none'>hidden</span>shown", "shown"),
        ("\n\n\na\n\n\n\n b  c \n", "a\n\nb c"),
        ("a", "a"),
        ("😀😀", "😀😀"),
        ("a\0b\x01c", "abc"),
        ("{{only|a template}}", ""),
    ],
)
def test_constructs(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


def test_the_wikis_own_namespaces() -> None:
    hidden = hidden_prefixes(["Wöbbekamer", "Klöör"])
    assert plain_text("[[Wöbbekamer:x.jpg|thumb]]a [[Klöör:Blau]]", hidden) == "a"


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("{{Infobox\n| a = b\n| c = d\n\nText", "Text"),
        ("{| class=x\n|-\n| a || b\n! c\nText", "Text"),
        ("[[Foo|bar] and [[File:x.jpg|thumb|cap\nText", "Foo|bar] and\nText"),
        ("a <ref>b c}} d]] e</ref", "a b c d e"),
        ("'''a ''b", "'a b"),  # as MediaWiki shows it
        ("== A ==\nb\n=== broken ==== c", "A\n\nb\n\nbroken =\n\nc"),
    ],
)
def test_unbalanced_markup(wikitext: str, text: str) -> None:
    assert not [mark for mark in MARKUP if mark in plain_text(wikitext)]
    assert plain_text(wikitext) == text


def test_no_markup_is_left_when_any_token_is_lost() -> None:
    generator = random.Random(0)
    tokens = [match.span() for match in re.finditer(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|<ref[^>]*>|</ref>|<!--|-->|'''", PAGE)]
    for _ in range(200):
        broken = PAGE
        for start, end in sorted(generator.sample(tokens, 3), reverse=True):
            broken = broken[:start] + broken[end:]
        left = [mark for mark in MARKUP if mark in "\n" + plain_text(broken)]
        assert not set(left) - {"File:", "Category:"}, broken  # without its brackets a file's name can stand in a sentence


def test_ten_megabytes_on_one_line() -> None:
    started = time.perf_counter()
    text = plain_text(("word " * 200 + "'''b''' [[c|d]] (e) ") * 10_000)
    assert len(text) == 10_000 * 1008 - 1
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize("unit", ["(", "( ", "'''a ''", "__a", "-{", "&a", "= \n", "]]", "}}", "\xa0", "a: b.jpg|"])
def test_time_is_linear(unit: str) -> None:
    started = time.perf_counter()
    plain_text(unit * 100_000)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("unit", ["<ref>", "{{a|", "[[a|", "[http://a ", "<!--", "{"])
def test_a_page_the_parser_would_hang_on_is_refused(unit: str) -> None:
    with pytest.raises(UnparseablePage):
        plain_text(unit * 100_000)
