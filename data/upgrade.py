"""Shards of schema version 1 become version 2: the same rows, with logits as float32 instead of float16. No teacher is run.

    python -m data.upgrade RUN/predictions [RUN/heldout …]

Each shard is replaced in one step, so the command can be interrupted and run again. Then `mergedistill predict` finds the units complete
and writes the manifest anew.
"""

import json
import sys

from data.contract import CHECKSUM_KEY, PART_KEYS, SCHEMA
from data.progress import each
from data.shards import checksum_holds, list_shards, open_shard, write_shard
from vocab.errors import InputError


def upgrade_shard(location: str) -> bool:
    """Replace a shard of version 1. False if it has version 2 already; InputError if it is damaged or of another version."""
    file = open_shard(location)
    metadata = file.metadata.metadata or {}
    if any(key not in metadata for key in (*PART_KEYS, CHECKSUM_KEY)) or not checksum_holds(file.metadata):
        raise InputError(f"{location}: its footer is not that of a shard, or is damaged: `mergedistill validate` says more")
    identity, unit, report = (json.loads(metadata[key]) for key in PART_KEYS)
    version = identity.get("schema_version")
    if version == 2:
        return False
    if version != 1:
        raise InputError(f"{location}: schema_version: found {version}, expected 1")
    try:
        table = file.read().cast(SCHEMA)
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise InputError(f"{location}: cannot be read ({error}): remove it, and `mergedistill predict` computes it again") from None
    windows = {str(name) for name in table["doc_id"].unique().to_pylist()}
    counters = report["counters"]
    counters["articles_without_windows"] = counters["articles"] - len(windows) - len(report.get("quarantined", ()))
    unit["articles"] = counters["articles"]
    write_shard(location, table, identity=identity | {"schema_version": 2}, unit=unit, report=report)
    return True


def main(folders: list[str]) -> None:
    """Upgrade every shard below the folders."""
    if not folders:
        sys.exit("usage: python -m data.upgrade RUN/predictions [RUN/heldout …]")
    done = 0
    try:
        shards = [location for folder in folders for location in list_shards(folder)]
        for location in each(shards, "upgrade", "shards"):
            done += upgrade_shard(location)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    print(
        f"{done:,} shards are of version 2 now. Next: the same `mergedistill predict` again; it computes nothing and writes the manifest"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
