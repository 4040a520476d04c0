"""Corpus files of every format → one stream of articles, and a count of what was skipped and why."""

import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

import pyarrow as pa

from data.articles import ROWS_PER_GROUP, Article, open_article_shard
from data.storage_faults import storage_fault
from pipeline.corpus.corpus_file import FORMATS, UnreadableInput, corpus_files, sniff, stem, text_lines
from pipeline.corpus.dump_parts import Part, open_part, parts_of
from pipeline.corpus.mediawiki import QuarantinedPage, read_mediawiki
from pipeline.corpus.wikiextractor import read_docs, read_jsonl
from pipeline.corpus.wikitext import Rendering
from vocab.errors import InputError, first_line

ArticlesBy: TypeAlias = Literal["lines", "blank-lines", "file"]
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_corpus(location: str, skipped: Callable[[str], None]) -> Iterator[Article]:
    """The articles of a file, or of all files in a folder, in order. Raises InputError if there is none."""
    reasons: Counter[str] = Counter()
    articles = 0

    def skip(reason: str) -> None:
        reasons.update([reason])
        skipped(reason)

    for file in corpus_files([location]):
        for part in parts_of(file, stem(file)):
            for article in read_part(part, skip):
                yield article
                articles += 1
    if not articles:
        raise no_article(location, reasons)


def read_part(
    part: Part,
    skipped: Callable[[str], None],
    *,
    quarantined: Callable[[QuarantinedPage], None] = lambda page: None,
    advanced: Callable[[int], None] = lambda position: None,
    rendering: Rendering | None = None,
    articles_by: ArticlesBy = "blank-lines",
) -> Iterator[Article]:
    """The articles of a part, in order. Memory holds one article at a time.

    skipped      called with the reason for each record that is not an article: "redirect", "namespace", "not wikitext",
                 "unparseable page" (dumps), "null text" (Parquet, JSONL), "empty"
    quarantined  called with each unparseable page
    advanced     called with the number of bytes of the part that were read so far
    rendering    what templates of wikitext show; its tally is filled
    articles_by  what separates the articles of plain text

    An article without an id gets the id "<name of the part>:<number of the record>", counted from 0. Raises InputError for a file that
    cannot be read to its end. A file may have no article.
    """
    records = articles = 0

    def skip(reason: str) -> None:
        nonlocal records
        records += 1
        skipped(reason)

    def so_far() -> str:
        return f"(read before this: {articles:,} articles{'' if part.whole else f' of its part from byte {part.start:,}'})"

    try:
        for record in _records(part, skip, quarantined, advanced, rendering or Rendering(), articles_by):
            text = _storable(record.text)
            if not text.strip():
                skip("empty")
                continue
            identity = _storable(record.id) or f"{part.name}:{records}"
            yield Article(id=identity, url=_storable(record.url), title=_storable(record.title), text=text)
            records += 1
            articles += 1
    except UnreadableInput as fault:
        raise InputError(f"{part.location}: {fault} {so_far()}") from None
    except (EOFError, zlib.error, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and (error.errno is not None or storage_fault("", error)):
            raise  # the disk or the network failed, not the file
        what = "is cut: its compressed data end too early" if isinstance(error, EOFError) else f"is damaged ({first_line(error)})"
        raise InputError(f"{part.location}: {what}; expected a complete file: fetch it again {so_far()}") from None


def no_article(location: str, reasons: Mapping[str, int]) -> InputError:
    """The error for a file in which no record is an article."""
    found = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items())) or "no record at all"
    return InputError(f"{location}: holds no article (skipped: {found}); expected {FORMATS}: leave it out, or check what it is")


def _storable(text: str) -> str:
    """Remove NUL, and replace each lone surrogate by U+FFFD, because UTF-8 cannot encode it.

    Surrogates come from `&#xD800;` in wikitext and from "\\ud800" in JSON.
    """
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def _records(
    part: Part,
    skipped: Callable[[str], None],
    quarantined: Callable[[QuarantinedPage], None],
    advanced: Callable[[int], None],
    rendering: Rendering,
    articles_by: ArticlesBy,
) -> Iterator[Article]:
    with open_part(part, advanced) as stream:
        if not part.whole:  # a part of a dump; the stream is empty if no page begins in the part
            if stream.peek(1):
                yield from read_mediawiki(stream, skipped, quarantined, rendering)
            return
        kind = sniff(stream, part.location)
        if kind == "mediawiki":
            yield from read_mediawiki(stream, skipped, quarantined, rendering)
        elif kind == "wikiextractor":
            yield from read_docs(stream, skipped, quarantined)
        elif kind == "jsonl":
            yield from read_jsonl(stream, skipped)
        elif kind == "text":
            yield from _read_text(stream, articles_by)
    if kind == "parquet":
        yield from _read_parquet(part.location, skipped)


def _read_text(stream: io.BufferedReader, articles_by: ArticlesBy) -> Iterator[Article]:
    """Plain text: articles are separated by blank lines, or each line is one, or the file is one."""
    lines: list[str] = []
    for _, line in text_lines(stream):
        if articles_by == "lines":
            yield Article(id="", url="", title="", text=line)
        elif line.strip() or articles_by == "file":
            lines.append(line)
        elif lines:
            yield Article(id="", url="", title="", text="\n".join(lines))
            lines = []
    if lines:
        yield Article(id="", url="", title="", text="\n".join(lines).strip("\n"))


def _read_parquet(location: str, skipped: Callable[[str], None]) -> Iterator[Article]:
    """Parquet with a string column `text`, and optional columns `id`, `url` and `title`."""
    file = open_article_shard(location, cast=True)
    columns = [column for column in ("id", "url", "title", "text") if column in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=columns):
        for row in batch.to_pylist():
            if row["text"] is None:
                skipped("null text")
                continue
            if isinstance(row["text"], bytes):
                try:
                    row["text"] = row["text"].decode()
                except UnicodeDecodeError:
                    raise UnreadableInput("column 'text' is binary and not UTF-8; expected text: convert it") from None
            identity, url, title = (str(row[key]) if row.get(key) is not None else "" for key in ("id", "url", "title"))
            yield Article(id=identity, url=url, title=title, text=row["text"])
