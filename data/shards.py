"""Shards on disk: written atomically, with their identity in the footer; read with checked checksums and a checked identity."""

import glob
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.atomic import write_atomically
from data.contract import CHECKSUM_KEY, PART_KEYS, SCHEMA, SCHEMA_VERSION, ShardPath, footer_checksum, parse_path
from data.identity import differences
from data.storage import expand, join, map_files, resolve
from data.storage_faults import storage_fault
from vocab.errors import InputError, first_line

_NUMPY: dict[pa.DataType, Any] = {pa.uint16(): np.uint16, pa.uint32(): np.uint32, pa.float32(): np.float32}
OTHER_VERSION = (
    "version 1 becomes 2 with `python -m data.upgrade FOLDER`, which runs no teacher; others need the release that wrote them"
)
ROW_GROUP_ROWS = 4096  # largest number of rows (windows) in a row group; the student's stream reads row groups
ROW_GROUP_BYTES = 32 << 20  # about the largest size of a row group before encoding, for a large top_k


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A shard, as its footer describes it. No row was read."""

    location: str
    path: ShardPath
    identity: dict[str, Any]
    unit: dict[str, Any]
    report: dict[str, Any]
    group_rows: tuple[int, ...]  # rows of each row group
    bytes: int
    checksum: str = ""  # of the footer: another computation of the unit has another one

    @property
    def rows(self) -> int:
        return sum(self.group_rows)

    @property
    def row_groups(self) -> int:
        return len(self.group_rows)


class UnreadableShard(InputError):
    """A file that should be a shard and is not Parquet. `reason` is the message of the Parquet reader."""

    def __init__(self, location: str, reason: str, *, gone: bool = False) -> None:
        super().__init__(
            f"{location}: is no longer there; expected the file that was found at the start: put it back, or run `mergedistill predict` "
            "again, which computes it"
            if gone
            else f"{location}: cannot be read as Parquet ({reason}); remove it and run `mergedistill predict` again"
        )
        self.reason = reason


def write_shard(
    location: str, table: pa.Table, *, identity: Mapping[str, Any], unit: Mapping[str, Any], report: Mapping[str, Any]
) -> None:
    """Write one shard atomically, after a check of its footer. `table` has the contract's schema, or only its gold columns."""
    values = zip(PART_KEYS, (identity, unit, report), strict=True)
    metadata = {key: json.dumps(value, ensure_ascii=False).encode() for key, value in values}
    most = row_group_rows(table)
    sizes = [min(most, table.num_rows - start) for start in range(0, table.num_rows, most)]
    metadata[CHECKSUM_KEY] = json.dumps(footer_checksum(metadata, sizes)).encode()
    options = encoding(table.schema, in_steps=identity.get("logits") == "8-bit")

    def write(out: pa.NativeFile) -> None:
        with pq.ParquetWriter(out, table.schema.with_metadata(metadata), **options) as writer:
            if sizes:
                writer.write_table(table.replace_schema_metadata(metadata), row_group_size=most)

    def check(temporary: str) -> None:
        filesystem, path = resolve(temporary)
        found = pq.read_metadata(filesystem.open_input_file(path))
        assert found.num_rows == table.num_rows, f"{temporary}: wrote {table.num_rows} rows, the footer says {found.num_rows}"

    write_atomically(location, write, check)


