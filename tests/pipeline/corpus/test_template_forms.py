"""Templates of numbers, dates, sounds and places show what MediaWiki shows: no digit, unit or power of ten is lost."""

import pytest

from pipeline.corpus.templates import fill, read_templates
from pipeline.corpus.wikitext import plain_text
from tests.support.paths import ROOT

SHOWN = [
    ("about {{val|6.241|e=18}} times", "about 6.241×10^18 times"),
    ("a charge of {{val|30000|u=C}}, {{val|0.001118000|ul=g|upl=s}}", "a charge of 30000 C, 0.001118000 g/s"),
    ("{{val|1.60|(35)|e=-19|ul=C}}; {{val|5|0.2|u=m}}; {{val|5|0.2|0.3|e=3}}", "1.60(35)×10^−19 C; 5±0.2 m; (5+0.2−0.3)×10^3"),
    ("{{val|1.2|-|1.5|u=m}} {{val|p=~|40|u=%}} {{val|e=9|u=Hz}}", "1.2–1.5 m ~40% 10^9 Hz"),
    ("{{convert|5|km|mi}} {{convert|5|to|8|km}} {{convert|20|-|30|cm|abbr=on}}", "5 km 5 to 8 km 20–30 cm"),
    ("{{convert|5|ft|6|in|cm}} {{convert|5|x|8|x|10|ft|m}} {{convert|5|km|mi|1}}", "5 ft 6 in 5 × 8 × 10 ft 5 km"),
    ("{{convert|60|F|C}} {{convert|8|st|4|lb|kg|0}} {{convert|3|+/-|1|m}}", "60 °F 8 st 4 lb 3 ± 1 m"),
    ("{{circa|1958|1960}} {{circa|1958}} {{reign|1558|1603}} {{floruit|50}}", "c. 1958–1960 c. 1958 r. 1558–1603 fl. 50"),
    ("{{birth date|1990|7|4}} {{birth date|1990|7|4|df=yes}} {{start date|1990}}", "July 4, 1990 4 July 1990 1990"),
    ("{{As of|2012|3}}, {{as of|2012|3|4|lc=y}} {{as of|2012|alt=By 2012}}", "As of March 2012, as of 4 March 2012 By 2012"),
    ("{{IPAc-en|ˈ|æ|l|ə}} {{IPA-de|haʊs}} {{IPA|[a]}}", "/ˈælə/ [haʊs] [a]"),
    (
        "at {{coord|57|18|22|N|4|27|W}}, {{coord|43.65|-79.38}} and {{coord|1|N|2|E|display=inline,title}}",
        "at 57°18′22″N 4°27′W, 43.65°N 79.38°W and 1°N 2°E",
    ),
    ("{{coord|57|18|N|4|27|W|display=title}}It lies there.", "It lies there."),
    ("{{chem|H|2|O}} {{chem2|CO2}} {{ISBN|978-3}} {{key press|Ctrl|C}} {{code|x}}", "H2O CO2 ISBN 978-3 Ctrl-C x"),
    ("He said {{lang|fr|''Non''}}{{'\"}} and left.", "He said Non'\" and left."),
    ("It is simple. Then {{#tag:math|a<b}} holds. Yes.{{#tag:ref|A note}}", "It is simple. Yes."),
    ("{{US$|2 billion}} {{USD|5}} {{£|3}} {{e|24}}", "US$2 billion US$5 £3 ×10^24"),
    ("{{ill|A B|de|C}} {{ill|de|A B|C}} {{ill|A B|de|C|lt=D}}", "A B A B D"),
    ("The {{#tag:span|word|class=x}} is seen.", "The word is seen."),
]


@pytest.mark.parametrize(("wikitext", "text"), SHOWN)
def test_what_a_template_shows(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it", "vi", "pl", "ru", "zh", "ja", "ar"])
def test_no_entry_of_the_table_loses_all_its_parameters(language: str) -> None:
    """Once, "US$$1" gave "US$1" whatever the amount: `$$` is a dollar sign."""
    table = read_templates(str(ROOT / "pipeline/corpus/templates.toml"), language)
    for name, form in [*table.names.items(), *((pattern.pattern, form) for pattern, form in table.patterns)]:
        if "$" in form and form != "$0":
            assert any(str(digit) in fill(form, name, lambda key: "7", 3) for digit in (7, "July")), name
