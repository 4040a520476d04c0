"""Each article of a corpus has an id of its own: what predict writes, and what validate checks, are windows of (id, window)."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from data.articles import default_id, open_article_shard, read_columns
from data.storage import map_files
from vocab.errors import InputError

_LISTED = 3


def require_unique_ids(files: Sequence[str], what: str, advice: str, name: Callable[[str], str] = str) -> None:
    """Refuse article shards in which two articles have one id, or one has an empty id.

    files   locations of the shards of one corpus
    what    the corpus, for the message
    advice  what to do
    name    how a file is shown

    Only the id columns are read. Memory: 8 bytes an article, and the ids of those that may be there twice.
    """
    hashes = map_files(_hashes, [*files])
    every = np.concatenate(hashes) if hashes else np.zeros(0, np.int64)
    values, counts = np.unique(every, return_counts=True)
    candidates = set(values[counts > 1].tolist())
    seen: dict[str, str] = {}
    found: list[str] = []
    count = 0
    for file, of_file in zip(files, hashes, strict=True):
        empty = hash("") in set(of_file.tolist())
        if not empty and candidates.isdisjoint(of_file.tolist()):
            continue
        for row, doc_id in enumerate(_ids(file)):
            place = f"row {row:,} of {name(file)}"
            if not doc_id:
                found.append(f"'' ({place})")
            elif hash(doc_id) in candidates and doc_id in seen:
                found.append(f"'{doc_id}' ({seen[doc_id]}, {place})")
            else:
                if hash(doc_id) in candidates:
                    seen[doc_id] = place
                continue
            count += 1
            del found[_LISTED:]
    if count:
        raise InputError(
            f"{what}: found {count:,} articles with an empty id, or one that an earlier article has, as {', '.join(found)}; expected an id "
            f"of its own for each: {advice}"
        )


def _hashes(file: str) -> NDArray[np.int64]:
    """Python's hash (SipHash) of each id; valid in this process only."""
    return np.fromiter((hash(doc_id) for doc_id in _ids(file)), np.int64)


def _ids(file: str) -> Iterator[str]:
    """The id of each article, as `read_articles` gives it."""
    shard = open_article_shard(file)
    if "id" not in shard.schema_arrow.names:
        yield from (default_id(file, row) for row in range(shard.metadata.num_rows))
        return
    row = 0
    for group in range(shard.num_row_groups):
        for doc_id in read_columns(shard, file, group, ["id"])["id"].to_pylist():
            yield default_id(file, row) if doc_id is None else str(doc_id)
            row += 1
