"""SVG inside a page: the page's colours and font in place of matplotlib's, ids that no other plot has, and nothing from elsewhere."""

import re
import warnings
from io import StringIO
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.figure import Figure

from vocab.errors import InputError, first_line

COLOURS = 8  # colours of lines and bars; style.css has their values for both themes
# matplotlib only writes colours that it can compute with. These stand for the page's own ones, and nothing else is drawn in them.
INK, GRID = "#0a0b01", "#0a0b02"
_PAGES = {INK: "currentColor", GRID: "var(--grid)", **{f"#0a0c{index:02x}": f"var(--c{index})" for index in range(COLOURS)}}
STYLE = {
    "svg.fonttype": "none",  # text as text
    "svg.hashsalt": "mergedistill",  # the same plot gets the same ids
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.transparent": True,
    "lines.scale_dashes": False,
}
_REFERENCE = re.compile(r"url\(\s*['\"]?([^'\")]*)['\"]?\s*\)")
_OURS = re.compile(r"\s*\*\{stroke-linejoin: round; stroke-linecap: butt\}\s*")  # matplotlib's style sheet; style.css has it
_ACTIVE = {"script", "foreignObject", "iframe", "animate", "set"}


def colour(index: int) -> str:
    """The colour of line or bar number `index`, to draw with."""
    return f"#0a0c{index % COLOURS:02x}"


def css_colour(index: int) -> str:
    """The same colour, as the page's style sheet names it."""
    return _PAGES[colour(index)]


def inline(figure: Figure, name: str, title: str) -> Markup:
    """A figure as SVG that belongs inside the page. `name` is unique in the page. Call it under matplotlib's rc_context(STYLE)."""
    out = StringIO()
    with warnings.catch_warnings():
        # Matplotlib only measures the text; the browser draws it, with fonts that have more scripts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(out, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(out.getvalue())
    for element in root.iter():
        if (style := element.get("style")) is not None:
            style = re.sub(r"font-family:[^;]*;?\s*", "", style)
            element.set("style", re.sub(r"#0a0[bc]\d\d", lambda found: _PAGES[found[0]], style))
    return _finished(root, name, title)


def inline_file(text: str, name: str, title: str, source: str) -> Markup:
    """An SVG file as SVG that belongs inside the page.

    Raises InputError for text that is no SVG, and for SVG with programs, style sheets or references to other files. `source` is its file.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(
            f"{source}: is no SVG ({first_line(error)}); expected a plot as matplotlib saves it: make it again"
        ) from None
    if _local(root.tag) != "svg":
        raise InputError(f"{source}: found <{_local(root.tag)}>, expected <svg>: save the plot as SVG")
    for element in root.iter():
        _refuse_foreign(element, source)
    if not root.get("viewBox") and not (root.get("width") and root.get("height")):
        raise InputError(f"{source}: has neither viewBox nor width and height; expected one: save the plot again")
    return _finished(root, name, title)


def _refuse_foreign(element: ElementTree.Element, source: str) -> None:
    """Raise InputError for an element that does something or that loads something."""
    tag, found = _local(element.tag), ""
    if tag in _ACTIVE or (tag == "style" and not _OURS.fullmatch(element.text or "")):
        found = f"<{tag}>"
    for key, value in element.attrib.items():
        loads = _local(key) in ("href", "src") and not value.startswith(("#", "data:image/png", "data:image/jpeg"))
        foreign = any(not place.startswith("#") for place in _REFERENCE.findall(value))
        if _local(key).lower().startswith("on") or loads or foreign or "@import" in value:
            found = f"{_local(key)}={value[:60]!r}"
    if found:
        raise InputError(
            f"{source}: found {found}, expected a plot without programs, style sheets and other files: save it without"
        )


def _finished(root: ElementTree.Element, name: str, title: str) -> Markup:
    """The SVG without namespaces and without what a page does not need, its ids with `name` before them."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style", "title"):
                parent.remove(child)
    used = {place for element in root.iter() for value in element.attrib.values() for place in _targets(value)}
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        for key, value in attributes.items():
            if key == "id":
                if value in used:
                    element.set("id", f"{name}-{value}")
            elif key == "href" and value.startswith("#"):
                element.set("href", f"#{name}-{value[1:]}")
            else:
                element.set(key, _REFERENCE.sub(lambda found: f"url(#{name}-{found[1].lstrip('#')})", value))
    for key in ("role", "aria-label", "class"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", title)
    shown = ElementTree.Element("title")
    shown.text = title
    root.insert(0, shown)
    return Markup(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))  # ElementTree has escaped all text


def _targets(value: str) -> list[str]:
    """The ids to which the value of an attribute refers."""
    return [place.lstrip("#") for place in ([value] if value.startswith("#") else _REFERENCE.findall(value))]


def _local(tag: str) -> str:
    """A name without its namespace."""
    return str(tag).rpartition("}")[2]
