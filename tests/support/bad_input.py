"""Every kind of bad input, given to the installed command as a user would. `python -m tests.support.bad_input` prints the table.

Each case builds its folder from sound things, makes one thing wrong, and names the command. What must hold for all: exit code 2,
one line on stderr with the message, nothing written and nothing lost (tests/command_line/test_bad_input.py).
"""

import bz2
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w
from click.testing import CliRunner
from transformers import BertConfig, BertForSequenceClassification

from cli import main
from data.recipe_file import load_recipe, save_recipe
from data.shards import open_shard, read_shard, write_shard
from tests.support.factories import SPECIAL, save_tokenizer, two_language_recipe

COMMAND = [sys.executable, "-c", "import cli; cli.main()"]
RUN = ("recipe.toml", "--out", "run")
PAGE = "<page><title>{0}</title><ns>0</ns><id>{0}</id><revision><id>1</id><text>'''City {0}''' is on a [[river]].</text></revision></page>"
DUMP = "<mediawiki>" + "".join(PAGE.format(index) for index in range(1, 400)) + "</mediawiki>"


@dataclass(frozen=True)
class Case:
    """One bad input."""

    name: str
    spoil: Callable[[Path], None]  # makes one thing wrong in a folder that holds a recipe, its corpora, teachers and a finished run
    command: tuple[str, ...]
    message: str  # a part of it


def setting(key: str, value: str, name: str, message: str, *command: str) -> Case:
    return Case(name, lambda folder: None, (*command, "--set", f"{key}={value}"), message)


def dump(content: bytes, ending: str = ".xml") -> Callable[[Path], None]:
    return lambda folder: (folder / f"dump{ending}").write_bytes(content) and None  # type: ignore[return-value]


def corpus(table: pa.Table) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        shutil.rmtree(folder / "run/predictions")
        shutil.rmtree(folder / "run/heldout", ignore_errors=True)
        pq.write_table(table, folder / "corpora/en/part0.parquet")

    return spoil


def classifier(folder: Path) -> None:
    shutil.rmtree(folder / "teachers/en")
    save_tokenizer(folder / "teachers/en", [*SPECIAL, "a"])
    config = BertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertForSequenceClassification(config).save_pretrained(folder / "teachers/en")


def maskless(folder: Path) -> None:
    path = folder / "teachers/en/tokenizer_config.json"
    content = json.loads(path.read_text())
    del content["mask_token"]
    path.write_text(json.dumps(content))


def schema_version(folder: Path) -> None:
    """A shard as another version would write it, its checksum right."""
    location = str(next((folder / "run/predictions").rglob("*.parquet")))
    shard, table = read_shard(location), open_shard(location).read()
    write_shard(location, table, identity=shard.identity | {"schema_version": 7}, unit=shard.unit, report=shard.report)


