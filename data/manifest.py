"""The manifest of a folder of predictions: the recipe, and a row a unit. Made from the shards' footers alone, so it can be made again."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from pyarrow import fs

from data.recipe import Recipe
from data.shards import Shard
from data.storage import join, relative, resolve, write_text

MANIFEST = "_manifest.json"  # readers that take a whole folder (Spark, pyarrow, pandas) pass over names that begin with "_"
QUARANTINE = "_quarantine.jsonl"  # what could not be parsed, or what a teacher failed on, a line each: which, and why


def listed_shards(predictions: str) -> set[str] | None:
    """The locations of the shards that a folder's manifest lists: those of teachers whose units were all there. None: no manifest."""
    if not _is_file(join(predictions, MANIFEST)):
        return None
    filesystem, path = resolve(join(predictions, MANIFEST))
    with filesystem.open_input_stream(path) as file:
        content = file.read()
    try:
        return {join(predictions, unit["path"]) for unit in json.loads(content)["units"]}
    except (ValueError, LookupError, TypeError):
        return None  # as if there were none: predict writes it again from the footers


def write_manifest(predictions: str, recipe: Recipe, shards: Sequence[Shard]) -> dict[str, Any]:
    """Write and return the manifest of `shards`, all below `predictions`; beside it the quarantine, if any article is in it."""
    manifest: dict[str, Any] = {
        "version": 1,
        "recipe": recipe.model_dump(),
        "totals": dict(_totals(shards)),
        "languages": summarise(shards),
        "identities": {shard.path.teacher: shard.identity for shard in shards},
        "units": [
            {
                "path": relative(shard.location, predictions),
                "language": shard.path.language,
                **shard.unit,
                "rows": shard.rows,
                "bytes": shard.bytes,
                **{key: value for key, value in shard.report.items() if key != "rows"},
            }
            for shard in shards
        ],
    }
    set_aside = [
        {"language": unit["language"], "teacher": unit["teacher"], "corpus": unit["corpus"], **article, "unit": unit["path"]}
        for unit in manifest["units"]
        for article in unit.get("quarantined", [])
    ]
    if set_aside or _is_file(join(predictions, QUARANTINE)):
        write_text(join(predictions, QUARANTINE), "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in set_aside))
    write_text(join(predictions, MANIFEST), json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def summarise(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """A row a teacher and language: sums over its units, and means a masked position.

    loss          the teacher's masked-LM loss, nats
    mass_dropped  probability of pieces that the union does not take
    mass_merged   probability of surface forms that joined a likelier one of the same piece
    """
    key = attrgetter("path.teacher", "path.language")
    rows = []
    for (teacher, language), group in groupby(sorted(shards, key=key), key=key):
        units = [*group]
        totals = _totals(units)
        positions = totals["masked_positions"]
        means = {
            name: sum(unit.report.get(name, 0.0) * unit.report["masked_positions"] for unit in units) / max(1, positions)
            for name in ("loss", "mass_dropped", "mass_merged")
        }
        seconds = sum(unit.report.get("seconds", 0.0) for unit in units)  # of all workers together
        rows.append(
            {
                "teacher": teacher,
                "language": language,
                "units": len(units),
                **totals,
                **{name: round(value, 6) for name, value in means.items()},
                "seconds": round(seconds, 3),
                "tokens_per_second": round(totals["tokens"] / seconds, 1) if seconds else 0.0,
                "teacher_load_seconds": max(unit.report.get("teacher_load_seconds", 0.0) for unit in units),
            }
        )
    return rows


def language_table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(header, a line a teacher and language) of what `summarise` gives."""
    header = ["teacher", "language", "units", "articles", "set aside", "masked positions", "loss", "dropped", "merged", "tokens/s"]
    lines = [
        [
            row["teacher"],
            row["language"],
            *(f"{row.get(name, 0):,}" for name in ("units", "articles", "quarantined_articles", "masked_positions")),
            f"{row['loss']:.3f}",
            f"{row['mass_dropped']:.2%}",
            f"{row['mass_merged']:.2%}",
            f"{row['tokens_per_second']:,.0f}",
        ]
        for row in rows
    ]
    return header, lines


def _totals(shards: Sequence[Shard]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for shard in shards:
        totals.update(shard.report["counters"] | {"masked_positions": shard.report["masked_positions"]})
        totals.update({"rows": shard.rows, "bytes": shard.bytes})
    return totals


def _is_file(location: str) -> bool:
    filesystem, path = resolve(location)
    return bool(filesystem.get_file_info(path).type == fs.FileType.File)
