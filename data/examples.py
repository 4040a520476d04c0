"""Masked examples: articles → windows of tokens → masked positions with gold labels. Plain functions on arrays and strings.

The masks of a window are drawn from SHAKE-256 over (seed, doc_id, window, masking). So they are the same on every machine and runner,
in any process and order, and with every version of numpy. Legend: T tokens, M masked positions, V the teacher's vocabulary.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.contract import GOLD_SCHEMA
from data.random_bits import random_bits
from data.recipe import Examples as ExampleSettings
from data.shards import list_column
from vocab.roles import Roles

CHARACTERS_PER_CALL = 1_000_000  # for one call of the tokenizer: limits the memory, and is enough for all its threads

Failed: TypeAlias = Callable[[str, str], object]  # called with (doc_id, reason) for an article that cannot be used


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One masked window. Its ids are of the vocabulary that tokenised it."""

    doc_id: str
    window: int  # window of the article × maskings + masking
    input_ids: NDArray[np.uint32]  # [T] masks applied
    mask_positions: NDArray[np.uint16]  # [M] strictly increasing
    label_ids: NDArray[np.uint32]  # [M] gold ids


@dataclass(frozen=True, kw_only=True, slots=True)
class Alphabet:
    """What masking needs to know about a vocabulary."""

    roles: Roles
    maskable: NDArray[np.bool_]  # [V] ids that can be a gold label: not special tokens, and not ids without a place in the union
    lengths: NDArray[np.int64] | None = (
        None  # [V] number of places that an id takes in a window, 1 for maskable ids; None: 1 for every id
    )

    @property
    def replacements(self) -> NDArray[np.uint32]:
        """The ids that can replace the token of a masked position at random (10% of the positions, as in BERT)."""
        return np.flatnonzero(self.maskable).astype(np.uint32)


def make_examples(
    articles: Iterable[tuple[str, str]],
    tokenizer: Any,
    alphabet: Alphabet,
    settings: ExampleSettings,
    seed: int,
    counters: Counter[str],
    failed: Failed | None = None,
) -> Iterator[Example]:
    """The masked examples of (doc_id, text) articles, in order.

    tokenizer  the backend of a fast tokenizer (tokenizers.Tokenizer)
    counters   these counts are added: articles, characters, windows, tokens (with special tokens, once for each masking),
               masked_positions, unknown_tokens, windows_without_maskable_token
    failed     called for an article on which the tokenizer fails; without it, the exception is raised

    A window takes at most `settings.max_length` places. A token takes one place, unless the alphabet has lengths. The first token is cls
    and the last one sep. A window without a maskable token (such as an article of unknown emoji) gives no example.
    """
    roles, replacements = alphabet.roles, alphabet.replacements
    body = settings.max_length - 2
    whole_word = settings.masking == "whole-word"
    for doc_id, ids, words in tokenise(articles, tokenizer, whole_word, counters, failed):
        # Some tokenizers turn a quoted "<mask>" into the special token in any case. In an article it is an unknown word.
        ids[np.isin(ids, [roles.pad, roles.cls, roles.sep, roles.mask])] = roles.unk
        counters["unknown_tokens"] += int(np.count_nonzero(ids == roles.unk))
        for window, (start, stop) in enumerate(cut_windows(ids, body, alphabet.lengths)):
            piece = ids[start:stop]
            tokens = np.concatenate(([roles.cls], piece, [roles.sep])).astype(np.uint32)
            candidates = 1 + np.flatnonzero(alphabet.maskable[piece])
            if not len(candidates):
                counters["windows_without_maskable_token"] += 1
                continue
            counters["windows"] += 1
            groups = words[start:stop][candidates - 1] if whole_word else candidates
            for masking in range(settings.maskings):
                draws = random_bits(2 * len(candidates), seed, doc_id, window, masking)
                chosen = select_positions(candidates, groups, settings.mask_rate, draws[: len(candidates)])
                counters["tokens"] += len(tokens)
                counters["masked_positions"] += len(chosen)
                yield Example(
                    doc_id=doc_id,
                    window=window * settings.maskings + masking,
                    input_ids=corrupt(tokens, chosen, roles.mask, replacements, draws[len(candidates) :][: len(chosen)]),
                    mask_positions=chosen.astype(np.uint16),
                    label_ids=tokens[chosen],
                )


