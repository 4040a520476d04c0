"""How often each token of each teacher occurs in the corpora that it reads: a Beam job over row groups of the article shards.

Create(spans) | Reshuffle | CountTokens | sum by (teacher, language) | WriteCounts. The results are files in a staging folder, because
workers may be other processes or machines. Legend: V ids of one teacher.
"""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from data.articles import group_row_groups, open_article_shard, read_articles
from data.atomic import write_atomically, write_text
from data.recipe import Recipe
from data.storage import join, require_files, resolve
from data.tokenise import tokenise
from pipeline.beam.job_errors import users_mistake
from pipeline.beam.launch import run_pipeline
from pipeline.beam.progress import watch_files
from pipeline.beam.staging import remove_staging, staging_folder
from vocab.teacher_vocabulary import TeacherVocabulary

_TOKENS_PER_SUM = (
    1 << 20
)  # tokens that are gathered before they are counted: an array [V] for each article would cost more than its tokens

Key = tuple[str, str]  # (teacher, language)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A run of row groups of one article shard, whose tokens are counted with one teacher."""

    teacher: str
    language: str
    size: int  # V: rows of the teacher's head
    location: str
    row_groups: tuple[int, int]  # first row group, number of row groups
    first_article: int  # its number in the corpus of the language
    articles: int
    corpus_articles: int
    wanted_articles: int  # number of articles of the corpus that are counted
    mark: str  # location of an empty file that marks the span as done


def count_tokens(
    recipe: Recipe,
    teachers: Sequence[TeacherVocabulary],
    beam_args: Sequence[str] = (),
    *,
    articles: int,
    show_progress: bool = True,
    staging: str | None = None,
) -> dict[Key, NDArray[np.int64]]:
    """(teacher, language) → occurrences of each id [V] in the corpus of the language, without added special tokens.

    articles  of each corpus that are counted, spread evenly; 0: all
    staging   a folder or URI that the launcher and all workers can reach, by default the system's temporary folder, which is enough on
              one machine; nothing is left in it

    The counts are the same on any runner with any number of workers. Raises InputError for a corpus without files.
    """
    languages = dict.fromkeys(language for teacher in teachers for language in recipe.teacher(teacher.name).languages)
    corpora = {language: _corpus(recipe, language) for language in languages}
    folder = staging_folder(staging or tempfile.gettempdir())
    try:
        for teacher in teachers:
            write_text(_tokenizer_file(folder, teacher.name), teacher.tokenizer.to_str())
        spans = [*_spans(recipe, teachers, corpora, articles, folder)]
        with watch_files([span.mark for span in spans], description="count tokens", unit="spans", show=show_progress):
            run_pipeline(lambda pipeline: _build(pipeline, spans, folder), beam_args)
        counted = {(span.teacher, span.language) for span in spans}  # an empty corpus has no spans
        return {
            key: _read_counts(folder, key) if key in counted else np.zeros(len(teacher.pieces), dtype=np.int64)
            for teacher in teachers
            for key in ((teacher.name, language) for language in recipe.teacher(teacher.name).languages)
        }
    except OSError as error:
        raise users_mistake(error) or error from None
    finally:
        remove_staging(folder)


def corpus_scales(recipe: Recipe, articles: int) -> dict[str, float]:
    """For each language, the articles of its corpus divided by those that `count_tokens` counts. Reads only footers."""
    totals = {language: sum(sum(rows) for _, rows in _corpus(recipe, language)) for language in recipe.corpora}
    return {language: total / articles if 0 < articles < total else 1.0 for language, total in totals.items()}