def other_checkpoint(folder: Path) -> None:
    """A student that was stopped after a checkpoint, to be resumed with another shape."""
    command = [*COMMAND, "train", *RUN, "--student", "half", "--set", "train.checkpoint_steps=2"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    # what a kill after the checkpoint leaves: no finished model
    (folder / "run/half/model.safetensors").unlink()


def swap_teachers(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.toml")
    save_recipe(recipe.model_copy(update={"teachers": recipe.teachers[::-1]}), folder / "recipe.toml")


def vocab_txt(content: bytes) -> Callable[[Path], None]:
    """The first teacher's tokenizer is a vocab.txt of this content."""

    def spoil(folder: Path) -> None:
        (folder / "vocab.txt").write_bytes(content)
        own_tokenizer(folder, "vocab.txt")

    return spoil


def edit_recipe(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "recipe.toml"
    content = tomllib.loads(path.read_text())
    change(content)
    path.write_text(tomli_w.dumps(content))


def own_tokenizer(folder: Path, source: str) -> None:
    edit_recipe(folder, lambda content: content["teachers"][0].update(tokenizer=source))


def lone_surrogate(folder: Path) -> None:
    path = folder / "teachers/en/tokenizer.json"
    path.write_text(path.read_text().replace('"The"', '"\\ud800"'))


def slow_tokenizer(folder: Path) -> None:
    """A tokenizer that transformers has in Python only."""
    path = folder / "teachers/en"
    (path / "tokenizer.json").unlink()
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertJapaneseTokenizer", "do_lower_case": false}')
    (path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")


def same_name(folder: Path) -> None:
    path = folder / "recipe.toml"
    path.write_text(path.read_text().replace('"bert-de"', '"bert-en"'))


BERT_VOCAB = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
FRESH = ("--out", "fresh")
PREPARE = ("prepare", "--language", "en", *FRESH)
CASES = [
    setting("train.stepz", "3", "recipe: unknown key", "unknown key 'train.stepz'; did you mean 'steps'?", "vocab", *RUN),
    Case("missing teacher folder", lambda f: shutil.rmtree(f / "teachers/en"), ("vocab", "recipe.toml", *FRESH), "is not a folder"),
    Case(
        "teacher is not a masked LM",
        classifier,
        ("vocab", "recipe.toml", *FRESH),
        "its config names BertForSequenceClassification; expected a checkpoint whose masked-LM head was trained",
    ),
    Case(
        "vocab.txt: lone surrogate",
        vocab_txt(BERT_VOCAB + b"\xed\xa0\x80\n"),
        ("vocab", "recipe.toml", *FRESH),
        "line 6 is not UTF-8",
    ),
    Case(
        "vocab.txt: no mask token", vocab_txt(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n"), ("vocab", "recipe.toml", *FRESH), "no mask token"
    ),
    Case("tokenizer.json: lone surrogate", lone_surrogate, ("vocab", "recipe.toml", *FRESH), "half a character"),
    Case("tokenizer without a fast form", slow_tokenizer, ("vocab", "recipe.toml", *FRESH), "no fast form"),
    Case("tokenizer file not there", lambda f: own_tokenizer(f, "no.model"), ("vocab", "recipe.toml", *FRESH), "no such file"),
    Case("two teachers of one name", same_name, ("vocab", "recipe.toml", *FRESH), "the name 'bert-en' is there twice"),
    setting("vocabulary.method", "trimmed", "union by another method", "was made with [vocabulary] method = union", "vocab", *RUN),
    Case("teacher has no mask token", maskless, ("vocab", "recipe.toml", *FRESH), "declares no mask token"),
    Case(
        "language without a corpus",
        lambda f: edit_recipe(f, lambda content: content["teachers"][1]["languages"].append("fi")),
        ("vocab", "recipe.toml", *FRESH),
        "names the language 'fi', which has no corpus",
    ),
    Case("corpus glob matches nothing", lambda f: shutil.rmtree(f / "corpora/en"), ("predict", *RUN), "no file matches"),
    Case("dump cut (bz2)", dump(bz2.compress(DUMP.encode())[:-40], ".xml.bz2"), (*PREPARE, "dump.xml.bz2"), "dump.xml.bz2"),
    Case("dump cut (xml)", dump(DUMP.encode()[:9000]), (*PREPARE, "dump.xml"), "dump.xml"),
    Case("dump in UTF-16", dump(DUMP.encode("utf-16")), (*PREPARE, "dump.xml"), "UTF-16"),
    Case("dump with no article", dump(b"<mediawiki></mediawiki>"), (*PREPARE, "dump.xml"), "dump.xml"),
    Case("empty file", dump(b""), (*PREPARE, "dump.xml"), "dump.xml"),
    Case("Parquet without text", corpus(pa.table({"title": ["x"]})), ("predict", *RUN), "expected a column 'text'"),
    Case("Parquet text with nulls", corpus(pa.table({"text": ["The river .", None]})), ("predict", *RUN), "column 'text' is null"),
    Case("Parquet cut", lambda f: (f / "corpora/en/part0.parquet").write_bytes(b"PAR1cut") and None, ("predict", *RUN), "Parquet"),  # type: ignore[arg-type]
    setting("seed", "5", "run folder of another recipe", "seed: found 0, expected 5", "predict", *RUN),
    setting("predict.top_k", "5", "shards of another k", "top_k: found 4, expected 5", "train", *RUN, "--student", "other"),
    Case(
        "shards of another union",
        swap_teachers,
        ("vocab", *RUN),
        "write the recipe's teachers in the order",
    ),
    Case(
        "shards of another schema version",
        schema_version,
        ("train", *RUN, "--student", "other"),
        "schema_version: found 7, expected 2",
    ),
    Case(
        "checkpoint of another student",
        other_checkpoint,
        ("train", *RUN, "--student", "half", "--resume", "--set", "student.hidden_size=64"),
        "student.hidden_size: found 32, expected 64",
    ),
    Case(
        "report of a folder that is no run",
        lambda f: None,
        ("report", "corpora"),
        "found no vocab/, predictions/, student or evaluation",
    ),
    Case("student folder in use", lambda f: None, ("train", *RUN), "--resume"),
    Case(
        "unknown Beam option",
        lambda f: shutil.rmtree(f / "run/predictions"),
        ("predict", *RUN, "--", "--direct_num_wrokers=2"),
        "direct_num_wrokers",
    ),
]


def build_base(folder: Path) -> Path:
    """A folder with a recipe and a finished run, which every case starts from."""
    save_recipe(two_language_recipe(folder), folder / "recipe.toml")
    text = (folder / "recipe.toml").read_text().replace(str(folder) + "/", "")  # relative, so that copies are whole
    (folder / "recipe.toml").write_text(text)
    subprocess.run([*COMMAND, "run", *RUN], cwd=folder, check=True, capture_output=True)
    return folder


def run_case(case: Case, base: Path, folder: Path, *, process: bool) -> tuple[int, str, bool]:
    """(exit code, stderr, whether all files are unchanged) of a case, in a fresh copy of the base.

    process  run the command in a process of its own, as a user would; else in this one, which saves seconds of imports
    """
    shutil.copytree(base, folder)
    case.spoil(folder)
    before = snapshot(folder)
    if process:
        done = subprocess.run([*COMMAND, *case.command], cwd=folder, capture_output=True, text=True)
        return done.returncode, done.stderr, snapshot(folder) == before
    with chdir(folder):
        result = CliRunner().invoke(main, [*case.command])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stderr, snapshot(folder) == before


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as room:
        base = build_base(Path(room) / "base")
        for number, case in enumerate(CASES):
            code, stderr, same = run_case(case, base, Path(room) / str(number), process=True)
            last = stderr.replace("\r", "\n").strip().splitlines()[-1].replace(str(Path(room) / str(number)) + "/", "")
            print(f"| {case.name} | {last} | {code}{'' if same else ' FILES CHANGED'} |", flush=True)
