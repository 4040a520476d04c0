"""Windows of questions: every piece is judged once, and an answer is cut out of the original text."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from student.tasks.question_windows import CLS, answer_pieces, best_answers, make_question_windows, reachable, text_of
from student.tasks.read_questions import Question
from student.tasks.reading import Reader
from student.tasks.task import FineTuning
from vocab.errors import InputError
from vocab.roles import UNION_ROLES
from vocab.routed import Segmentation


def by_words(texts: Sequence[str]) -> list[Segmentation]:
    """A piece a word; a long word has two."""
    found = []
    for text in texts:
        spans, place = list[tuple[int, int]](), 0
        for word in text.split(" "):
            if word:
                half = place + len(word) // 2
                spans += [(place, half), (half, place + len(word))] if len(word) > 3 else [(place, place + len(word))]
            place += len(word) + 1
        ids = np.array([10 + hash(text[begin:end]) % 50 for begin, end in spans], dtype=np.uint32)
        found.append(
            Segmentation(ids=ids, offsets=np.array(spans, np.int64).reshape(-1, 2), word_ids=np.zeros(len(spans), np.int64))
        )
    return found


READER = Reader(texts=by_words, words=lambda words: [], roles=UNION_ROLES, separators=1, largest_id=99, identity="")
TUNING = FineTuning(max_length=16, question_length=4, stride=3, answer_length=4)


def question(context: str, answer: str, *, asked: str = "who is it", name: str = "q") -> Question:
    return Question(id=name, question=asked, context=context, answers=(answer,), starts=(context.index(answer),))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 40), st.integers(1, 12), st.integers(0, 6), st.integers(1, 2))
def test_every_piece_is_judged_in_the_window_with_most_context(words: int, stride: int, asked: int, separators: int) -> None:
    reader = Reader(texts=by_words, words=lambda words: [], roles=UNION_ROLES, separators=separators, largest_id=99, identity="")
    tuning = FineTuning(max_length=16, question_length=4, stride=stride)
    one = Question(
        id="q",
        question=" ".join("abc"[: 1 + n % 3] for n in range(asked)),
        context=" ".join(["ab"] * words),
        answers=("",),
        starts=(0,),
    )
    examples, back = make_question_windows([one], reader, tuning, Counter())
    best: dict[int, tuple[float, int]] = {}
    for number, (example, window) in enumerate(zip(examples, back.windows, strict=True)):
        assert len(example.input_ids) <= 16
        assert len(example.input_ids) == window.offset + window.pieces + 1
        for place in range(window.pieces):
            score = min(place, window.pieces - 1 - place) + 0.01 * window.pieces
            piece = window.begin + place
            if piece not in best or score > best[piece][0]:
                best[piece] = score, number
    judged = Counter(
        (window.begin + int(place), number) for number, window in enumerate(back.windows) for place in np.flatnonzero(window.judged)
    )
    assert judged == Counter((piece, number) for piece, (_, number) in best.items())
    assert {piece for piece, _ in judged} == set(range(words))


def test_an_answer_is_its_pieces_and_windows_without_it_point_at_cls() -> None:
    context = "the river flows to the sea and the city is there on its bank"
    one = question(context, "the city")
    counters: Counter[str] = Counter()
    examples, back = make_question_windows([one], READER, TUNING, counters)
    targets = [example.target for example in examples]
    assert len(examples) > 2
    assert (CLS, CLS) in targets
    for example, window in zip(examples, back.windows, strict=True):
        if example.target != (CLS, CLS):
            first, last = (place - window.offset + window.begin for place in example.target)
            assert text_of(context, back.spans[0], first, last) == "the city"
    assert counters["unreachable_answers"] == 0
    assert counters["windows"] == len(examples)


def test_logits_of_the_gold_answer_give_the_gold_answer() -> None:
    contexts = ["the river flows to the sea and the city is there on its bank", "a b c d e f g h i j k l m n o p q r s t u v w x"]
    data = [
        question(contexts[0], "there on its", name="a"),
        question(contexts[1], "w x", name="b"),
        question(contexts[0], "the", name="c"),
    ]
    examples, back = make_question_windows(data, READER, TUNING, Counter())
    logits = []
    for example in examples:
        first, last = np.zeros(len(example.input_ids)), np.zeros(len(example.input_ids))
        if example.target != (CLS, CLS):
            first[example.target[0]], last[example.target[1]] = 9.0, 9.0
        logits.append((first, last))
    assert best_answers(data, back, logits, 4) == ["there on its", "w x", "the"]
    assert reachable(data, back, 4) == ["there on its", "w x", "the"]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 14), st.integers(0, 999))
def test_the_best_answer_is_that_of_all_pairs(words: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    context = " ".join("".join(rng.choice([*"abcdefg"], rng.integers(1, 4))) for _ in range(words))
    data = [question(context, context.split(" ")[0])]
    examples, back = make_question_windows(data, READER, TUNING, Counter())
    logits = [(rng.normal(size=len(one.input_ids)), rng.normal(size=len(one.input_ids))) for one in examples]
    best = (-np.inf, "")
    for window, (starts, ends) in zip(back.windows, logits, strict=True):
        for first, last in itertools.product(range(window.pieces), repeat=2):
            text = text_of(context, back.spans[0], window.begin + first, window.begin + last) if last >= first else ""
            legal = last >= first and window.judged[first] and (last - first < 4 or len(text) <= 60)
            value = starts[window.offset + first] + ends[window.offset + last]
            if legal and value > best[0]:
                best = value, text
    assert best_answers(data, back, logits, 4) == [best[1]]


def test_edges_inside_a_piece_are_counted_and_lower_what_is_reachable() -> None:
    data = [question("sie wohnen in Leipzigs Mitte", "Leipzig"), question("in Rom", "Rom")]
    counters: Counter[str] = Counter()
    _, back = make_question_windows(data, READER, TUNING, counters)
    assert counters["unreachable_answers"] == 1
    assert reachable(data, back, 4) == ["Leipzigs", "Rom"]


def test_the_answer_that_is_exactly_pieces_is_taken() -> None:
    context = "sie wohnen in Leipzigs Mitte"
    one = Question(id="q", question="wo", context=context, answers=("Leipzig", "Mitte"), starts=(14, 23))
    counters: Counter[str] = Counter()
    examples, back = make_question_windows([one], READER, TUNING, counters)
    assert counters["unreachable_answers"] == 0
    assert reachable([one], back, 4) == ["Mitte"]
    assert any(example.target != (CLS, CLS) for example in examples)


def test_pieces_without_characters_are_no_edge() -> None:
    spans = np.array([[0, 0], [0, 3], [3, 3], [4, 7], [7, 7]])
    assert answer_pieces(4, "abc", spans) == (3, 3)
    assert answer_pieces(0, "xyz", spans) == (1, 1)
    assert text_of("xyz abc", spans, 3, 4) == "abc"
    assert answer_pieces(7, "d", spans) is None


def test_a_long_answer_of_few_characters_is_legal_and_one_of_many_is_not() -> None:
    chinese = "国" * 50
    spans = np.array([[n, n + 1] for n in range(50)])
    reader = Reader(
        texts=lambda texts: [
            Segmentation(ids=np.full(len(text), 9, np.uint32), offsets=spans[: len(text)], word_ids=np.zeros(len(text), np.int64))
            for text in texts
        ],
        words=lambda words: [],
        roles=UNION_ROLES,
        separators=1,
        largest_id=99,
        identity="",
    )
    data = [Question(id="q", question="国", context=chinese, answers=(chinese,), starts=(0,))]
    _, back = make_question_windows(data, reader, FineTuning(max_length=80), Counter())
    assert reachable(data, back, 30) == [chinese]
    words = " ".join(["wörter"] * 40)
    data = [Question(id="q", question="was", context=words, answers=(words,), starts=(0,))]
    _, back = make_question_windows(data, READER, FineTuning(max_length=200), Counter())
    assert len(reachable(data, back, 30)[0].split()) == 15


def test_no_room_for_a_context() -> None:
    with pytest.raises(InputError, match="max_length 64 leaves 0 pieces for a context beside a question of 64"):
        make_question_windows([question("a b", "a")], READER, FineTuning(max_length=64), Counter())