def pick_articles(first: int, count: int, total: int, wanted: int) -> NDArray[np.int64]:
    """The articles that are counted among the articles first … first + count − 1 of a corpus of `total`.

    `wanted` articles of the corpus are counted, spread evenly; 0: all. Returns places relative to `first`, increasing.
    """
    if wanted == 0 or wanted >= total:
        return np.arange(count)
    return np.flatnonzero(np.diff(np.arange(first, first + count + 1) * wanted // total))


class CountTokens(beam.DoFn):
    """Span → ((teacher, language), occurrences of each id [V])."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._tokenizers: dict[str, Tokenizer] = {}

    def process(self, span: Span) -> Iterator[tuple[Key, NDArray[np.int64]]]:
        if span.teacher not in self._tokenizers:
            self._tokenizers[span.teacher] = Tokenizer.from_str(_read(_tokenizer_file(self._folder, span.teacher)).decode())
        first, number = span.row_groups
        articles = read_articles(span.location, range(first, first + number))
        picked = pick_articles(span.first_article, span.articles, span.corpus_articles, span.wanted_articles)
        if len(picked) < span.articles:
            chosen = np.isin(np.arange(span.articles), picked)
            articles = itertools.compress(articles, chosen)
        yield (span.teacher, span.language), count_ids(articles, self._tokenizers[span.teacher], span.size)
        write_text(span.mark, "")


def count_ids(articles: Iterable[tuple[str, str]], tokenizer: Any, size: int) -> NDArray[np.int64]:
    """Occurrences of each id [`size`] in (doc_id, text) articles, with the backend of a fast tokenizer (tokenizers.Tokenizer)."""
    total = np.zeros(size, dtype=np.int64)
    held: list[NDArray[np.int64]] = []
    tokens = 0
    for _, ids, _ in itertools.chain.from_iterable(tokenise(articles, tokenizer, False, Counter())):
        held.append(ids)
        tokens += len(ids)
        if tokens >= _TOKENS_PER_SUM:
            total += np.bincount(np.concatenate(held), minlength=size)
            held, tokens = [], 0
    if held:
        total += np.bincount(np.concatenate(held), minlength=size)
    return total


class WriteCounts(beam.DoFn):
    """Write the sum of each (teacher, language) to its file."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: tuple[Key, NDArray[np.int64]]) -> None:
        key, counts = element
        content = counts.astype("<i8").tobytes()
        write_atomically(_counts_file(self._folder, key), lambda out: out.write(content))


def _build(pipeline: beam.Pipeline, spans: Sequence[Span], folder: str) -> None:
    _ = (
        pipeline
        | "Spans" >> beam.Create(spans, reshuffle=False)
        | beam.Reshuffle()
        | "CountTokens" >> beam.ParDo(CountTokens(folder))
        | "Sum" >> beam.CombinePerKey(_sum)
        | "WriteCounts" >> beam.ParDo(WriteCounts(folder))
    )


def _sum(parts: Iterable[NDArray[np.int64]]) -> Any:
    """The sum of arrays, 0 if there are none. A new array, because Beam does not allow changes of its arguments."""
    total: Any = 0
    for part in parts:
        total = total + part
    return total


def _corpus(recipe: Recipe, language: str) -> list[tuple[str, list[int]]]:
    """(location, articles of each row group) of each shard of a language's corpus, in order of name."""
    shards = []
    for location in require_files(recipe.locate_files(recipe.corpora[language]), f"corpus of '{language}'"):
        metadata = open_article_shard(location).metadata
        shards.append((location, [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]))
    return shards


def _spans(
    recipe: Recipe,
    teachers: Sequence[TeacherVocabulary],
    corpora: Mapping[str, list[tuple[str, list[int]]]],
    articles: int,
    folder: str,
) -> Iterator[Span]:
    number = 0
    for teacher in teachers:
        for language in recipe.teacher(teacher.name).languages:
            total, place = sum(sum(rows) for _, rows in corpora[language]), 0
            for location, rows in corpora[language]:
                for first, groups in group_row_groups(rows, recipe.predict.unit_articles):
                    held = sum(rows[first : first + groups])
                    if len(pick_articles(place, held, total, articles)):
                        yield Span(
                            teacher=teacher.name,
                            language=language,
                            size=len(teacher.pieces),
                            location=location,
                            row_groups=(first, groups),
                            first_article=place,
                            articles=held,
                            corpus_articles=total,
                            wanted_articles=articles,
                            mark=join(folder, f"{number:06d}.done"),
                        )
                        number += 1
                    place += held


def _tokenizer_file(folder: str, teacher: str) -> str:
    return join(folder, f"{teacher}.tokenizer.json")


def _counts_file(folder: str, key: Key) -> str:
    teacher, language = key
    return join(folder, f"{language}@{teacher}.counts")  # neither name holds an "@"


def _read(location: str) -> bytes:
    filesystem, path = resolve(location)
    with filesystem.open_input_stream(path) as file:
        return bytes(file.read())


def _read_counts(folder: str, key: Key) -> NDArray[np.int64]:
    location = _counts_file(folder, key)
    try:
        return np.frombuffer(_read(location), dtype="<i8").astype(np.int64)
    except FileNotFoundError:
        raise RuntimeError(f"the Beam job ended well, but {location} is not there: do the workers see the same storage?") from None
