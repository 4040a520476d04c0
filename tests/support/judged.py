"""A run with a student to judge, without training: random weights over a real union; and small files of each task."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from click.testing import CliRunner, Result
from transformers import AutoModelForMaskedLM, BertConfig

from cli import main
from data.recipe import Recipe
from data.recipe_file import save_recipe
from tests.support.factories import TEXTS, two_language_recipe
from tests.support.runs import build_union
from vocab.folder import load_union
from vocab.roles import UNION_ROLES

FAST = ["--epochs", "2", "--batch-size", "8", "--learning-rate", "0.01", "--max-length", "32", "--precision", "float32"]
TAGS = ("NOUN", "VERB", "DET", "ADP", "PUNCT")


def make_run(folder: Path) -> Recipe:
    """teachers/de and teachers/en, run/vocab, and run/student with restricted/."""
    recipe = two_language_recipe(folder)
    build_union(recipe, folder / "run")
    student = folder / "run/student"
    shutil.copytree(folder / "run/vocab/tokenizer", student)
    shutil.copytree(folder / "run/vocab/tokenizer", student / "restricted")
    save_recipe(recipe, student / "recipe.toml")
    config = BertConfig(
        vocab_size=len(load_union(folder / "run/vocab").pieces),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=UNION_ROLES.pad,
    )
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(config).save_pretrained(student)
    return recipe


def tag_of(word: str) -> str:
    """A tag that follows from the word."""
    return TAGS[sum(map(ord, word)) % len(TAGS)]


def write_treebank(path: Path, language: str, sentences: int, *, first: int = 0) -> Path:
    """A CoNLL-U file of a language's sentences."""
    lines = []
    for number in range(first, first + sentences):
        words = [word for step in range(1 + number % 3) for word in TEXTS[language][(number + step) % 3].split()]
        rows = [(str(place), word, "_", tag_of(word), *("_",) * 6) for place, word in enumerate(words, start=1)]
        lines += [*("\t".join(row) for row in rows), ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_entities(path: Path, language: str, sentences: int) -> Path:
    """A PAN-X file: capitalised words are entities."""
    lines = []
    for number in range(sentences):
        words = TEXTS[language][number % 3].split()
        lines += [*(f"{language}:{word}\t{'B-LOC' if word[0].isupper() else 'O'}" for word in words), ""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_pairs(path: Path, language: str, pairs: int) -> Path:
    """A PAWS-X file: label 1 if both texts are the same."""
    texts = TEXTS[language]
    lines = [f"{texts[n % 3]}\t{texts[n % 3] if n % 2 else texts[(n + 1) % 3]}\t{n % 2}" for n in range(pairs)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_questions(path: Path, language: str, questions: int, *, answers: bool = True) -> Path:
    """SQuAD's JSON: the answer is a word of the context, the question asks for it."""
    paragraphs = []
    for number in range(questions):
        context = " ".join(TEXTS[language])
        words = [word for word in context.split() if word.isalpha()]  # the scorer drops punctuation
        word = words[number % len(words)]
        found = {"text": word if answers else "", "answer_start": context.index(word) if answers else 0}
        paragraphs.append({"context": context, "qas": [{"id": f"q{number}", "question": f"{word} ?", "answers": [found]}]})
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return path


def evaluate(*arguments: str) -> Result:
    """The command, as its users give it."""
    return CliRunner().invoke(main, ["evaluate", *arguments], catch_exceptions=False)


def treebanks(*languages: str, parts: Sequence[str] = ("train", "dev", "test")) -> list[str]:
    """The options that name the treebanks of languages."""
    return [part for language in languages for name in parts for part in (f"--{name}", f"{language}=ud/{language}-{name}.conllu")]


def write_treebanks(folder: Path) -> None:
    """ud/LANG-train, -dev and -test of both languages."""
    for language in ("de", "en"):
        write_treebank(folder / f"ud/{language}-train.conllu", language, 24)
        write_treebank(folder / f"ud/{language}-dev.conllu", language, 9, first=1)
        write_treebank(folder / f"ud/{language}-test.conllu", language, 11, first=2)
