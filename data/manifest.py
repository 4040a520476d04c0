"""The manifest of a folder of predictions: the recipe, and a row a unit. Made from the shards' footers alone, so it can be made again."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pyarrow import fs

from data.recipe import Recipe
from data.shards import Shard
from data.storage import join, resolve, write_text

MANIFEST = "_manifest.json"  # readers that take a whole folder (Spark, pyarrow, pandas) pass over names that begin with "_"


def listed_shards(predictions: str) -> set[str] | None:
    """The locations of the shards that a folder's manifest lists: those of teachers whose units were all there. None: no manifest."""
    filesystem, path = resolve(join(predictions, MANIFEST))
    if filesystem.get_file_info(path).type != fs.FileType.File:
        return None
    with filesystem.open_input_stream(path) as file:
        return {join(predictions, unit["path"]) for unit in json.loads(file.read())["units"]}


def write_manifest(predictions: str, recipe: Recipe, shards: Sequence[Shard]) -> dict[str, Any]:
    """Write and return the manifest of `shards`, all below `predictions`."""
    totals: Counter[str] = Counter()
    for shard in shards:
        totals += Counter({"rows": shard.rows, "masked_positions": shard.report["masked_positions"], "bytes": shard.bytes})
        totals += Counter(shard.report["counters"] | {"masked_positions": 0})
    manifest = {
        "version": 1,
        "recipe": recipe.model_dump(),
        "totals": dict(totals),
        "identities": {shard.path.teacher: shard.identity for shard in shards},
        "units": [
            {
                "path": shard.location.removeprefix(join(predictions, "")),
                "language": shard.path.language,
                **shard.unit,
                "rows": shard.rows,
                "bytes": shard.bytes,
                **{key: value for key, value in shard.report.items() if key != "rows"},
            }
            for shard in shards
        ],
    }
    write_text(join(predictions, MANIFEST), json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest
