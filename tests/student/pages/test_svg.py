"""SVG inside a page: what is drawn, and what is refused of a study's plot."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from student.pages.plots import Bars, Line, draw_bars, draw_heatmap, draw_lines, draw_stacked
from student.pages.svg import inline_file
from tests.support.report import Page, make_study, page_of
from vocab.errors import InputError

ODD = "<b> $x_1$ & \"q\" 'a' ]]> ñ 中文"


def a_plot() -> str:
    """A plot as matplotlib saves it by default."""
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([1, 2], [2, 1], marker="o")
    out = StringIO()
    figure.savefig(out, format="svg")
    return out.getvalue()


def test_odd_names_are_drawn_as_they_are() -> None:
    bars = [Bars(index=0, values=[1.0, None], spreads=[0.5, None])]
    plots = [
        draw_bars("a", ODD, [ODD, "other"], bars, across=ODD),
        draw_heatmap("b", ODD, [ODD, "other"], np.array([[1.0, 0.5], [0.5, 1.0]])),
        draw_stacked("c", ODD, [ODD], [[3.0]], across=ODD),
        draw_lines("d", ODD, [Line(index=9, x=[1.0], y=[2.0])], across=ODD, up=ODD),
    ]
    page = Page("".join(plots))
    assert page.text("text").count(ODD) == 8
    assert all(attributes["aria-label"] == ODD for attributes in page.attributes("svg"))
    assert len(set(page.ids())) == len(page.ids())


def test_the_same_plot_gives_the_same_text() -> None:
    lines = [Line(index=0, x=list(range(5000)), y=[float(value % 7) for value in range(5000)])]
    first, again = (draw_lines("a", "t", lines, across="x", up="y") for _ in range(2))
    assert first == again
    assert len(first) < 60_000  # no more points than can be seen


def test_plots_of_studies_keep_their_ids_apart(whole: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_study(tmp_path / "studies", name, plot=a_plot())
    page = page_of([whole], tmp_path / "page.html", studies=tmp_path / "studies")
    assert len(set(page.ids())) == len(page.ids())
    assert page.html.count('class="paper"') == 2
    assert "<metadata" not in page.html
    assert "purl.org" not in page.html


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ("<script>1</script>", "<script>"),
        ('<rect onload="x()"/>', "onload"),
        ('<image href="http://there/x.png"/>', "href"),
        ('<image href="data:image/svg+xml,x"/>', "href"),
        ('<rect style="fill: url(http://there/x)"/>', "style"),
        ('<a href="javascript:x()"><rect/></a>', "href"),
        ("<style>@import 'x';</style>", "<style>"),
        ("<foreignObject/>", "<foreignObject>"),
    ],
)
def test_plots_that_do_or_load_something_are_refused(inside: str, found: str) -> None:
    with pytest.raises(InputError, match=rf"plot\.svg: found {found}.*expected a plot without programs"):
        inline_file(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">{inside}</svg>', "a", "t", "plot.svg")


@pytest.mark.parametrize(
    ("text", "message"), [("", "is no SVG"), ("<svg", "is no SVG"), ("<html></html>", "found <html>"), ("<svg/>", "viewBox")]
)
def test_what_is_no_svg_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        inline_file(text, "a", "t", "plot.svg")
