"""Text as something to train on: a vocabulary of its own, and gold-only masked shards in it."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from data.articles import open_shard, read_articles
from data.contract import SCHEMA_VERSION, ShardPath
from data.examples import Alphabet, gold_table, make_examples
from data.identity import file_fingerprint
from data.recipe import Examples, Language
from data.shards import write_shard
from data.storage import write_text
from student.wordpiece import train_wordpiece
from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS, read_roles

ARTICLES_PER_SHARD = 5000  # rounded up to whole row groups of the input
SMALLEST_VOCABULARY = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSource:
    """Which text, in which vocabulary, masked how. Checked on construction: InputError."""

    corpora: tuple[str, ...]  # locations of article shards
    language: str
    vocab_size: int  # at most
    lowercase: bool
    special_token_ids: Mapping[str, int]  # role → id
    examples: Examples
    seed: int

    def __post_init__(self) -> None:
        try:
            TypeAdapter(Language).validate_python(self.language)
        except ValidationError:
            raise InputError(f"language: found '{self.language}'; expected a code such as 'de' or 'zh'") from None
        if self.vocab_size < SMALLEST_VOCABULARY:
            raise InputError(f"vocab_size: found {self.vocab_size}; expected {SMALLEST_VOCABULARY} at least")
        unknown = sorted(set(self.special_token_ids) - set(SPECIAL_TOKENS))
        if unknown:
            raise InputError(f"special_token_ids: found the role '{unknown[0]}'; expected one of {', '.join(SPECIAL_TOKENS)}")

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON gives it back."""
        content = {field: getattr(self, field) for field in self.__slots__}
        return dict(json.loads(json.dumps(content | {"examples": self.examples.model_dump()})))


def prepare_text(work: Path, source: TextSource) -> dict[str, int]:
    """Fill a working folder with the tokenizer and the masked shards, unless an interrupted run with the same source left them.

    Returns the counters of `make_examples`, and vocab_size. A folder of another source, and a corpus that has no article with text, or
    none that can be masked, is an InputError.
    """
    done = work / "prepared.json"
    if done.exists():
        content = json.loads(done.read_text(encoding="utf-8"))
        if content["source"] == source.to_json():
            return dict(content["counters"])
        raise InputError(f"{work}: begun with other arguments; give the same as before, or start anew without --resume")
    shutil.rmtree(work, ignore_errors=True)

    def texts() -> Iterator[str]:
        for location in source.corpora:
            for _, text in read_articles(location):
                yield text

    if not any(texts()):
        raise InputError(f"corpus of '{source.language}': found no article with text in {len(source.corpora)} files; expected one")
    tokenizer = train_wordpiece(
        texts,
        vocab_size=source.vocab_size,
        max_length=source.examples.max_length,
        lowercase=source.lowercase,
        special_token_ids=source.special_token_ids,
    )
    tokenizer.save_pretrained(work / "tokenizer")
    roles = read_roles(tokenizer, source.language)
    maskable = np.ones(len(tokenizer), dtype=np.bool_)
    maskable[list(roles)] = False
    if not maskable.any():
        raise InputError(f"corpus of '{source.language}': its text gives no vocabulary at all; expected words")
    alphabet = Alphabet(roles=roles, maskable=maskable)
    identity = {
        "schema_version": SCHEMA_VERSION,
        "seed": source.seed,
        "tokenizer": file_fingerprint(work / "tokenizer/tokenizer.json"),
    }
    counters: Counter[str] = Counter()
    for index, location in enumerate(source.corpora):
        for groups in _runs(location):
            articles = read_articles(location, groups)
            rows = list(make_examples(articles, tokenizer.backend_tokenizer, alphabet, source.examples, source.seed, counters))
            path = ShardPath(language=source.language, teacher="gold", name=f"{index:05d}-{groups.start:05d}").below(str(work))
            if rows:
                write_shard(
                    path, gold_table(rows), identity=identity, unit={"corpus": location, "first_row_group": groups.start}, report={}
                )
    if not counters["windows"]:
        raise InputError(f"corpus of '{source.language}': found no text that can be masked; expected words")
    counters["vocab_size"] = len(tokenizer)
    write_text(done, json.dumps({"source": source.to_json(), "counters": dict(counters)}))
    return dict(counters)


def _runs(location: str) -> Iterator[range]:
    """Runs of whole row groups of an article shard, of about ARTICLES_PER_SHARD articles."""
    metadata = open_shard(location).metadata
    start = held = 0
    for group in range(metadata.num_row_groups):
        held += metadata.row_group(group).num_rows
        if held >= ARTICLES_PER_SHARD or group == metadata.num_row_groups - 1:
            yield range(start, group + 1)
            start, held = group + 1, 0
