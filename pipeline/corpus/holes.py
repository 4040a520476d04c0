"""Holes: where a template or a formula stood that could not be rendered. A sentence with a hole is taken out, never left with it.

A hole is HOLE, the name of what stood there, and END. Without a name nothing was shown there (a note, a mark for editors).
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from pipeline.corpus.literals import literal, plain

HOLE, END = "\x01", "\x02"
_ANY = f"{HOLE}[^{END}\n]*{END}"
NAMED_HOLE = re.compile(f"{HOLE}([^{END}\n]*){END}")
_SHOWS_NOTHING = HOLE + END
_BRACKETS = re.compile(r"[(（][^()（）\n]*[)）]")
_BEHIND = re.compile(rf"(?:\s*{_ANY})+\s*")  # holes behind the end of a sentence
_ITEM = re.compile(rf"(?<=[(（,;，；、/])(\s*{_ANY})+(?=\s*[)）,;，；、/])")
# The end of a sentence. A full stop behind one or two letters is that of an abbreviation, as in "Dr." and "z. B.".
_SENTENCE_END = re.compile(
    r"(?:[!?؟।։።]|…|(?<=[^\W\d_]{3})\.|(?<=[\d)\"”»\]’'%°])\.|\x02\.)[\"”»)\]’']*(?=\s|$|\x01)|[。！？]+[」』”）]*"
)
_NOTHING = re.compile(r"[\W_]*")


@dataclass
class Tally:
    """What a page's templates did to its sentences."""

    sentences: int = 0  # that stayed
    rendered: int = 0  # templates whose text stayed
    lost: Counter[str] = field(default_factory=Counter)  # by name, the sentences that it cost
    taken_out: int = 0  # sentences
    declared: str = ""  # the language that a dump names


def hole(name: str) -> str:
    """A hole with the name of what stood there."""
    return HOLE + literal(re.sub(rf"[\0{HOLE}{END}\n]", " ", name)[:60].strip()) + END


def take_out(line: str, tally: Tally) -> str:
    """The line without its holes, and without the sentences that they stood in."""
    if HOLE in line:
        line = line.replace(_SHOWS_NOTHING, "")
    if HOLE in line:
        for _ in range(2):  # brackets in brackets
            line = _BRACKETS.sub(_without_hole, line)
        if _NOTHING.fullmatch(NAMED_HOLE.sub("", line)):
            return ""
        line = "".join(part for part in _sentences(line) if not _counted(part, tally))
        line = NAMED_HOLE.sub("", line)
    return line


def _without_hole(match: re.Match[str]) -> str:
    """A bracket loses the items that are holes. If a hole is left, inside of an item, the bracket goes."""
    if HOLE not in match[0]:
        return match[0]
    kept = _ITEM.sub("", match[0])
    return "" if HOLE in kept else kept


def _sentences(line: str) -> list[str]:
    """The sentences of a line, each with the white space before it. A hole behind the end of a sentence is a part of its own."""
    cuts = [0]
    for end in _SENTENCE_END.finditer(line):
        at = end.end()
        cuts.append(at)
        behind = _BEHIND.match(line, at)
        if behind and (behind.end() == len(line) or line[behind.end()].isupper()):
            cuts.append(behind.end())
    return [line[start:stop] for start, stop in zip(cuts, [*cuts[1:], len(line)], strict=True) if stop > start]


def _counted(part: str, tally: Tally) -> bool:
    """Whether a part is a sentence with a hole, which is then counted. A part of holes alone costs nothing."""
    names = set(NAMED_HOLE.findall(part))
    if not names or _NOTHING.fullmatch(NAMED_HOLE.sub("", part)):
        return False
    tally.lost.update(map(plain, names))
    tally.taken_out += 1
    return True


def count_sentences(text: str) -> int:
    """The sentences of a text, roughly: ends of sentences, and lines that end without one."""
    return sum(max(1, len(_SENTENCE_END.findall(line))) for line in text.split("\n") if line)
