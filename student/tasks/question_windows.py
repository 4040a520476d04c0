"""Questions on texts → windows in which an answer is a first and a last piece; and back to characters of the text.

Spans are those of the original text, so an answer is cut out of it, never put together from pieces. A context that is too long is read in
several windows. A piece is judged in the window in which it has most context on its poorer side (BERT's run_squad).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from student.tasks.read_questions import Question
from student.tasks.reading import Reader
from student.tasks.task import Example, FineTuning, join_texts
from vocab.errors import InputError

CLS = 0  # the place that a window without the answer points at
ANSWER_CHARACTERS = 60  # an answer may also have more than answer_length pieces, if it has no more characters
_BEST = 20  # first and last pieces that are tried


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionWindow:
    """A part of a context behind its question."""

    question: int  # its number in the data
    begin: int  # the first piece of the context
    pieces: int
    offset: int  # the place of this piece in the window
    judged: NDArray[np.bool_]  # [pieces] whether a piece is judged in this window


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionSpans:
    """What belongs to a data set of questions beside its examples."""

    windows: Sequence[QuestionWindow]
    spans: Sequence[NDArray[np.int64]]  # of each question's context, [pieces, 2] characters


def make_question_windows(
    data: Sequence[Question], reader: Reader, tuning: FineTuning, counters: Counter[str]
) -> tuple[list[Example], QuestionSpans]:
    """The examples of all questions, and what leads back from them.

    The target of an example is the first and last place of an answer, or CLS twice if it is not whole in this window.
    These counts are added: questions, windows, cut_questions, unreachable_answers.
    """
    room = tuning.max_length - tuning.question_length - 2 - reader.separators
    if room < 2:
        raise InputError(
            f"max_length {tuning.max_length} leaves {max(0, room)} pieces for a context beside a question of {tuning.question_length}; "
            "expected more: raise --max-length or lower --question-length"
        )
    examples, windows, spans = list[Example](), list[QuestionWindow](), list[NDArray[np.int64]]()
    contexts = {text: number for number, text in enumerate(dict.fromkeys(question.context for question in data))}
    read = reader.texts([*contexts])
    asked = reader.texts([question.question for question in data])
    for number, question in enumerate(data):
        counters["questions"] += 1
        context, own = read[contexts[question.context]], asked[number].ids.tolist()
        counters["cut_questions"] += len(own) > tuning.question_length
        own = own[: tuning.question_length]
        spans.append(context.offsets)
        answer, exact = _best_pieces(question, context.offsets)
        counters["unreachable_answers"] += not exact
        for window in _windows(number, len(context.ids), tuning.max_length - len(own) - 2 - reader.separators, tuning.stride):
            pieces = context.ids[window.begin : window.begin + window.pieces].tolist()
            ids, start = join_texts(own, pieces, reader.roles, reader.separators)
            assert len(ids) <= tuning.max_length, "question, context and special tokens fit"
            target = (CLS, CLS)
            if answer is not None and window.begin <= answer[0] and answer[1] < window.begin + window.pieces:
                target = (start + answer[0] - window.begin, start + answer[1] - window.begin)
            examples.append(Example(input_ids=ids, second=start, target=target))
            windows.append(
                QuestionWindow(question=number, begin=window.begin, pieces=window.pieces, offset=start, judged=window.judged)
            )
    counters["windows"] += len(windows)
    return examples, QuestionSpans(windows=windows, spans=spans)


def _windows(question: int, pieces: int, room: int, stride: int) -> Iterator[QuestionWindow]:
    """Windows of at most `room` pieces, their starts `stride` apart (fewer if the room is smaller), over all pieces."""
    begins = [0]
    while begins[-1] + room < pieces:
        begins.append(begins[-1] + min(stride, room))
    ends = [min(begin + room, pieces) for begin in begins]
    place = np.arange(pieces)
    # [windows, pieces] the context on the poorer side, and a little for longer windows
    score = np.full((len(begins), pieces), -1.0)
    for row, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        score[row, begin:end] = np.minimum(place[begin:end] - begin, end - 1 - place[begin:end]) + 0.01 * (end - begin)
    best = score.argmax(0) if pieces else np.zeros(0, np.int64)
    for row, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        yield QuestionWindow(question=question, begin=begin, pieces=end - begin, offset=0, judged=best[begin:end] == row)


def answer_pieces(start: int, answer: str, spans: NDArray[np.int64]) -> tuple[int, int] | None:
    """The first and the last piece of an answer that begins at character `start`; None if no piece has any of it."""
    first = np.flatnonzero(spans[:, 1] > start)
    last = np.flatnonzero(spans[:, 0] < start + len(answer))
    if not len(first) or not len(last) or not answer or first[0] > last[-1]:
        return None
    return int(first[0]), int(last[-1])


def text_of(context: str, spans: NDArray[np.int64], first: int, last: int) -> str:
    """The text of a run of pieces, as it is in the context."""
    return context[int(spans[first, 0]) : int(spans[last, 1])].strip()


def _best_pieces(question: Question, spans: NDArray[np.int64]) -> tuple[tuple[int, int] | None, bool]:
    """The pieces of the first gold answer that is exactly theirs, and True; if there is none, of the first answer, and False."""
    found = [answer_pieces(start, answer, spans) for start, answer in zip(question.starts, question.answers, strict=True)]
    for answer, pieces in zip(question.answers, found, strict=True):
        if pieces is not None and text_of(question.context, spans, *pieces) == answer.strip():
            return pieces, True
    return next((pieces for pieces in found if pieces is not None), None), False


def best_answers(
    data: Sequence[Question], found: QuestionSpans, logits: Sequence[tuple[NDArray[Any], NDArray[Any]]], answer_length: int
) -> list[str]:
    """The text of each question's best answer: the largest sum of two logits, over all its windows.

    logits         of each window: [T] that a place is the first piece, [T] that it is the last
    answer_length  the largest number of pieces, unless an answer has at most ANSWER_CHARACTERS characters
    """
    best: list[tuple[float, int, int] | None] = [None] * len(data)
    for window, (starts, ends) in zip(found.windows, logits, strict=True):
        spans = found.spans[window.question][window.begin : window.begin + window.pieces]
        start_C = np.where(window.judged, starts[window.offset : window.offset + window.pieces], -np.inf)
        end_C = ends[window.offset : window.offset + window.pieces]
        first_N, last_N = (np.argsort(-values, kind="stable")[:_BEST] for values in (start_C, end_C))
        sums = start_C[first_N][:, None] + end_C[last_N]
        pieces = last_N - first_N[:, None] + 1
        characters = spans[last_N, 1] - spans[first_N, 0][:, None]
        legal = (pieces >= 1) & ((pieces <= answer_length) | (characters <= ANSWER_CHARACTERS)) & np.isfinite(sums)
        if legal.any():
            row, column = np.unravel_index(np.where(legal, sums, -np.inf).argmax(), sums.shape)
            value, before = float(sums[row, column]), best[window.question]
            if before is None or value > before[0]:
                best[window.question] = value, window.begin + int(first_N[row]), window.begin + int(last_N[column])
    return [
        "" if chosen is None else text_of(question.context, spans, *chosen[1:])
        for question, spans, chosen in zip(data, found.spans, best, strict=True)
    ]


def reachable(data: Sequence[Question], found: QuestionSpans, answer_length: int) -> list[str]:
    """For each question, the text of the pieces that an answer needs: the best that any model can answer."""
    texts = []
    for question, spans in zip(data, found.spans, strict=True):
        pieces, _ = _best_pieces(question, spans)
        if pieces is None:
            texts.append("")
            continue
        first, last = pieces
        if spans[last, 1] - spans[first, 0] > ANSWER_CHARACTERS:
            last = min(last, first + answer_length - 1)
        texts.append(text_of(question.context, spans, first, last))
    return texts
