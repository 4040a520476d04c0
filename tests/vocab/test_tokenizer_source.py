"""Tokenizers as their owners use them: the files of a folder together, as transformers reads them, or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, BertConfig, PreTrainedTokenizerFast
from transformers.utils import sentencepiece_model_pb2_new as proto

from tests.support.factories import SPECIAL, save_tokenizer
from vocab.errors import InputError
from vocab.normaliser import Normaliser
from vocab.student_tokenizer import save_tokenizer as save
from vocab.student_tokenizer import student_tokenizer
from vocab.teacher_vocabulary import vocabulary_of
from vocab.tokenizer_source import open_tokenizer
from vocab.union import Union, merge

PIECES = [*SPECIAL, "the", "The", "cafe", "café", "Café", "東", "京", "東京", "a", "##b"]


def declare(folder: Path, **config: Any) -> None:
    path = folder / "tokenizer_config.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(before | config))


@pytest.mark.parametrize(
    ("text", "keys", "pieces"),
    [
        ("The café", {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}, ["the", "cafe"]),
        ("The Café", {"do_lower_case": True, "strip_accents": False, "tokenizer_class": "BertTokenizer"}, ["the", "café"]),
        ("The Café", {"do_lower_case": False, "strip_accents": False, "tokenizer_class": "BertTokenizerFast"}, ["The", "Café"]),
        ("東京", {"tokenize_chinese_chars": False, "tokenizer_class": "BertTokenizer"}, ["東京"]),
        ("The café", {"do_lower_case": True, "tokenizer_class": "PreTrainedTokenizerFast"}, ["The", "café"]),  # does not look at it
        ("The café", {"tokenizer_class": "BertTokenizer"}, ["the", "cafe"]),  # its default
        ("The café", {"tokenizer_class": "ElectraTokenizerFast"}, ["the", "cafe"]),
    ],
)
def test_what_is_declared_beside_a_tokenizer_json(
    tmp_path: Path, text: str, keys: dict[str, Any], pieces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_tokenizer(tmp_path, PIECES)
    declare(tmp_path, **keys)
    BertConfig(vocab_size=len(PIECES)).save_pretrained(tmp_path)
    tokenizer = open_tokenizer(tmp_path, "t")
    assert tokenizer.tokenize(text) == pieces
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize(text) == pieces
    assert vocabulary_of(tokenizer, "t").roles.mask == 4
    changed = pieces != PreTrainedTokenizerFast.from_pretrained(tmp_path).tokenize(text)
    assert (not changed) or "tokenizer_config.json" in capsys.readouterr().err


def test_a_tokenizer_json_without_a_class_is_taken_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """transformers takes the class of the model's type, which lower-cases by default. That is said."""
    save_tokenizer(tmp_path, PIECES)
    (tmp_path / "tokenizer_config.json").unlink()
    BertConfig(vocab_size=len(PIECES)).save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("The café") == ["the", "cafe"]
    assert open_tokenizer(tmp_path, "t").tokenize("The café") == ["The", "café"]
    assert "AutoTokenizer takes BertTokenizer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("declared", "files", "extra", "message"),
    [
        ("BertJapaneseTokenizer", (), [], "BertJapaneseTokenizer"),
        ("PhobertTokenizer", ("bpe.codes",), [], "PhobertTokenizer"),
        ("", ("bpe.codes",), [], "bpe.codes"),
        ("", (), ["▁a", "▁b", "▁c", "▁d", "▁e"], "marks words with ▁"),
        ("HerbertTokenizer", ("merges.txt",), [], "HerbertTokenizer"),
    ],
)
def test_a_vocab_txt_that_is_not_berts(
    tmp_path: Path, declared: str, files: tuple[str, ...], extra: list[str], message: str
) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*PIECES, *extra]))
    BertConfig(vocab_size=40).save_pretrained(tmp_path)
    if declared:
        declare(tmp_path, tokenizer_class=declared)
    for file in files:
        (tmp_path / file).write_text("a b 1\n")
    for source in (tmp_path, tmp_path / "vocab.txt"):
        with pytest.raises(InputError, match=message):
            open_tokenizer(source, "t")


@pytest.mark.parametrize("declared", ["BertTokenizer", "DistilBertTokenizerFast", "ElectraTokenizer"])
def test_kin_of_bert(tmp_path: Path, declared: str) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    declare(tmp_path, tokenizer_class=declared)
    BertConfig(vocab_size=40).save_pretrained(tmp_path)
    assert open_tokenizer(tmp_path, "t").tokenize("The café ab") == ["The", "café", "a", "##b"]


def test_a_token_twice_and_an_empty_line_are_rows_without_a_piece(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As transformers loads them: the later id is the token's."""
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL, "haus", "baum", "", "haus", "wald"]) + "\n\n\n")
    BertConfig(vocab_size=10).save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("haus wald", add_special_tokens=False)["input_ids"] == [8, 9]
    for source in (tmp_path, path):
        vocabulary = vocabulary_of(open_tokenizer(source, "t"), "t", head_size=10)
        assert vocabulary.pieces == [None] * 5 + [None, "baum", None, "haus", "wald"]
        assert (vocabulary.accounting.pieces, vocabulary.accounting.surplus) == (3, 2)
    said = capsys.readouterr().err
    assert "of its 10 lines, 1 hold a token that a later line holds too (the first is line 6) and 1 are empty" in said


