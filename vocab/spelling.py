"""How a piece that is not in the union is spelled by pieces that are: WordPiece's longest match on its text."""

from collections.abc import Mapping

from vocab.pieces import CONTINUATION, is_hexadecimal, parse
from vocab.roles import SPECIAL_TOKENS

_SPECIAL = frozenset(SPECIAL_TOKENS.values())  # a text that looks like a special token is still text


def spell_with(piece: str, ids: Mapping[str, int]) -> list[int] | None:
    """The union ids that spell a canonical piece, or None if it cannot be spelled. `ids` are the pieces of the union.

    The first part begins a word if the piece does; the other parts continue it. Pieces with a hexadecimal spelling are not split.
    """
    if is_hexadecimal(piece):
        return None
    whole = parse(piece)
    text, start, found = str(whole.content), 0, []
    while start < len(text):
        mark = "" if start == 0 and whole.begins_word else CONTINUATION
        parts = ((end, mark + text[start:end]) for end in range(len(text), start, -1))
        end, part = next(((end, part) for end, part in parts if part in ids and part not in _SPECIAL), (None, ""))
        if end is None:
            return None
        found.append(ids[part])
        start = end
    return found
