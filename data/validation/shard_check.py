"""What the rules found in one shard."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.contract import SCHEMA, ShardPath
from data.shards import Shard
from data.validation.findings import LISTED, Finding
from data.validation.report import Fault


@dataclass(kw_only=True, slots=True)
class ShardCheck:
    """The content of one shard, and its faults."""

    location: str
    name: str  # path relative to the folder of predictions
    path: ShardPath
    bytes: int
    faults: list[Fault] = field(default_factory=list)
    shard: Shard | None = None  # the footer; None if it is not sound
    identity: dict[str, Any] | None = None  # None if missing or wrong
    unit: dict[str, Any] | None = None
    row_groups: int = 0
    row_groups_read: int = 0
    empty: bool = False  # a sound file without rows
    rows: int = 0  # in the row groups that were read, like masked_positions
    masked_positions: int = 0
    masks_shown: int = 0  # masked positions that show the mask token, of `shown` ones
    gold_shown: int = 0
    shown: int = 0
    articles: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # their hashes, see window_rules

    def fault(self, rule: str, column: str | None, found: str, expected: str) -> None:
        """Add a fault of the file."""
        self.faults.append(Fault(rule=rule, file=self.name, column=column, found=found, expected=expected))

    def row_faults(self, findings: Iterable[Finding], names: pa.Table) -> None:
        """Add findings on rows, one block after the other. `names` has the doc_id, window and number of the block's rows."""
        for found in findings:
            listed = [fault for fault in self.faults if fault.rule == found.rule]
            count = found.count + (listed[0].count if listed else 0)
            self.faults = [replace(fault, count=count) if fault.rule == found.rule else fault for fault in self.faults]
            column = found.rule.partition(".")[0]
            for row, text in list(zip(found.rows, found.found, strict=True))[: LISTED - len(listed)]:
                at = int(np.searchsorted(names["row"].to_numpy(), row))
                doc_id = names["doc_id"].slice(at, 1).cast(pa.binary())[0].as_py()
                fault = Fault(
                    rule=found.rule,
                    file=self.name,
                    column=column if column in SCHEMA.names else None,
                    row=row,
                    doc_id=None if doc_id is None else doc_id.decode(errors="replace"),
                    window=names["window"][at].as_py(),
                    found=text,
                    expected=found.expected,
                    count=count,
                )
                self.faults.append(fault)
