"""Article shards: the Parquet files between `prepare` and `predict`. One row is one article in plain text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from data.storage import resolve, split
from data.storage_faults import storage_fault
from vocab.errors import InputError, first_line

ROWS_PER_GROUP = 1000  # also the smallest unit of predict, because a unit is a run of row groups

# The columns of the wikimedia/wikipedia data set, so that its files can be read without conversion.
SCHEMA = pa.schema([("id", pa.string()), ("url", pa.string()), ("title", pa.string()), ("text", pa.string())])


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """One article: its id and its plain text."""

    id: str
    url: str
    title: str
    text: str


def open_article_shard(location: str, *, cast: bool = False) -> pq.ParquetFile:
    """Open an article shard. Raises InputError if it is not Parquet with a string column `text`.

    cast: other types that hold texts are right too, as `prepare` reads them (string views, dictionaries of strings, binary)
    """
    filesystem, path = resolve(location)
    try:
        file = pq.ParquetFile(filesystem.open_input_file(path), page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise storage_fault(location, error) or InputError(
            f"{location}: cannot be read as Parquet ({first_line(error)}); run `mergedistill prepare`"
        ) from None
    names = file.schema_arrow.names
    if "text" not in names:
        raise InputError(f"{location}: found columns {', '.join(names)}; expected a column 'text': rename the column that holds it")
    kind = file.schema_arrow.field("text").type
    value = kind.value_type if cast and pa.types.is_dictionary(kind) else kind
    wider = (pa.types.is_string_view, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view) if cast else ()
    if not any(holds(value) for holds in (pa.types.is_string, pa.types.is_large_string, *wider)):
        raise InputError(f"{location}: column 'text' is {kind}; expected string: cast it, or run `mergedistill prepare` on it")
    return file


def read_articles(location: str, row_groups: range | None = None) -> Iterator[tuple[str, str]]:
    """(doc_id, text) of each article in the given row groups (all by default), in the order of the file.

    An article without an id (no column, or null) gets the id "<shard>:<row>". A null text is an InputError.
    """
    file = open_article_shard(location)
    groups = range(file.num_row_groups) if row_groups is None else row_groups
    columns = ["id", "text"] if "id" in file.schema_arrow.names else ["text"]
    row = sum(file.metadata.row_group(group).num_rows for group in range(groups.start)) if len(groups) else 0
    for group in groups:
        table = read_columns(file, location, group, columns)
        texts = table.column("text").to_pylist()
        ids = table.column("id").to_pylist() if "id" in columns else [None] * len(texts)
        for doc_id, text in zip(ids, texts, strict=True):
            if text is None:
                raise InputError(
                    f"{location}: row {row}: column 'text' is null; expected a string: run `mergedistill prepare` on the file, "
                    "which skips such rows and counts them"
                )
            yield (str(doc_id) if doc_id is not None else default_id(location, row)), text
            row += 1


def read_columns(file: pq.ParquetFile, location: str, group: int, columns: list[str]) -> pa.Table:
    """Columns of one row group of an article shard. Damaged pages are an InputError."""
    try:
        return file.read_row_group(group, columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise storage_fault(location, error) or InputError(
            f"{location}: row group {group} is damaged ({first_line(error)}); make the shard again"
        ) from None


def default_id(location: str, row: int) -> str:
    """The id of an article without one: "<shard>:<row>"."""
    return f"{PurePosixPath(split(location)[1]).stem}:{row}"


def group_row_groups(rows: list[int], unit_articles: int) -> list[tuple[int, int]]:
    """Group the row groups of an article shard into units: (first row group, number of row groups) of each unit.

    rows           articles of each row group
    unit_articles  a unit ends with the row group with which it reaches this number of articles
    """
    units, first, articles = [], 0, 0
    for group, count in enumerate(rows):
        articles += count
        if articles >= unit_articles or group == len(rows) - 1:
            units.append((first, group + 1 - first))
            first, articles = group + 1, 0
    return units
