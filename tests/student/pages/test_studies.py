"""Studies: shown in the order of their names; a broken result is refused with what is wrong in it."""

from pathlib import Path

import pytest

from student.pages.studies import read_study
from tests.support.report import make_study, page_of
from vocab.errors import InputError


def test_studies_are_shown(whole: Path, tmp_path: Path) -> None:
    for name in ("b", "a"):
        make_study(tmp_path / "studies", name)
    page = page_of([whole], tmp_path / "page.html", studies=tmp_path / "studies")
    assert page.text("h3").split("\n")[-2:] == ["a", "b"]
    assert page.text("h2").endswith("Studies")
    assert "How many steps?" in page.text("p")
    assert page.text("h4").split("\n")[:2] == ["Findings", "Limits"]
    assert "RDT by steps" in page.text("figcaption")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version: "),
        ({"findings": "one"}, "findings: "),
        ({"question": None}, "question: "),
        ({"tables": [{"title": "t", "columns": ["a"], "rows": [["1", "2"]]}]}, "row 0 has 2 cells for 1 columns"),
        ({"tables": [{"title": "t", "columns": ["a"], "rows": [[1]]}]}, r"tables\.0\.rows\.0\.0: "),
    ],
)
def test_a_broken_result(tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = make_study(tmp_path, **change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"result\.json: .*{message}"):
        read_study(file)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1', "[" * 100_000])
def test_a_result_that_is_no_object(tmp_path: Path, content: str) -> None:
    file = make_study(tmp_path)
    file.write_text(content)
    with pytest.raises(InputError, match=r"result\.json"):
        read_study(file)


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_folder_without_studies(whole: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name}: .*correct --studies"):
        page_of([whole], tmp_path / "page.html", studies=tmp_path / name)
