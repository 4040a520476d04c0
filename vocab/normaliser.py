"""How a tokenizer changes a text before it looks for pieces, observed on short test strings; and the student's normaliser."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers

from vocab.pieces import METASPACE

# Characters that are not seen, and that tokenizers keep, delete or turn into a space: soft hyphen, joiners, marks of direction.
FORMAT_CHARACTERS = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
CASED_LETTERS = tuple(letter for letter in map(chr, range(0x1_0000)) if letter.lower() != letter or letter.upper() != letter)
_EMPTY = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {}, "unk_token": "?"}}  # a tokenizer.json


@dataclass(frozen=True, kw_only=True, slots=True)
class Normaliser:
    """What becomes of text."""

    lowercase: bool
    strip_accents: bool
    split_chinese: bool  # every CJK character becomes a word
    clean_text: bool  # control characters are removed
    unicode_form: str = ""  # NFC, NFD, NFKC or NFKD; "": characters are not changed
    split_punctuation: bool = True  # each punctuation character becomes a word (else it belongs to the word next to it)
    decomposes: bool = False  # a Hangul syllable becomes its letters: by NFD, or on the way to stripping accents from Korean
    kept: str = ""  # of FORMAT_CHARACTERS
    spaced: str = ""  # of FORMAT_CHARACTERS, those that become a space
    letters: dict[str, str] = field(default_factory=dict, hash=False, repr=False)  # cased letters of which the flags do not say
    # what they become, as "I" of a Turkish tokenizer ("ı")
    state: str = field(
        default="", repr=False
    )  # of the tokenizer's own normaliser, without what marks words; of the student: taken as it is

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

    def backend(self) -> Any:
        """This normaliser as one of the tokenizers library."""
        if self.state:
            return Tokenizer.from_str(json.dumps(_EMPTY | {"normalizer": json.loads(self.state)})).normalizer
        parts = [normalizers.Replace(letter, becomes) for letter, becomes in self.letters.items()]
        if self.spaced:
            parts.append(normalizers.Replace(Regex(f"[{self.spaced}]"), " "))
        if self.unicode_form:
            parts.append(getattr(normalizers, self.unicode_form)())
        clean = self.clean_text and not self.kept  # BERT's would delete these too
        if self.clean_text and self.kept:
            parts.append(normalizers.Replace(Regex(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), ""))
        bert = normalizers.BertNormalizer(
            clean_text=clean,
            handle_chinese_chars=self.split_chinese,
            strip_accents=self.strip_accents,
            lowercase=self.lowercase,
        )
        return normalizers.Sequence([*parts, bert]) if parts else bert


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
    inside = {char: normal(f"a{char}b") for char in FORMAT_CHARACTERS}
    flags = Normaliser(
        decomposes=decomposes,
        kept="".join(char for char, found in inside.items() if char in found),
        spaced="".join(char for char, found in inside.items() if char not in found and ("a b" in found or "a▁b" in found)),
        state=_state(backend.normalizer),
        lowercase=lowercase,
        strip_accents=strip_accents,
        split_chinese=" " in normal("中文").strip(),
        clean_text="\u0007" not in normal("a\u0007b"),
        unicode_form="" if form == "NFD" and strip_accents else form,  # stripping accents decomposes too
        split_punctuation=split_punctuation,
    )
    by_flags = replace(flags, state="").backend().normalize_str
    found = {letter: normal(letter).strip(f" {METASPACE}") for letter in CASED_LETTERS}
    return replace(flags, letters={letter: becomes for letter, becomes in found.items() if becomes != by_flags(letter)})


def student_normaliser(teachers: Sequence[Normaliser]) -> Normaliser:
    """The student's normaliser: that of all teachers if they share one. Else it makes a change only if every teacher makes it.

    So nothing that a teacher keeps is lost. Where a teacher decomposes characters, the student does, and its vocabulary is spelled so:
    then "é" and "e" with an accent are one for it, and so are a Hangul syllable and its letters. A character that some teachers delete
    and others turn into a space becomes a space. Words are split where any teacher splits them: if one makes a word of each comma, its
    pieces for commas begin words.
    """
    states = {teacher.state for teacher in teachers}
    forms = {teacher.unicode_form for teacher in teachers}
    decomposes = any(teacher.decomposes for teacher in teachers)
    if decomposes and len(states) > 1:
        forms = {"NFKD" if all("K" in form for form in forms) else "NFD"}
    elif len(forms) > 1:
        forms = {""} if "" in forms else {"NFKC"} if all("K" in form for form in forms) else {"NFC"}
    kept = "".join(char for char in FORMAT_CHARACTERS if any(char in teacher.kept for teacher in teachers))
    spaced = "".join(char for char in FORMAT_CHARACTERS if char not in kept and any(char in teacher.spaced for teacher in teachers))
    student = Normaliser(
        decomposes=decomposes,
        kept=kept,
        spaced=spaced,
        state=states.pop() if len(states) == 1 else "",
        lowercase=all(teacher.lowercase for teacher in teachers),
        strip_accents=all(teacher.strip_accents for teacher in teachers),
        split_chinese=any(teacher.split_chinese for teacher in teachers),
        clean_text=all(teacher.clean_text for teacher in teachers),
        unicode_form=forms.pop(),
        split_punctuation=any(teacher.split_punctuation for teacher in teachers),
    )
    return student if student.state else replace(student, letters=_shared_letters(teachers, student))


def _shared_letters(teachers: Sequence[Normaliser], student: Normaliser) -> dict[str, str]:
    """What all teachers make of a letter, where the student's flags would make something else of it."""
    own = [replace(teacher, state="", letters={}).backend().normalize_str for teacher in teachers]
    by_flags = student.backend().normalize_str
    shared = {}
    for letter in sorted(set().union(*(teacher.letters for teacher in teachers))):
        becomes = {teacher.letters.get(letter, normal(letter)) for teacher, normal in zip(teachers, own, strict=True)}
        if len(becomes) == 1 and (found := becomes.pop()) != by_flags(letter):
            shared[letter] = found
    return shared


def _state(normalizer: Any) -> str:
    """The state of a normaliser (of the tokenizers library) as JSON, without its parts that only mark or strip the edges of words."""
    if normalizer is None or not hasattr(normalizer, "__getstate__"):
        return ""
    state = json.loads(normalizer.__getstate__())
    parts = state["normalizers"] if state["type"] == "Sequence" else [state]
    kept = [
        part for part in parts if part["type"] not in ("Strip", "Prepend") and METASPACE not in json.dumps(part, ensure_ascii=False)
    ]
    return json.dumps({"type": "Sequence", "normalizers": kept}) if kept else ""
