"""How words and texts are read: a word alone as within a sentence, whatever the tokenizer does with spaces."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from student.tasks.reading import own_reader

TEXT = ["der Fluss fließt durch die Stadt", "the river flows through the city", "Ein Fluss ist länger als ein Bach"] * 5
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ROLES = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}


def byte_level(*, prefix: bool) -> Tokenizer:
    """GPT-2's and RoBERTa's kind: a space belongs to the word behind it."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    return backend


def spaces_replaced() -> Tokenizer:
    """Gemma's kind: "▁" stands for a space, and none is added before the first word."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    backend.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False))
    return backend


def metaspace() -> Tokenizer:
    """XLM-R's kind: "▁" before every word."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.train_from_iterator(
        TEXT, trainers.UnigramTrainer(vocab_size=80, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    )
    return backend


def word_pieces() -> Tokenizer:
    """BERT's kind: the inside of a word is marked."""
    backend = Tokenizer(models.WordPiece(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=120, special_tokens=SPECIAL, show_progress=False))
    return backend


def saved(backend: Tokenizer, folder: Path, **kind: Any) -> Path:
    PreTrainedTokenizerFast(tokenizer_object=backend, **ROLES).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "make", [lambda: byte_level(prefix=False), lambda: byte_level(prefix=True), spaces_replaced, metaspace, word_pieces]
)
def test_a_word_alone_is_read_as_within_a_sentence(tmp_path: Path, make: Any) -> None:
    reader = own_reader(saved(make(), tmp_path), "one")
    words = ["im", "Fluss", "fließt", "länger", "die", "river", "ist"]
    (sentence,) = reader.texts([" ".join(words)])
    first, *rest = reader.words(words)
    assert [piece for ids in rest for piece in ids] == sentence.ids.tolist()[-sum(map(len, rest)) :]
    assert first == reader.words(["Fluss", "im"])[1]  # the place in a sentence makes no difference


def test_a_quoted_special_token_is_text(tmp_path: Path) -> None:
    reader = own_reader(saved(byte_level(prefix=False), tmp_path), "one")
    assert reader.roles.mask not in [piece for ids in reader.words(["<mask>", "a<mask>"]) for piece in ids]
    assert reader.roles.mask not in reader.texts(["a <mask> b"])[0].ids


@pytest.mark.parametrize(("pair", "expected"), [("<s> $A </s> $B </s>", 1), ("<s> $A </s> </s> $B </s>", 2), (None, 1)])
def test_the_separators_of_two_texts_are_those_of_the_tokenizer(tmp_path: Path, pair: str | None, expected: int) -> None:
    backend = word_pieces()
    if pair:
        ids = [("<s>", backend.token_to_id("<s>")), ("</s>", backend.token_to_id("</s>"))]
        backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair=pair, special_tokens=ids)
    assert own_reader(saved(backend, tmp_path), "one").separators == expected
