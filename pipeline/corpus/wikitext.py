"""Wikitext → plain text: the prose that a reader of the page sees, without markup."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import mwparserfromhell
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Node, Tag, Template, Text, Wikilink
from mwparserfromhell.nodes.extras import Parameter
from mwparserfromhell.wikicode import Wikicode

from pipeline.corpus.holes import END, HOLE, Tally, count_sentences, hole
from pipeline.corpus.literals import PRIVATE, literal
from pipeline.corpus.parser_functions import DROPPED_TAGS, FORMULA_TAGS, parser_function
from pipeline.corpus.templates import Templates, fill, own_templates
from pipeline.corpus.wikitext_tidy import HEADING, tidy

# Names of the File and Category namespaces, casefolded. The siteinfo of a dump gives the wiki's own name of each, but not its aliases:
# German has "Bild" and "Datei", and the English names work in every wiki. So this table has the aliases of the larger Wikipedias.
_MEDIA = """
    file image media datei bild fichier archivo imagen ficheiro imagem bestand afbeelding plik grafika soubor fil súbor fájl kép
    fișier fişier imagine tiedosto kuva dosya resim tập tin hình berkas gambar fitxer imatge dosiero файл изображение зображення
    датотека слика файлу сурет պատկեր ფაილი αρχείο εικόνα קובץ תמונה ملف صورة پرونده تصویر چित्र चित्र फ़ाइल ছবি চিত্র படிமம் చిత్రం
    ചിത്രം ไฟล์ ภาพ 文件 檔案 档案 圖像 图像 图片 圖片 ファイル 画像 파일 그림
"""
_CATEGORY = """
    category kategorie catégorie categoría categoria categorie kategoria kategori kategória luokka kategorija kategorio thể loại
    категория категорія категорија санат կատեգորիա კატეგორია κατηγορία קטגוריה تصنيف رده زمرہ श्रेणी বিষয়শ্রেণী பகுப்பு వర్గం വർഗ്ഗം
    หมวดหมู่ 分类 分類 カテゴリ 분류
"""
HIDDEN_PREFIXES = frozenset(_MEDIA.split()) | frozenset(_CATEGORY.split()) | {"tập tin", "thể loại"}

# [[de:Haus]] is a link in the sidebar and not part of the text. These short prefixes are not languages, and their links are shown.
_LANGUAGE = re.compile(r"(?:[a-z]{2,3}|simple|[a-z]{2,3}(?:-[a-z]+)+)")
_SITES = frozenset({"mw", "doi", "rfc", "wmf", "hdl", "oclc"})

_BLOCKS = "p div blockquote center poem ul ol dl li dt dd h1 h2 h3 h4 h5 h6 includeonly noinclude"
_BLOCK_TAGS = frozenset(_BLOCKS.split())

# The parser goes back to every opening that is never closed, so its time grows with their number times the length of the page.
_MAX_REREAD_CHARACTERS = 200_000_000  # about 15 seconds
_RESERVED = re.compile(f"[{HEADING}{HOLE}{END}{PRIVATE}]")  # they mark headings, holes and literal characters
_PAIRED_TAG = re.compile(r"<(?!(?:br|hr|li|dt|dd|td|th|tr|img|wbr)\b)[a-z]", re.IGNORECASE)


class UnparseablePage(ValueError):
    """The wikitext is so broken that the parser cannot read it (in reasonable time)."""


def hidden_prefixes(names: Iterable[str]) -> frozenset[str]:
    """HIDDEN_PREFIXES and the wiki's own names of its File and Category namespaces."""
    return HIDDEN_PREFIXES | {name.casefold() for name in names if name}


@dataclass(frozen=True)
class Rendering:
    """How wikitext is rendered, and what that did."""

    templates: Templates = field(default_factory=own_templates)
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class _Page:
    hidden: frozenset[str]
    templates: Templates
    title: str
    tally: Tally


def plain_text(
    wikitext: str,
    hidden: frozenset[str] = HIDDEN_PREFIXES,
    *,
    title: str = "",
    rendering: Rendering | None = None,
) -> str:
    """The text of a page: each paragraph, list item and heading on a line, at most one blank line between two lines.

    hidden     the casefolded names of the namespaces whose links are not shown (files and categories)
    title      of the page, for {{PAGENAME}}
    rendering  what templates show (by default the program's own table); its tally gets the sentences that stayed and that templates cost

    Tables, references and code blocks are removed, and headings without text below them. A sentence with a formula or a template that
    is in no table is removed as a whole. The result is "" if nothing is left. Raises UnparseablePage.
    """
    rendering = rendering or Rendering()
    page = _Page(hidden, rendering.templates, title, rendering.tally)
    text = _RESERVED.sub("", wikitext).replace("\r\n", "\n")
    unclosed = (
        max(text.count("{{") - text.count("}}"), 0)
        + max(text.count("[") - text.count("]"), 0)
        + max(text.count("<!--") - text.count("-->"), 0)
        + max(len(_PAIRED_TAG.findall(text)) - text.count("</") - text.count("/>"), 0)
    )
    if unclosed * len(text) > _MAX_REREAD_CHARACTERS:
        raise UnparseablePage(f"{unclosed} openers in {len(text)} characters are never closed")
    try:
        # `tidy` removes bold and italic marks: the parser reads French and Italian elisions (l'''Iliade'') wrongly.
        parsed = mwparserfromhell.parse(text, skip_style_tags=True)
    except mwparserfromhell.parser.ParserError as error:
        raise UnparseablePage(str(error)) from None
    out: list[str] = []
    _render(parsed, page, out)
    tidied = tidy("".join(out), hidden, page.tally)
    page.tally.sentences += count_sentences(tidied)
    return tidied


