"""What the differences between a teacher's normaliser and the student's cost: the words that the student reads otherwise."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vocab.agreement import WORD, Segmenter, words_of
from vocab.normaliser import Normaliser
from vocab.pieces import METASPACE
from vocab.roles import UNION_ROLES

EXAMPLES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The words of one language's text, as one of its teachers reads them and as the student does. Shares are between 0 and 1."""

    language: str
    teacher: str
    words: int
    otherwise: float  # share of words that become other characters for the student than for the teacher
    unknown: float  # share of words with an unknown piece for the student and none for the teacher
    read_otherwise: tuple[str, ...] = ()  # the most frequent of them
    not_known: tuple[str, ...] = ()

    def describe(self) -> str:
        """One sentence for people."""
        return (
            f"{self.language} ({self.teacher}): of {self.words:,} words of the corpus, the student reads {self.otherwise:.1%} in other "
            f"characters than this teacher{_such(self.read_otherwise)}; {self.unknown:.1%} are unknown to the student "
            f"alone{_such(self.not_known)}"
        )


def _such(examples: Sequence[str]) -> str:
    return f" ({', '.join(examples)}, …)" if examples else ""


def compare_reading(
    language: str,
    teacher: str,
    texts: Sequence[str],
    *,
    own: Normaliser,
    student: Normaliser,
    routed: Segmenter,
    union: Segmenter,
) -> Reading:
    """Read texts with a teacher's normaliser and tokenizer, and with the student's.

    own, student   the two normalisers
    routed, union  the two tokenizers, both with union ids
    """
    read, student_reads = own.backend().normalize_str, student.backend().normalize_str
    form = student.unicode_form if student.decomposes and not student.state else ""  # its vocabulary is spelled so

    def differs(word: str) -> bool:
        ours, theirs = (normal(word).replace(METASPACE, " ").strip() for normal in (student_reads, read))
        spelled = unicodedata.normalize(form, theirs) if form else theirs  # type: ignore[arg-type]
        return bool(ours != spelled)

    words, otherwise, unknown = Counter[str](), Counter[str](), Counter[str]()
    for text, by_teacher, by_student in zip(texts, routed(texts), union(texts), strict=True):
        spans = [match.span() for match in WORD.finditer(text)]
        words.update(text[slice(*span)] for span in spans)
        pairs = zip(spans, words_of(spans, by_teacher), words_of(spans, by_student), strict=True)
        unknown.update(
            text[slice(*span)] for span, theirs, ours in pairs if UNION_ROLES.unk in ours and UNION_ROLES.unk not in theirs
        )
    otherwise.update({word: count for word, count in words.items() if differs(word)})
    total = max(1, words.total())
    return Reading(
        language=language,
        teacher=teacher,
        words=words.total(),
        otherwise=otherwise.total() / total,
        unknown=unknown.total() / total,
        read_otherwise=_most(otherwise),
        not_known=_most(unknown),
    )


def _most(words: Counter[str]) -> tuple[str, ...]:
    return tuple(word for word, _ in words.most_common(EXAMPLES))
