"""Text as training data: a new or a given vocabulary, and masked shards without teacher labels."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import TypeAdapter, ValidationError

from data.articles import group_row_groups, open_article_shard, read_articles
from data.atomic import write_text
from data.contract import SCHEMA_VERSION, ShardPath
from data.examples import Alphabet, gold_table, make_examples
from data.identity import differences, file_fingerprint
from data.progress import each, progress_bar
from data.recipe import Examples, Language
from data.shards import write_shard
from data.state_file import read_state_file
from student.pretraining.given_tokenizer import given_tokenizer, highest_id
from student.pretraining.subwords import SMALLEST, NoWordsError, train_subwords
from student.pretraining.wordpiece import train_wordpiece
from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS
from vocab.student_tokenizer import save_tokenizer
from vocab.teacher_vocabulary import vocabulary_of

ARTICLES_PER_SHARD = 5000  # rounded up to complete row groups of the input
SMALLEST_VOCABULARY = {"wordpiece": 16} | SMALLEST  # of each family
FAMILIES = tuple(SMALLEST_VOCABULARY)

Texts: TypeAlias = Callable[[], Iterable[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewVocabulary:
    """A vocabulary that is trained from the text. Raises InputError for impossible values."""

    family: str  # one of FAMILIES
    size: int  # the largest number of tokens
    lowercase: bool
    special_token_ids: Mapping[str, int]  # role → id

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InputError(f"family: found '{self.family}'; expected one of {', '.join(FAMILIES)}")
        smallest = SMALLEST_VOCABULARY[self.family]
        if self.size < smallest:
            raise InputError(f"vocab_size: found {self.size}; expected at least {smallest} for the family '{self.family}'")
        unknown = sorted(set(self.special_token_ids) - set(SPECIAL_TOKENS))
        if unknown:
            raise InputError(f"special_token_ids: found the role '{unknown[0]}'; expected one of {', '.join(SPECIAL_TOKENS)}")

    def make(self, texts: Texts, max_length: int) -> Any:
        """The tokenizer; `texts` is called more than once."""
        settings: dict[str, Any] = {
            "vocab_size": self.size,
            "max_length": max_length,
            "lowercase": self.lowercase,
            "special_token_ids": self.special_token_ids,
        }
        return train_wordpiece(texts, **settings) if self.family == "wordpiece" else train_subwords(self.family, texts, **settings)

    def to_json(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in self.__slots__}


class GivenVocabulary:
    """The vocabulary of an existing tokenizer, used unchanged. Raises InputError if it cannot be read or merged."""

    def __init__(self, path: Path, language: str, max_length: int) -> None:
        self.tokenizer = given_tokenizer(path, language, max_length)
        self.size = highest_id(self.tokenizer) + 1
        self._fingerprint = vocabulary_of(self.tokenizer, language).tokenizer_fingerprint

    def make(self, texts: Texts, max_length: int) -> Any:
        return self.tokenizer

    def to_json(self) -> dict[str, Any]:
        """The fingerprint of the content: the file may be in another place the next time."""
        return {"given": self._fingerprint}


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSource:
    """The text, its vocabulary, and how it is masked. Raises InputError for a language that is not a code."""

    corpora: tuple[str, ...]  # locations of article shards
    language: str
    vocabulary: NewVocabulary | GivenVocabulary
    examples: Examples
    seed: int

    def __post_init__(self) -> None:
        try:
            TypeAdapter(Language).validate_python(self.language)
        except ValidationError:
            raise InputError(f"language: found '{self.language}'; expected a code such as 'de' or 'zh'") from None

    def to_json(self) -> dict[str, Any]:
        """All fields, as they come back from JSON."""
        content = {field: getattr(self, field) for field in self.__slots__}
        flat = {f"vocabulary.{field}": value for field, value in self.vocabulary.to_json().items()}
        del content["vocabulary"]
        return dict(json.loads(json.dumps(content | flat | {"examples": self.examples.model_dump()})))


def prepare_text(work: Path, source: TextSource, *, progress: bool = False) -> dict[str, int]:
    """Fill a working folder with the tokenizer and the masked shards, unless an interrupted run with the same source left them.

    Returns the counters of `make_examples`, and vocab_size. Raises InputError for a folder of another source, and for a corpus without
    an article that has text which can be masked.
    """
    done = work / "prepared.json"
    if done.exists():
        content = read_state_file(done)
        begun, counted = content.get("source"), content.get("counters")
        if not isinstance(begun, dict) or not isinstance(counted, dict):
            raise InputError(f"{done}: lacks what this program wrote (source, counters): remove {work} and start again")
        if begun == source.to_json():
            return dict(counted)
        first = differences(source.to_json(), begun)[0]
        raise InputError(
            f"{work}: begun with other arguments ({first}); give the same as before, or remove the folder and start again without --resume"
        )
    shutil.rmtree(work, ignore_errors=True)

    def texts() -> Iterator[str]:
        for location in source.corpora:
            for _, text in read_articles(location):
                yield text

    if not any(text.strip() for text in texts()):
        raise InputError(f"corpus of '{source.language}': found no article with text in {len(source.corpora)} files; expected one")
    try:
        with progress_bar(1, "vocabulary", "steps", show=progress, long=False):
            tokenizer = source.vocabulary.make(texts, source.examples.max_length)
    except NoWordsError as error:
        raise InputError(f"corpus of '{source.language}': {error}") from None
    save_tokenizer(tokenizer, work / "tokenizer")
    # The union reads the teacher's vocabulary in the same way: special tokens and placeholders ("[unused7]") are never labels.
    vocabulary = vocabulary_of(tokenizer, source.language)
    maskable = np.array([piece is not None for piece in vocabulary.pieces], dtype=np.bool_)
    if not maskable.any():
        raise InputError(f"corpus of '{source.language}': its text gives no vocabulary; expected words")
    alphabet = Alphabet(roles=vocabulary.roles, maskable=maskable)
    identity = {
        "schema_version": SCHEMA_VERSION,
        "seed": source.seed,
        "tokenizer": file_fingerprint(work / "tokenizer/tokenizer.json"),
    }
    counters: Counter[str] = Counter()
    parts = [(index, location, groups) for index, location in enumerate(source.corpora) for groups in _runs(location)]
    for index, location, groups in each(parts, "mask the text", "parts", show=progress):
        articles = read_articles(location, groups)
        rows = list(make_examples(articles, tokenizer.backend_tokenizer, alphabet, source.examples, source.seed, counters))
        path = ShardPath(language=source.language, teacher="gold", name=f"{index:05d}-{groups.start:05d}").below(str(work))
        if rows:
            unit = {"corpus": location, "first_row_group": groups.start}
            write_shard(path, gold_table(rows), identity=identity, unit=unit, report={})
    if not counters["windows"]:
        raise InputError(f"corpus of '{source.language}': found no text that can be masked; expected words")
    counters["vocab_size"] = len(vocabulary.pieces)
    write_text(done, json.dumps({"source": source.to_json(), "counters": dict(counters)}))
    return dict(counters)


def _runs(location: str) -> Iterator[range]:
    """Runs of row groups of an article shard, with about ARTICLES_PER_SHARD articles each."""
    metadata = open_article_shard(location).metadata
    rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    for first, count in group_row_groups(rows, ARTICLES_PER_SHARD):
        yield range(first, first + count)
