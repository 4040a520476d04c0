"""The manifest is part of what is checked: a folder where predict has not finished, or whose manifest was changed, is not sound."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.manifest import MANIFEST, manifest_of
from data.shards import list_shards, read_shards
from data.validation.validate import render
from tests.support.faults import BESIDE, TARGET, check, copy_sound, rewrite

RECIPE = {"teachers": [{"name": "gbert", "languages": ["de"]}, {"name": "mbert", "languages": ["de", "en"]}]}
Content = dict[str, Any]


def write(folder: Path, content: Content) -> None:
    (folder / MANIFEST).write_text(json.dumps(content))


def manifest(folder: Path) -> Content:
    return json.loads(json.dumps(manifest_of(str(folder), RECIPE, read_shards(list_shards(str(folder))))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished folder: five shards and their manifest."""
    copy = copy_sound(tmp_path)
    write(copy, manifest(copy))
    return copy


def rules(folder: Path) -> set[str]:
    report = check(folder, manifest=True)
    assert report.exit_code == bool(report.faults)
    return {fault.rule for fault in report.faults}


def test_a_finished_folder_is_sound(folder: Path) -> None:
    assert rules(folder) == set()
    assert check(folder, sample=2, manifest=True).sound


def test_a_folder_without_a_manifest_is_not_finished(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    assert rules(folder) == {"manifest.missing"}
    assert "NOT FINISHED" in render(check(folder, manifest=True))
    assert "Remove" not in render(check(folder, manifest=True))


def test_shards_that_only_one_of_the_two_has(folder: Path) -> None:
    (folder / BESIDE).rename(folder / "aside")
    assert rules(folder) == {"manifest.lost"}
    (folder / "aside").rename(folder / BESIDE)
    content = manifest(folder)
    content["units"] = [unit for unit in content["units"] if unit["path"] != BESIDE]
    write(folder, content)
    report = check(folder, manifest=True)
    assert [(fault.rule, fault.file) for fault in report.faults if fault.file != MANIFEST] == [("manifest.unlisted", BESIDE)]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", "{", "\ufeff{}", '{"units": [1]}', '{"units": {"a": 1}}', "[" * 100_000 + "]" * 100_000, "7", '"units"'],
)
def test_a_manifest_that_is_none(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    (rule,) = rules(folder)
    assert rule in ("manifest.json", "manifest.recipe", "manifest.units")
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    assert rules(folder) == {"manifest.json"}


def set_in(*path: str | int, value: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        place: Any = content
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


CHANGES = [
    ("manifest.units", set_in("units", 0, "rows", value=1)),
    ("manifest.units", set_in("units", 0, "bytes", value="1")),
    ("manifest.units", set_in("units", 1, "masked_positions", value=7)),
    ("manifest.units", set_in("units", 2, "corpus_fingerprint", value="0" * 64)),
    ("manifest.totals", set_in("totals", "rows", value=1)),
    ("manifest.totals", set_in("totals", value={})),
    ("manifest.languages", set_in("languages", value=[])),
    ("manifest.languages", set_in("languages", 0, "masked_positions", value=None)),
    ("manifest.identities", set_in("identities", "gbert", "seed", value=5)),
    ("manifest.identities", set_in("identities", "third", value={})),
    ("manifest.lost", set_in("units", 0, "path", value=None)),
    ("manifest.lost", set_in("units", 0, "path", value="../x.parquet")),
    ("manifest.recipe", set_in("recipe", "teachers", 1, "languages", value=["de"])),
    ("manifest.recipe", set_in("recipe", "teachers", value=7)),
    ("manifest.recipe", set_in("recipe", value=None)),
    ("manifest.totals", lambda content: content.pop("totals")),
]


@pytest.mark.parametrize(("rule", "change"), CHANGES, ids=[f"{rule}-{index}" for index, (rule, _) in enumerate(CHANGES)])
def test_a_manifest_that_does_not_say_what_the_footers_say(folder: Path, rule: str, change: Callable[[Content], None]) -> None:
    content = manifest(folder)
    change(content)
    write(folder, content)
    assert rule in rules(folder)


def test_a_shard_that_was_written_again(folder: Path) -> None:
    """Sound in itself, with a footer that counts its rows."""
    rewrite(folder / TARGET, lambda table: table.slice(0, table.num_rows - 3))
    assert {"manifest.units", "manifest.totals", "manifest.languages"} <= rules(folder)


def test_a_shard_under_a_language_that_the_recipe_has_not(folder: Path) -> None:
    place = folder / TARGET.replace("language=de", "language=fr")
    place.parent.mkdir(parents=True)
    (folder / TARGET).rename(place)
    rewrite(place, unit={"language": "fr"})
    write(folder, manifest(folder))
    assert "manifest.recipe" in rules(folder)


def test_the_recipes_that_share_a_folder_name_its_shards_together(folder: Path) -> None:
    gbert, mbert = ({"teachers": [teacher]} for teacher in RECIPE["teachers"])
    shards = read_shards(list_shards(str(folder)))
    write(folder, manifest_of(str(folder), gbert, shards, [mbert]))
    assert rules(folder) == set()
    write(folder, manifest_of(str(folder), gbert, shards))
    assert rules(folder) == {"manifest.recipe"}
    strange: Any
    for strange in (7, [7], [{}], [{"teachers": [{"name": "mbert", "languages": [["de"]]}]}]):
        write(folder, json.loads(json.dumps(manifest_of(str(folder), gbert, shards))) | {"other_recipes": strange})
        assert rules(folder) == {"manifest.recipe"}


@pytest.mark.parametrize("counters", [{"tokens": "many"}, {"tokens": -1}, {"tokens": True}, []])
def test_reports_that_cannot_be_summed(folder: Path, counters: Any) -> None:
    rewrite(folder / TARGET, report={"counters": counters})
    assert "footer.field" in rules(folder)
