"""A quick look: every footer, some row groups, the same ones each time; and no reader of its report can take it for the whole."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.validation.validate import Report, render, validate
from tests.support.faults import BESIDE, TARGET, VOCABULARY, check, copy_sound, edit_row, expect, rewrite
from tests.support.shard_factory import make_identity, make_shard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_sound(tmp_path)


def look(folder: Path, size: int) -> Report:
    return check(folder, sample=size)


def groups(folder: Path) -> int:
    return sum(pq.read_metadata(file).num_row_groups for file in folder.rglob("*.parquet"))


def test_it_says_what_was_read(folder: Path) -> None:
    report = look(folder, 2)
    assert (report.exit_code, report.sampled, report.row_groups, report.row_groups_read) == (0, True, groups(folder), 2)
    assert 0 < report.rows <= 16
    assert f"2 of {groups(folder)} row groups read" in render(report)
    assert "every rule" not in render(report)
    assert {key: report.to_json()[key] for key in ("sampled", "row_groups_read")} == {"sampled": True, "row_groups_read": 2}
    assert not check(folder).sampled


def test_it_is_the_same_each_time_and_spread_over_the_files(folder: Path) -> None:
    assert look(folder, 3).to_json() == look(folder, 3).to_json()
    files = list(folder.rglob("*.parquet"))
    report = look(folder, len(files))  # each file's first pick comes before any second
    assert all(totals.rows > 0 for teachers in report.languages.values() for totals in teachers.values())
    assert report.languages["de"]["gbert"].rows >= 3 * 1


def test_a_fault_is_found_where_it_is_read(folder: Path) -> None:
    rewrite(folder / TARGET, lambda table: edit_row(table, 0, lambda row: row["input_ids"].__setitem__(0, 7)))
    found = [not look(folder, size).sound for size in range(1, groups(folder) + 1)]
    assert found == sorted(found), "a larger sample holds the smaller one"
    assert found[0] is False
    assert found[-1] is True
    expect(look(folder, 1 + found.index(True)), "input_ids.begin", TARGET, "input_ids", 0)


def test_every_footer_is_checked(folder: Path) -> None:
    rewrite(folder / BESIDE, identity={"seed": 1})
    expect(look(folder, 1), "identity.folder", BESIDE, "identity.seed", None)
    (folder / TARGET).write_bytes(b"PAR1")
    expect(look(folder, 1), "file.unreadable", TARGET, None, None, alone=False)


def test_a_sample_of_everything_is_no_sample(folder: Path) -> None:
    report = look(folder, groups(folder))
    assert not report.sampled
    assert report.to_json() == check(folder).to_json()
    assert render(report).endswith("every rule of the contract holds on every row")


def test_maskings_that_lie_in_two_row_groups(tmp_path: Path) -> None:
    file = Path(make_shard(str(tmp_path), identity=make_identity(examples_maskings=3)))
    rewrite(file)  # in row groups of 8 rows
    assert check(tmp_path).sound
    assert all(look(tmp_path, size).sound for size in range(1, groups(tmp_path)))


def test_one_worker_and_several_say_the_same(folder: Path) -> None:
    one, four = (validate(str(folder), vocabulary=VOCABULARY, workers=workers, sample=3, manifest=False) for workers in (1, 4))
    assert one.to_json() == four.to_json()
