"""The rules for the manifest of a folder: predict has finished here, and the manifest says what the footers say."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pyarrow import fs

from data.manifest import MANIFEST, manifest_of, recipe_pairs
from data.shards import Shard
from data.storage import join, resolve
from data.storage_faults import storage_fault
from data.validation.findings import LISTED
from data.validation.report import Fault
from vocab.errors import first_line

_SECTIONS = ("totals", "languages", "identities", "units")
_AGAIN = "run `mergedistill predict` again: it computes only what is missing, and writes the manifest"


def check_manifest(predictions: str, shards: Mapping[str, Shard], names: Collection[str]) -> Iterator[Fault]:
    """Check the manifest of a folder.

    shards  the shards with a sound footer, by their names (paths relative to the folder)
    names   of all shards, the unsound ones too
    """
    content = _read(predictions)
    if isinstance(content, Fault):
        yield content
        return
    listed = {str(unit.get("path")): unit for unit in content["units"]}
    for name in sorted(listed.keys() - set(names)):
        yield _fault("lost", f"{name}, which is not in the folder", f"only shards that are there; {_AGAIN}")
    for name in sorted(set(names) - listed.keys()):
        expected = f"every shard in {MANIFEST}: predict has not finished this teacher, or another recipe made it; {_AGAIN}"
        yield Fault(rule="manifest.unlisted", file=name, found="a shard that the manifest does not list", expected=expected)
    yield from _check_recipes([content["recipe"], *content.get("other_recipes", [])], shards)
    there = [shards[name] for name in listed if name in shards]
    if len(there) < len(listed):
        return  # the sums cannot be those of the manifest
    try:
        wanted = json.loads(json.dumps(manifest_of(predictions, content["recipe"], there)))
    except (TypeError, ValueError, ArithmeticError) as error:
        yield _fault("totals", f"reports in the footers that cannot be summed ({first_line(error)})", "numbers")
        return
    for section in _SECTIONS:
        different = list(_differences(section, content[section], wanted[section]))
        for place, found, expected in different[:LISTED]:
            yield _fault(section, f"{place} is {found}", f"{expected}, as the footers say; {_AGAIN}", len(different))


def check_entries(predictions: str, shards: Sequence[Shard]) -> Iterator[Fault]:
    """Check that the manifest says of these shards what their footers say. Other shards, and sums, are not looked at."""
    content = _read(predictions)
    if isinstance(content, Fault):
        yield content
        return
    listed = {str(unit.get("path")): unit for unit in content["units"]}
    for entry in json.loads(json.dumps(manifest_of(predictions, {}, shards)["units"])):
        for place, found, expected in _differences(entry["path"], listed.get(entry["path"]), entry):
            yield _fault("units", f"{place} is {found}", f"{expected}, as the footer says; {_AGAIN}")


def _read(predictions: str) -> dict[str, Any] | Fault:
    """The manifest, with all of its sections, or what is wrong with it."""
    filesystem, path = resolve(join(predictions, MANIFEST))
    if filesystem.get_file_info(path).type != fs.FileType.File:
        return _fault("missing", "no manifest", f"the list of finished shards: predict has not finished here; {_AGAIN}")
    try:
        with filesystem.open_input_stream(path) as file:
            content = json.loads(file.read())
    except (OSError, ValueError, RecursionError) as error:
        if fault := storage_fault(join(predictions, MANIFEST), error):
            raise fault from None
        return _fault("json", f"no JSON ({first_line(error)})", f"a manifest; {_AGAIN}")
    if not isinstance(content, dict):
        return _fault("json", f"JSON of the type {type(content).__name__}", f"an object; {_AGAIN}")
    for section, kind in (("recipe", dict), ("totals", dict), ("languages", list), ("identities", dict), ("units", list)):
        if not isinstance(content.get(section), kind):
            return _fault(section, f"no {section}", f"{section} as predict writes them; {_AGAIN}")
    if not isinstance(content.get("other_recipes", []), list):
        return _fault("recipe", "other_recipes that are no list", f"the recipes that share this folder; {_AGAIN}")
    if not all(isinstance(unit, dict) for unit in content["units"]):
        return _fault("units", "an entry that is no object", f"an object for each shard; {_AGAIN}")
    return content


def _check_recipes(recipes: Sequence[Mapping[str, Any]], shards: Mapping[str, Shard]) -> Iterator[Fault]:
    """Each shard is of a teacher and a language that the manifest's recipe has, or one of the recipes that share the folder."""
    try:
        pairs = set[tuple[str, str]]().union(*(recipe_pairs(recipe) for recipe in recipes))
    except (LookupError, TypeError):
        yield _fault("recipe", "a recipe without teachers", f"the recipe that made the shards; {_AGAIN}")
        return
    for name, shard in sorted(shards.items()):
        if (shard.path.teacher, shard.path.language) not in pairs:
            found = f"teacher '{shard.path.teacher}' in the language '{shard.path.language}'"
            expected = "a teacher and a language of a recipe in the manifest"
            yield Fault(rule="manifest.recipe", file=name, found=found, expected=expected)


def _differences(place: str, found: Any, wanted: Any) -> Iterator[tuple[str, str, str]]:
    """(place, what was found, what was expected) of each value that differs."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from _differences(f"{place}.{key}", found.get(key), wanted.get(key))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(f"{place}[{index}]", one, other)
    elif type(found) is not type(wanted) or found != wanted:
        yield place, _short(found), _short(wanted)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _fault(rule: str, found: str, expected: str, count: int = 1) -> Fault:
    return Fault(rule=f"manifest.{rule}", file=MANIFEST, found=found, expected=expected, count=count)
