"""Articles → tokens: calls of the tokenizer that are large enough for its threads and small enough for the memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vocab.notices import say_once

LONGEST_ARTICLE = 12_000_000  # characters; a tokenizer takes about 170 bytes for each, and its code aborts when memory ends
CHARACTERS_PER_CALL = 1_000_000  # for one call of the tokenizer: limits the memory, and is enough for all its threads

Tokenised: TypeAlias = tuple[
    str, NDArray[np.int64], NDArray[np.int64]
]  # doc_id, token ids [T], the word of each token [T] or nothing
Failed: TypeAlias = Callable[[str, str], object]  # called with (doc_id, reason) for an article that cannot be used


def _leave_out(doc_id: str, reason: str) -> None:
    say_once(f"article '{doc_id}' is left out: {reason}")


def tokenise(
    articles: Iterable[tuple[str, str]], tokenizer: Any, with_words: bool, counters: Counter[str], failed: Failed | None = None
) -> Iterator[list[Tokenised]]:
    """The articles as tokens, without special tokens. Each list is what one call of the tokenizer gave; none is empty.

    Without `with_words` the words are empty. Adds to `counters`: articles, characters. `failed`: see `make_examples`. It is also called
    for an article of more than LONGEST_ARTICLE characters; without it, such an article is left out, which is said.
    """
    tokenizer.encode_special_tokens = True  # a quoted "[MASK]" in an article must not become the mask token

    def encode(batch: list[tuple[str, str]]) -> list[Tokenised]:
        call = tokenizer.encode_batch if with_words else tokenizer.encode_batch_fast
        try:
            encodings = call([text for _, text in batch], add_special_tokens=False)
        except BaseException as error:  # a panic in the tokenizer's Rust code is not an Exception
            if failed is None or isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            if len(batch) > 1:
                return [found for article in batch for found in encode([article])]
            counters["articles"] += 1
            failed(batch[0][0], f"the tokenizer failed: {error}")
            return []
        tokenised = []
        for (doc_id, text), encoding in zip(batch, encodings, strict=True):
            counters["articles"] += 1
            counters["characters"] += len(text)
            words = np.array([-1 if word is None else word for word in encoding.word_ids] if with_words else [], dtype=np.int64)
            tokenised.append((doc_id, np.array(encoding.ids, dtype=np.int64), words))
        return tokenised

    batch: list[tuple[str, str]] = []
    size = 0
    for article in articles:
        if len(article[1]) > LONGEST_ARTICLE:
            reason = f"it has {len(article[1]):,} characters, more than {LONGEST_ARTICLE:,}: divide it"
            counters["articles"] += 1
            (failed or _leave_out)(article[0], reason)
            continue
        batch.append(article)
        size += len(article[1])
        if size >= CHARACTERS_PER_CALL:
            if found := encode(batch):
                yield found
            batch, size = [], 0
    if batch and (found := encode(batch)):
        yield found
