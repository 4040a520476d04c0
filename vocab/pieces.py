"""Canonical pieces: what a token of any family is, text and whether it begins a word; and its one spelling as a string.

A piece is spelled as WordPiece spells it: "haus" begins a word, "##haus" goes on with one. What that cannot say unambiguously (bytes
that are no whole characters, white space, nothing at all, a word that itself begins with "##") is spelled in hexadecimal with a space
inside, "<bytes E4 B8>" or "##<bytes E4 B8>": no tokenizer finds such a piece in a text, since no word holds a space.
"""

import re
import unicodedata
from dataclasses import dataclass

from vocab.roles import SPECIAL_TOKENS

CONTINUATION = "##"
_ODD = re.compile(r"^<bytes (?P<hex>[0-9A-F ]*)>$")
# Categories that would not survive as a line of a file, or that tokenizers take for a border of words: separators and controls.
_UNSAFE = ("Zs", "Zl", "Zp", "Cc", "Cs")


@dataclass(frozen=True, slots=True)
class Piece:
    """A canonical piece. `content` is text, or bytes that are no whole characters."""

    content: str | bytes
    begins_word: bool

    @classmethod
    def from_bytes(cls, content: bytes, begins_word: bool) -> "Piece":
        """The piece of some bytes: text where they are whole characters of UTF-8."""
        try:
            return cls(content.decode("utf-8"), begins_word)
        except UnicodeDecodeError:
            return cls(content, begins_word)


def spell(piece: Piece) -> str:
    """The piece's one spelling: no two pieces have the same."""
    content = piece.content
    if isinstance(content, bytes) or _is_odd(content, piece.begins_word):
        raw = content if isinstance(content, bytes) else content.encode("utf-8")
        content = f"<bytes {raw.hex(' ').upper()}>"
    return content if piece.begins_word else CONTINUATION + content


def parse(spelling: str) -> Piece:
    """The piece that `spell` spelled so."""
    begins_word = not (spelling.startswith(CONTINUATION) and len(spelling) > len(CONTINUATION))
    content = spelling if begins_word else spelling[len(CONTINUATION) :]
    odd = _ODD.match(content)
    return Piece.from_bytes(bytes.fromhex(odd["hex"]), begins_word) if odd else Piece(content, begins_word)


def needs_hexadecimal(spelling: str) -> bool:
    """Whether no text can be segmented into this piece: its spelling is in hexadecimal."""
    return " " in spelling


def _is_odd(text: str, begins_word: bool) -> bool:
    if begins_word and (text.startswith(CONTINUATION) and len(text) > len(CONTINUATION)):
        return True  # would read as a continuation
    if begins_word and text in SPECIAL_TOKENS.values():
        return True  # a text that happens to look like one of the student's special tokens
    return not text or (not text.isalnum() and any(unicodedata.category(char) in _UNSAFE for char in text))
