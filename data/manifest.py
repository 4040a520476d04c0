"""The manifest of a folder of predictions: the recipe, and an entry for each unit. It is made from the footers of the shards only."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from pyarrow import fs

from data.atomic import write_text
from data.recipe import Recipe
from data.shards import Shard
from data.storage import join, relative, resolve
from data.storage_faults import storage_fault
from data.table import Column, Value

MANIFEST = "_manifest.json"  # readers of folders (Spark, pyarrow, pandas) ignore names that begin with "_"
QUARANTINE = (
    "_quarantine.jsonl"  # a line with the reason for each page that could not be parsed, or article on which a teacher failed
)


def read_manifest(predictions: str) -> dict[str, Any] | None:
    """The manifest of a folder of predictions. None if there is none, or if it is damaged: predict writes it again from the footers."""
    location = join(predictions, MANIFEST)
    if not _is_file(location):
        return None
    filesystem, path = resolve(location)
    try:
        with filesystem.open_input_stream(path) as file:
            content = file.read()
    except OSError as error:
        raise storage_fault(location, error) or error from None
    try:
        manifest = json.loads(content)
        sound = all(isinstance(unit["path"], str) for unit in manifest["units"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return dict(manifest) if sound else None


def listed_shards(predictions: str) -> set[str] | None:
    """The locations of the shards that a folder's manifest lists, or None without a manifest. A listed teacher has all its units."""
    manifest = read_manifest(predictions)
    return None if manifest is None else {join(predictions, unit["path"]) for unit in manifest["units"]}


def write_manifest(predictions: str, recipe: Recipe, shards: Sequence[Shard]) -> dict[str, Any]:
    """Write the manifest of `shards`, all in `predictions`, and the quarantine if there are quarantined articles. Returns the manifest."""
    content = recipe.model_dump()
    manifest = manifest_of(predictions, content, shards, _other_recipes(predictions, content, shards))
    set_aside = [
        {"language": unit["language"], "teacher": unit["teacher"], "corpus": unit["corpus"], **article, "unit": unit["path"]}
        for unit in manifest["units"]
        for article in unit.get("quarantined", [])
    ]
    if set_aside or _is_file(join(predictions, QUARANTINE)):
        write_text(join(predictions, QUARANTINE), "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in set_aside))
    write_text(join(predictions, MANIFEST), json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def manifest_of(
    predictions: str, recipe: Mapping[str, Any], shards: Sequence[Shard], others: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The content of the manifest of finished shards. Everything but the recipes follows from their footers.

    others  the recipes that made the shards of teachers and languages that `recipe` does not name: several share the folder
    """
    return {
        "version": 1,
        "recipe": recipe,
        **({"other_recipes": [*others]} if others else {}),
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


def recipe_pairs(recipe: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The (teacher, language) pairs that the recipe in a manifest names. Raises LookupError or TypeError for what is no recipe."""
    return {(teacher["name"], language) for teacher in recipe["teachers"] for language in teacher["languages"]}


def _other_recipes(predictions: str, recipe: Mapping[str, Any], shards: Sequence[Shard]) -> list[Mapping[str, Any]]:
    """The recipes of the folder's last manifest that are still needed to name every shard, the newest first."""
    left = {(shard.path.teacher, shard.path.language) for shard in shards} - recipe_pairs(recipe)
    kept: list[Mapping[str, Any]] = []
    if not left:
        return kept
    before = read_manifest(predictions) or {}
    try:
        for other in [before["recipe"], *before.get("other_recipes", [])]:
            named = recipe_pairs(other) & left
            if named:
                kept.append(other)
                left -= named
    except (LookupError, TypeError):
        pass  # no manifest of ours: `validate` says which shards no recipe names
    return kept


def summarise(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """A row for each teacher and language, with sums over its units and means over masked positions.

    loss          the teacher's masked-LM loss, in nats
    mass_dropped  probability of pieces that are not in the union
    mass_merged   probability of surface forms that were added to a more likely form of the same piece
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
        seconds = sum(unit.report.get("seconds", 0.0) for unit in units)  # summed over all workers
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


LANGUAGE_COLUMNS = (
    Column("teacher"),
    Column("language"),
    Column("units", ",d"),
    Column("articles", ",d"),
    Column("set aside", ",d", key="quarantined_articles"),
    Column("masked positions", ",d"),
    Column("loss", ".3f"),
    Column("dropped", ".2%", key="mass_dropped"),
    Column("merged", ".2%", key="mass_merged"),
    Column("tokens/s", ",.0f", key="tokens_per_second"),
)


def language_table(rows: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Column], list[list[Value]]]:
    """The columns and rows of a table of what `summarise` returns."""
    return LANGUAGE_COLUMNS, [[row.get(column.name, 0) for column in LANGUAGE_COLUMNS] for row in rows]


def _totals(shards: Sequence[Shard]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for shard in shards:
        totals.update(shard.report["counters"] | {"masked_positions": shard.report["masked_positions"]})
        totals.update({"rows": shard.rows, "bytes": shard.bytes})
    return totals


def _is_file(location: str) -> bool:
    filesystem, path = resolve(location)
    return bool(filesystem.get_file_info(path).type == fs.FileType.File)
