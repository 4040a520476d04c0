"""The rows of one language for one rank, epoch after epoch, readable from any place. Their order depends only on the seed.

In each epoch, the row groups of all the language's shards are dealt to the ranks again. A few row groups are decoded together as a
chunk and the rows of the chunk are shuffled, so rows of several files mix.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.contract import CHECKSUM_KEY
from data.random_bits import permutation
from data.shards import Shard, open_shard
from data.storage_faults import storage_fault
from student.training.batch import TEACHER_COLUMNS
from student.training.columns import Columns, Picked
from student.training.row_checks import UnsoundRows, check_rows
from vocab.errors import InputError, first_line
from vocab.roles import FIRST_PIECE

CHUNK_ROW_GROUPS = 4  # decoded and shuffled together; a row group has up to 4,096 rows, and far fewer in small units


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """A place in the rows of a language: the next row to read."""

    epoch: int = 0
    chunk: int = 0  # of this rank's row groups of the epoch
    row: int = 0  # of the chunk's shuffled rows


class LanguageRows:
    """The rows of one language. `take` from the same cursor always gives the same rows; only the last decoded chunk is kept.

    With a `decoder`, its thread decodes the next chunk while the last rows of one are used. This changes no row and no order.
    """

    def __init__(
        self,
        language: str,
        shards: Sequence[Shard],
        columns: Sequence[str],
        *,
        vocab_size: int,
        seed: int,
        rank: int,
        world: int,
        kept: Mapping[str, NDArray[np.bool_]] | None = None,
        decoder: Executor | None = None,
    ) -> None:
        """kept: the rows that count, by the location of their shard; all rows of a shard that is not in it."""
        self.language = language
        self._kept = {shard.location: (kept or {})[shard.location] for shard in shards if shard.location in (kept or {})}
        self.rows = sum(
            int(self._kept[shard.location].sum()) if shard.location in self._kept else shard.rows for shard in shards
        )  # of all ranks
        groups = [(shard, group) for shard in sorted(shards, key=_key) for group in range(shard.row_groups)]
        self._groups = [(shard, group) for shard, group in groups if self._rows_of(shard, group).any()] if self._kept else groups
        self._columns = list(columns)
        self._vocab_size = vocab_size
        self._seed, self._rank, self._world = seed, rank, world
        # If there are few row groups, dealing them would give the ranks unequal shares. Then each rank takes every world-th row instead.
        self._by_row = world > 1 and len(self._groups) < 4 * world
        self._chunk_groups = len(self._groups) if self._by_row else CHUNK_ROW_GROUPS
        self._held: tuple[tuple[int, int], Picked] | None = None
        self._decoder = decoder
        self._next: tuple[tuple[int, int], Future[Picked]] | None = None
        self._dealt: tuple[int, list[list[tuple[Shard, int]]]] | None = None
        if self.rows < world:
            raise InputError(f"language '{language}': found {self.rows} rows for {world} processes; expected at least one for each")

    def take(self, count: int, cursor: Cursor) -> tuple[Picked, Cursor]:
        """The next `count` rows from the cursor, continuing into the next epoch at the end of one, and the cursor after them."""
        parts: list[Picked] = []
        wanted = count
        while count:
            chunks = self.chunks(cursor.epoch)
            if cursor.chunk == len(chunks):
                cursor = Cursor(epoch=cursor.epoch + 1)
                continue
            rows = self._chunk(cursor.epoch, cursor.chunk)
            end = min(cursor.row + count, len(rows.row_R))
            parts.append(rows.take(slice(cursor.row, end)))
            count -= end - cursor.row
            if end < len(rows.row_R):
                cursor = Cursor(epoch=cursor.epoch, chunk=cursor.chunk, row=end)
            else:
                cursor = Cursor(epoch=cursor.epoch, chunk=cursor.chunk + 1)
        if self._held is not None and (cursor.row == 0 or len(self._held[1].row_R) - cursor.row < 2 * wanted):
            self._prepare()
        return Picked.join(parts), cursor

    def chunks(self, epoch: int) -> list[list[tuple[Shard, int]]]:
        """This rank's row groups in an epoch, in chunks."""
        if self._dealt is None or self._dealt[0] != epoch:
            self._dealt = epoch, self._deal(epoch)
        return self._dealt[1]

    def _deal(self, epoch: int) -> list[list[tuple[Shard, int]]]:
        order = permutation(len(self._groups), self._seed, "row groups", self.language, epoch)
        mine = order if self._by_row else order[self._rank :: self._world]
        size = self._chunk_groups
        return [[self._groups[index] for index in mine[begin : begin + size]] for begin in range(0, len(mine), size)]

    def _prepare(self) -> None:
        """Have the chunk behind the held one decoded."""
        if self._decoder is None or self._held is None or self._next is not None:
            return
        epoch, chunk = self._held[0]
        here = self.chunks(epoch)
        after = (epoch, chunk + 1) if chunk + 1 < len(here) else (epoch + 1, 0)
        groups = here[after[1]] if after[0] == epoch else self._deal(after[0])[0]
        self._next = after, self._decoder.submit(self._decode, *after, groups)

    def _chunk(self, epoch: int, chunk: int) -> Picked:
        key = (epoch, chunk)
        if self._held is None or self._held[0] != key:
            ready, self._next = self._next, None
            rows = (
                ready[1].result()
                if ready is not None and ready[0] == key
                else self._decode(epoch, chunk, self.chunks(epoch)[chunk])
            )
            self._held = key, rows
        return self._held[1]

    def _decode(self, epoch: int, chunk: int, groups: list[tuple[Shard, int]]) -> Picked:
        """The rows of a chunk, in their order."""
        table = pa.concat_tables([self._read(shard, group) for shard, group in groups])
        rows = Picked.all_of(Columns.of(table.combine_chunks()))
        order = permutation(len(rows.row_R), self._seed, "rows", self.language, epoch, chunk, 0 if self._by_row else self._rank)
        if self._by_row:
            order = order[self._rank :: self._world]
        return rows.take(order)

    def _read(self, shard: Shard, group: int) -> pa.Table:
        """The rows of a row group that count."""
        table = read_row_group(shard, group, self._columns, self._vocab_size)
        return table.filter(pa.array(self._rows_of(shard, group))) if shard.location in self._kept else table

    def _rows_of(self, shard: Shard, group: int) -> NDArray[np.bool_]:
        """Which rows of a row group count."""
        if shard.location not in self._kept:
            return np.ones(shard.group_rows[group], np.bool_)
        first = sum(shard.group_rows[:group])
        return self._kept[shard.location][first : first + shard.group_rows[group]]


