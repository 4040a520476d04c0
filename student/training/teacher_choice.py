"""train.teacher_choice: whose rows the student learns from where a language has several teachers, found in the cache alone.

The better teacher of an article (or of a language) has the higher Σ label_logits / Σ bytes: the logarithm of the probability that it
gave to the hidden text, for each byte of UTF-8. Losses per token do not compare, because each teacher cuts a text in its own way.
"all" and the best of an article are the paper's Student_Both_all and Student_Both_best (MergeDistill, section 4).
Legend: R rows of a row group, A articles of a shard (runs of rows with one doc_id).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.progress import each
from data.shards import Shard, leaf
from student.training.rows import read_row_group
from vocab.pieces import parse

_COLUMNS = ("doc_id", "input_ids", "mask_positions", "label_ids", "label_logits")  # with input_ids, all checks of a row group run


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The rows that the student learns from."""

    shards: tuple[Shard, ...]  # those with such rows
    kept: Mapping[str, NDArray[np.bool_]] = field(
        default_factory=dict
    )  # by location: which rows; a shard that is not here keeps all
    won: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # language → teacher → share of the rows that are kept

    def rows(self, shard: Shard) -> int:
        """The number of a shard's rows that are kept."""
        return int(self.kept[shard.location].sum()) if shard.location in self.kept else shard.rows


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scored:
    """The articles of one shard, in its order."""

    shard: Shard
    docs_A: pa.Array
    rows_A: NDArray[np.int64]
    logits_A: NDArray[np.float64]  # sums over the article's masked positions, nats
    bytes_A: NDArray[np.int64]


def choose_rows(
    shards: Sequence[Shard],
    choice: Literal["all", "best-article", "best-language"],
    teachers: Sequence[str],
    pieces: Sequence[str],
    *,
    progress: bool = False,
) -> Choice:
    """The rows of each language's better teacher. Languages with one teacher keep all rows, and are not read.

    teachers  in the recipe's order, which decides between equals
    pieces    the union's, by id

    An article that only one teacher could label is that teacher's.
    """
    languages = {shard.path.language for shard in shards}
    several = {one for one in languages if len({shard.path.teacher for shard in shards if shard.path.language == one}) > 1}
    if choice == "all" or not several:
        return Choice(shards=tuple(shards))
    bytes_V = np.array([byte_length(piece) for piece in pieces], dtype=np.int64)
    contested = [shard for shard in shards if shard.path.language in several]
    scored = [_score(shard, bytes_V) for shard in each(contested, "teacher_choice", "files", show=progress)]
    kept: dict[str, NDArray[np.bool_]] = {}
    for language in sorted(several):
        own = [one for one in scored if one.shard.path.language == language]
        rank = np.repeat([teachers.index(one.shard.path.teacher) for one in own], [len(one.rows_A) for one in own])
        docs = pa.chunked_array([one.docs_A for one in own], type=pa.string()).combine_chunks()
        article = docs.dictionary_encode().indices.to_numpy() if choice == "best-article" else np.zeros(len(docs), np.int64)
        logits, sizes = (np.concatenate([getattr(one, name) for one in own]) for name in ("logits_A", "bytes_A"))
        wins = np.split(_wins(article, rank, logits, sizes), np.cumsum([len(one.rows_A) for one in own])[:-1])
        kept |= {one.shard.location: np.repeat(won, one.rows_A) for one, won in zip(own, wins, strict=True)}
    chosen = Choice(shards=(), kept=kept)
    remaining = tuple(shard for shard in shards if chosen.rows(shard))
    return Choice(
        shards=remaining, kept=kept, won={language: _shares(chosen, shards, language, teachers) for language in sorted(several)}
    )


def byte_length(piece: str) -> int:
    """The bytes of text that a piece of the union has, in UTF-8."""
    content = parse(piece).content
    return len(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


def _score(shard: Shard, bytes_V: NDArray[np.int64]) -> _Scored:
    """The articles of a shard. The rows of an article follow each other, and may be in two row groups: then they are two runs."""
    docs, rows, logits, sizes = [], [], [], []
    for group in range(shard.row_groups):
        table = read_row_group(shard, group, _COLUMNS, len(bytes_V))
        if not table.num_rows:
            continue
        ids, offsets_R = leaf(table.column("label_ids"))
        values, _ = leaf(table.column("label_logits"))
        names = table.column("doc_id").combine_chunks()
        code_R = names.dictionary_encode().indices.to_numpy()
        starts_A = np.flatnonzero(np.diff(code_R, prepend=-1))
        docs.append(names.take(pa.array(starts_A)))
        rows.append(np.diff(starts_A, append=len(code_R)))
        at_A = offsets_R[starts_A] - offsets_R[0]
        logits.append(np.add.reduceat(values[offsets_R[0] : offsets_R[-1]].astype(np.float64), at_A))
        sizes.append(np.add.reduceat(bytes_V[ids[offsets_R[0] : offsets_R[-1]]], at_A))
    return _Scored(
        shard=shard,
        docs_A=pa.chunked_array(docs, type=pa.string()).combine_chunks(),
        rows_A=np.concatenate([np.zeros(0, np.int64), *rows]),
        logits_A=np.concatenate([np.zeros(0), *logits]),
        bytes_A=np.concatenate([np.zeros(0, np.int64), *sizes]),
    )


def _wins(article: NDArray[Any], rank: NDArray[Any], logits: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each run belongs to the teacher that won its article. Runs of one article and teacher count together."""
    pairs, place = np.unique(np.stack([article, rank]), axis=1, return_inverse=True)
    place = place.reshape(-1)
    score = np.bincount(place, weights=logits) / np.maximum(1, np.bincount(place, weights=sizes))
    order = np.lexsort((pairs[1], -score, pairs[0]))  # article by article, the best first, equals in the recipe's order
    first = np.ones(len(order), np.bool_)
    first[1:] = np.diff(pairs[0][order]) != 0
    won = np.zeros(len(order), np.bool_)
    won[order[first]] = True
    return won[place]


def _shares(chosen: Choice, shards: Sequence[Shard], language: str, teachers: Sequence[str]) -> dict[str, float]:
    counts = dict.fromkeys(teachers, 0)
    for shard in shards:
        if shard.path.language == language:
            counts[shard.path.teacher] += chosen.rows(shard)
    present = {shard.path.teacher for shard in shards if shard.path.language == language}
    return {name: count / sum(counts.values()) for name, count in counts.items() if name in present}
