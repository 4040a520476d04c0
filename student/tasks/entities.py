"""F1 of named entities, and XTREME's F1 of part-of-speech tags, as seqeval 1.2.2 computes them.

An entity is (type, first word, last word) over all sentences of a file, one after the other with a tag O between two of them.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["lenient", "strict"]
Entity: TypeAlias = tuple[str, int, int]
Sentences: TypeAlias = Sequence[Sequence[str]]


def entity_f1(gold: Sentences, predicted: Sentences, mode: Mode = "lenient") -> float:
    """Micro F1 over entities, in percent; 0 if no entity is right.

    lenient  seqeval's default, that XTREME and others report: an I- that follows no entity of its type begins one
    strict   IOB2: an entity begins with B-, and an I- that continues nothing is no entity

    Raises ValueError if the sentences do not have the same numbers of tags.
    """
    check_aligned(gold, predicted)
    find = lenient_entities if mode == "lenient" else strict_entities
    wanted, found = {*find(gold)}, {*find(predicted)}
    right = len(wanted & found)
    return 200.0 * right / (len(wanted) + len(found)) if right else 0.0


def xtreme_f1(gold: Sentences, predicted: Sentences) -> float:
    """What XTREME calls the F1 of part-of-speech tagging: seqeval's on bare tags, in percent.

    seqeval reads the first letter of "NOUN" as B, I, O, …, so equal neighbours are one entity, and CCONJ and SCONJ are the same type.
    This is lower than the accuracy by a point or so; report it by its name, beside the accuracy.
    """
    return entity_f1(gold, predicted, "lenient")


def accuracy(gold: Sentences, predicted: Sentences) -> float:
    """The share of words with the right tag, in percent: also the micro F1 over words."""
    check_aligned(gold, predicted)
    pairs = [(one, other) for left, right in zip(gold, predicted, strict=True) for one, other in zip(left, right, strict=True)]
    return 100.0 * sum(one == other for one, other in pairs) / max(1, len(pairs))


def check_aligned(gold: Sentences, predicted: Sentences) -> None:
    """Raise ValueError unless both have the same sentences by length: a lost word would shift all that come after it."""
    if len(gold) != len(predicted):
        raise ValueError(f"found {len(predicted):,} sentences of predictions for {len(gold):,} gold ones; expected as many")
    for number, (left, right) in enumerate(zip(gold, predicted, strict=True)):
        if len(left) != len(right):
            raise ValueError(f"sentence {number}: found {len(right)} predicted tags for {len(left)} words; expected one each")


def lenient_entities(sentences: Sentences) -> Iterator[Entity]:
    """Entities under the rules of the CoNLL-2000 script, which seqeval follows.

    Its oddities are part of the score: a tag that opens nothing but closes something ends an entity at the place that opened last.
    """
    before, kind_before, first = "O", "", 0
    place = -1
    for place, tag in enumerate(_joined(sentences)):
        letter, kind = tag[:1], tag[1:].split("-", maxsplit=1)[-1] or "_"
        changed = kind != kind_before
        if before in "ES" or (before in "BI" and letter in "BSO") or (before not in "O." and changed):
            yield kind_before, first, place - 1
        if letter in "BS" or (letter in "IE" and before in "OES") or (letter not in "O." and changed):
            first = place
        before, kind_before = letter, kind


def strict_entities(sentences: Sentences) -> Iterator[Entity]:
    """Entities under IOB2: B-X and the I-X that follow it."""
    kind, first = "", 0
    for place, tag in enumerate(_joined(sentences)):
        letter, _, own = tag.partition("-")
        if kind and not (letter == "I" and own == kind):
            yield kind, first, place - 1
            kind = ""
        if letter == "B":
            kind, first = own, place


def _joined(sentences: Sentences) -> Iterator[str]:
    for sentence in sentences:
        yield from sentence
        yield "O"
