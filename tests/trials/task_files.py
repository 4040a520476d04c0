"""Real files of the tasks through the three ways to read a word, with an untrained model: no word is lost, no answer silently skipped.

    python -m tests.trials.task_files DATA [NAME]

NAME: only files whose name contains it. For questions and routed words, every answer that no run of pieces is stands below its file.
DATA has ud/, ner/, qa/ and tokenizers/ (vocab.txt files). A union of four published vocabularies, a tiny student of random weights over it,
and its restricted tokenizer (every second piece is left out, as if training had not shown it). For each file and way: predicted tags, which
must be as many as the gold words of the file; or the share of gold answers that are exactly a run of pieces, and the best scores that can
be reached.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, BertConfig

from data.recipe_file import parse_recipe, save_recipe
from student.tasks.answers import Scorer, score_answers
from student.tasks.fine_tune import answers
from student.tasks.models import new_model
from student.tasks.question_windows import reachable
from student.tasks.questioning import QuestionTask
from student.tasks.reading import Tokens, student_reader
from student.tasks.request import task_of
from student.tasks.text_file import read_lines
from tests.support.runs import build_union
from vocab.folder import load_normaliser, load_union
from vocab.roles import FIRST_PIECE, UNION_ROLES
from vocab.student_tokenizer import save_tokenizer, student_tokenizer

TEACHERS = {
    "en": "bert-base-cased",
    "de": "bert-base-multilingual-cased",
    "zh": "bert-base-chinese",
    "ar": "bert-base-multilingual-cased",
}


def make_run(folder: Path, vocabularies: Path) -> Path:
    """RUN/student over the union of the vocabularies."""
    for name in {*TEACHERS.values()}:
        target = folder / "teachers" / name
        shutil.copytree(vocabularies / name, target)
        size = len((target / "vocab.txt").read_text(encoding="utf-8").splitlines())
        tiny_model(size, target)
    teachers = [
        {"name": name, "model": f"teachers/{name}", "languages": [language for language, own in TEACHERS.items() if own == name]}
        for name in dict.fromkeys(TEACHERS.values())
    ]
    recipe = parse_recipe(
        {"name": "files", "teachers": teachers, "corpora": dict.fromkeys(TEACHERS, "none/*.parquet")}, folder=folder
    )
    build_union(recipe, folder / "run")
    student = folder / "run/student"
    shutil.copytree(folder / "run/vocab/tokenizer", student)
    save_recipe(recipe, student / "recipe.toml")
    union = load_union(folder / "run/vocab")
    keep = np.ones(len(union.pieces), np.bool_)
    long = np.array([len(piece or "") > 3 for piece in union.pieces])
    keep[np.flatnonzero(long)[::2]] = False
    keep[:FIRST_PIECE] = True
    restricted = student_tokenizer(union, load_normaliser(folder / "run/vocab"), 128, keep)
    (student / "restricted").mkdir()
    save_tokenizer(restricted, student / "restricted")
    tiny_model(len(union.pieces), student)
    return student


def tiny_model(size: int, folder: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)


def gold_words(file: Path, task: str) -> int:
    """Words of a file, counted without the project's reader: lines that are neither comments, parts of ranges, nor empty nodes."""
    count = skip = 0
    for _, line in read_lines(file):
        first = line.split("\t")[0]
        if not line.strip() or (line.startswith("#") and task == "udpos"):
            continue
        if task == "udpos":
            if "." in first:
                continue
            if "-" in first:
                begin, end = map(int, first.split("-"))
                skip = end - begin + 1
                count += 1
                continue
            if skip:
                skip -= 1
                continue
        count += 1
    return count


def language_of(file: Path) -> str:
    return next(part for part in file.name.replace("_", "-").replace(".", "-").split("-") if part in TEACHERS)


def tagged(data: Path) -> Iterator[tuple[str, Path]]:
    yield from (("udpos", file) for file in sorted((data / "ud").glob("*.gz")))
    yield from (("ner", file) for file in sorted((data / "ner").glob("*/*.gz")))


def asked(data: Path) -> Iterator[tuple[Scorer, Path]]:
    yield from (("squad", file) for file in sorted((data / "qa/xquad").glob("*.gz")))
    yield from (("mlqa", file) for file in sorted((data / "qa/mlqa").glob("*.gz")))
    yield from (("squad", file) for file in sorted((data / "qa/tydiqa-goldp/train").glob("*.gz")))


def main() -> None:
    data, part = Path(sys.argv[1]), (sys.argv[2:] or [""])[0]
    ways: tuple[Tokens, ...] = ("union", "restricted", "routed")
    with tempfile.TemporaryDirectory() as scratch:
        student = make_run(Path(scratch), data / "tokenizers")
        for name, file in (found for found in tagged(data) if part in found[1].name):
            task = task_of(name)[0]
            sentences = task.read([file], None, train=False)
            labels = task.label_set([sentences])
            model = new_model(student, task, labels, 128, 0)
            words = gold_words(file, name)
            for way in ways:
                encoded = task.encode(sentences, student_reader(student, way, language_of(file)), labels, task.defaults)
                said = answers(model, task, encoded.examples, UNION_ROLES, "float32")
                predicted = task.predict(sentences, encoded, said, labels, task.defaults)
                tags = sum(map(len, predicted))
                kept: Any = {key: count for key, count in encoded.counters.items() if count and key not in ("words", "pieces")}
                pieces = encoded.counters["pieces"] / encoded.counters["words"]
                print(
                    f"{file.name:36} {way:10} {words:7,} words, {words - tags} lost, {pieces:.2f} pieces a word {kept or ''}",
                    flush=True,
                )
        for scorer, file in (found for found in asked(data) if part in found[1].name):
            asking = QuestionTask(scorer)
            questions = asking.read([file], None, train=True)
            for way in ways:
                found = asking.encode(questions, student_reader(student, way, language_of(file)), (), asking.defaults)
                count, missed = len(questions), found.counters["unreachable_answers"]
                gold = {str(number): question.answers for number, question in enumerate(questions)}
                best = dict(zip(gold, reachable(questions, found.back, asking.defaults.answer_length), strict=True))
                score = score_answers(gold, best, scorer, language_of(file))
                print(
                    f"{file.name:36} {way:10} {count:6,} questions, {1 - missed / count:.2%} reachable exactly, "
                    f"best F1 {score.f1:.2f}, EM {score.exact_match:.2f} ({scorer}), {found.counters['windows']:,} windows"
                )
                for question, text in zip(questions, best.values(), strict=True):
                    if way == "routed" and text not in [answer.strip() for answer in question.answers]:
                        print(f"    {question.id}: '{question.answers[0]}' is read as '{text}'")


if __name__ == "__main__":
    main()
