"""Canonical pieces. The piece of a token is its text, and whether it begins a word. Each piece has exactly one spelling.

The spelling is WordPiece's: "haus" begins a word, "##haus" continues one. Some pieces would be ambiguous in this spelling: bytes that
are not complete characters, white space, the empty text, and a word that begins with "##". They are spelled in hexadecimal with a
space inside, "<bytes E4 B8>" or "##<bytes E4 B8>". No tokenizer finds such a piece in a text, because no word contains a space.
"""

import re
import unicodedata
from dataclasses import dataclass

from vocab.roles import SPECIAL_TOKENS

CONTINUATION = "##"
METASPACE = "▁"  # with which SentencePiece begins a word
_ODD = re.compile(r"^<bytes (?P<hex>[0-9A-F ]*)>$")
# Unicode categories that cannot be part of a line in a file, or that end a word for tokenizers: separators and control characters.
_UNSAFE = ("Zs", "Zl", "Zp", "Cc", "Cs")


@dataclass(frozen=True, slots=True)
class Piece:
    """A canonical piece. `content` is text, or bytes that are not complete characters."""

    content: str | bytes
    begins_word: bool

    @classmethod
    def from_bytes(cls, content: bytes, begins_word: bool) -> "Piece":
        """The piece of some bytes: text if they are complete UTF-8 characters."""
        try:
            return cls(content.decode("utf-8"), begins_word)
        except UnicodeDecodeError:
            return cls(content, begins_word)


def spell(piece: Piece) -> str:
    """The spelling of the piece. Two different pieces never have the same spelling."""
    content = piece.content
    if isinstance(content, bytes) or _is_ambiguous(content, piece.begins_word):
        raw = content if isinstance(content, bytes) else content.encode("utf-8")
        content = f"<bytes {raw.hex(' ').upper()}>"
    return content if piece.begins_word else CONTINUATION + content


def parse(spelling: str) -> Piece:
    """The piece that `spell` spelled so."""
    begins_word = not (spelling.startswith(CONTINUATION) and len(spelling) > len(CONTINUATION))
    content = spelling if begins_word else spelling[len(CONTINUATION) :]
    odd = _ODD.match(content)
    return Piece.from_bytes(bytes.fromhex(odd["hex"]), begins_word) if odd else Piece(content, begins_word)


def is_hexadecimal(spelling: str) -> bool:
    """Whether a spelling is hexadecimal. No text can be segmented into such a piece."""
    return " " in spelling


def _is_ambiguous(text: str, begins_word: bool) -> bool:
    if begins_word and (text.startswith(CONTINUATION) and len(text) > len(CONTINUATION)):
        return True  # would be read as a continuation
    if begins_word and text in SPECIAL_TOKENS.values():
        return True  # a text that looks like one of the student's special tokens
    return not text or (not text.isalnum() and any(unicodedata.category(char) in _UNSAFE for char in text))
