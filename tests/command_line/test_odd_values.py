"""Values that no range and no parser foresees: exit code 2, a message that says what is wrong, no traceback."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import main
from data.recipe_file import save_recipe
from student.training.metrics import read_rows
from tests.support.factories import two_language_recipe
from tests.support.pretraining import fit
from tests.support.runs import build_union
from vocab.errors import InputError

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and its vocabulary, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    recipe = two_language_recipe(tmp_path)
    save_recipe(recipe, tmp_path / "recipe.toml")
    build_union(recipe, tmp_path / "run")
    (tmp_path / "deep.toml").write_text(f"name = {DEEP}")
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "recipe.toml").read_bytes())
    (tmp_path / "deep.jsonl").write_text('{"id": "1", "text": "a b"}\n' + f'{{"text": {DEEP}}}\n')
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("audit recipe.toml --out run --tolerance nan", "found nan; expected a finite number"),
        ("estimate recipe.toml --rate nan", "found nan; expected a finite number"),
        ("estimate recipe.toml --rate inf", "found inf; expected a finite number"),
        ("prepare corpora/de --language de --out o --heldout nan", "found nan; expected a finite number"),
        ("prepare corpora/de --language ../x --out o", "the language '../x': expected the code"),
        ("prepare one --language de --out o", "does not exist"),
        ("prepare deep.jsonl --language de --out o", "line 2: is nested too deep"),
        ("vocab one --out run", "too many levels of symbolic links"),
        ("vocab deep.toml --out run", "is nested too deep"),
        ("vocab bom.toml --out run", "begins with a byte order mark"),
        ("vocab recipe.toml --out run --set seed=99999999999999999999999", "seed: found 99999999999999999999999"),
        ("vocab recipe.toml --out recipe.toml/run", "not a directory"),
        ("predict recipe.toml --out run -- --pickle_library=dill", "dill is not installed"),
        ("predict recipe.toml --out run -- --direct_num_workers=-1 --direct_running_mode=multi_processing", "found -1; expected 0"),
        ("pretrain corpora/de --language de --out t --hidden-size 10000000", "GB of weights in this shape; this machine has"),
        ("pretrain corpora/de --language de --out t --hidden-size 99999999999999999999", "less than or equal to"),
        ("pretrain corpora/de --language de --out t --vocab-size 999999999999", "GB of weights in this shape; this machine has"),
        ("pretrain corpora/de --language de --out t --layers 1000000000", "less than or equal to 1000"),
        ("pretrain corpora/de --language de --out t --tokens-per-batch 99999999999", "tokens_per_batch: Input should be less than"),
        ("pretrain corpora/de --language de --out t --steps -1", "steps"),
        ("vocab recipe.toml --out run --set student.layers=99999999999", "less than or equal to 1000"),
        ("validate one", "Too many levels of symbolic links"),
    ],
)
def test_odd_values(here: Path, arguments: str, message: str) -> None:
    result = run(*arguments.split())
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pipe_among_a_teachers_files(here: Path, file: str) -> None:
    """Reading it would wait for ever."""
    path = here / "teachers/en" / file
    path.unlink()
    os.mkfifo(path)
    for command in ("vocab recipe.toml --out other", "predict recipe.toml --out run", "estimate recipe.toml"):
        result = run(*command.split())
        assert result.exit_code == 2, result.output
        assert any(word in result.output for word in ("is no file but a pipe", "holds no config.json")), result.output


@pytest.mark.parametrize("command", ["vocab recipe.toml", "pretrain corpora/de --language de", "prepare corpora/de --language de"])
def test_an_empty_out(here: Path, command: str) -> None:
    result = run(*command.split(), "--out", "")
    assert result.exit_code == 2
    assert "is empty; expected a folder" in result.output


@pytest.mark.parametrize("content", ["", "[]", "{", DEEP, "7", '{"source": 1}'])
def test_an_edited_state_file(here: Path, content: str) -> None:
    work = here / ".teacher.work"
    work.mkdir()
    (work / "prepared.json").write_text(content)
    with pytest.raises(InputError, match=r"prepared\.json"):
        fit("corpora/de/*.parquet", here / "teacher", resume=True)


def test_metrics_that_are_no_rows_are_the_end_of_the_rows(tmp_path: Path) -> None:
    row = json.dumps({"step": 1})
    for other in ("7", "[]", '{"loss": 1}', DEEP, '{"st'):
        (tmp_path / "metrics.jsonl").write_text(f"{row}\n{other}\n{row}\n")
        assert read_rows(tmp_path) == [{"step": 1}]
    (tmp_path / "metrics.jsonl").write_bytes(f"{row}\n".encode() + b'{"step": 2, "name": "\xff\xfe')
    assert read_rows(tmp_path) == [{"step": 1}]