def read_row_group(shard: Shard, group: int, columns: Sequence[str], vocab_size: int) -> pa.Table:
    """The columns of one row group, with verified checksums.

    Raises InputError with the name of the file for a damaged page and a missing column, and UnsoundRows for rows that predict cannot have
    written, and for a file that is not the one whose footer was read at the start.
    """
    with open_shard(shard.location) as file:
        checksum = (file.metadata.metadata or {}).get(CHECKSUM_KEY, b"").decode()
        if shard.checksum and checksum != shard.checksum:
            raise UnsoundRows(shard.location, "footer", None, "the file was replaced since training began")
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            advice = (
                'it holds gold labels only: train with train.labels = "gold"'
                if set(missing) & set(TEACHER_COLUMNS)
                else "not a shard"
            )
            raise InputError(f"{shard.location}: found no column {' and no '.join(missing)}: {advice}")
        try:
            table = file.read_row_group(group, columns=list(columns), use_threads=False).select(list(columns))
        except (OSError, pa.ArrowException) as error:
            reason = first_line(error)
            raise storage_fault(shard.location, error) or InputError(
                f"{shard.location}: row group {group} is damaged ({reason}); remove the file and run `mergedistill predict` again"
            ) from None
    first = sum(file.metadata.row_group(index).num_rows for index in range(group))
    # The text of pretrain has the teacher's own ids, of which any may be a special token's.
    check_rows(table, shard.location, first, vocab_size, FIRST_PIECE if "union" in shard.identity else 0)
    return table


def _key(shard: Shard) -> tuple[str, str, str]:
    return shard.path.language, shard.path.teacher, shard.path.name
