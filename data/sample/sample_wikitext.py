"""An article as wikitext: infobox, bold title, links, references, headings, pictures, tables and categories."""

from __future__ import annotations

import re

from sample_core import Article, Picker, given, upper_first
from sample_labels import KINDS, LABELS, NAMESPACES

MARK = "\ue000{}\ue001"


def link(text: str, word: str, titles: dict[str, str], holder: list[str]) -> str:
    """The text with the first whole occurrence of a word turned into a link, kept aside in the holder."""
    found = re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)
    if not found:
        return text
    target = titles.get(word, word)
    holder.append(f"[[{word}]]" if target == word else f"[[{target}|{word}]]")
    return text[: found.start()] + MARK.format(len(holder) - 1) + text[found.end() :]


def linked(text: str, words: list[str], titles: dict[str, str], own: str, picker: Picker) -> str:
    """The text with links for most of the words given."""
    holder: list[str] = []
    for word in dict.fromkeys(words):
        if len(word) > 1 and word != own and given(word) and picker.chance(85):
            text = link(text, word, titles, holder)
    return re.sub("\ue000(\\d+)\ue001", lambda m: holder[int(m.group(1))], text)


def reference(article: Article, lang: str, picker: Picker, named: list[str]) -> str:
    """A reference: a new one, one with a name, or one that repeats a name."""
    labels = LABELS[lang]
    if named and picker.chance(50):
        return f'<ref name="{named[0]}" />'
    source = f"{labels['book']}, {labels['page']}{picker.below(900) + 1}."
    if not named and picker.chance(50):
        named.append(f"{article.kind}{picker.below(90) + 10}")
        return f'<ref name="{named[0]}">{source}</ref>'
    if picker.chance(40):
        source = f"[https://example.org/{article.key} {labels['entry']}], {source}"
    return f"<ref>{source}</ref>"


def box(article: Article, lang: str) -> str:
    """The infobox at the top."""
    lines = [f"{{{{{LABELS[lang]['box']} {KINDS[lang][article.kind]}"]
    lines += [f"| {name} = {value}" for name, value in article.box if given(value)]
    return "\n".join([*lines, "}}"])


def table(article: Article, lang: str) -> str:
    """A small table of the facts in the infobox."""
    labels = LABELS[lang]
    rows = [f"|-\n| {upper_first(name, lang)} || {value}" for name, value in article.box if given(value)]
    return "\n".join(['{| class="wikitable"', f"! {labels['property']} !! {labels['value']}", *rows, "|}"])


def wikitext(article: Article, lang: str, titles: dict[str, str]) -> str:
    """The whole page."""
    picker = Picker("wikitext", lang, article.kind, article.key)
    labels, names = LABELS[lang], NAMESPACES[lang]
    parts = [box(article, lang)] if picker.chance(85) else []
    if picker.chance(12):
        parts.append(f"<!-- {labels['comment']} -->")
    if picker.chance(25):
        parts.append(f"[[{names[6]}:{article.key}.jpg|{labels['thumb']}|{labels['caption']}{article.title}]]")
    named: list[str] = []
    for place, (heading, sentences) in enumerate(article.sections):
        marked = [sentence + (reference(article, lang, picker, named) if picker.chance(14) else "") for sentence in sentences]
        halves = [marked]
        if place == 0 and len(marked) > 5:
            cut = 3 + picker.below(2)
            halves = [marked[:cut], marked[cut:]]
        if heading:
            parts.append(f"== {heading} ==")
        for half, chosen in enumerate(halves):
            text = " ".join(chosen)
            if place == 0 and half == 0:
                before, _, after = text.partition(article.name)
                after = linked(after, article.links, titles, article.name, picker)
                parts.append(f"{before}'''{article.name}'''{after}")
            else:
                parts.append(linked(text, article.links, titles, article.name, picker))
    if picker.chance(8):
        parts.append(f"== {labels['overview']} ==\n{table(article, lang)}")
    if named or any("<ref>" in part for part in parts):
        parts.append(f"== {labels['refs']} ==\n<references />")
    if picker.chance(8):
        parts.append(f"== {labels['links']} ==\n* [https://example.org/{lang}/{article.key} {labels['entry']}]")
    parts.append("\n".join(f"[[{names[14]}:{name}]]" for name in article.categories))
    return "\n\n".join(parts)
