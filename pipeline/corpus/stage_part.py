"""A part of a corpus file → its article shards in a staging folder. This is the work of a `prepare` worker."""

import errno
import hashlib
import os
import uuid
from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from data.articles import ROWS_PER_GROUP, SCHEMA, Article
from data.atomic import sync, write_text
from data.storage import join, resolve, split
from pipeline.corpus.dump_parts import Part
from pipeline.corpus.mediawiki import QuarantinedPage
from pipeline.corpus.read import ArticlesBy, read_part
from pipeline.corpus.report import FileReport, write_staged
from pipeline.corpus.templates import Templates
from pipeline.corpus.wikitext import Rendering
from vocab.errors import InputError

_GROUP_CHARACTERS = 64_000_000  # a row group also ends at this size, so that a thousand huge articles do not fill the memory


class ShardWriter:
    """Writes articles to `<name>-00000.parquet` and so on, at most `shard_articles` rows each. Memory holds one row group."""

    def __init__(self, folder: str, prefix: str, shard_articles: int) -> None:
        self._folder, self._prefix, self._shard_articles = folder, prefix, shard_articles
        self._rows: list[Article] = []
        self._characters = self._rows_in_shard = 0
        self._writer: pq.ParquetWriter | None = None
        self.shards: list[str] = []
        self.articles = 0

    def add(self, article: Article) -> bool:
        """Add an article. Returns True if it filled a row group, which is then written."""
        self._rows.append(article)
        self._characters += len(article.text)
        self.articles += 1
        shard_full = self._rows_in_shard + len(self._rows) >= self._shard_articles
        group_full = shard_full or len(self._rows) >= ROWS_PER_GROUP or self._characters >= _GROUP_CHARACTERS
        if group_full:
            self._write_group()
        if shard_full:
            self.close()
        return group_full

    def close(self) -> None:
        """Write the remaining rows and close the shard."""
        self._write_group()
        if self._writer is not None:
            # predict reads only footers. With this digest it notices that a shard holds other articles.
            self._writer.add_key_value_metadata({"mergedistill.articles": self._digest.hexdigest()})
            self._writer.close()
            self._sink.close()
            if isinstance(self._filesystem, fs.LocalFileSystem):
                sync(self._path)
            self._writer, self._rows_in_shard = None, 0

    def _write_group(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            self.shards.append(f"{self._prefix}-{len(self.shards):05d}.parquet")
            self._filesystem, self._path = resolve(join(self._folder, self.shards[-1]))
            self._filesystem.create_dir(self._path.rpartition("/")[0], recursive=True)
            self._digest = hashlib.sha256()
            self._sink = self._filesystem.open_output_stream(self._path)
            self._writer = pq.ParquetWriter(self._sink, SCHEMA, compression="zstd", write_page_checksum=True)
        columns = [pa.array([getattr(row, name) for row in self._rows], pa.string()) for name in SCHEMA.names]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), row_group_size=len(self._rows))
        for row in self._rows:
            self._digest.update(f"{row.id}\0{len(row.text)}\0{row.text}".encode())
        self._rows_in_shard += len(self._rows)
        self._rows, self._characters = [], 0


@dataclass(frozen=True, kw_only=True)
class Staging:
    """How the articles of a job are read and written."""

    folder: str
    language: str
    heldout_percent: float
    shard_articles: int
    templates: Templates
    articles_by: ArticlesBy
    id_prefix: str = ""  # before each id; "{input}" is the part's name


def stage_part(part: Part, staging: Staging) -> None:
    """Write a part's shards to a folder of its own in `staging`, and then its report, which marks the part as done."""
    try:
        _stage(part, staging)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        out = split(staging.folder)[0]
        raise InputError(
            f"{os.strerror(error.errno).lower()} while writing {out}; free space or choose another --out; nothing was written"
        ) from None


def _stage(part: Part, staging: Staging) -> None:
    attempt = f"{part.name}.{uuid.uuid4().hex}"
    kept = ShardWriter(join(staging.folder, attempt), part.name, staging.shard_articles)
    heldout = ShardWriter(join(staging.folder, attempt), f"heldout/{part.name}", staging.shard_articles)
    rendering = Rendering(templates=staging.templates)
    skipped: Counter[str] = Counter()
    quarantined: list[QuarantinedPage] = []
    characters = longest = position = 0

    def advanced(to: int) -> None:
        nonlocal position
        position = to

    prefix = staging.id_prefix.replace("{input}", part.input_name)
    for article in read_part(
        part,
        lambda reason: skipped.update([reason]),
        quarantined=quarantined.append,
        advanced=advanced,
        rendering=rendering,
        articles_by=staging.articles_by,
    ):
        article = replace(article, id=prefix + article.id)
        characters += len(article.text)
        longest = max(longest, len(article.text))
        writer = heldout if is_heldout(staging.language, article.id, staging.heldout_percent) else kept
        if writer.add(article):
            write_text(join(staging.folder, f"{part.name}.bytes"), str(position))
    kept.close()
    heldout.close()
    report = FileReport(
        input=part.location,
        bytes=part.end - part.start,
        articles=kept.articles,
        heldout_articles=heldout.articles,
        characters=characters,
        longest=longest,
        sentences=rendering.tally.sentences,
        sentences_taken_out=rendering.tally.taken_out,
        templates_rendered=rendering.tally.rendered,
        templates_that_cost=dict(rendering.tally.lost),
        declared=rendering.tally.declared,
        skipped=dict(sorted(skipped.items())),
        shards=kept.shards + heldout.shards,
    )
    write_staged(staging.folder, part.name, report, attempt, quarantined)


def is_heldout(language: str, doc_id: str, percent: float) -> bool:
    """Whether an article is held out. The sha256 of its language and id decides, so the result is the same on every machine."""
    digest = hashlib.sha256(f"{language}\0{doc_id}".encode()).digest()
    return int.from_bytes(digest) % 1_000_000 < percent * 10_000
