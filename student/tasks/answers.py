"""F1 and exact match of answers to questions, under the two scorers of the field. The scorer's name belongs beside every number.

squad  the script of SQuAD 1.1, made for English; XTREME scores XQuAD and TyDiQA with it, in every language
mlqa   the script of MLQA: articles by language, all of Unicode's punctuation, Chinese character by character
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vocab.errors import InputError

Scorer: TypeAlias = Literal["squad", "mlqa"]
Normalise: TypeAlias = Callable[[str], str]

_ARTICLES = {  # of the MLQA script; what stands for them is a space
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": "ال",
    "hi": None,
    "zh": None,
}
_HAN = ("\u4e00", "\u9fa5")  # the characters that the MLQA script counts one by one


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerScore:
    """Means over all questions, in percent."""

    scorer: Scorer
    f1: float
    exact_match: float
    questions: int


def score_answers(gold: Mapping[str, Sequence[str]], predicted: Mapping[str, str], scorer: Scorer, language: str) -> AnswerScore:
    """Score answers by the id of their question. The best of several gold answers counts; a question without a prediction counts 0.

    Raises InputError for gold answers that are all empty (files whose answers were removed), for a prediction of an unknown question, and
    for a language that the scorer does not know.
    """
    if not any(answer.strip() for answers in gold.values() for answer in answers):
        raise InputError(
            f"found {len(gold):,} questions without a single answer; expected answers: some development sets are published without them"
        )
    if unknown := predicted.keys() - gold.keys():
        raise InputError(f"found a prediction for the question '{min(unknown)}', which the gold file does not have")
    normalise = normaliser(scorer, language)
    f1 = exact = 0.0
    for question, answers in gold.items():
        if question in predicted:
            f1 += max((answer_f1(answer, predicted[question], normalise) for answer in answers), default=0.0)
            exact += max((normalise(answer) == normalise(predicted[question]) for answer in answers), default=False)
    count = max(1, len(gold))
    return AnswerScore(scorer=scorer, f1=100.0 * f1 / count, exact_match=100.0 * exact / count, questions=len(gold))


def answer_f1(gold: str, predicted: str, normalise: Normalise) -> float:
    """The harmonic mean of precision and recall over the words of two answers; 0 if they share none, and so if both are empty."""
    wanted, found = normalise(gold).split(), normalise(predicted).split()
    shared = sum((Counter(wanted) & Counter(found)).values())
    return 2.0 * shared / (len(wanted) + len(found)) if shared else 0.0


def normaliser(scorer: Scorer, language: str) -> Normalise:
    """What a scorer does to an answer before it compares. Raises InputError for a language that it does not know."""
    if scorer == "squad":
        return _squad
    if language not in _ARTICLES:
        raise InputError(f"the scorer 'mlqa' knows {', '.join(sorted(_ARTICLES))}; found '{language}': choose the scorer 'squad'")
    articles = _ARTICLES[language]

    def normalise(answer: str) -> str:
        text = "".join(char for char in answer.lower() if not _is_punctuation(char))
        text = re.sub(articles, " ", text) if articles else text
        return " ".join(_characters(text) if language == "zh" else text.split())

    return normalise


def _squad(answer: str) -> str:
    text = "".join(char for char in answer.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def _characters(text: str) -> list[str]:
    """Chinese characters one by one, other text by white space."""
    return "".join(f" {char} " if _HAN[0] <= char <= _HAN[1] else char for char in text).split()
