"""The shard contract: the schema of one Parquet file of teacher predictions, its path, and the metadata of its footer.

One file is one unit of work: a teacher, a language, and a run of articles of one input shard. One row is one window of an article.
Legend: T tokens of the window, M its masked positions, K top-k logits for each masked position.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from data.storage import join, without_options

SCHEMA_VERSION = 2  # 1 had float16 logits, which Spark does not read; `data.upgrade` makes version 2 of it
PREDICTIONS: Final = "predictions"  # folder of a run, or of its store: what the student trains on
HELDOUT: Final = "heldout"  # folder next to it: what the student is measured on


def _list_of(kind: pa.DataType) -> pa.DataType:
    # Parquet calls the nested field "element". With another name, the schema that is read differs from the one that was written.
    return pa.list_(pa.field("element", kind, nullable=False))


SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),  # the article
        pa.field("window", pa.int32(), nullable=False),  # window of the article × maskings + masking
        pa.field("input_ids", _list_of(pa.uint32()), nullable=False),  # [T] union ids, masks applied
        pa.field("mask_positions", _list_of(pa.uint16()), nullable=False),  # [M] strictly increasing
        pa.field("label_ids", _list_of(pa.uint32()), nullable=False),  # [M] gold union ids
        pa.field("label_logits", _list_of(pa.float32()), nullable=False),  # [M] the gold id's normalised logit
        pa.field("topk_ids", _list_of(pa.uint32()), nullable=False),  # [M·K] union ids, best first
        pa.field("topk_logits", _list_of(pa.float32()), nullable=False),  # [M·K] logit − logsumexp(logits of the teacher's pieces)
    ]
)

# The columns of a shard with only gold labels (a masked corpus without a teacher): the contract without the teacher's columns.
GOLD_SCHEMA = pa.schema([SCHEMA.field(name) for name in ("doc_id", "window", "input_ids", "mask_positions", "label_ids")])

# The logits are float32 because every engine reads that. Their values are float16's: what lies between them is a bit of rounding that no
# student can learn, and it would cost a byte for each logit.

# Keys of the footer's metadata; each value is JSON.
IDENTITY_KEY = b"mergedistill.identity"  # what the labels depend on, see data.identity
UNIT_KEY = b"mergedistill.unit"  # the unit of work
REPORT_KEY = b"mergedistill.report"  # what the computation cost, and its counters
CHECKSUM_KEY = b"mergedistill.checksum"  # of the three above and the numbers of rows; the pages have their own checksums
PART_KEYS = (IDENTITY_KEY, UNIT_KEY, REPORT_KEY)

_PARTITION = re.compile(r"language=(?P<language>[^/]+)/teacher=(?P<teacher>[^/]+)/(?P<name>[^/]+)\.parquet$")


def footer_checksum(metadata: Mapping[bytes, bytes], group_rows: Iterable[int]) -> str:
    """The checksum of a footer: sha256 over the bytes of its identity, unit and report, and the number of rows of each row group."""
    parts = [metadata[key] for key in PART_KEYS] + [str(rows).encode() for rows in group_rows]
    return hashlib.sha256(b"".join(b"%d:%b," % (len(part), part) for part in parts)).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardPath:
    """The partition keys of a shard, and its name: "<input-shard>-<first-row-group>"."""

    language: str
    teacher: str
    name: str

    def below(self, predictions: str) -> str:
        """The location of the shard in a folder of predictions."""
        return join(predictions, f"language={self.language}", f"teacher={self.teacher}", f"{self.name}.parquet")


def parse_path(location: str) -> ShardPath | None:
    """The partition keys in a shard's location, or None for a location in another form."""
    match = _PARTITION.search(without_options(location).replace("\\", "/"))
    return ShardPath(**match.groupdict()) if match else None
