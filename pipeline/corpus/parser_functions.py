"""MediaWiki's own functions and words in double braces, as far as they are text: {{formatnum:…}}, {{#if:…}}, {{PAGENAME}}."""

from collections.abc import Callable, Sequence

# Functions of the page or of its editors, which show nothing.
_SILENT = frozenset(("displaytitle", "defaultsort", "sortierung", "noexternallanglinks", "#seo", "#coordinates", "#related"))
_TITLE = frozenset(
    ["pagename", "fullpagename", "basepagename", "subpagename", "pagenamee", "nompage", "nombredepagina", "seitenname"]
)

# Tags in angle brackets. A formula or a listing inside a sentence is a word of it; the others stand beside the text.
FORMULA_TAGS = frozenset(["math", "chem", "ce", "score", "hiero", "syntaxhighlight", "source"])
DROPPED_TAGS = frozenset(
    ["ref", "references", "gallery", "timeline", "pre", "graph", "chart", "imagemap", "inputbox", "templatestyles"]
)
DROPPED_TAGS |= {"templatedata", "categorytree", "section", "mapframe", "maplink", "indicator", "style", "script", "table"}

Rendered = Callable[[], str]


def parser_function(name: str, arguments: Sequence[Rendered], title: str) -> str | None:
    """The text of a parser function or magic word; None if it is not one, or if its text cannot be known here.

    name       what stands before the first bar, rendered, as "#if: x" or "formatnum:9300000"
    arguments  what stands behind the bars
    title      of the page
    """
    function, colon, first = (part.strip() for part in name.partition(":"))
    function = function.casefold()
    if function in _SILENT:
        return ""
    if not colon:
        return title or None if function in _TITLE else None
    if function in _TITLE:
        return first

    def argument(index: int) -> str:
        return arguments[index]().strip() if index < len(arguments) else ""

    if function == "#tag":
        tag = first.casefold()
        return None if tag in FORMULA_TAGS else "" if tag in DROPPED_TAGS else argument(0)
    if function in _TEXT:
        return _TEXT[function](first)
    if function == "#if":
        return argument(0 if first else 1)
    if function == "#ifeq":
        return argument(1 if first == argument(0) else 2)
    if function == "#iferror":
        return argument(1) or first
    if function == "plural":
        return argument(0 if first == "1" else 1) or argument(0)
    if function == "#switch":
        return _switch(first, [rendered().strip() for rendered in arguments])
    return None


def _switch(value: str, cases: Sequence[str]) -> str:
    falls = False
    default = ""
    for case in cases:
        key, equals, result = (part.strip() for part in case.partition("="))
        if equals and (falls or key == value):
            return result
        if equals and key == "#default":
            default = result
        falls = falls or (not equals and key == value)
        if not equals and case is cases[-1]:
            default = case
    return default


_TEXT: dict[str, Callable[[str], str]] = {
    "formatnum": lambda text: text,
    "lc": str.lower,
    "uc": str.upper,
    "lcfirst": lambda text: text[:1].lower() + text[1:],
    "ucfirst": lambda text: text[:1].upper() + text[1:],
    "#dateformat": lambda text: text,
    "#formatdate": lambda text: text,
    "urlencode": lambda text: text,
}
