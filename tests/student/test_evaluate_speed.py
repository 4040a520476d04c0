"""`evaluate speed`: parameters and FLOPs are counted right, and every model reads the same texts."""

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForMaskedLM

from data.articles import read_articles
from student.bilingual.shallow import shallow_student
from student.bilingual.teacher import open_with_states
from student.hf_folder import copy_tokenizer
from tests.support.bilingual import bilingual_recipe, command
from vocab.tokenizer_source import open_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speed")
    bilingual_recipe(folder)
    shallow_student(open_with_states(folder / "mul"), 2).save_pretrained(folder / "small")
    copy_tokenizer(folder / "mul", folder / "small")
    return folder


def test_what_is_counted(folder: Path) -> None:
    text = f"de={folder}/corpora/de/part0.parquet"
    models = ["--model", str(folder / "mul"), "--model", str(folder / "small")]
    done = command("evaluate", "speed", *models, "--text", text, "--max-length", "24", "--rounds", "2", "--json")
    assert done.exit_code == 0, done.output
    large, small = json.loads(done.stdout)["rows"]
    tokenizer = open_tokenizer(folder / "mul", "mul").backend_tokenizer
    texts = [" ".join(text.split())[:400] for _, text in read_articles(str(folder / "corpora/de/part0.parquet"))]
    lengths = np.array([min(22, len(tokenizer.encode(text, add_special_tokens=False).ids)) + 2 for text in texts])
    for row, name in ((large, "mul"), (small, "small")):
        assert row["parameters"] == AutoModelForMaskedLM.from_pretrained(folder / name).num_parameters()
        assert row["tokens"] == lengths.sum()
        layers = 4 if name == "mul" else 2
        a_token = layers * (8 * 32**2 + 4 * 32 * 64 + 4 * 32 * lengths)
        assert row["gflops"] == pytest.approx((lengths * a_token).sum() / 1e9)
    assert small["gflops"] == pytest.approx(large["gflops"] / 2)
    assert large["times_as_fast"] == 1.0
    assert small["times_as_fast"] == pytest.approx(large["seconds"] / small["seconds"])


def test_every_model_reads_every_text(folder: Path) -> None:
    texts = [part for language in ("de", "en") for part in ("--text", f"{language}={folder}/corpora/{language}/part0.parquet")]
    models = ["--model", str(folder / "mul"), "--teacher", f"de={folder / 'small'}"]
    done = command("evaluate", "speed", *models, *texts, "--rounds", "1", "--max-length", "24", "--json")
    rows = json.loads(done.stdout)["rows"]
    assert rows[0]["tokens"] == rows[1]["tokens"]


def test_what_is_refused(folder: Path) -> None:
    wrong = command("evaluate", "speed", "--model", str(folder / "mul"), "--text", "de=nowhere/*")
    assert (wrong.exit_code, "no file matches" in wrong.output) == (2, True)