def row_group_rows(table: pa.Table) -> int:
    """The number of rows in each row group of a shard, except the last."""
    each = int(table.nbytes) // max(1, int(table.num_rows))  # bytes of a row
    return min(ROW_GROUP_ROWS, max(1, ROW_GROUP_BYTES // max(1, each)))


def encoding(schema: pa.Schema, *, in_steps: bool) -> dict[str, Any]:
    """The options of the Parquet writer: the smallest in `tests/benchmarks/bench_size.py` that are also fast.

    Ids: many positions have similar ones, and the short numbers of a dictionary let zstd find the repetition; so do the levels of 8-bit
    logits. Other logits: byte-stream-split groups the bytes that are similar. Spark's default reader knows it from 4.3 on, for floats;
    for unsigned numbers it does not, so ids never have it. mask_positions: small differences.
    """
    leaves = {field.name: f"{field.name}.list.element" for field in schema if pa.types.is_list(field.type)}
    dictionaries = {"input_ids", "label_ids", "topk_ids"} | ({"topk_logits"} if in_steps else set())
    return {
        "compression": "zstd",
        "compression_level": 9,
        "use_dictionary": ["doc_id", *(leaf for name, leaf in leaves.items() if name in dictionaries)],
        "dictionary_pagesize_limit": 16 << 20,  # a larger dictionary would be replaced by plain values
        "column_encoding": {
            leaf: "DELTA_BINARY_PACKED" if name == "mask_positions" else "BYTE_STREAM_SPLIT"
            for name, leaf in leaves.items()
            if name not in dictionaries
        },
        "write_statistics": ["doc_id", "window"],  # the smallest and largest value of a list help no query
        "write_page_checksum": True,
        "store_schema": True,
    }


def open_shard(location: str) -> pq.ParquetFile:
    """Open a shard with checked page checksums: reading a damaged page raises OSError.

    Raises UnreadableShard for a file that is not Parquet, and InputError if the storage does not answer.
    """
    filesystem, path = resolve(location)
    try:
        # Over a network the columns of a row group are requested together. Eight requests in a row would wait eight times.
        far = "://" in location
        return pq.ParquetFile(filesystem.open_input_file(path), page_checksum_verification=True, pre_buffer=far)
    except (pa.ArrowInvalid, OSError) as error:
        gone = isinstance(error, FileNotFoundError)
        raise storage_fault(location, error) or UnreadableShard(location, first_line(error), gone=gone) from None


def read_shard(location: str) -> Shard:
    """Read the footer of a shard. Raises InputError for a file that is not a shard of this project."""
    path = parse_path(location)
    if path is None:
        raise InputError(f"{location}: expected a path language=…/teacher=…/<name>.parquet, as `mergedistill predict` writes it")
    file = open_shard(location)
    metadata = file.metadata.metadata or {}
    missing = [key.decode() for key in (*PART_KEYS, CHECKSUM_KEY) if key not in metadata]
    if missing:
        raise InputError(
            f"{location}: its footer lacks {', '.join(missing)}: not a shard of this version of `mergedistill predict`, or a damaged "
            "one; remove it and run `mergedistill predict` again"
        )
    if not checksum_holds(file.metadata):
        raise InputError(
            f"{location}: its footer is damaged (its {CHECKSUM_KEY.decode()} is of other content); "
            "remove it and run `mergedistill predict` again"
        )
    identity, unit, report = (json.loads(metadata[key]) for key in PART_KEYS)
    if (found := identity.get("schema_version")) != SCHEMA_VERSION:
        raise InputError(f"{location}: schema_version: found {found}, expected {SCHEMA_VERSION}: {OTHER_VERSION}")
    filesystem, inner = resolve(location)
    return Shard(
        location=location,
        path=path,
        identity=identity,
        unit=unit,
        report=report,
        group_rows=group_rows(file.metadata),
        bytes=filesystem.get_file_info(inner).size,
        checksum=metadata[CHECKSUM_KEY].decode(),
    )


def group_rows(footer: pq.FileMetaData) -> tuple[int, ...]:
    """The number of rows in each row group."""
    return tuple(footer.row_group(group).num_rows for group in range(footer.num_row_groups))


def checksum_holds(footer: pq.FileMetaData) -> bool:
    """Whether the checksum of a footer fits its identity, unit, report and row groups, all of which exist."""
    return bool(footer.metadata[CHECKSUM_KEY] == json.dumps(footer_checksum(footer.metadata, group_rows(footer))).encode())


def list_shards(predictions: str) -> list[str]:
    """The locations of all shards in a folder of predictions, sorted."""
    # The name of the folder may contain characters that are wildcards in a glob.
    below = predictions if "://" in predictions else glob.escape(predictions)
    return expand(join(below, "language=*", "teacher=*", "*.parquet"))


def shards_of(locations: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[str]:
    """The locations whose (teacher, language) is one of `pairs`, in order. Nothing is opened."""
    wanted = {*pairs}
    return [place for place in locations if (path := parse_path(place)) and (path.teacher, path.language) in wanted]


def read_shards(locations: Iterable[str]) -> list[Shard]:
    """The footers of many shards, in order."""
    return map_files(read_shard, [*locations])


def check_identity(shard: Shard, expected: Mapping[str, Any]) -> None:
    """Raise InputError for a shard of another identity. The message names the field, what was found and expected, and what to do."""
    wrong = differences(shard.identity, expected)
    if wrong:
        raise InputError(
            f"{shard.location}: made with other settings: {'; '.join(wrong)}. "
            "Use the recipe that made it, or predict into another run folder"
        )


def leaf(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The values and offsets of a list column: row i is values[offsets[i]:offsets[i + 1]]. A single chunk is not copied."""
    array = column
    if isinstance(column, pa.ChunkedArray):  # combine_chunks would copy even a single chunk
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    offsets = array.offsets.to_numpy()
    return array.values.to_numpy(zero_copy_only=True), offsets


def list_column(values: NDArray[Any], lengths: NDArray[np.integer[Any]], name: str) -> pa.ListArray:
    """The contract's list column `name`, from its flat values and the length of each row."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    assert offsets[-1] == len(values), f"{name}: {len(values)} values for lengths that sum to {offsets[-1]}"
    kind = SCHEMA.field(name).type
    flat = pa.array(values.astype(_NUMPY[kind.value_type], copy=False), type=kind.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=kind)
