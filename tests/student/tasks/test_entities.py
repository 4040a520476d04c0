"""Entity F1 against seqeval, on cases worked by hand and on random tags."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from student.tasks.entities import accuracy, entity_f1, lenient_entities, strict_entities, xtreme_f1

NO, BP, IP, BL, IL = "O", "B-PER", "I-PER", "B-LOC", "I-LOC"

# gold, predicted, lenient F1, strict F1
CASES = [
    ([[BP, IP, NO]], [[BP, IP, NO]], 100, 100),
    ([[BP, IP, NO]], [[NO, NO, NO]], 0, 0),
    ([[NO, NO]], [[NO, NO]], 0, 0),  # nothing to find and nothing found
    ([[BP, IP, NO, BL]], [[BP, IP, NO, NO]], 200 / 3, 200 / 3),
    ([[BP, IP, NO]], [[BP, NO, NO]], 0, 0),  # a part of an entity is wrong
    ([[BP, IP, NO]], [[IP, IP, NO]], 100, 0),  # an I- opens, but not in IOB2
    ([[BP, BP]], [[BP, IP]], 0, 0),
    ([[BP, IP]], [[BP, BP]], 0, 0),
    ([[BP, IP]], [[BL, IL]], 0, 0),
    ([[BP, NO, BL]], [[BP, NO, IL]], 100, 200 / 3),
    ([[BP, IL]], [[BP, BL]], 100, 200 / 3),  # the gold's I-LOC is an entity, or none
    ([[BP], [IP]], [[BP], [IP]], 100, 100),  # no entity crosses two sentences
    ([[BP, IP], [BL]], [[BP, IP], [BP]], 50, 50),
    ([[NO, BP, IP, IP, NO]], [[NO, BP, IP, NO, IP]], 0, 0),
]


@pytest.mark.parametrize(("gold", "predicted", "lenient", "strict"), CASES)
def test_worked_cases(gold: list[list[str]], predicted: list[list[str]], lenient: float, strict: float) -> None:
    assert entity_f1(gold, predicted) == pytest.approx(lenient)
    assert entity_f1(gold, predicted, "strict") == pytest.approx(strict)
    assert entity_f1(gold, predicted) == pytest.approx(by_seqeval(gold, predicted))
    assert entity_f1(gold, predicted, "strict") == pytest.approx(by_seqeval(gold, predicted, mode="strict", scheme=IOB2))


def by_seqeval(gold: list[list[str]], predicted: list[list[str]], **options: object) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return 100.0 * float(f1_score(gold, predicted, **options))


@st.composite
def tagged(draw: st.DrawFn, tags: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    sentence = [st.lists(st.sampled_from(tags), min_size=length, max_size=length) for length in lengths]
    return [draw(one) for one in sentence], [draw(one) for one in sentence]


@settings(max_examples=400, deadline=None)
@given(tagged([NO, BP, IP, BL, IL]))
def test_random_tags(pair: tuple[list[list[str]], list[list[str]]]) -> None:
    gold, predicted = pair
    assert entity_f1(gold, predicted) == pytest.approx(by_seqeval(gold, predicted))
    assert entity_f1(gold, predicted, "strict") == pytest.approx(by_seqeval(gold, predicted, mode="strict", scheme=IOB2))


UNIVERSAL = (
    *("VERB", "NOUN", "PROPN", "PRON", "ADJ", "NUM", "ADV", "INTJ", "AUX"),
    *("ADP", "DET", "PART", "CCONJ", "SCONJ", "X", "PUNCT", "SYM"),
)


@settings(max_examples=400, deadline=None)
@given(tagged([*UNIVERSAL]))
def test_xtremes_f1_is_seqevals_on_bare_tags(pair: tuple[list[list[str]], list[list[str]]]) -> None:
    assert xtreme_f1(*pair) == pytest.approx(by_seqeval(*pair))


def test_the_swap_of_two_conjunctions_costs_nothing() -> None:
    gold = [["NOUN", "CCONJ", "VERB", "NOUN"]]
    swapped = [["NOUN", "SCONJ", "VERB", "NOUN"]]
    assert xtreme_f1(gold, swapped) == 100.0
    assert accuracy(gold, swapped) == 75.0


def test_gold_is_all_right_and_another_tag_nothing() -> None:
    gold = [["NOUN", "VERB"], ["X"]]
    assert (accuracy(gold, gold), xtreme_f1(gold, gold)) == (100.0, 100.0)
    assert accuracy(gold, [["ADP", "ADP"], ["ADP"]]) == 0.0


def test_entities_have_the_places_of_their_words() -> None:
    tags = [[BP, IP, NO], [IL, BL]]
    assert [*lenient_entities(tags)] == [("PER", 0, 1), ("LOC", 4, 4), ("LOC", 5, 5)]
    assert [*strict_entities(tags)] == [("PER", 0, 1), ("LOC", 5, 5)]


@pytest.mark.parametrize("predicted", [[[NO]], [[NO, NO], [NO]], [[NO, NO], [NO, NO, NO]]])
def test_a_lost_word_is_an_error(predicted: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        entity_f1([[NO, NO], [NO, NO]], predicted)
