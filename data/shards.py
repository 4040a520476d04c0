"""Shards on disk: written whole, with their identity in the footer; read with checksums verified and identity enforced."""

import glob
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data.contract import IDENTITY_KEY, REPORT_KEY, SCHEMA, UNIT_KEY, ShardPath, parse_path
from data.identity import differences
from data.storage import expand, join, resolve, write_whole
from vocab.errors import InputError

ROW_GROUP_ROWS = 1024  # rows (windows) a row group: the grain of the student's stream


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A shard as its footer tells it; no row is read."""

    location: str
    path: ShardPath
    identity: dict[str, Any]
    unit: dict[str, Any]
    report: dict[str, Any]
    rows: int
    row_groups: int
    bytes: int


def write_shard(
    location: str, table: pa.Table, *, identity: Mapping[str, Any], unit: Mapping[str, Any], report: Mapping[str, Any]
) -> None:
    """Write one shard whole: temporary name, footer checked, rename. `table` has the contract's schema, or its gold columns."""
    footer = {IDENTITY_KEY: identity, UNIT_KEY: unit, REPORT_KEY: report}
    metadata = {key: json.dumps(value, ensure_ascii=False).encode() for key, value in footer.items()}

    def write(out: pa.NativeFile) -> None:
        with pq.ParquetWriter(out, table.schema.with_metadata(metadata), **_encoding(table.schema)) as writer:
            writer.write_table(table.replace_schema_metadata(metadata), row_group_size=ROW_GROUP_ROWS)

    def check(temporary: str) -> None:
        filesystem, path = resolve(temporary)
        found = pq.read_metadata(filesystem.open_input_file(path))
        assert found.num_rows == table.num_rows, f"{temporary}: wrote {table.num_rows} rows, the footer says {found.num_rows}"

    write_whole(location, write, check)


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    # Byte-stream-split puts the bytes of one significance together, which zstd then packs; DuckDB cannot read it on float16.
    lists = [field.name for field in schema if pa.types.is_list(field.type)]
    halves = [name for name in lists if pa.types.is_float16(schema.field(name).type.value_type)]
    return {
        "compression": "zstd",
        "use_dictionary": ["doc_id"],
        "column_encoding": {f"{name}.list.element": "PLAIN" if name in halves else "BYTE_STREAM_SPLIT" for name in lists},
        "write_page_checksum": True,
        "store_schema": True,
    }


def open_shard(location: str) -> pq.ParquetFile:
    """A shard, opened with page checksums verified: a flipped bit is an error (OSError) at read, and not a label."""
    filesystem, path = resolve(location)
    try:
        return pq.ParquetFile(filesystem.open_input_file(path), page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{location}: cannot be read as Parquet ({reason}); remove it and run `mergedistill predict` again"
        ) from None


def read_shard(location: str) -> Shard:
    """A shard's footer. A file that is no shard of this project is an InputError."""
    path = parse_path(location)
    if path is None:
        raise InputError(f"{location}: expected a path language=…/teacher=…/<name>.parquet, as `mergedistill predict` writes it")
    file = open_shard(location)
    metadata = file.metadata.metadata or {}
    missing = [key.decode() for key in (IDENTITY_KEY, UNIT_KEY, REPORT_KEY) if key not in metadata]
    if missing:
        raise InputError(
            f"{location}: its footer lacks {', '.join(missing)}: not a shard of `mergedistill predict`, or a damaged one"
        )
    try:
        identity, unit, report = (json.loads(metadata[key]) for key in (IDENTITY_KEY, UNIT_KEY, REPORT_KEY))
    except ValueError as error:
        raise InputError(f"{location}: its footer is damaged ({error}); remove it and run `mergedistill predict` again") from None
    filesystem, inner = resolve(location)
    return Shard(
        location=location,
        path=path,
        identity=identity,
        unit=unit,
        report=report,
        rows=file.metadata.num_rows,
        row_groups=file.metadata.num_row_groups,
        bytes=filesystem.get_file_info(inner).size,
    )


def list_shards(predictions: str) -> list[str]:
    """The locations of all shards below a folder of predictions, sorted."""
    # The folder's own name may hold signs that a glob would take for wildcards.
    below = predictions if "://" in predictions else glob.escape(predictions)
    return expand(join(below, "language=*", "teacher=*", "*.parquet"))


def read_shards(locations: Iterable[str]) -> list[Shard]:
    """The footers of many shards, read side by side."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(read_shard, locations))


def check_identity(shard: Shard, expected: Mapping[str, Any]) -> None:
    """Refuse a shard of another identity: an InputError that names the field, what was found, what was expected, what to do."""
    wrong = differences(shard.identity, expected)
    if wrong:
        raise InputError(
            f"{shard.location}: made under other settings: {'; '.join(wrong)}. "
            "Use the recipe that made it, or predict into another run folder"
        )


def leaf(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The values and offsets of a list column, without a copy where it is one chunk: row i is values[offsets[i]:offsets[i + 1]]."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    offsets = array.offsets.to_numpy()
    return array.values.to_numpy(zero_copy_only=True), offsets


def list_column(values: NDArray[Any], lengths: NDArray[np.integer[Any]], name: str) -> pa.ListArray:
    """The contract's list column `name` from its flat values and the length of each row."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    assert offsets[-1] == len(values), f"{name}: {len(values)} values for lengths that sum to {offsets[-1]}"
    kind = SCHEMA.field(name).type
    flat = pa.array(values.astype(str(kind.value_type).replace("halffloat", "float16"), copy=False), type=kind.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=kind)
