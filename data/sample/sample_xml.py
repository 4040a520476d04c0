"""Pages as a MediaWiki export file, format 0.11."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from sample_core import digest
from sample_labels import MAIN_PAGES, NAMESPACES, SITES

SCHEMA = "http://www.mediawiki.org/xml/export-0.11/"


@dataclass(frozen=True)
class Page:
    """One page of a wiki; `redirect` holds the title that it leads to."""

    title: str
    namespace: int
    text: str
    redirect: str = ""


def header(lang: str) -> str:
    """The beginning of the file, with the names of the namespaces."""
    spaces = "\n".join(
        f'      <namespace key="{key}" case="first-letter" />'
        if not name
        else f'      <namespace key="{key}" case="first-letter">{escape(name)}</namespace>'
        for key, name in NAMESPACES[lang].items()
    )
    return (
        f'<mediawiki xmlns="{SCHEMA}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{SCHEMA} http://www.mediawiki.org/xml/export-0.11.xsd" version="0.11" '
        f'xml:lang="{lang}">\n  <siteinfo>\n    <sitename>{escape(SITES[lang])}</sitename>\n'
        f"    <dbname>sample{lang}wiki</dbname>\n    <base>https://{lang}.example.org/wiki/{MAIN_PAGES[lang]}</base>\n"
        f"    <generator>MergeDistill sample corpus</generator>\n    <case>first-letter</case>\n"
        f"    <namespaces>\n{spaces}\n    </namespaces>\n  </siteinfo>\n"
    )


def entry(page: Page, number: int, lang: str) -> str:
    """One page as an element."""
    seal = digest("revision", lang, page.title)
    stamp = f"2024-{seal % 12 + 1:02d}-{seal // 12 % 28 + 1:02d}T{seal // 400 % 24:02d}:{seal // 9600 % 60:02d}:00Z"
    redirect = f"    <redirect title={quoteattr(page.redirect)} />\n" if page.redirect else ""
    size = len(page.text.encode("utf-8"))
    return (
        f"  <page>\n    <title>{escape(page.title)}</title>\n    <ns>{page.namespace}</ns>\n    <id>{number}</id>\n"
        f"{redirect}    <revision>\n      <id>{100000 + number}</id>\n      <timestamp>{stamp}</timestamp>\n"
        f"      <contributor>\n        <username>Sample</username>\n        <id>1</id>\n      </contributor>\n"
        f"      <origin>{100000 + number}</origin>\n      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{size}" xml:space="preserve">{escape(page.text)}</text>\n'
        f"    </revision>\n  </page>\n"
    )


def export(pages: Iterable[Page], lang: str) -> str:
    """The whole export file."""
    body = "".join(entry(page, number, lang) for number, page in enumerate(pages, 1))
    return f"{header(lang)}{body}</mediawiki>\n"
