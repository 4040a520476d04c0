"""The families of tokenizers. Each writes tokens in its own way, and turns a token into its canonical piece.

WordPiece writes "##ung", SentencePiece (Unigram and BPE) "▁Haus", byte-level BPE "ĠHaus" (bytes as printable
characters). In WordLevel a token is a word.
"""

import re
from collections.abc import Callable
from typing import Any

from vocab.errors import InputError
from vocab.pieces import METASPACE, Piece

_FALLBACK_BYTE = re.compile(r"^<0x([0-9A-F]{2})>$")  # SentencePiece's way to write one byte

Canonical = Callable[[str], Piece]


def family(state: dict[str, Any], name: str) -> tuple[str, Canonical]:
    """The family of a tokenizer (its state is tokenizer.json), and its function token → canonical piece.

    Raises InputError for a family that the union cannot hold: a BPE that marks the ends of words.
    """
    model = state["model"]
    kind = model["type"]
    if kind == "WordPiece":
        prefix = model["continuing_subword_prefix"]
        return "WordPiece", lambda token: _wordpiece(token, prefix)
    if kind in ("BPE", "WordLevel") and _holds(state, "ByteLevel"):
        return f"byte-level {kind}", _byte_level
    if kind in ("BPE", "Unigram") and _marks_words(state, model):
        fallback = bool(model.get("byte_fallback"))
        return f"SentencePiece {kind}", lambda token: _metaspace(token, fallback)
    if kind == "WordLevel":
        marked = _marks_words(state, model)
        return "WordLevel", (lambda token: _metaspace(token, False)) if marked else (lambda token: Piece(token, True))
    found = kind
    if kind == "BPE" and (model.get("end_of_word_suffix") or model.get("continuing_subword_prefix")):
        found = f"BPE with the marks {[model.get('continuing_subword_prefix'), model.get('end_of_word_suffix')]}"
    raise InputError(
        f"teacher '{name}': its tokenizer is {found}; expected WordPiece, WordLevel, SentencePiece (Unigram or BPE with '{METASPACE}') or "
        "byte-level BPE: choose another teacher, or convert its tokenizer"
    )


def is_fallback_byte(token: str) -> bool:
    """Whether a token is SentencePiece's way to write one byte, as "<0x0A>"."""
    return _FALLBACK_BYTE.match(token) is not None


def _wordpiece(token: str, prefix: str) -> Piece:
    if prefix and token.startswith(prefix) and len(token) > len(prefix):
        return Piece(token[len(prefix) :], False)
    return Piece(token, True)


def _metaspace(token: str, byte_fallback: bool) -> Piece:
    byte = _FALLBACK_BYTE.match(token) if byte_fallback else None
    if byte:
        return Piece.from_bytes(bytes.fromhex(byte[1]), False)
    begins_word = token.startswith(METASPACE)
    return Piece(token[begins_word:].replace(METASPACE, " "), begins_word)


def _byte_level(token: str) -> Piece:
    try:
        content = bytes(_BYTES[char] for char in token)
    except KeyError:  # an added token has no special spelling
        return Piece(token.removeprefix(" "), token.startswith(" "))
    begins_word = content.startswith(b" ")
    return Piece.from_bytes(content[begins_word:], begins_word)


def _byte_alphabet() -> dict[str, int]:
    """The character that byte-level BPE writes for each byte: the same character if it is printable, else one from U+0100 upwards."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(byte): byte for byte in own} | {chr(256 + index): byte for index, byte in enumerate(others)}


_BYTES = _byte_alphabet()


def _holds(state: dict[str, Any], kind: str) -> bool:
    """Whether the pre-tokenizer or the decoder has this type, or is a sequence with a member of this type."""
    return any(part["type"] == kind for part in _parts(state))


def _parts(state: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [part for key in ("pre_tokenizer", "decoder") if (part := state.get(key))]
    return parts + [inner for part in parts for key in ("pretokenizers", "decoders") for inner in part.get(key, [])]


def _marks_words(state: dict[str, Any], model: dict[str, Any]) -> bool:
    """Whether words begin with "▁", written by the pre-tokenizer, or by a normaliser that replaces each space."""
    if model.get("end_of_word_suffix") or model.get("continuing_subword_prefix"):
        return False
    if any(part["replacement"] != METASPACE for part in _parts(state) if part["type"] == "Metaspace"):
        return False
    return _holds(state, "Metaspace") or METASPACE in str(state.get("normalizer"))
