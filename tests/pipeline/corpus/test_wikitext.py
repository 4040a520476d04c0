"""Wikitext → plain text: what is kept, what goes, and that broken markup leaves nothing behind and takes no time."""

import random
import re
from pathlib import Path

import pytest

from pipeline.corpus.templates import own_templates, read_templates
from pipeline.corpus.wikitext import Rendering, UnparseablePage, hidden_prefixes, plain_text
from vocab.errors import InputError

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
        "Ulm (ʊlm) is a city on the river Danube.\n\nHistory\n\nIt was first named in 854 AD.\n\n"
        "Sights\n\nthe Minster, 161 m tall\nthe town"
    )


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("l'''Iliade'' d'Homère, '''gras'''", "l'Iliade d'Homère, gras"),
        ("'''''both''''' and '''{{flag|UK}}''' (UK)", "both and UK (UK)"),
        ("[[Datei:x.jpg|mini|Ein [[Haus]]]][[Archivo:y.png]][[文件:z.svg]][[ملف:w.jpg]]a", "a"),
        ("[[:de:Haus]] [[wikt:a|b]] [[:Category:Towns]] [[:File:x.jpg|picture]] [[#Top]]", "de:Haus b Towns picture Top"),
        (
            "x<math>a<b</math>y <syntaxhighlight>[[</syntaxhighlight><gallery>\nFile:a.jpg|b\n</gallery><timeline>q</timeline>z",
            "",
        ),
        ("call <code>main()</code> and <nowiki>[[this]]</nowiki>", "call main() and [[this]]"),
        ("H<sub>2</sub>O, 5 < 6 and 7 > 6, <b>bold</b>, a<br/>b", "H2O, 5 < 6 and 7 > 6, bold, a\nb"),
        ("AT&amp;T &amp;nbsp;&#8212; x", "AT&T &nbsp;— x"),
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
    text = plain_text(("word " * 200 + "'''b''' [[c|d]] (e) ") * 10_000)
    assert len(text) == 10_000 * 1008 - 1


@pytest.mark.parametrize("unit", ["(", "( ", "'''a ''", "__a", "-{", "&a", "= \n", "]]", "}}", "\xa0", "a: b.jpg|"])
def test_many_openers_end(unit: str) -> None:
    """Time that grows with the square of the length would be hours here."""
    assert len(plain_text(unit * 100_000)) <= 100_000 * len(unit)


@pytest.mark.parametrize("unit", ["<ref>", "{{a|", "[[a|", "[http://a ", "<!--", "{"])
def test_a_page_the_parser_would_hang_on_is_refused(unit: str) -> None:
    with pytest.raises(UnparseablePage):
        plain_text(unit * 100_000)


HOLES = [
    ("{{nihongo|'''Kao Corporation'''|花王株式会社}} là một công ty", "Kao Corporation là một công ty"),
    ("date du {{XIIe siècle}} et couvre {{unité|72735|m2}}.", "date du XIIe siècle et couvre 72735 m2."),
    ("Il a reçu {{formatnum:9300000}} visiteurs", "Il a reçu 9300000 visiteurs"),
    ('Er sagte: {{"|Das ist gut.}} und ging.', "Er sagte: „Das ist gut.“ und ging."),
    ("H{{sub|2}}O, {{frac|1|2}}, {{frac|3}}, {{circa|1958}}, {{langx|de|Haus}}", "H2O, 1/2, 1/3, c. 1958, Haus"),
    ("{{IPA|/haʊs/}}: {{Quote|text=x y}} {{blockquote|Hi.}}", "/haʊs/: x y Hi."),
    ("{{plainlist|\n* a\n* b}}", "a\nb"),
    ("{{#if:x|yes|no}} {{#if:|yes|no}} {{#switch:b|a=1|b=2|#default=3}} {{#switch:q|a=1|#default=3}} {{uc:abc}}", "yes no 2 3 ABC"),
    ("{{#ifeq:a|b|x|y}} {{ucfirst:abc}} {{PAGENAME}} {{plural:2|day|days}}", "y Abc Ulm days"),
    ("The river is {{foo|12}} long. It still flows.", "It still flows."),
    ("He stayed. {{Foo}} is a city. They left.", "He stayed. They left."),
    ("Done well here.{{xyz}} Next one is here. {{xyz}}", "Done well here. Next one is here."),
    ("Note.{{sfn|Smith|1990}} It was{{efn|x}} old{{citation needed}}.", "Note. It was old."),
    ("Berlin (born {{x}} in Ulm; 1999) is a city ({{x}}; German).", "Berlin is a city (German)."),
    ("Dr. {{x}} kam am Abend. Er blieb dort.", "Er blieb dort."),
    ("Let <math>x</math> be given. Good day.", "Good day."),
    ("{{Infobox\n|a=b\n}}'''Ulm''' is a city.", "Ulm is a city."),
    ("他{{x}}去了。他回来了。", "他回来了。"),
    ("* {{x}}\n* a {{x}} b\n* c", "c"),
    ("[[a|b {{x}} c]] dort. Eins folgt hier.", "Eins folgt hier."),
    ("&lt;table&gt; opens it", "<table> opens it"),
    ("<nowiki>{{x}}</nowiki> and <nowiki>''a''</nowiki>", "{{x}} and ''a''"),
    ("as long as i<s holds. After that", "as long as i<s holds. After that"),
    ("&amp;lt; &amp;amp;", "&lt; &amp;"),
    ("-{zh-hans:a-{zh-hans:计;zh-hant:b}-c;zh-hant:q}-。", "a计c。"),
    ("a &#123;&#123;b&#125;&#125; &#91;&#91;c&#93;&#93; d", "a {{b}} [[c]] d"),
    ("&#61;&#61; x &#61;&#61;", "== x =="),
]


@pytest.mark.parametrize(("wikitext", "text"), HOLES)
def test_no_hole_is_left_and_no_text_is_parsed_twice(wikitext: str, text: str) -> None:
    assert plain_text(wikitext, title="Ulm") == text


def test_what_a_template_costs_is_counted() -> None:
    rendering = Rendering()
    plain_text("It is {{Foo}} long and {{bar_x}} wide. It stays here. So does {{foo}} this. {{xyz}}", rendering=rendering)
    tally = rendering.tally
    assert (tally.sentences, tally.taken_out, dict(tally.lost)) == (1, 2, {"Foo": 1, "bar_x": 1, "foo": 1})


def test_a_users_table_comes_first_and_its_language_before_others(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[any]\nfoo = "<$1>"\n"/b.+/" = "$0!"\n[de]\nlang = "!$1"\n[fr]\nx = "F"\n[ru]\nx = "R"\n')
    mine = read_templates(str(tmp_path / "own.toml"), "de").over(own_templates("de"))
    shown = plain_text("{{foo|a}} {{Bar}} {{lang|de|b}} {{nowrap|c}}", rendering=Rendering(templates=mine))
    assert shown == "<a> Bar! !de c"
    assert [read_templates(str(tmp_path / "own.toml"), code).get("x") for code in ("fr", "ru", "de")] == ["F", "R", None]
    for content, message in (("x", "is not TOML"), ("a = 1", "outside of a section"), ("[any]\na = 1", "expected a text")):
        (tmp_path / "own.toml").write_text(content)
        with pytest.raises(InputError, match=message):
            read_templates(str(tmp_path / "own.toml"))
    (tmp_path / "own.toml").write_text('[any]\n"/(/" = "x"')
    with pytest.raises(InputError, match="not a regular expression"):
        read_templates(str(tmp_path / "own.toml"))
