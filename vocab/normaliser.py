"""How a tokenizer changes a text before it looks for pieces, observed on short test strings; and the student's normaliser."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Normaliser:
    """What becomes of text."""

    lowercase: bool
    strip_accents: bool
    split_chinese: bool  # every CJK character becomes a word
    clean_text: bool  # control characters are removed
    unicode_form: str = ""  # NFC, NFD, NFKC or NFKD; "": characters are not changed
    split_punctuation: bool = True  # each punctuation character becomes a word (else it belongs to the word next to it)

    def describe(self) -> str:
        """In words, for a table."""
        said = {
            "lower-cases": self.lowercase,
            "strips accents": self.strip_accents,
            "splits Chinese": self.split_chinese,
            "removes controls": self.clean_text,
            self.unicode_form: bool(self.unicode_form),
        }
        return ", ".join(words for words, holds in said.items() if holds) or "keeps all"

    def loses(self, keeper: "Normaliser") -> list[str]:
        """The changes that this normaliser makes and `keeper` does not make."""
        lost = [
            (self.lowercase and not keeper.lowercase, "upper case"),
            (self.strip_accents and not keeper.strip_accents, "accents"),
            ("K" in self.unicode_form and "K" not in keeper.unicode_form, "compatibility forms (ﬁ, ①, full-width letters)"),
        ]
        return [what for holds, what in lost if holds]


def observe(backend: Any, *, split_punctuation: bool) -> Normaliser:
    """What the normaliser of a tokenizer (tokenizers.Tokenizer) does, observed on test strings, so that any normaliser can be described."""

    def normal(text: str) -> str:
        return str(backend.normalizer.normalize_str(text)) if backend.normalizer is not None else text

    lowercase = "A" not in normal("A") and "a" in normal("A")
    accents = unicodedata.normalize("NFD", normal("é"))
    composes = "é" in normal("e\u0301") or "가" in normal("\u1100\u1161")
    decomposes = "\u1100\u1161" in normal("가")
    compatible = "fi" in normal("ﬁ")
    strip_accents = "e" in accents and "\u0301" not in accents
    form = ("NFK" if compatible else "NF") + ("D" if decomposes else "C") if composes or decomposes or compatible else ""
    return Normaliser(
        lowercase=lowercase,
        strip_accents=strip_accents,
        split_chinese=" " in normal("中文").strip(),
        clean_text="\u0007" not in normal("a\u0007b"),
        unicode_form="" if form == "NFD" and strip_accents else form,  # stripping accents decomposes too
        split_punctuation=split_punctuation,
    )


def student_normaliser(teachers: Sequence[Normaliser]) -> Normaliser:
    """The student's normaliser: it makes a change only if every teacher makes it, so nothing that a teacher keeps is lost.

    Words are split where any teacher splits them: if one teacher makes a word of each comma, its pieces for commas begin words.
    """
    forms = {teacher.unicode_form for teacher in teachers}
    if len(forms) > 1:
        forms = {""} if "" in forms else {"NFKC"} if all("K" in form for form in forms) else {"NFC"}
    return Normaliser(
        lowercase=all(teacher.lowercase for teacher in teachers),
        strip_accents=all(teacher.strip_accents for teacher in teachers),
        split_chinese=any(teacher.split_chinese for teacher in teachers),
        clean_text=all(teacher.clean_text for teacher in teachers),
        unicode_form=forms.pop(),
        split_punctuation=any(teacher.split_punctuation for teacher in teachers),
    )
