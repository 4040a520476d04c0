"""Wikitext → plain text: the prose that a reader of the page sees, without markup."""

import re
from collections.abc import Iterable

import mwparserfromhell
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Node, Tag, Template, Text, Wikilink
from mwparserfromhell.wikicode import Wikicode

from pipeline.corpus.wikitext_tidy import HEADING, HOLE, tidy

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

_DROPPED = """
    ref references math chem ce gallery timeline syntaxhighlight source pre score hiero graph chart imagemap inputbox
    templatestyles templatedata categorytree section mapframe maplink indicator style script table
"""
_BLOCKS = "p div blockquote center poem ul ol dl li dt dd h1 h2 h3 h4 h5 h6 includeonly noinclude"
_DROPPED_TAGS, _BLOCK_TAGS = frozenset(_DROPPED.split()), frozenset(_BLOCKS.split())

# A few templates only format running text: without their text, sentences would have holes.
# The value is the position of the parameter that holds the text (-1: the last one).
_TEXT_TEMPLATES = {"lang": 1, "transl": -1, "transliteration": -1, "nowrap": 0, "nobr": 0, "small": 0, "quote": 0, "cquote": 0}
_CHARACTER_TEMPLATES = {"ndash": "–", "mdash": "—", "spaced ndash": " – ", "snd": " – ", "nbsp": " ", "'": "'", "'s": "'s"}
_RANGES = frozenset({"-", "–", "to", "and", "or", "x", "by", "&"})

# The parser goes back to every opening that is never closed, so its time grows with their number times the length of the page.
_MAX_REREAD_CHARACTERS = 200_000_000  # about 15 seconds
_PAIRED_TAG = re.compile(r"<(?!(?:br|hr|li|dt|dd|td|th|tr|img|wbr)\b)[a-z]", re.IGNORECASE)


class UnparseablePage(ValueError):
    """The wikitext is so broken that the parser cannot read it (in reasonable time)."""


def hidden_prefixes(names: Iterable[str]) -> frozenset[str]:
    """HIDDEN_PREFIXES and the wiki's own names of its File and Category namespaces."""
    return HIDDEN_PREFIXES | {name.casefold() for name in names if name}


def plain_text(wikitext: str, hidden: frozenset[str] = HIDDEN_PREFIXES) -> str:
    """The text of a page: each paragraph, list item and heading on a line, at most one blank line between two lines.

    hidden  the casefolded names of the namespaces whose links are not shown (files and categories)

    Templates, tables, references, formulas and code blocks are removed, and headings without text below them. The result is "" if
    nothing is left. Raises UnparseablePage.
    """
    text = wikitext.replace(HEADING, "").replace(HOLE, "").replace("\r\n", "\n")
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
        page = mwparserfromhell.parse(text, skip_style_tags=True)
    except mwparserfromhell.parser.ParserError as error:
        raise UnparseablePage(str(error)) from None
    out: list[str] = []
    _render(page, hidden, out)
    return tidy("".join(out), hidden)


def _render(code: Wikicode, hidden: frozenset[str], out: list[str]) -> None:
    for node in code.nodes:
        _render_node(node, hidden, out)


def _rendered(code: Wikicode, hidden: frozenset[str]) -> str:
    out: list[str] = []
    _render(code, hidden, out)
    return "".join(out)


def _render_node(node: Node, hidden: frozenset[str], out: list[str]) -> None:
    """Append the visible text of a node. Comments and {{{arguments}}} have none."""
    if isinstance(node, Text):
        out.append(node.value)
    elif isinstance(node, Wikilink):
        _render_wikilink(node, hidden, out)
    elif isinstance(node, Tag):
        _render_tag(node, hidden, out)
    elif isinstance(node, Template):
        _render_template(node, hidden, out)
    elif isinstance(node, Heading):
        title = " ".join(_rendered(node.title, hidden).split())
        out.append(f"\n\n{HEADING}{node.level}{title}\n\n")
    elif isinstance(node, ExternalLink):
        if node.title is not None:
            _render(node.title, hidden, out)
        elif not node.brackets:
            out.append(str(node.url))
    elif isinstance(node, HTMLEntity):
        out.append(node.normalize())


def _render_wikilink(link: Wikilink, hidden: frozenset[str], out: list[str]) -> None:
    title = str(link.title).strip()
    prefix, colon, name = title.lstrip(":").partition(":")
    if colon:
        key = prefix.strip().replace("_", " ").casefold()
        if not title.startswith(":") and (key in hidden or (_LANGUAGE.fullmatch(prefix) and prefix not in _SITES)):
            return
        title = name if key in hidden else title.lstrip(":")
    if link.text is not None and str(link.text).strip():
        _render(link.text, hidden, out)
    elif "{" in title or "<" in title or "&" in title:
        _render(link.title, hidden, out)
    else:
        out.append(title.lstrip("#"))


def _render_tag(tag: Tag, hidden: frozenset[str], out: list[str]) -> None:
    name = str(tag.tag).strip().casefold()
    if tag.wiki_markup in ("*", "#", ";", ":"):
        if tag.wiki_markup == ":" and out and not out[-1].endswith("\n"):
            out.append(": ")  # "; term : definition" on one line
    elif name in ("br", "hr"):
        out.append("\n")
    elif name in _DROPPED_TAGS or tag.contents is None or _is_invisible(tag):
        out.append(HOLE)
    elif name in ("code", "tt", "kbd"):
        code = _rendered(tag.contents, hidden)
        out.append("\n" if "\n" in code.strip() else code)  # a word of code in a sentence stays, a listing is removed
    elif name in _BLOCK_TAGS:
        out.append("\n")
        _render(tag.contents, hidden, out)
        out.append("\n")
    else:
        _render(tag.contents, hidden, out)


def _is_invisible(tag: Tag) -> bool:
    return bool(tag.has("style")) and "display:none" in str(tag.get("style").value).replace(" ", "").casefold()


def _render_template(template: Template, hidden: frozenset[str], out: list[str]) -> None:
    name = str(template.name).strip().casefold()
    if name in _CHARACTER_TEMPLATES:
        out.append(_CHARACTER_TEMPLATES[name])
        return
    which = 0 if name.startswith("lang-") else _TEXT_TEMPLATES.get(name)
    if which is None and name not in ("convert", "cvt"):
        out.append(HOLE)
        return
    values = [parameter.value for parameter in template.params if not parameter.showkey]
    if which is None:
        words = [_rendered(value, hidden).strip() for value in values[:4]]
        out.append(" ".join(words if len(words) > 1 and words[1] in _RANGES else words[:2]))
    elif values and which < len(values):
        _render(values[which], hidden, out)