def test_a_word_is_a_token(tmp_path: Path) -> None:
    backend = Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    roles = {f"{role}_token": token for role, token in zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True)}
    save(PreTrainedTokenizerFast(tokenizer_object=backend, **roles), tmp_path)
    vocabulary = vocabulary_of(open_tokenizer(tmp_path, "t"), "t")
    assert vocabulary.family == "WordLevel"
    assert vocabulary.pieces[5:8] == ["the", "The", "cafe"]
    assert vocabulary.normaliser.split_punctuation


def test_dropout_is_switched_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merges = [("a", "b"), ("ab", "c"), ("▁", "abc")]
    vocab = {piece: index for index, piece in enumerate([*SPECIAL, "▁", "a", "b", "c", "ab", "abc", "▁abc"])}
    backend = Tokenizer(models.BPE(vocab, merges, dropout=0.5, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.add_special_tokens(SPECIAL)
    PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="[MASK]", pad_token="[PAD]").save_pretrained(tmp_path)
    assert len({tuple(backend.encode("abc " * 20).tokens) for _ in range(5)}) > 1
    tokenizer = open_tokenizer(tmp_path, "t")
    assert {tuple(tokenizer.tokenize("abc " * 20)) for _ in range(5)} == {("▁abc",) * 20 + ("▁",)}
    assert "has BPE dropout 0.5, which is random: it is switched off" in capsys.readouterr().err


# The ids of "Café ab Cafaf" with the pieces below, and the roles' ids, by transformers 4's own classes.
OF_CLASS = {
    "XLMRobertaTokenizer": ([4, 8, 9, 4, 5], [1, 3, 0, 2, 10]),
    "CamembertTokenizer": ([7, 11, 12, 7, 8], [1, 3, 5, 6, 13]),
    "AlbertTokenizer": ([6, 8, 0, 4, 4], [11, 0, 9, 10, 12]),
    "DebertaV2Tokenizer": ([3, 7, 8, 3, 4], [12, 11, 9, 10, 13]),
}


def write_model(path: Path) -> None:
    model = proto.ModelProto()  # type: ignore[attr-defined]
    kinds = {"<unk>": 2, "<s>": 3, "</s>": 3}
    for index, piece in enumerate(["<unk>", "<s>", "</s>", "▁", "▁Caf", "af", "C", "▁cafe", "é", "▁ab"]):
        if piece != "▁":
            model.pieces.add(piece=piece, score=-float(index), type=kinds.get(piece, 1))
    model.trainer_spec.model_type = 1
    model.trainer_spec.unk_id = 0
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("declared", OF_CLASS)
@pytest.mark.parametrize("by_model", [False, True])
def test_a_folder_with_only_a_sentencepiece_model(tmp_path: Path, declared: str, by_model: bool) -> None:
    write_model(tmp_path / "spiece.model")
    model = {"XLMRobertaTokenizer": "xlm-roberta", "DebertaV2Tokenizer": "deberta-v2"}.get(declared, declared[:-9].lower())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model if by_model else "bert"}))
    if not by_model:
        declare(tmp_path, tokenizer_class=declared + "Fast")
    tokenizer = open_tokenizer(tmp_path, "t")
    ids, roles = OF_CLASS[declared]
    assert tokenizer("Café ab Cafaf", add_special_tokens=False)["input_ids"] == ids
    assert list(vocabulary_of(tokenizer, "t").roles) == roles


def test_added_tokens_beside_a_model_must_be_where_they_say(tmp_path: Path) -> None:
    write_model(tmp_path / "spm.model")
    declare(tmp_path, tokenizer_class="DebertaV2Tokenizer")
    (tmp_path / "added_tokens.json").write_text('{"[MASK]": 9}')
    assert open_tokenizer(tmp_path, "t").mask_token_id == 9
    (tmp_path / "added_tokens.json").write_text('{"[MASK]": 12}')
    with pytest.raises(InputError, match=r"gives '\[MASK\]' the id 12; in the model it is 9: the files are not of one tokenizer"):
        open_tokenizer(tmp_path, "t")


def test_a_folder_with_only_a_model_of_an_unknown_class(tmp_path: Path) -> None:
    write_model(tmp_path / "spiece.model")
    BertConfig(vocab_size=40).save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match=r"is a SentencePiece model of bert; expected a tokenizer\.json beside it, or one of the classes"
    ):
        open_tokenizer(tmp_path, "t")


def test_the_student_opens_under_transformers_4(tmp_path: Path) -> None:
    """Its class is the one that both know. `tests/trials/transformers4.py` opens it with a release of transformers 4."""
    save_tokenizer(tmp_path / "t", PIECES)
    union, _ = merge(Union(), vocabulary_of(open_tokenizer(tmp_path / "t", "t"), "t"))
    plain = Normaliser(lowercase=False, strip_accents=False, split_chinese=True, clean_text=True)
    tokenizer = student_tokenizer(union, plain, 32)
    save(tokenizer, tmp_path / "student")
    assert json.loads((tmp_path / "student/tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
    again = AutoTokenizer.from_pretrained(tmp_path / "student")
    assert again("The café 東京 ab")["input_ids"] == tokenizer("The café 東京 ab")["input_ids"]
    assert again.all_special_ids == tokenizer.all_special_ids