def cut_windows(ids: NDArray[np.int64], body: int, lengths: NDArray[np.int64] | None) -> Iterator[tuple[int, int]]:
    """(start, stop) of each window of an article's ids [T]. Each window takes as many ids as fit into `body` places.

    lengths [V]: number of places of each id, at most `body`; None: one for every id
    """
    if lengths is None:
        yield from ((start, start + body) for start in range(0, len(ids), body))
        return
    ends_T = np.cumsum(lengths[ids])
    start = 0
    while start < len(ids):
        before = ends_T[start - 1] if start else 0
        stop = int(np.searchsorted(ends_T, before + body, side="right"))
        assert stop > start, f"an id takes {ends_T[start] - before} places; no window has more than {body}"
        yield start, stop
        start = stop


def select_positions(
    candidates: NDArray[np.int64], groups: NDArray[np.int64], rate: float, draws: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """The masked positions of one window: complete groups in random order, until `rate` of the candidates is reached; at least one.

    candidates [C]  positions that can be masked
    groups [C]      the word of each candidate; for single tokens the position itself
    draws [C]       random bits

    A word that would exceed the number is skipped, unless it is the first.
    """
    wanted = max(1, round(rate * len(candidates)))
    order = np.argsort(draws, kind="stable")
    if groups is candidates:
        return np.sort(candidates[order[:wanted]])
    members: dict[int, list[int]] = {}
    for index in order:
        members.setdefault(int(groups[index]), [])
    for position, group in zip(candidates, groups, strict=True):
        members[int(group)].append(int(position))
    chosen: list[int] = []
    for positions in members.values():
        if not chosen or len(chosen) + len(positions) <= wanted:
            chosen += positions
        if len(chosen) >= wanted:
            break
    return np.sort(np.array(chosen, dtype=np.int64))


def corrupt(
    tokens: NDArray[np.uint32], positions: NDArray[np.int64], mask: int, replacements: NDArray[np.uint32], draws: NDArray[np.uint64]
) -> NDArray[np.uint32]:
    """The tokens [T] with the chosen positions [M] masked: 80% become the mask token, 10% a random id, 10% stay (BERT, section 3.1)."""
    percent = (draws % np.uint64(100)).astype(np.int64)
    index = ((draws // np.uint64(100)) % np.uint64(len(replacements))).astype(np.int64)
    corrupted = tokens.copy()
    corrupted[positions] = np.where(percent < 80, mask, np.where(percent < 90, replacements[index], tokens[positions]))
    return corrupted


def gold_table(examples: list[Example]) -> pa.Table:
    """Examples as a table with the contract's gold columns. The ids are not changed."""
    lengths = np.array([len(example.input_ids) for example in examples], dtype=np.int64)
    masked = np.array([len(example.mask_positions) for example in examples], dtype=np.int64)
    columns = [
        pa.array([example.doc_id for example in examples], pa.string()),
        pa.array([example.window for example in examples], pa.int32()),
        list_column(_flat([example.input_ids for example in examples]), lengths, "input_ids"),
        list_column(_flat([example.mask_positions for example in examples]), masked, "mask_positions"),
        list_column(_flat([example.label_ids for example in examples]), masked, "label_ids"),
    ]
    return pa.Table.from_arrays(columns, schema=GOLD_SCHEMA)


def _flat(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint32)


def tokenise(
    articles: Iterable[tuple[str, str]], tokenizer: Any, with_words: bool, counters: Counter[str], failed: Failed | None = None
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """(doc_id, token ids, word of each token) of each article, without special tokens. The tokenizer gets many articles at a time.

    Without `with_words` the words are empty. Adds to `counters`: articles, characters. `failed`: see `make_examples`.
    """
    tokenizer.encode_special_tokens = True  # a quoted "[MASK]" in an article must not become the mask token

    def encode(batch: list[tuple[str, str]]) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
        call = tokenizer.encode_batch if with_words else tokenizer.encode_batch_fast
        try:
            encodings = call([text for _, text in batch], add_special_tokens=False)
        except BaseException as error:  # a panic in the tokenizer's Rust code is not an Exception
            if failed is None or isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            if len(batch) == 1:
                counters["articles"] += 1
                failed(batch[0][0], f"the tokenizer failed: {error}")
            else:
                for article in batch:
                    yield from encode([article])
            return
        for (doc_id, text), encoding in zip(batch, encodings, strict=True):
            counters["articles"] += 1
            counters["characters"] += len(text)
            words = np.array([-1 if word is None else word for word in encoding.word_ids] if with_words else [], dtype=np.int64)
            yield doc_id, np.array(encoding.ids, dtype=np.int64), words

    batch: list[tuple[str, str]] = []
    size = 0
    for article in articles:
        batch.append(article)
        size += len(article[1])
        if size >= CHARACTERS_PER_CALL:
            yield from encode(batch)
            batch, size = [], 0
    yield from encode(batch)
