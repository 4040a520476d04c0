"""What every module of the sample corpus shares: rows of facts, a seeded picker and the draft of an article."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

LANGUAGES = ("en", "de", "es", "tr")
NONE = "-"

# Stems that say nothing new, so that a sentence made of them and of words said before is left out.
DULL = {
    "bulunu",
    "kıtası",
    "about",
    "etwa",
    "rund",
    "cerca",
    "yaklaş",
    "einem",
    "eines",
    "encuen",
    "numera",
    "found",
    "lives",
    "lebt",
    "leben",
    "kommt",
    "kommen",
    "yaşar",
    "görülü",
    "pertene",
    "perten",
    "belong",
    "gehört",
    "haritad",
}

Row = dict[str, str]
Group = list[str]
T = TypeVar("T")


def digest(*parts: str) -> int:
    """A whole number drawn from the words given, the same on every machine and in every version of Python."""
    return int.from_bytes(hashlib.sha256("|".join(parts).encode("utf-8")).digest(), "big")


class Picker:
    """Choices that depend on nothing but the words the picker was made from."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts
        self._turn = 0

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1."""
        self._turn += 1
        return digest(*self._parts, str(self._turn)) % limit

    def one(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        """True in that many cases out of a hundred."""
        return self.below(100) < percent

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in a drawn order."""
        rest = list(items)
        drawn: list[T] = []
        while rest:
            drawn.append(rest.pop(self.below(len(rest))))
        return drawn


@dataclass
class Draft:
    """An article before its sentences have been chosen.

    `lead` holds the alternatives of the first sentence, which contains `name` word for word; `parts` the groups of
    alternatives of the first section, `sections` the later ones under their headings, `links` words worth a link,
    `box` the parameters of the infobox and `categories` names of categories.
    """

    name: str
    lead: Group
    parts: list[Group]
    sections: list[tuple[str, list[Group]]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    box: list[tuple[str, str]] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)


@dataclass
class Article:
    """An article in plain prose: paragraphs under headings (the first heading is empty)."""

    key: str
    kind: str
    title: str
    name: str
    sections: list[tuple[str, list[str]]]
    links: list[str]
    box: list[tuple[str, str]]
    categories: list[str]

    def prose(self) -> str:
        """The clean text, without headings."""
        return "\n".join(" ".join(sentences) for _, sentences in self.sections if sentences)


def settle(draft: Draft, key: str, kind: str, title: str, picker: Picker) -> Article:
    """Choose the sentences of an article: one of each group, in a drawn order, now and then without one of them."""

    said: list[str] = []

    def chosen(groups: list[Group]) -> list[str]:
        picked: list[str] = []
        for group in picker.shuffled([group for group in groups if group]):
            fresh = [option for option in picker.shuffled(group) if not repeats(option, said)]
            if fresh and not (len(picked) > 6 and picker.chance(15)):
                picked.append(fresh[0].replace("..", "."))
                said.append(fresh[0])
        return picked

    said.append(picker.one(draft.lead).replace("..", "."))
    sections = [("", [said[0], *chosen(draft.parts)])]
    for heading, groups in draft.sections:
        sentences = chosen(groups)
        if sentences:
            sections.append((heading, sentences))
    return Article(key, kind, title, draft.name, sections, draft.links, draft.box, draft.categories)


def repeats(sentence: str, said: list[str]) -> bool:
    """True for a sentence whose every longer word or figure has been said in one sentence before."""
    own = _stems(sentence)
    return any(own <= _stems(other) for other in said)


def _stems(sentence: str) -> set[str]:
    rest = sentence.partition(" ")[2]
    found = re.findall(r"[\w.,]*\d[\w.,]*|[^\W\d_]{4,}", sentence) + re.findall(r"\b[A-Z][a-z]?\b", rest)
    return {word.strip(".,")[:6].lower() if len(word) > 2 else word for word in found} - DULL


def given(value: str) -> bool:
    """True where a table holds a fact rather than the dash."""
    return bool(value) and value != NONE


def upper_first(text: str, lang: str = "en") -> str:
    """The text with a capital at its beginning (a dotted one for a Turkish i)."""
    if lang == "tr" and text[:1] == "i":
        return "İ" + text[1:]
    return text[:1].upper() + text[1:]
