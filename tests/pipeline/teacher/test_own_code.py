"""Code in a model's folder is never run, whatever is typed on the terminal; a pickle that is more than tensors is not opened."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from pipeline.teacher.checkpoint import inspect_checkpoint, load
from student.hf_folder import load_model
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces
from vocab.errors import InputError
from vocab.teacher_vocabulary import read_teacher
from vocab.tokenizer_source import open_tokenizer

CODE = """
from pathlib import Path
Path({marker!r}).write_text("ran")
from transformers import BertConfig, BertForMaskedLM, BertTokenizer
class Config(BertConfig):
    model_type = "mine"
class Model(BertForMaskedLM):
    config_class = Config
class Tokenizer(BertTokenizer):
    pass
"""


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the code would write. Every question is answered with "y"."""
    monkeypatch.setattr("builtins.input", lambda _="": "y")
    return tmp_path / "ran"


def teacher(folder: Path, marker: Path, file: str, **changes: Any) -> Path:
    """A teacher with code of its own, declared in a JSON file."""
    save_teacher(folder, [*SPECIAL, *word_pieces(TEXTS["de"])])
    (folder / "mine.py").write_text(CODE.format(marker=str(marker)))
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | changes))
    return folder


MAP = {"AutoConfig": "mine.Config", "AutoModelForMaskedLM": "mine.Model", "AutoTokenizer": ["mine.Tokenizer", None]}


def test_a_type_that_only_the_folder_knows_is_refused(tmp_path: Path, marker: Path) -> None:
    folder = teacher(tmp_path / "t", marker, "config.json", model_type="mine", auto_map=MAP)
    with pytest.raises(InputError, match=r"teacher 't': .*code of its own \(auto_map\), which is not run"):
        read_teacher(folder, "t")
    with pytest.raises(InputError, match="code of its own"):
        inspect_checkpoint(folder, "t")
    with pytest.raises(ValueError, match="trust_remote_code"):
        load_model(folder)
    assert not marker.exists()


def test_a_type_that_transformers_knows_is_its_own(tmp_path: Path, marker: Path) -> None:
    folder = teacher(tmp_path / "t", marker, "config.json", auto_map=MAP)
    assert read_teacher(folder, "t").family == "WordPiece"
    assert type(load(folder, "t")).__name__ == "BertForMaskedLM"
    assert not marker.exists()


@pytest.mark.parametrize("declared", [{}, {"do_lower_case": True}, {"tokenizer_class": "Tokenizer"}])
@pytest.mark.parametrize("json_file", [True, False])
def test_a_tokenizer_with_code(tmp_path: Path, marker: Path, declared: dict[str, Any], json_file: bool) -> None:
    folder = teacher(tmp_path / "t", marker, "tokenizer_config.json", auto_map=MAP, **declared)
    if not json_file:
        vocab = AutoTokenizer.from_pretrained(folder, trust_remote_code=False).get_vocab()
        (folder / "vocab.txt").write_text("\n".join(sorted(vocab, key=vocab.__getitem__)))
        (folder / "tokenizer.json").unlink()
    with suppress(InputError):  # as it is, or refused
        open_tokenizer(folder, "t")
    assert not marker.exists()


def test_a_pickle_with_code_is_refused_without_the_advice_to_open_it(tmp_path: Path, marker: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.write_text, (marker, "ran")

    folder = save_teacher(tmp_path / "t", [*SPECIAL, *word_pieces(TEXTS["de"])])
    (folder / "model.safetensors").unlink()
    torch.save({"bert.embeddings.word_embeddings.weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="a pickle with other objects than tensors, which is not opened") as refused:
        load(folder, "t")
    assert "weights_only" not in str(refused.value)
    assert not marker.exists()
    shutil.rmtree(folder)
