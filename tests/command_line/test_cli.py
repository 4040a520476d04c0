"""The command line as its users meet it: help with an example for every command, one line and exit code 2 for a mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import main
from data.recipe_file import save_recipe
from tests.support.factories import article_shard, articles, two_language_recipe
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("name", main.commands)
def test_every_command_has_help_with_an_example_and_stands_in_the_readme(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert f"Example:  mergedistill {name}" in result.output
    assert f"mergedistill {name}" in README or f"make {name}" in README


@pytest.mark.parametrize("name", main.commands["evaluate"].commands)  # type: ignore[attr-defined]
def test_every_kind_of_evaluation_has_help_with_an_example(name: str) -> None:
    result = invoke("evaluate", name, "--help")
    assert result.exit_code == 0
    assert f"Example:  mergedistill evaluate {name}" in result.output
    assert name in README


def test_help_imports_no_library() -> None:
    program = "import sys, cli; cli.main(['--help'], standalone_mode=False); print(sorted(sys.modules), file=sys.stderr)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"'torch'", "'apache_beam'", "'transformers'", "'pyarrow'", "'pydantic'"} & set(
        shown.stderr.strip("[]\n").split(", ")
    )


def test_the_whole_way_from_recipe_to_student(tmp_path: Path) -> None:
    heldout = {language: f"heldout/{language}.parquet" for language in ("en", "de")}
    for language, path in heldout.items():
        article_shard(tmp_path / path, articles(language, 7))
    recipe = two_language_recipe(tmp_path, heldout=heldout)
    save_recipe(recipe, tmp_path / "recipe.toml")
    run = ("run", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run"))
    result = invoke(*run)
    assert result.exit_code == 0, result.output
    assert "a union of 100 pieces from 2 teachers" in result.stdout
    assert "10 computed now" in result.stdout
    assert "sound" in result.stdout
    loading = result.stdout.split("Load the student:")[1].rpartition(str(tmp_path / "run/student: "))[0]
    program = loading + "\nassert model.config.vocab_size == len(tokenizer) == 100"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == f"report: {tmp_path / 'run/report.html'}"
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    for shown in ("bert-en, bert-de", "Loss of the gold label against steps", "Held-out accuracy, by language", "trained"):
        assert shown in page, shown
    again = invoke(*run)
    assert again.exit_code == 0, again.output
    assert "0 computed now" in again.stdout
    assert "was trained already" in again.stdout
    common = (str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run"), "--json")
    calls = {
        "vocab": common,
        "estimate": common,
        "predict": common,
        "audit": (*common, "--rows", "5"),
        "train": (*common, "--resume"),
    }
    for name, arguments in calls.items():
        content = json.loads(invoke(name, *arguments).stdout)  # stdout holds the JSON and nothing else
        assert {"title", "columns", "rows", "result", "facts"} <= content.keys(), name
    assert json.loads(invoke("predict", *common).stdout)["facts"]["computed"] == 0
    dump = str(ROOT / "data/sample/de.heldout.xml.bz2")
    prepared = json.loads(invoke("prepare", dump, "--language", "de", "--out", str(tmp_path / "corpus"), "--json").stdout)
    assert prepared["facts"]["articles"] == 245
    validated = invoke("validate", str(tmp_path / "run/predictions"), "--json")
    assert (validated.exit_code, json.loads(validated.stdout)["sound"]) == (0, True)


def test_validate_exit_codes(tmp_path: Path) -> None:
    assert invoke("validate", str(tmp_path)).exit_code == 2
    bad = tmp_path / "predictions/language=en/teacher=t/a-00000.parquet"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"PAR1 but no more")
    result = invoke("validate", str(tmp_path / "predictions"))
    assert result.exit_code == 1
    assert "a-00000.parquet" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vocab", "none.toml", "--out", "run"), "recipe none.toml: no such file"),
        (("prepare", "none.xml", "--language", "en", "--out", "out"), "none.xml"),
        (("pretrain", "none/*.parquet", "--language", "en", "--out", "out"), "no file matches 'none/*.parquet'"),
        (("train", "recipe.toml", "--out", "run"), "run `mergedistill vocab` first"),
        (("predict", "recipe.toml", "--out", "run"), "run `mergedistill vocab` first"),
        (
            ("predict", "recipe.toml", "--out", "run", "--set", "predict.topk=3"),
            "unknown key 'predict.topk'; did you mean 'top_k'?",
        ),
        (("demo", "--out", "teachers"), "exists and is not the folder of a demo"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_recipe(two_language_recipe(tmp_path), tmp_path / "recipe.toml")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.strip().count("\n") == 0
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_recipe_prints_defaults_and_schema(tmp_path: Path) -> None:
    save_recipe(two_language_recipe(tmp_path), tmp_path / "recipe.toml")
    assert json.loads(invoke("recipe", str(tmp_path / "recipe.toml")).stdout)["train"]["sampling_alpha"] == 0.7
    assert "properties" in json.loads(invoke("recipe", "--schema").stdout)


@pytest.mark.parametrize("ready", sorted((ROOT / "data/recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_recipe_takes_each_ready_recipe(ready: Path) -> None:
    result = invoke("recipe", str(ready))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["name"] == ready.stem
