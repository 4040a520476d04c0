"""MediaWiki XML dumps → articles, a page at a time."""

import io
import re
import xml.etree.ElementTree as etree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote
from xml.parsers.expat import errors as expat_errors

from data.articles import Article
from pipeline.corpus.corpus_file import UnreadableInput
from pipeline.corpus.wikitext import Rendering, hidden_prefixes, plain_text

# Old dumps have no <redirect> element. There, a redirect is recognised by its text, which is in the wiki's language.
_REDIRECT = re.compile(
    r"\s*#\s*(?:redirect|weiterleitung|redirection|redirección|redirecionamento|rinvia|doorverwijzing|patrz|yönlendir\w*|"
    r"перенаправление|перенаправлення|تحويل|تغییر_?مسیر|重定向|リダイレクト|転送|넘겨주기)\s*:?\s*\[\[",
    re.IGNORECASE,
)
_CUT = {
    expat_errors.codes[message]
    for message in (
        expat_errors.XML_ERROR_NO_ELEMENTS,
        expat_errors.XML_ERROR_UNCLOSED_TOKEN,
        expat_errors.XML_ERROR_PARTIAL_CHAR,
        expat_errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}
_FILE, _CATEGORY = 6, 14  # the keys of these namespaces on every wiki
_REASON_CHARACTERS = 300
UNPARSEABLE = "unparseable page"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuarantinedPage:
    """An article whose wikitext cannot be parsed, and the reason."""

    id: str
    title: str
    reason: str


def read_mediawiki(
    stream: io.BufferedReader,
    skipped: Callable[[str], None],
    quarantined: Callable[[QuarantinedPage], None],
    rendering: Rendering,
) -> Iterator[Article]:
    """The articles of a dump, each in its last revision. Memory holds one page at a time.

    skipped      called with the reason for each page that is not used: "redirect", "namespace" (the page is not an article),
                 "not wikitext", "unparseable page"
    quarantined  called with each unparseable page
    rendering    its tally gets what templates cost, and the language that the dump declares

    Raises UnreadableInput for XML that is cut or broken.
    """
    try:
        yield from _read(etree.iterparse(stream, events=("start", "end")), skipped, quarantined, rendering)
    except etree.ParseError as error:
        line, column = error.position
        if error.code in _CUT:
            raise UnreadableInput("is cut: the XML ends before </mediawiki>; expected a complete dump: fetch it again") from None
        what = f"has broken XML at line {line}, column {column} ({error.msg.split(':')[0]})"
        raise UnreadableInput(f"{what}; expected well-formed XML in UTF-8: fetch it again") from None


def _read(
    events: Iterator[tuple[str, etree.Element]],
    skipped: Callable[[str], None],
    quarantined: Callable[[QuarantinedPage], None],
    rendering: Rendering,
) -> Iterator[Article]:
    # The library mwxml is not used: it refuses dumps without <siteinfo>, and its memory grows with the number of pages.
    _, root = next(events)
    rendering.tally.declared = root.get("{http://www.w3.org/XML/1998/namespace}lang", "")
    namespaces: dict[str, int] = {}
    hidden, base = hidden_prefixes(()), ""
    revision: etree.Element | None = None
    for event, element in events:
        if event == "start":
            continue
        tag = _local(element)
        if tag == "siteinfo":
            namespaces = {entry.text or "": int(entry.get("key", 0)) for entry in element.iter() if _local(entry) == "namespace"}
            hidden = hidden_prefixes(name for name, key in namespaces.items() if key in (_FILE, _CATEGORY))
            base = (_text(element, "base") or "").rpartition("/")[0]
        elif tag == "revision":
            if revision is not None:
                revision.clear()  # an older revision, in a dump with the full history
            revision = element
        elif tag == "page":
            article = _article(element, revision, namespaces, hidden, base, rendering)
            revision = None
            root.clear()
            if isinstance(article, str):
                skipped(article)
            elif isinstance(article, QuarantinedPage):
                skipped(UNPARSEABLE)
                quarantined(article)
            else:
                yield article


def _article(
    page: etree.Element,
    revision: etree.Element | None,
    namespaces: dict[str, int],
    hidden: frozenset[str],
    base: str,
    rendering: Rendering,
) -> Article | QuarantinedPage | str:
    """The page as an article, or the reason why it is not one."""
    title = _text(page, "title") or ""
    key = _text(page, "ns")
    if int(key) if key else namespaces.get(title.partition(":")[0], 0):
        return "namespace"
    wikitext = (_text(revision, "text") if revision is not None else None) or ""
    if _child(page, "redirect") is not None or _REDIRECT.match(wikitext):
        return "redirect"
    if revision is not None and (_text(revision, "model") or "wikitext") != "wikitext":
        return "not wikitext"
    try:
        text = plain_text(wikitext, hidden, title=title, rendering=rendering)
    except MemoryError:
        raise  # the machine is at fault, not the page
    except Exception as error:  # the parser can raise anything, and one page of millions must not end the job
        reason = f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS]
        return QuarantinedPage(id=_text(page, "id") or "", title=title, reason=reason)
    url = f"{base}/{quote(title.replace(' ', '_'), safe='/:,()!*@;~-._')}" if base else ""
    return Article(id=_text(page, "id") or "", url=url, title=title, text=text)


def _local(element: etree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: etree.Element, tag: str) -> etree.Element | None:
    return next((child for child in element if _local(child) == tag), None)


def _text(element: etree.Element, tag: str) -> str | None:
    child = _child(element, tag)
    return None if child is None else child.text
