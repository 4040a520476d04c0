"""The two scorers of answers, on cases worked by hand, and against a slow version of the overlap."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from student.tasks.answers import answer_f1, normaliser, score_answers
from vocab.errors import InputError

SQUAD, GERMAN, CHINESE, ARABIC = (normaliser(*pair) for pair in (("squad", "en"), ("mlqa", "de"), ("mlqa", "zh"), ("mlqa", "ar")))

# scorer, gold, predicted, F1, exact match
CASES: list[tuple[Callable[[str], str], str, str, float, bool]] = [
    (SQUAD, "The river Rhine", "river Rhine!", 1.0, True),
    (SQUAD, "an apple", "Apple", 1.0, True),
    (SQUAD, "north of the city", "north", 0.5, False),  # north of city: 1 of 3 and 1 of 1
    (SQUAD, "1,234", "1234", 1.0, True),
    (SQUAD, "well-known", "well known", 0.0, False),  # the hyphen goes without a trace
    (SQUAD, "“quoted”", "quoted", 0.0, False),  # only ASCII punctuation goes
    (SQUAD, "der Rhein", "Rhein", 2 / 3, False),  # only English articles go
    (SQUAD, "the", "a", 0.0, True),  # both are empty then: no shared word, but equal
    (SQUAD, "a a b", "a b b", 2 / 3, False),  # b, b b
    (SQUAD, "中国北京", "北京", 0.0, False),  # one word each
    (GERMAN, "der Rhein", "Rhein", 1.0, True),
    (GERMAN, "„zitiert“", "zitiert", 1.0, True),
    (GERMAN, "des Kaisers Haus", "Haus", 2 / 3, False),
    (CHINESE, "中国北京", "北京", 2 / 3, False),  # two of four characters
    (CHINESE, "第1234号", "1234", 0.5, False),  # 第, 1234, 号
    (CHINESE, "《红楼梦》", "红楼梦", 1.0, True),
    (ARABIC, "النهر", "نهر", 1.0, True),
]


@pytest.mark.parametrize(("normalise", "gold", "predicted", "f1", "exact"), CASES)
def test_worked_cases(normalise: Callable[[str], str], gold: str, predicted: str, f1: float, exact: bool) -> None:
    assert answer_f1(gold, predicted, normalise) == pytest.approx(f1)
    assert (normalise(gold) == normalise(predicted)) is exact


WORDS = st.lists(st.sampled_from(["red", "green", "blue", "x", "y"]), max_size=6).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_overlap_against_a_loop(gold: str, predicted: str) -> None:
    left, right, shared = gold.split(), predicted.split(), 0
    for word in left:
        if word in right:
            right.remove(word)
            shared += 1
    size = len(predicted.split())
    expected = 0.0
    if shared:
        precision, recall = shared / size, shared / len(left)
        expected = 2 * precision * recall / (precision + recall)
    assert answer_f1(gold, predicted, SQUAD) == pytest.approx(expected)
    assert answer_f1(gold, predicted, SQUAD) == pytest.approx(answer_f1(predicted, gold, SQUAD))


def test_means_over_all_questions() -> None:
    gold = {"q1": ["the Rhine", "Rhine river"], "q2": ["1990"], "q3": ["Bonn"], "q4": ["Berlin"]}
    predicted = {"q1": "river Rhine", "q2": "in 1990", "q3": "bonn"}  # none for q4
    score = score_answers(gold, predicted, "squad", "en")
    assert (score.scorer, score.questions) == ("squad", 4)
    assert score.f1 == pytest.approx(100 * (1.0 + 2 / 3 + 1.0 + 0.0) / 4)
    assert score.exact_match == pytest.approx(100 * (0 + 0 + 1 + 0) / 4)
    perfect = score_answers(gold, {question: answers[0] for question, answers in gold.items()}, "squad", "en")
    assert (perfect.f1, perfect.exact_match) == (100.0, 100.0)
    empty = score_answers(gold, dict.fromkeys(gold, ""), "squad", "en")
    assert (empty.f1, empty.exact_match) == (0.0, 0.0)


def test_bad_references_are_refused() -> None:
    with pytest.raises(InputError, match="found 2 questions without a single answer"):
        score_answers({"q1": [""], "q2": []}, {}, "squad", "en")
    with pytest.raises(InputError, match="a prediction for the question 'q9'"):
        score_answers({"q1": ["x"]}, {"q9": "x"}, "squad", "en")
    with pytest.raises(InputError, match="'mlqa' knows ar, de, en, es, hi, vi, zh; found 'fi'"):
        score_answers({"q1": ["x"]}, {}, "mlqa", "fi")
