"""Small teachers from text: tokenizer, special tokens anywhere, gold labels, resumption, refusals."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from student.pretraining.wordpiece import place_special_tokens, train_wordpiece
from student.training.metrics import read_rows
from tests.support.factories import article_shard, articles
from tests.support.paths import ROOT
from tests.support.pretraining import fit
from tests.support.stopping import kill_when
from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS, read_roles


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("corpus")
    for part in range(2):
        article_shard(folder / f"part{part}.parquet", articles("de", 40)[20 * part :][:20], rows_per_group=7)
    return str(folder / "*.parquet")


def test_a_teacher_from_text(corpus: str, tmp_path: Path) -> None:
    result = fit(corpus, tmp_path / "teacher", steps=250, learning_rate=5e-3)
    assert result.articles == 40
    assert result.accuracy > 0.3
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "teacher").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "teacher")
    assert model.config.model_type == "roformer"
    assert len(tokenizer) == model.config.vocab_size == result.vocab_size <= 120
    encoded = tokenizer("Die Stadt liegt am [MASK] des Flusses .", return_tensors="pt")
    assert encoded["input_ids"][0, [0, -1]].tolist() == [tokenizer.cls_token_id, tokenizer.sep_token_id]
    with torch.no_grad():
        logits_TV = model(**encoded).logits[0]
    place = encoded["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    assert tokenizer.decode(logits_TV[place].argmax()) == "Ufer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["teacher"]  # nothing hidden stays


def test_the_same_call_gives_the_same_teacher(corpus: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        fit(corpus, tmp_path / name)
    files = [path.name for path in (tmp_path / "one").iterdir() if path.name != "metrics.jsonl"]
    assert "model.safetensors" in files
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_special_tokens_at_unusual_ids(corpus: str, tmp_path: Path) -> None:
    places = {"mask": 0, "pad": 1, "cls": 30, "unk": 2}
    fit(corpus, tmp_path / "odd", special_token_ids=places, architecture="bert")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "odd")
    roles = read_roles(tokenizer, "odd")
    assert (roles.mask, roles.pad, roles.cls, roles.unk) == (0, 1, 30, 2)
    assert tokenizer("Stadt")["input_ids"][0] == 30
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "odd").config.pad_token_id == 1


def test_special_tokens_swap() -> None:
    pieces = [*SPECIAL_TOKENS.values(), "a", "b", "c"]
    placed = place_special_tokens(pieces, {"mask": 0, "pad": 4, "sep": 6})
    assert sorted(placed) == sorted(pieces)
    assert (placed.index("[MASK]"), placed.index("[PAD]"), placed.index("[SEP]")) == (0, 4, 6)
    assert place_special_tokens(pieces, {}) == pieces
    for wrong in ({"bos": 0}, {"mask": 0, "pad": 0}, {"mask": 8}, {"mask": -1}):
        with pytest.raises(InputError, match="special_token_ids"):
            place_special_tokens(pieces, wrong)


def test_the_vocabulary_is_the_same_in_every_process(corpus: str) -> None:
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from data.articles import read_articles\nfrom data.storage import expand\n"
        "from student.pretraining.wordpiece import train_wordpiece\n"
        f"texts = lambda: (text for file in expand({corpus!r}) for _, text in read_articles(file))\n"
        "print(sorted(train_wordpiece(texts, vocab_size=120, max_length=24).get_vocab().items(), key=lambda item: item[1]))"
    )
    outputs = {subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout for _ in range(3)}
    assert len(outputs) == 1


def test_uncased_and_chinese() -> None:
    texts = ["Die Straße ÉTÉ 中文字", "die straße été 中文字"] * 5
    tokenizer = train_wordpiece(lambda: texts, vocab_size=200, max_length=16, lowercase=True)
    assert tokenizer.tokenize("Été") == tokenizer.tokenize("ete")
    assert tokenizer.tokenize("中文") == ["中", "文"]
    cased = train_wordpiece(lambda: texts, vocab_size=200, max_length=16)
    assert cased.tokenize("Die") != cased.tokenize("die")
    assert "##中" not in cased.get_vocab()


@pytest.mark.parametrize("vocab_size", [30, 60, 120])
def test_the_vocabulary_is_no_larger_than_asked(vocab_size: int) -> None:
    tokenizer = train_wordpiece(lambda: articles("en", 20), vocab_size=vocab_size, max_length=16)
    assert len(tokenizer) <= vocab_size
    assert [tokenizer.convert_ids_to_tokens(index) for index in range(5)] == list(SPECIAL_TOKENS.values())


def test_epochs_become_steps(corpus: str, tmp_path: Path) -> None:
    result = fit(corpus, tmp_path / "epochs", steps=None, epochs=4)
    rows = read_rows(tmp_path / "epochs")
    assert rows[-1]["epochs"]["de"] * 2 == pytest.approx(4, abs=0.6)  # an epoch here counts both maskings' copies
    assert result.steps == rows[-1]["step"]


def test_a_killed_call_resumes(corpus: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 120, "checkpoint_steps": 10, "log_steps": 1}
    whole = fit(corpus, tmp_path / "whole", **options)
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from pathlib import Path\nfrom tests.support.pretraining import fit\n"
        "import student.training.loop as loop\nfrom tests.support.stopping import stop_after\n"
        "stop_after(loop.Accelerator, 'clip_grad_norm_', 14)\n"
        f"fit({corpus!r}, Path({str(tmp_path / 'killed')!r}), **{options!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"OMP_NUM_THREADS": "1"})
    work = tmp_path / ".killed.work/model"
    kill_when(lambda: len(read_rows(work)) >= 12, process)
    assert not (tmp_path / "killed").exists()
    with pytest.raises(InputError, match="interrupted run; continue with --resume"):
        fit(corpus, tmp_path / "killed", **options)
    with pytest.raises(InputError, match="other arguments"):
        fit(corpus, tmp_path / "killed", resume=True, seed=7, **options)
    resumed = fit(corpus, tmp_path / "killed", resume=True, **options)
    assert resumed.loss == pytest.approx(whole.loss, abs=1e-5)
    ours, theirs = (read_rows(tmp_path / name) for name in ("killed", "whole"))
    assert [row["loss"] for row in ours] == pytest.approx([row["loss"] for row in theirs], abs=1e-5)


def test_a_standing_folder_is_refused(corpus: str, tmp_path: Path) -> None:
    fit(corpus, tmp_path / "teacher")
    with pytest.raises(InputError, match="already holds something"):
        fit(corpus, tmp_path / "teacher")
    (tmp_path / "empty").mkdir()
    assert fit(corpus, tmp_path / "empty").steps == 12


def test_corpora_without_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        fit(str(tmp_path / "none/*.parquet"), tmp_path / "out")
    for name, texts in (("no-rows", []), ("no-text", ["", ""]), ("white-space", [" \n"])):
        article_shard(tmp_path / name / "a.parquet", texts)
        with pytest.raises(InputError, match="corpus of 'de'"):
            fit(str(tmp_path / name / "*.parquet"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_impossible_settings_are_refused(corpus: str, tmp_path: Path) -> None:
    for changes, message in (
        ({"hidden_size": 30, "heads": 4}, "hidden_size"),
        ({"max_length": 4}, "max_length"),
        ({"steps": 0}, "steps"),
        ({"architecture": "bret"}, "bert"),
        ({"special_token_ids": {"bos": 1}}, "bos"),
        ({"vocab_size": 3}, "vocab_size"),
    ):
        with pytest.raises(InputError, match=message):
            fit(corpus, tmp_path / "out", **changes)
    with pytest.raises(InputError, match="language: found 'de/x'"):
        fit(corpus, tmp_path / "out", language="de/x")
