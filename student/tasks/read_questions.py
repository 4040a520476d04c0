"""Files of questions in SQuAD's JSON: XQuAD, MLQA, TyDiQA-GoldP, ARCD."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import InputError, first_line


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a text, with its gold answers: their texts, and where each begins in the context (in characters)."""

    id: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


def read_questions(file: Path, *, unique_ids: bool = True) -> list[Question]:
    """The questions of a file, plain or gzipped.

    unique_ids: predictions belong to a question by its id. In files to train on the ids may repeat, as in TyDiQA's.

    Raises InputError with the place for a file that is no such JSON, an id that is there twice, an answer that is not at its place in the
    context, and for a file whose answers are all empty (those of some development sets were removed).
    """
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        content = json.loads(raw.decode("utf-8-sig"))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise InputError(f"{file}: cannot be read ({first_line(error)}); expected SQuAD's JSON: fetch it again") from None
    questions = [*_questions(file, content)]
    if not questions:
        raise InputError(f"{file}: found no question; expected SQuAD's JSON with data, paragraphs and qas")
    seen: set[str] = set()
    for question in questions:
        if unique_ids and question.id in seen:
            raise InputError(f"{file}: the question id '{question.id}' is there twice; expected each once")
        seen.add(question.id)
    if not any(answer for question in questions for answer in question.answers):
        raise InputError(
            f"{file}: found {len(questions):,} questions and all answers empty; expected answers: they were removed from this file"
        )
    return questions


def _questions(file: Path, content: Any) -> Iterator[Question]:
    for a, article in enumerate(_list(file, content, "data", "the file")):
        for p, paragraph in enumerate(_list(file, article, "paragraphs", f"data[{a}]")):
            place = f"data[{a}].paragraphs[{p}]"
            context = _text(file, paragraph, "context", place)
            for q, entry in enumerate(_list(file, paragraph, "qas", place)):
                where = f"{place}.qas[{q}]"
                answers = [
                    (_text(file, answer, "text", where), answer.get("answer_start") if isinstance(answer, Mapping) else None)
                    for answer in _list(file, entry, "answers", where)
                ]
                for answer, start in answers:
                    if type(start) is not int or (answer and context[max(0, start) : max(0, start) + len(answer)] != answer):
                        raise InputError(
                            f"{file}, {where}: the answer '{answer[:40]}' is not at its place {start!r} in the context; expected it there, "
                            "counted in characters"
                        )
                yield Question(
                    id=_text(file, entry, "id", where),
                    question=_text(file, entry, "question", where),
                    context=context,
                    answers=tuple(answer for answer, _ in answers),
                    starts=tuple(start for _, start in answers if isinstance(start, int)),
                )


def _list(file: Path, content: Any, key: str, place: str) -> list[Any]:
    value = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(value, list):
        raise InputError(f"{file}: {place} has no list '{key}'; expected SQuAD's JSON with data, paragraphs, qas and answers")
    return value


def _text(file: Path, content: Any, key: str, place: str) -> str:
    value = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(value, str):
        raise InputError(f"{file}: {place} has no text '{key}'; expected SQuAD's JSON with data, paragraphs, qas and answers")
    return value