def _render(code: Wikicode, page: _Page, out: list[str]) -> None:
    for node in code.nodes:
        _render_node(node, page, out)


def _rendered(code: Wikicode, page: _Page) -> str:
    out: list[str] = []
    _render(code, page, out)
    return "".join(out)


def _render_node(node: Node, page: _Page, out: list[str]) -> None:
    """Append the visible text of a node. Comments and {{{arguments}}} have none."""
    if isinstance(node, Text):
        out.append(node.value)
    elif isinstance(node, Wikilink):
        _render_wikilink(node, page, out)
    elif isinstance(node, Tag):
        _render_tag(node, page, out)
    elif isinstance(node, Template):
        _render_template(node, page, out)
    elif isinstance(node, Heading):
        title = " ".join(_rendered(node.title, page).split())
        out.append(f"\n\n{HEADING}{node.level}{title}\n\n")
    elif isinstance(node, ExternalLink):
        if node.title is not None:
            _render(node.title, page, out)
        elif not node.brackets:
            out.append(str(node.url))
    elif isinstance(node, HTMLEntity):
        out.append(literal(html.unescape(str(node))))


def _render_wikilink(link: Wikilink, page: _Page, out: list[str]) -> None:
    title = str(link.title).strip()
    prefix, colon, name = title.lstrip(":").partition(":")
    if colon:
        key = prefix.strip().replace("_", " ").casefold()
        if not title.startswith(":") and (key in page.hidden or (_LANGUAGE.fullmatch(prefix) and prefix not in _SITES)):
            return
        title = name if key in page.hidden else title.lstrip(":")
    if link.text is not None and str(link.text).strip():
        _render(link.text, page, out)
    elif "{" in title or "<" in title or "&" in title:
        _render(link.title, page, out)
    else:
        out.append(title.lstrip("#"))


def _render_tag(tag: Tag, page: _Page, out: list[str]) -> None:
    name = str(tag.tag).strip().casefold()
    if tag.wiki_markup in ("*", "#", ";", ":"):
        if tag.wiki_markup == ":" and out and not out[-1].endswith("\n"):
            out.append(": ")  # "; term : definition" on one line
    elif name in ("br", "hr"):
        out.append("\n")
    elif name == "nowiki" and tag.contents is not None:
        out.append(literal(html.unescape(str(tag.contents))))
    elif name in FORMULA_TAGS:
        out.append(hole("" if "\n" in str(tag) else f"<{name}>"))
    elif name in DROPPED_TAGS or tag.contents is None or _is_invisible(tag):
        out.append(hole(""))
    elif name in ("code", "tt", "kbd"):
        code = _rendered(tag.contents, page)
        out.append("\n" if "\n" in code.strip() else code)  # a word of code in a sentence stays, a listing is removed
    elif name in _BLOCK_TAGS:
        out.append("\n")
        _render(tag.contents, page, out)
        out.append("\n")
    else:
        _render(tag.contents, page, out)


def _is_invisible(tag: Tag) -> bool:
    return bool(tag.has("style")) and "display:none" in str(tag.get("style").value).replace(" ", "").casefold()


def _render_template(template: Template, page: _Page, out: list[str]) -> None:
    name = " ".join(_rendered(template.name, page).split())
    name = name[9:].lstrip() if name.casefold().startswith("template:") else name
    arguments = [partial(_argument, parameter, page) for parameter in template.params]
    text = parser_function(name, arguments, page.title)
    form = page.templates.get(name)
    if text is None and form is not None:
        values: dict[str, Parameter] = {}
        for parameter in template.params:
            values[str(parameter.name).strip()] = parameter  # of two with one name, the last
        count = sum(not parameter.showkey for parameter in template.params)
        text = fill(form, name, lambda key: _rendered(values[key].value, page).strip() if key in values else "", count)
    if text is not None:
        page.tally.rendered += bool(text)
        out.append(text or hole(""))
    else:
        # A template on several lines is a box beside the text, or a list below it: it stands in no sentence.
        out.append(hole("" if "\n" in str(template) else name))


def _argument(parameter: Parameter, page: _Page) -> str:
    """A parameter as a parser function takes it: with its name, if it has one."""
    value = _rendered(parameter.value, page)
    return f"{str(parameter.name).strip()}={value}" if parameter.showkey else value
