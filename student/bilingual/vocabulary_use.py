"""What the text of some languages uses of a tokenizer, and what trimming changes for it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.article_sample import count_articles, spread_articles
from data.progress import progress_bar
from data.tokenise import LONGEST_ARTICLE, tokenise
from vocab.agreement import WORD, hf_segmenter, words_of
from vocab.errors import InputError
from vocab.trim import TrimmableVocabulary, characters_of, needed_pieces

SAMPLE_ARTICLES = 200  # of each language, spread evenly, on which the two tokenizers are compared
SAMPLE_CHARACTERS = 2_000_000  # of each language; the article with which the sample reaches this is its last


@dataclass(kw_only=True)
class VocabularyUse:
    """What was counted. V ids of the tokenizer."""

    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)  # language → occurrences of each id [V]
    characters: set[str] = field(default_factory=set)  # of all text, after the normaliser
    needed_V: NDArray[np.bool_]  # pieces of words that could not be spelled without them
    articles: Counter[str] = field(default_factory=Counter)  # language → articles
    samples: dict[str, list[str]] = field(default_factory=dict)  # language → texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One language's text before and after trimming, on its sample."""

    language: str
    articles: int  # counted
    tokens: int  # counted
    unknown_before: float  # share of the tokens
    unknown_after: float
    pieces_before: float  # a word
    pieces_after: float
    same_words: float  # share of words with the same pieces


def count_use(
    tokenizer: Any, vocabulary: TrimmableVocabulary, files: Mapping[str, Sequence[str]], articles: int, *, progress: bool
) -> VocabularyUse:
    """Count the article shards of each language. articles: of each language, spread evenly; 0: all.

    Raises InputError for a corpus without a token.
    """
    use = VocabularyUse(needed_V=np.zeros(vocabulary.size, dtype=np.bool_))
    with progress_bar(sum(map(len, files.values())), "trim", "files of text", show=progress, long=False) as bar:
        for language, locations in files.items():
            _count(tokenizer, vocabulary, language, locations, articles, use)
            bar.update(len(locations))
    return use


def _count(
    tokenizer: Any, vocabulary: TrimmableVocabulary, language: str, files: Sequence[str], articles: int, use: VocabularyUse
) -> None:
    sample = use.samples.setdefault(language, [])

    def observed() -> Iterator[tuple[str, str]]:
        every, size = max(1, count_articles(files, articles) // SAMPLE_ARTICLES), 0
        for number, (doc_id, text) in enumerate(spread_articles(files, articles)):
            if len(text) <= LONGEST_ARTICLE:
                use.characters |= characters_of(tokenizer, [text])
                if number % every == 0 and size < SAMPLE_CHARACTERS:
                    sample.append(text)
                    size += len(text)
            yield doc_id, text

    count_V = use.counts.setdefault(language, np.zeros(vocabulary.size, dtype=np.int64))
    counters: Counter[str] = Counter()
    with_words = bool(vocabulary.hard_to_spell.any())
    for batch in tokenise(observed(), tokenizer.backend_tokenizer, with_words, counters):
        count_V += np.bincount(np.concatenate([ids for _, ids, _ in batch]), minlength=vocabulary.size)
        if with_words:
            for _, ids_T, words_T in batch:
                use.needed_V[needed_pieces(vocabulary, ids_T, words_T)] = True
    use.articles[language] = counters["articles"]
    if not count_V.any():
        raise InputError(f"corpus of '{language}': found no token in {len(files)} files; expected text: give other files")


def change_of(language: str, use: VocabularyUse, old: Any, new: Any, kept_ids: NDArray[np.int64], unknown: int) -> Change:
    """Compare two fast tokenizers, before and after, on the sample of a language.

    kept_ids [V']: the old id of each new id; unknown: the old id of the unknown token

    Raises InputError if words of the sample became unknown.
    """
    texts = use.samples[language]
    before, after = hf_segmenter(old)(texts), hf_segmenter(new)(texts)
    words = same = tokens_before = tokens_after = unknown_before = unknown_after = 0
    for text, one, other in zip(texts, before, after, strict=True):
        other.ids[:] = kept_ids[other.ids]
        spans = [match.span() for match in WORD.finditer(text)]
        words += len(spans)
        same += sum(a == b for a, b in zip(words_of(spans, one), words_of(spans, other), strict=True))
        tokens_before, tokens_after = tokens_before + len(one.ids), tokens_after + len(other.ids)
        unknown_before += int((one.ids == unknown).sum())
        unknown_after += int((other.ids == unknown).sum())
    if unknown_after > unknown_before:
        raise InputError(
            f"corpus of '{language}': {unknown_after:,} unknown tokens after trimming, {unknown_before:,} before; expected no more: this "
            "tokenizer spells words in a way that trimming does not know"
        )
    return Change(
        language=language,
        articles=use.articles[language],
        tokens=int(use.counts[language].sum()),
        unknown_before=unknown_before / max(1, tokens_before),
        unknown_after=unknown_after / max(1, tokens_after),
        pieces_before=tokens_before / max(1, words),
        pieces_after=tokens_after / max(1, words),
        same_words=same / max(1, words),
    )
