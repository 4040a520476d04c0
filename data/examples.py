"""Masked examples: articles → windows of tokens → masked positions with gold labels. Plain functions on arrays and strings.

Randomness comes from identity: a window's masks are drawn from SHAKE-256 over (seed, doc_id, window, masking), so they are the
same on any machine, runner, process and order, whatever numpy's version. Legend: T tokens, M masked, V the teacher's vocabulary.
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

CHARACTERS_PER_CALL = 1_000_000  # given to the tokenizer at once: bounds memory, keeps its threads busy

Failed: TypeAlias = Callable[[str, str], object]  # told (doc_id, reason) of an article that cannot be used


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One masked window. Ids are of the vocabulary that tokenised it."""

    doc_id: str
    window: int  # window of the article × maskings + masking
    input_ids: NDArray[np.uint32]  # [T] masks applied
    mask_positions: NDArray[np.uint16]  # [M] strictly increasing
    label_ids: NDArray[np.uint32]  # [M] gold ids


@dataclass(frozen=True, kw_only=True, slots=True)
class Alphabet:
    """What masking needs to know of a vocabulary."""

    roles: Roles
    maskable: NDArray[np.bool_]  # [V] ids that may be a gold label: no special token, none that has no place in the union
    lengths: NDArray[np.int64] | None = None  # [V] places that an id takes in a window, 1 where it is maskable; None: 1 each

    @property
    def replacements(self) -> NDArray[np.uint32]:
        """The ids that a masked position may be replaced with at random (10% of them, as BERT does)."""
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
    """The masked examples of (doc_id, text) articles, in order. `tokenizer` is a fast tokenizer's backend (tokenizers.Tokenizer).

    A window takes at most `settings.max_length` places (tokens, unless the alphabet gives lengths), its first and last the cls and
    sep tokens. A window with no maskable token (an article of emoji that the vocabulary does not have) gives no example. `counters`
    gains: articles, characters, windows, tokens (with special tokens, each masking counted), masked_positions, unknown_tokens,
    windows_without_maskable_token. An article that the tokenizer fails on is told to `failed`, or ends the job where there is none.
    """
    roles, replacements = alphabet.roles, alphabet.replacements
    body = settings.max_length - 2
    whole_word = settings.masking == "whole-word"
    for doc_id, ids, words in tokenise(articles, tokenizer, whole_word, counters, failed):
        # Some tokenizers segment a text that quotes "<mask>" into the token all the same: to the article it is an unknown word.
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
    """(start, stop) of each window of an article's ids [T]: greedily, as many ids as take at most `body` places together.

    lengths [V] are the places of each id, at most `body`; None: one each.
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
    """The masked positions of one window: whole groups in random order until `rate` of the candidates is reached; at least one.

    candidates [C] positions that may be masked; groups [C] the word each lies in (or the position itself, for single tokens);
    draws [C] random bits. A word that would overshoot is passed over, unless nothing has been chosen yet.
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
    """The tokens [T] with the chosen positions [M] masked: 80% by the mask token, 10% by a random id, 10% left (BERT, section 3.1)."""
    percent = (draws % np.uint64(100)).astype(np.int64)
    index = ((draws // np.uint64(100)) % np.uint64(len(replacements))).astype(np.int64)
    corrupted = tokens.copy()
    corrupted[positions] = np.where(percent < 80, mask, np.where(percent < 90, replacements[index], tokens[positions]))
    return corrupted


def gold_table(examples: list[Example]) -> pa.Table:
    """Examples as a table of the contract's gold columns, their ids as they are."""
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
    """(doc_id, token ids, word of each token) of each article, no special tokens, many articles a call.

    The words are there `with_words` alone. `counters` gains: articles, characters. `failed`: see `make_examples`.
    """
    tokenizer.encode_special_tokens = True  # an article that quotes "[MASK]" is about the token: its text must not become one

    def encode(batch: list[tuple[str, str]]) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
        call = tokenizer.encode_batch if with_words else tokenizer.encode_batch_fast
        try:
            encodings = call([text for _, text in batch], add_special_tokens=False)
        except BaseException as error:  # a panic of the tokenizer's own language is no Exception
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
