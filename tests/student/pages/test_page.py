"""The page of one run: self-contained, well-formed, readable by all, the same bytes from the same files, and nothing unescaped."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from student.report import report
from tests.support.paths import ROOT
from tests.support.report import Page, copy_run, make_study, page_of

ADDRESS = re.compile(r"url\(\s*['\"]?([^'\")]*)")
EVIL = '<script>alert("1")</script>'


def assert_self_contained(page: Page) -> None:
    """No attribute and no style names anything outside the page, and nothing in it runs."""
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base"), tag
        for key, value in attributes.items():
            assert not key.startswith("on"), key
            if key in ("src", "href", "xlink:href", "srcset", "poster", "action", "data"):
                assert value.startswith("#"), (tag, key, value)
            assert all(place.startswith("#") for place in ADDRESS.findall(value)), (tag, key, value)
    styles = [text for path, text in page.texts if "style" in path]
    assert styles
    assert not any("@import" in text or ADDRESS.search(text) for text in styles)
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page.html)


def test_the_page_needs_nothing_else(page: Page) -> None:
    assert_self_contained(page)


def test_ids_are_unique_and_references_find_theirs(page: Page) -> None:
    ids = page.ids()
    assert len(set(ids)) == len(ids)
    wanted = {
        place.lstrip("#")
        for _, attributes in page.tags
        for key, value in attributes.items()
        for place in ([value] if key == "href" else value.split() if key == "aria-labelledby" else ADDRESS.findall(value))
    }
    assert wanted
    assert wanted <= set(ids)


def test_it_is_readable_without_seeing_it(page: Page) -> None:
    assert page.attributes("html") == [{"lang": "en"}]
    assert page.text("title").startswith("mine")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for attributes in page.attributes("th"):
        assert attributes["scope"] in ("col", "row", "colgroup")
    plots = [attributes for attributes in page.attributes("svg") if attributes.get("class") != "swatch"]
    assert len(plots) >= 10
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in plots)
    assert page.html.count("<figure") == page.html.count("<figcaption")


def test_it_has_every_section_and_the_main_result(page: Page) -> None:
    assert page.text("h2").split("\n") == [
        "Recipe and students",
        "Held-out scores",
        "Tasks",
        "Training",
        "Teachers and union vocabulary",
        "Cache of predictions",
    ]
    assert "-20.0% (student), -18.0% (student-gold)" in page.text("header")
    text = page.text("table")
    for shown in (
        "bert-en, bert-de",
        "roformer, 1 layers × 32",
        "gold + teacher",
        "masked positions",
        "RDT %, de",
        "tokens a second",
    ):
        assert shown in text, shown
    assert "accuracy of words" in page.text("main")


def test_the_text_of_plots_is_text(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag != "image"
        assert "font-family" not in attributes.get("style", "") or tag != "text"
    words = page.text("svg", "text")
    for shown in ("bert-en", "bert-de", "steps", "seconds of training", "new pieces", "RDT in percent", "100%"):
        assert shown in words, shown


def test_both_themes_have_all_colours_with_contrast(page: Page) -> None:
    style = next(text for path, text in page.texts if "style" in path)
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for theme in (light, dark.split("body {")[0]):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", theme))
        used = set(re.findall(r"var\(--(\w+)\)", page.html))
        assert used <= set(colours)
        for name, least in {"text": 7.0, "soft": 4.5, "link": 4.5, **{f"c{index}": 3.0 for index in range(8)}}.items():
            assert contrast(colours[name], colours["page"]) >= least, name
        assert contrast(colours["text"], colours["band"]) >= 7.0
        assert contrast(colours["soft"], colours["band"]) >= 4.5
        # The number on the darkest cell of a heatmap, which is half of the first colour.
        assert contrast(colours["text"], blend(colours["c0"], colours["page"], 0.5)) >= 4.5
    drawn = {value for _, attributes in page.tags for value in re.findall(r"#[0-9a-f]{6}", attributes.get("style", ""))}
    assert not drawn  # every colour of a plot is one of the page's


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2.2 defines it."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def blend(top: str, below: str, share: float) -> str:
    parts = [round(share * int(top[at : at + 2], 16) + (1 - share) * int(below[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_same_files_give_the_same_bytes(whole: Path, page: Page, tmp_path: Path) -> None:
    report([whole], out=tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page.html


def test_nothing_is_unescaped(whole: Path, tmp_path: Path) -> None:
    """Names of students and folders, models of an evaluation, texts of a study."""
    run = copy_run(whole, tmp_path / '<b>"run" $x$ &')
    (run / "student").rename(run / "<i>student $\\alpha$")
    content = json.loads((run / "evaluation/udpos.json").read_text())
    renamed = json.dumps(content).replace("mine/student", json.dumps(EVIL)[1:-1])
    (run / "evaluation/udpos.json").write_text(renamed)
    make_study(tmp_path / "studies", name="one", question=EVIL, findings=[EVIL], limits=[EVIL])
    page = page_of([run], tmp_path / "page.html", studies=tmp_path / "studies")
    assert_self_contained(page)
    assert {"b", "i"} & {tag for tag, _ in page.tags} <= {"b"}  # <b> is the template's own
    for shown in (EVIL, "<i>student $\\alpha$", '<b>"run" $x$ &'):
        assert shown in page.text(), shown


def test_an_installed_wheel_has_the_template() -> None:
    packaged = (ROOT / "pyproject.toml").read_text()
    assert '"student.pages"' in packaged
    for file in (ROOT / "student/pages").iterdir():
        if file.suffix in (".html", ".css"):
            assert f'"*{file.suffix}"' in packaged.split('"student.pages" = ')[1].splitlines()[0]


@pytest.mark.parametrize("kind", ["figures", "grid"])
def test_wide_parts_have_a_box_that_scrolls(page: Page, kind: str) -> None:
    style = next(text for path, text in page.texts if "style" in path)
    if kind == "grid":
        tables, boxes = page.attributes("table"), [a for a in page.attributes("div") if a.get("class") == "scroll"]
        assert len(tables) == len(boxes)
        assert all(box["tabindex"] == "0" and box["role"] == "region" for box in boxes)  # the keyboard scrolls it
        assert re.search(r"\.scroll \{[^}]*overflow-x: auto", style)
    else:
        assert re.search(r"\.figures svg:not\(\.swatch\) \{[^}]*width: 100%", style)
