"""Several runs: the same sections, a column for each run in tables, a line for each student in plots."""

import os
from pathlib import Path

import pytest

from student.pages.run_files import labels
from tests.support.report import add_evaluation, add_student, copy_run, page_of
from vocab.errors import InputError


def test_two_runs_side_by_side(whole: Path, tmp_path: Path) -> None:
    other = copy_run(whole, tmp_path / "other")
    add_student(other, "third", better=20)
    add_evaluation(other / "evaluation", "other/student", better=4)
    page = page_of([whole, other], tmp_path / "page.html")
    assert page.text("h1") == "mine and other"
    assert page.text("h2").split("\n").count("Training") == 1
    spans = [attributes for attributes in page.attributes("th") if attributes["scope"] == "colgroup"]
    assert {attributes["colspan"] for attributes in spans} == {"2", "3", "4"}  # students of a run, with and without the teachers
    for label in ("mine: student", "mine: student-gold", "other: third"):
        assert label in page.text("li"), label
    table = page.text("table")
    assert "mine: evaluation" in table
    assert "84.50 ± 0.71" in table  # of the student, which has one row for both runs
    assert "measure" in table
    plots = [attributes["aria-label"] for attributes in page.attributes("svg") if attributes.get("role") == "img"]
    assert len(set(plots)) == len(plots)
    assert sum("of the row's pieces" in label.replace("share ", "") for label in plots) == 1  # the runs have the same union


def test_scorers_are_never_mixed(whole: Path, tmp_path: Path) -> None:
    other = copy_run(whole, tmp_path / "other")
    add_evaluation(other / "evaluation", "other/student", scorer="another accuracy")
    page = page_of([whole, other], tmp_path / "page.html")
    assert page.text("figcaption").count("udpos: another accuracy") == 1
    assert page.text("h3").count("udpos: accuracy") == 2


def test_scores_of_other_rows_are_named(whole: Path, tmp_path: Path) -> None:
    other = copy_run(whole, tmp_path / "other")
    file = other / "student/heldout.json"
    file.write_text(file.read_text().replace("1000", "999"))
    text = page_of([whole, other], tmp_path / "page.html").text("main")
    assert "Scored on other rows than mine: student, so they do not compare: other: student." in text


def test_runs_of_the_same_name_are_told_apart(whole: Path, tmp_path: Path) -> None:
    folders = [copy_run(whole, tmp_path / place / "mine") for place in ("a", "b")]
    assert labels(folders) == ["a/mine", "b/mine"]
    assert labels([*folders, whole.parent]) == ["a/mine", "b/mine", whole.parent.name]
    assert "a/mine: student" in page_of(folders, tmp_path / "page.html").text("li")


def test_the_same_run_twice_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(whole)
    with pytest.raises(InputError, match="found the same run twice"):
        labels([whole, tmp_path / "link"])


def test_a_name_that_no_page_can_show_is_refused() -> None:
    with pytest.raises(InputError, match="found a name that is not UTF-8"):
        labels([Path(os.fsdecode(b"runs/\xff"))])
