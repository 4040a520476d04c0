"""Corpus files of every format → articles: one stream, with what was skipped and why."""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa

from data.articles import ROWS_PER_GROUP, Article, open_shard
from pipeline.corpus_file import FORMATS, Fault, corpus_files, open_corpus, sniff, stem, text_lines
from pipeline.mediawiki import read_mediawiki
from pipeline.wikiextractor import read_docs, read_jsonl
from vocab.errors import InputError


def read_corpus(
    location: str,
    skipped: Callable[[str], None],
    *,
    name: str | None = None,
    advanced: Callable[[int], None] = lambda position: None,
) -> Iterator[Article]:
    """The articles of a file, or of all files of a folder, in order; memory is bounded by one article.

    `skipped` is called with the reason of each record that is no article: "redirect", "namespace", "not wikitext",
    "unparseable page" (dumps), "null text" (Parquet, JSONL), "empty". `advanced` is called with the bytes of the file read so far.
    An article without an id is called "<name>:<record>", counted from 0; `name` is the file's own without endings by default.
    A file that cannot be read to its end, or holds no article, is an InputError.
    """
    for file in corpus_files([location]):
        yield from _read_file(file, skipped, stem(file) if name is None else name, advanced)


def _read_file(location: str, skipped: Callable[[str], None], name: str, advanced: Callable[[int], None]) -> Iterator[Article]:
    records = articles = 0
    reasons: dict[str, int] = {}

    def skip(reason: str) -> None:
        nonlocal records
        records += 1
        reasons[reason] = reasons.get(reason, 0) + 1
        skipped(reason)

    try:
        for record in _records(location, skip, advanced):
            text = record.text.replace("\0", "")
            if not text.strip():
                skip("empty")
                continue
            yield replace(record, id=record.id or f"{name}:{records}", text=text)
            records += 1
            articles += 1
    except Fault as fault:
        raise InputError(f"{location}: {fault} (read before this: {articles:,} articles)") from None
    except (EOFError, zlib.error, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk or network, not the file
        what = (
            "is cut: its compressed data end too early"
            if isinstance(error, EOFError)
            else f"is damaged ({str(error).splitlines()[0]})"
        )
        raise InputError(
            f"{location}: {what}; expected a whole file: fetch it again (read before this: {articles:,} articles)"
        ) from None
    if not articles:
        found = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items())) or "no record at all"
        raise InputError(f"{location}: holds no article (skipped: {found}); expected {FORMATS}: leave it out, or check what it is")


def _records(location: str, skipped: Callable[[str], None], advanced: Callable[[int], None]) -> Iterator[Article]:
    with open_corpus(location, advanced) as stream:
        kind = sniff(stream, location)
        if kind == "mediawiki":
            yield from read_mediawiki(stream, skipped)
        elif kind == "wikiextractor":
            yield from read_docs(stream)
        elif kind == "jsonl":
            yield from read_jsonl(stream, skipped)
        elif kind == "text":
            yield from _read_text(stream)
    if kind == "parquet":
        yield from _read_parquet(location, skipped)


def _read_text(stream: io.BufferedReader) -> Iterator[Article]:
    """Plain text: articles are runs of lines between blank lines."""
    lines: list[str] = []
    for _, line in text_lines(stream):
        if line.strip():
            lines.append(line)
        elif lines:
            yield Article(id="", url="", title="", text="\n".join(lines))
            lines = []
    if lines:
        yield Article(id="", url="", title="", text="\n".join(lines))


def _read_parquet(location: str, skipped: Callable[[str], None]) -> Iterator[Article]:
    """Parquet with a string column `text`, and perhaps `id`, `url` and `title`."""
    file = open_shard(location)
    columns = [column for column in ("id", "url", "title", "text") if column in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=columns):
        for row in batch.to_pylist():
            if row["text"] is None:
                skipped("null text")
                continue
            identity, url, title = (str(row[key]) if row.get(key) is not None else "" for key in ("id", "url", "title"))
            yield Article(id=identity, url=url, title=title, text=row["text"])
