"""The student's input: an endless stream of training steps from shards, in an exact order, resumable from any step.

The stream works in pools. The languages of a pool are drawn by α. Its rows are read from each language's cursor, sorted by length and
cut into micro-batches under the token budget, and the micro-batches are shuffled. All of this follows from the seed, the rank and the
number of the pool. So a position has only three parts: the pool, the cursors at its start, and how many of its micro-batches were used.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.identity import fingerprint
from data.random_bits import choices, permutation, random_bits, smoothed
from data.read_ahead import ReadAhead
from data.shards import Shard
from student.training.batch import GOLD_COLUMNS, TEACHER_COLUMNS, Batch, batch_bounds, make_batch
from student.training.columns import NAME_COLUMNS, Columns, Picked
from student.training.rows import Cursor, LanguageRows
from vocab.errors import InputError

POOL_BATCHES = 64  # about this many micro-batches in a pool
STEPS_AHEAD = 4  # prepared before the model asks for them


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """A place in the stream of one rank, small enough for a line of JSON."""

    pool: int = 0
    batch: int = 0  # micro-batches of the pool that were used
    cursors: Mapping[str, Cursor] = field(
        default_factory=dict
    )  # at the start of the pool; a language that is not named is at its beginning

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Position":
        cursors = {language: Cursor(**cursor) for language, cursor in content["cursors"].items()}
        return cls(pool=content["pool"], batch=content["batch"], cursors=cursors)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The part of an optimizer step that belongs to one rank."""

    batches: tuple[Batch, ...]
    before: Position  # the stream gives this step again from here
    after: Position  # and continues here


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSettings:
    """What the order of the rows depends on, in addition to the shards."""

    seed: int
    alpha: float  # languages are drawn with p ∝ n^alpha
    with_teacher: bool  # read the teacher's columns
    tokens_per_batch: int  # of an optimizer step, over all ranks, padding included; the limit, unless one row is longer
    tokens_per_microbatch: int  # one forward pass of one rank
    max_length: int  # tokens of the longest window
    vocab_size: int
    pad: int
    rank: int = 0
    world: int = 1


class Stream(Iterator[Step]):
    """An iterator over steps. Background threads read ahead; close the stream (or use `with`) to stop it.

    `shards` need no teacher columns if `with_teacher` is false. An empty list of shards is an InputError, and so is a damaged page or
    an id outside the vocabulary, which is found while iterating.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        settings: StreamSettings,
        *,
        kept: Mapping[str, NDArray[np.bool_]] | None = None,
        start: Position | None = None,
        pin: bool = False,
        with_names: bool = False,
    ) -> None:
        """kept: the rows to read, by the location of their shard; all rows of a shard that is not in it.

        with_names: each batch says where its rows come from.
        """
        self._source = (shards, settings, kept)
        shards = [shard for shard in shards if shard.rows]
        if not shards:
            raise InputError("found no shard with rows; expected some in predictions/: run `mergedistill predict` first")
        self.settings = settings
        self.columns = [
            *GOLD_COLUMNS,
            *(TEACHER_COLUMNS if settings.with_teacher else ()),
            *(NAME_COLUMNS if with_names else ()),
        ]
        self.languages = sorted({shard.path.language for shard in shards})
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._rows = [
            LanguageRows(
                language,
                [shard for shard in shards if shard.path.language == language],
                self.columns,
                vocab_size=settings.vocab_size,
                seed=settings.seed,
                rank=settings.rank,
                world=settings.world,
                kept=kept,
                decoder=self._decoder,
            )
            for language in self.languages
        ]
        self.rows = {part.language: part.rows for part in self._rows}  # all ranks together
        self._weights = smoothed(np.array([part.rows for part in self._rows], dtype=np.int64), settings.alpha)
        self._step_tokens = max(1, settings.tokens_per_batch // settings.world)
        self._batch_tokens = min(settings.tokens_per_microbatch, self._step_tokens)
        self._pool_rows = POOL_BATCHES * max(1, self._batch_tokens // settings.max_length)
        self._ahead: ReadAhead[Step] = ReadAhead(self._steps(start or Position(), pin), STEPS_AHEAD)

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Step:
        return next(self._ahead)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waited(self) -> float:
        """Seconds for which the consumer has waited for steps."""
        return self._ahead.waited

    def again(self, step: Step) -> "Stream":
        """Another stream, from a step on, whose batches say where their rows come from."""
        shards, settings, kept = self._source
        return Stream(shards, settings, kept=kept, start=step.before, with_names=True)

    def close(self) -> None:
        """Stop the background threads."""
        self._ahead.close()
        self._decoder.shutdown(wait=False, cancel_futures=True)

    def _steps(self, start: Position, pin: bool) -> Iterator[Step]:
        """Groups micro-batches into steps: as many as fit into the tokens of a step, at least one."""
        parts: list[Batch] = []
        size, before = 0, start
        for place, batch in self._batches(start):
            tokens = batch.input_ids.numel()
            if parts and size + tokens > self._step_tokens:
                yield Step(batches=tuple(parts), before=before, after=place)
                parts, size, before = [], 0, place
            parts.append(batch.pin() if pin else batch)
            size += tokens

    def _batches(self, position: Position) -> Iterator[tuple[Position, Batch]]:
        """Each micro-batch with the position before it."""
        settings = self.settings
        skip = position.batch
        while True:
            columns, after = self._pool(position)
            cuts = batch_bounds(columns.lengths(), self._batch_tokens)
            order = permutation(len(cuts) - 1, settings.seed, "batches", settings.rank, position.pool)
            for index in range(skip, len(order)):
                begin, end = cuts[order[index]], cuts[order[index] + 1]
                batch = make_batch(columns, begin, end, pad=settings.pad, languages=self.languages)
                yield Position(pool=position.pool, batch=index, cursors=position.cursors), batch
            position, skip = after, 0

    def _pool(self, position: Position) -> tuple[Columns, Position]:
        """The rows of a pool, longest first (rows of equal length in random order), and the start of the next pool."""
        settings = self.settings
        drawn = choices(self._weights, self._pool_rows, settings.seed, "languages", settings.rank, position.pool)
        counts = np.bincount(drawn, minlength=len(self.languages))
        parts: list[Picked] = []
        cursors = dict(position.cursors)
        for index, rows in enumerate(self._rows):
            if counts[index]:
                part, cursors[rows.language] = rows.take(int(counts[index]), cursors.get(rows.language, Cursor()))
                parts.append(part)
        picked = Picked.join(parts)
        lengths = picked.lengths()
        ties = random_bits(len(lengths), settings.seed, "pool", settings.rank, position.pool)
        order = np.lexsort((ties, -lengths))
        languages = np.repeat(np.arange(len(counts), dtype=np.int16), counts)
        return picked.take(order).gather(languages[order]), Position(pool=position.pool + 1, cursors=cursors)


def shards_fingerprint(shards: Sequence[Shard]) -> str:
    """sha256 of the shards: their paths, identities and numbers of rows. Not of their bytes, which depend on the version of the codec."""
    return fingerprint(
        sorted([shard.path.language, shard.path.teacher, shard.path.name, shard.rows, shard.identity] for shard in shards)
    )
