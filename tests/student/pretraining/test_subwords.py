"""Vocabularies of the families other than WordPiece, trained from texts."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data.demo import sample_dump
from pipeline.corpus.read import read_corpus
from student.pretraining.subwords import SMALLEST, SPECIAL, train_subwords
from tests.support.factories import articles
from tests.support.paths import ROOT
from vocab.errors import InputError
from vocab.roles import read_roles
from vocab.teacher_vocabulary import vocabulary_of

FAMILIES = ["unigram", "bpe", "byte-level"]
SENTENCE = "Die Stadt liegt am Ufer des Flusses ."


@pytest.fixture(scope="module")
def sample() -> list[str]:
    """Real articles, of the bundled sample."""
    skipped: Counter[str] = Counter()
    return [article.text for article in read_corpus(sample_dump("tr", "heldout"), lambda reason: skipped.update([reason]))]


def train(family: str, texts: list[str], size: int = 500, **settings: Any) -> Any:
    return train_subwords(family, lambda: texts, vocab_size=size, max_length=32, **settings)


@pytest.mark.parametrize("family", FAMILIES)
def test_real_text_comes_back(family: str, sample: list[str]) -> None:
    tokenizer = train(family, sample, 1000)
    assert len(tokenizer) == 1000
    for text in sample[:50]:
        if family != "byte-level":
            text = " ".join(tokenizer.backend_tokenizer.normalizer.normalize_str(text).split())
        ids = tokenizer(text)["input_ids"]
        assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert len(ids) < 0.6 * len(text)  # pieces, not characters


@pytest.mark.parametrize("family", FAMILIES)
def test_frequent_words_are_pieces(family: str) -> None:
    tokens = train(family, articles("de", 40), 420).tokenize(SENTENCE)
    mark = "Ġ" if family == "byte-level" else "▁"
    assert {mark + word for word in ("Die", "Stadt", "liegt", "am", "Ufer")} <= set(tokens)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_style_of_its_kin(family: str) -> None:
    tokenizer = train(family, articles("de", 40), 420)
    vocabulary = vocabulary_of(tokenizer, "t")
    assert (
        vocabulary.family
        == {"unigram": "SentencePiece Unigram", "bpe": "SentencePiece BPE", "byte-level": "byte-level BPE"}[family]
    )
    assert tuple(vocabulary.roles) == (0, 1, 2, 3, 4)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.mask_token) == ("<s>", "</s>", "<mask>")
    pair = tokenizer.convert_ids_to_tokens(tokenizer(". .", ".")["input_ids"])
    assert [token for token in pair if token in SPECIAL.values()] == ["<s>", "</s>", "</s>", "</s>"]
    masked = tokenizer.tokenize("liegt am <mask> des")
    assert masked.index(" <mask>") == len(tokenizer.tokenize("liegt am"))  # the mask takes the space before it


def test_unigram_and_bpe_do_not_know_line_ends_and_byte_level_knows_every_byte() -> None:
    for family in ("unigram", "bpe"):
        tokenizer = train(family, articles("de", 40))
        assert tokenizer.tokenize("Die\n\tStadt ") == tokenizer.tokenize("Die Stadt")
        assert tokenizer.tokenize("ﬂ") == tokenizer.tokenize("fl")
        assert tokenizer("☃")["input_ids"].count(tokenizer.unk_token_id) == 1
    odd = "☃\n\tИ 中ﬂ"
    byte_level = train("byte-level", articles("de", 40))
    assert byte_level.decode(byte_level(odd)["input_ids"], skip_special_tokens=True) == odd


@pytest.mark.parametrize("family", FAMILIES)
def test_lower_case(family: str) -> None:
    tokenizer = train(family, articles("de", 40), 420, lowercase=True)
    assert tokenizer.tokenize("DÉR Fluß") == tokenizer.tokenize("der fluß")
    assert train(family, articles("de", 40), 420).tokenize("Die") != tokenizer.tokenize("Die")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_quoted_special_token_is_text(family: str) -> None:
    # Between many different words, so that "<mask>" is the best of all pieces to learn.
    quoting = [f"{first}{token}{second}" for token in SPECIAL.values() for first in "abcdefgh" for second in "ijklmnop"]
    backend = train(family, [*articles("de", 40), *quoting], 420).backend_tokenizer
    backend.encode_special_tokens = True  # as for all text that is trained on
    encoded = backend.encode("a <mask> b<mask> x</s>y <s> <unk><pad> q<pad>q <mask>", add_special_tokens=False)
    assert "m" in "".join(encoded.tokens)
    assert not {0, 2, 3, 4} & set(encoded.ids)


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_at_unusual_ids(family: str, sample: list[str]) -> None:
    places = {"mask": 0, "pad": 1, "cls": 299, "unk": 2}
    plain, odd = train(family, sample, 300), train(family, sample, 300, special_token_ids=places)
    roles = read_roles(odd, "odd")
    assert (roles.mask, roles.pad, roles.cls, roles.unk) == (0, 1, 299, 2)
    assert odd.tokenize(sample[3]) == plain.tokenize(sample[3])
    assert odd(sample[3])["input_ids"] != plain(sample[3])["input_ids"]
    for wrong in ({"bos": 0}, {"mask": 0, "pad": 0}, {"mask": 300}):
        with pytest.raises(InputError, match="special_token_ids"):
            train(family, sample, 300, special_token_ids=wrong)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_vocabulary_is_no_larger_than_asked(family: str, sample: list[str]) -> None:
    for size in (SMALLEST[family], SMALLEST[family] + 1, SMALLEST[family] + 60):
        assert 5 < len(train(family, sample, size)) <= size
        assert 5 < len(train(family, articles("en", 3), size)) <= size
    with pytest.raises(InputError, match=f"expected at least {SMALLEST[family]} for the family '{family}'"):
        train(family, sample, SMALLEST[family] - 1)


def test_the_vocabulary_is_the_same_in_every_process(tmp_path: Path, sample: list[str]) -> None:
    words = sorted({first + second + third for first in "abcdef" for second in "ghij" for third in ("kl", "mn", "op")})
    corpora = [sample, [" ".join(words)], articles("de", 40)]  # real text, ties everywhere, little text
    (tmp_path / "texts.json").write_text(json.dumps(corpora))
    script = (
        f"import json, sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from student.pretraining.subwords import train_subwords\n"
        f"for texts in json.load(open({str(tmp_path / 'texts.json')!r})):\n"
        f"    for family in {list(FAMILIES)!r}:\n"
        "        print(train_subwords(family, lambda: texts, vocab_size=400, max_length=24).backend_tokenizer.to_str())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": str(seed), "TOKENIZERS_PARALLELISM": "true" if seed % 2 else "false"},
        ).stdout
        for seed in range(4)
    }
    assert len(outputs) == 1
    assert outputs.pop().count("\n") == 3 * len(FAMILIES)
