"""`mergedistill report` as its users meet it: where the page goes, and every way to get it wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli
from student.report import report
from student.training.metrics import append_row
from student.training.output import IDENTITY
from tests.support.report import Page, add_student, copy_run, make_study, make_whole_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    return make_whole_run(tmp_path_factory.mktemp("reported"))


@pytest.fixture
def here(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, which is the working directory."""
    copy_run(whole, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["report", *arguments])


def test_the_page_goes_into_the_first_run_or_where_it_is_told_to(here: Path) -> None:
    add_student(here / "second", "student")
    result = invoke("run", "second")
    assert result.exit_code == 0, result.output
    assert result.stdout == "report: run/report.html\n"
    assert Page((here / "run/report.html").read_text(encoding="utf-8")).text("h1") == "run and second"
    result = invoke("run", "--out", "a.html", "--json")
    assert json.loads(result.stdout)["facts"] == {"report": "a.html", "runs": 1}
    assert Page((here / "a.html").read_text(encoding="utf-8")).text("h1") == "run"


def test_a_run_with_its_own_page_gives_the_same_page(here: Path) -> None:
    assert invoke("run").exit_code == 0
    before = (here / "run/report.html").read_bytes()
    assert invoke("run").exit_code == 0
    assert (here / "run/report.html").read_bytes() == before
    assert not [*here.rglob("*.partial")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("none", "none: no such folder; expected the folder of a run"),
        ("empty", "empty: found no vocab/, predictions/, student or evaluation"),
        ("run/student", "run/student: is the folder of a student; expected that of its run: name run"),
        ("run ./run", "found the same run twice"),
        ("run --out no/such/page.html", "found no folder no/such; expected one: make it"),
        ("run --out empty", "--out empty: found a folder; expected a file"),
        ("run --out run/student/recipe.toml", "expected a name that ends in .html"),
        ("run --studies none", "none: no such folder; expected one with NAME/result.json"),
        ("run --studies empty", "empty: found no NAME/result.json"),
        ("run --studies broken", "broken/steps/result.json: is not the JSON that this program wrote"),
        ("cut", "cut/evaluation/ner.json: is not the JSON that this program wrote"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(here: Path, arguments: str, message: str) -> None:
    (here / "empty").mkdir()
    make_study(here / "broken").write_text('{"version": 1,')
    add_student(here / "cut", "student")
    (here / "cut/evaluation").mkdir()
    (here / "cut/evaluation/ner.json").write_text('{"task": "ne')
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    result = invoke(*arguments.split())
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.strip().count("\n") == 0
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("value", ["s3://bucket/run", ""])
def test_a_run_that_is_no_local_folder(value: str) -> None:
    result = invoke(value)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_damaged_union_is_refused(here: Path) -> None:
    (here / "run/vocab/union.json").write_text("{")
    result = invoke("run")
    assert result.exit_code == 2
    assert "vocab: is damaged" in result.stderr


def test_a_store_that_the_recipe_names(here: Path) -> None:
    """The shards of a run may lie elsewhere; a student's recipe says where."""
    (here / "run/predictions").rename(here / "predictions")
    for recipe in (here / "run").glob("*/recipe.toml"):
        recipe.write_text(recipe.read_text().replace("[predict]", f'[predict]\nstore = "{here}"'))
    report([here / "run"], out=here / "page.html")
    assert "probability in the top k" in (here / "page.html").read_text()


def test_the_demo_ends_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands are only recorded, but for the report; what they would have left is written."""
    out, called = tmp_path / "demo", []

    def record(*command: str) -> Any:
        called.append(command[0])
        if command[0] == "run":
            (out / "student").mkdir()
            (out / "student" / IDENTITY).write_text("{}")
            append_row(out / "student", {"step": 60})
        return cli.main.main([*command], standalone_mode=False) if command[0] == "report" else None

    monkeypatch.setattr(cli, "_call", record)
    result = CliRunner().invoke(cli.main, ["demo", "--quick", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert called[-1] == "report"
    assert result.stdout.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert (out / "report.html").is_file()
