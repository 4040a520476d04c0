"""Trimmed vocabularies: which pieces stay, what stays the same for words, and where the ids of the old tokenizer went."""

import json
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests.support.families import ROLES, SPECIAL, train_tokenizer
from tests.support.sample_text import sample_text
from vocab.errors import InputError
from vocab.merges import merge_path, merge_ranks
from vocab.trim import characters_of, choose_ids, needed_pieces, read_trimmable
from vocab.trimmed_tokenizer import trimmed_tokenizer

KINDS = ["wordpiece", "wordlevel", "unigram", "unigram-bytes", "bpe", "bpe-bytes", "byte-level"]
SIZE = 1500


def make(kind: str) -> Any:
    """A tokenizer of German and Turkish, with an additional special token and an added word."""
    texts = [*sample_text("de"), *sample_text("tr")]
    if kind in ("wordpiece", "wordlevel"):
        tokenizer = _of_words(kind, texts)
    else:
        tokenizer = train_tokenizer(kind.replace("unigram-bytes", "unigram"), texts, SIZE)
        if kind == "unigram-bytes":
            state = json.loads(tokenizer.backend_tokenizer.to_str())
            state["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
            state["model"]["byte_fallback"] = True
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)), **ROLES)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<entity>"]})
    tokenizer.add_tokens(["zqzq"])
    tokenizer.model_max_length, tokenizer.padding_side = 77, "left"
    return tokenizer


def _of_words(kind: str, texts: list[str]) -> Any:
    backend = Tokenizer(models.WordPiece(unk_token="<unk>") if kind == "wordpiece" else models.WordLevel(unk_token="<unk>"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    trainer: Any = trainers.WordPieceTrainer if kind == "wordpiece" else trainers.WordLevelTrainer
    backend.train_from_iterator(texts, trainer(vocab_size=SIZE, special_tokens=SPECIAL, show_progress=False))
    backend.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **ROLES)


def trim(tokenizer: Any, texts: list[str], **shares: float) -> tuple[Any, NDArray[np.int64]]:
    """The tokenizer trimmed to texts, and its kept ids."""
    vocabulary = read_trimmable(tokenizer, "old")
    tokenizer.backend_tokenizer.encode_special_tokens = True
    counts, needed = np.zeros(vocabulary.size, np.int64), np.zeros(0, np.int64)
    for encoding in tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False):
        ids = np.array(encoding.ids, np.int64)
        counts += np.bincount(ids, minlength=vocabulary.size)
        words = np.array([-1 if word is None else word for word in encoding.word_ids])
        needed = np.union1d(needed, needed_pieces(vocabulary, ids, words))
    kept = choose_ids(vocabulary, {"xx": counts}, characters=characters_of(tokenizer, texts), needed=needed, **shares)
    return trimmed_tokenizer(tokenizer, kept, "old"), kept


def words_of(tokenizer: Any, text: str) -> list[list[int]]:
    """The ids of each word of a text, as the tokenizer divides it into words."""
    tokenizer.backend_tokenizer.encode_special_tokens = True
    encoding = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
    pairs = zip(encoding.word_ids, encoding.ids, strict=True)
    return [[index for _, index in found] for _, found in groupby(pairs, key=lambda pair: pair[0])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_of_kept_pieces_is_segmented_as_before(kind: str) -> None:
    tokenizer = make(kind)
    trimmed, kept = trim(tokenizer, sample_text("de"), min_probability=3e-4)
    stays = set(kept.tolist())
    same = changed = 0
    for text in [*sample_text("de"), *sample_text("tr")]:
        for before, after in zip(words_of(tokenizer, text), words_of(trimmed, text), strict=True):
            if stays.issuperset(before):
                assert [kept[index] for index in after] == before, tokenizer.convert_ids_to_tokens(before)
                same += 1
            else:
                changed += 1
    assert len(kept) < 0.8 * len(tokenizer)
    assert same > changed > 0


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_of_the_text_becomes_unknown(kind: str) -> None:
    tokenizer = make(kind)
    texts = [*sample_text("de"), "ein Ж und ein 猫Ж"]  # characters that no piece has
    trimmed, _ = trim(tokenizer, texts, min_probability=0.01)
    before = [tokenizer.unk_token_id in word for text in texts for word in words_of(tokenizer, text)]
    after = [trimmed.unk_token_id in word for text in texts for word in words_of(trimmed, text)]
    assert before == after
    assert any(before) == (kind in ("wordpiece", "wordlevel", "unigram", "bpe"))
    if "bytes" in kind:
        assert tokenizer.backend_tokenizer.encode("Ж").tokens == trimmed.backend_tokenizer.encode("Ж").tokens


@pytest.mark.parametrize("kind", KINDS)
def test_full_coverage_changes_no_word(kind: str) -> None:
    tokenizer = make(kind)
    trimmed, kept = trim(tokenizer, sample_text("de"), min_probability=1.0, min_coverage=1.0)
    assert len(kept) < len(tokenizer)
    for text in sample_text("de"):
        assert [[kept[index] for index in word] for word in words_of(trimmed, text)] == words_of(tokenizer, text)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_have_no_gaps_and_special_tokens_keep_their_roles(kind: str) -> None:
    tokenizer = make(kind)
    trimmed, kept = trim(tokenizer, sample_text("tr")[:5], min_probability=1e-3)
    assert (np.diff(kept) > 0).all()
    assert len(trimmed) == len(kept) < len(tokenizer)
    assert trimmed.convert_ids_to_tokens(range(len(kept))) == tokenizer.convert_ids_to_tokens(kept.tolist())
    assert trimmed.special_tokens_map == tokenizer.special_tokens_map
    assert trimmed.extra_special_tokens == tokenizer.extra_special_tokens == ["<entity>"]
    assert (trimmed.model_max_length, trimmed.padding_side) == (77, "left")
    framed = trimmed("zqzq<entity>")["input_ids"]
    assert [token for token in trimmed.convert_ids_to_tokens(framed) if token not in ("▁", "Ġ")] == tokenizer.convert_ids_to_tokens(
        [index for index in tokenizer("zqzq<entity>")["input_ids"] if tokenizer.convert_ids_to_tokens(index) not in ("▁", "Ġ")]
    )
    assert {"zqzq", "<entity>"} <= set(trimmed.convert_ids_to_tokens(framed))


PROCESSORS = {
    "template": processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 7), ("</s>", 3)]),
    "bert": processors.BertProcessing(("</s>", 3), ("<s>", 7)),
    "roberta": processors.RobertaProcessing(("</s>", 3), ("<s>", 7)),
    "sequence": processors.Sequence([processors.ByteLevel(), processors.BertProcessing(("</s>", 3), ("<s>", 7))]),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_post_processor_gets_the_new_ids(name: str) -> None:
    tokenizer = words(["x", "<pad>", "y", "</s>", "<unk>", "z", "<mask>", "<s>"])
    tokenizer.backend_tokenizer.post_processor = PROCESSORS[name]
    vocabulary = read_trimmable(tokenizer, "old")
    kept = choose_ids(vocabulary, {"xx": np.array([0, 0, 0, 0, 0, 9, 0, 0])}, min_probability=0.5, characters={"z"})
    assert kept.tolist() == [1, 3, 4, 5, 6, 7]
    assert trimmed_tokenizer(tokenizer, kept, "old")("z z")["input_ids"] == [5, 3, 3, 1]


def words(pieces: list[str]) -> Any:
    """A WordPiece tokenizer of the pieces."""
    backend = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **ROLES)


def test_a_word_that_no_characters_spell_keeps_its_pieces() -> None:
    """Without "ab", the longest pieces of "abcd" are a, ##bc, and then nothing: there is no ##d."""
    tokenizer = words([*SPECIAL, "ab", "a", "##b", "##c", "##bc", "##cd", "##ef", "##e", "##f"])
    texts = ["abcd", "abef", *["abc"] * 4]
    trimmed, _ = trim(tokenizer, texts, min_probability=0.9)
    assert trimmed.tokenize("abcd") == tokenizer.tokenize("abcd") == ["ab", "##cd"]
    assert trimmed.tokenize("abef") == ["ab", "##e", "##f"]


def test_characters_that_never_continue_a_word_have_no_continuing_piece() -> None:
    tokenizer = words([*SPECIAL, "a", "##a", ",", "##,"])
    trimmed, _ = trim(tokenizer, ["a,aa"], min_probability=0.01)
    assert "##," in tokenizer.get_vocab()
    assert trimmed.tokenize("a,aa") == ["a", ",", "a", "##a"]
    assert "##," not in trimmed.get_vocab()


def test_what_unigram_makes_of_unknown_characters_stays() -> None:
    """A character without a piece has the lowest score of all pieces, less a constant. With another one, "xЖ" would not be one piece."""
    pieces = [("rare", -30.0), ("<unk>", 0.0), ("x", -1.0), ("xЖ", -35.0), ("▁", -1.0), ("often", -1.0), ("xЖrare", -60.0)]
    pieces += [(token, 0.0) for token in SPECIAL if token != "<unk>"]
    backend = Tokenizer(models.Unigram(pieces, unk_id=1))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **ROLES)
    vocabulary = read_trimmable(tokenizer, "old")
    counts = {"xx": np.array([0, 0, 9, 9, 9, 0, 0, 0, 0, 0, 0])}
    kept = choose_ids(vocabulary, counts, min_probability=0.1, characters=set("xЖ"))
    assert kept.tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    trimmed = trimmed_tokenizer(tokenizer, kept, "old")
    assert trimmed.tokenize("xЖ") == tokenizer.tokenize("xЖ") == ["▁", "xЖ"]
    assert trimmed("Ж")["input_ids"] == [3, 0]  # "▁", and the unknown token at its new id


@pytest.mark.parametrize("kind", ["bpe", "byte-level"])
def test_the_path_of_merges_ends_where_the_tokenizer_ends(kind: str) -> None:
    model = make(kind).backend_tokenizer.model
    ranks = merge_ranks(json.loads(model.__getstate__()))
    for text in sample_text("de")[:10]:
        for word in text.split():
            pieces = [token.value for token in model.tokenize(word)]
            if "".join(pieces) == word:  # without an unknown character
                assert {*pieces, *word} <= merge_path(word, ranks)
                assert all(piece in merge_path(piece, ranks) for piece in pieces)


def test_a_rare_piece_of_one_language_stays_for_another() -> None:
    tokenizer = words([*SPECIAL, "aa", "bb", "cc", "a", "b"])
    vocabulary = read_trimmable(tokenizer, "old")
    counts = {"one": np.array([0, 0, 0, 0, 0, 90, 0, 10, 0, 0]), "two": np.array([0, 0, 0, 0, 0, 0, 5, 0, 0, 0])}
    assert choose_ids(vocabulary, counts, min_probability=0.2).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert choose_ids(vocabulary, counts, min_probability=0.2, min_coverage=0.95).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert choose_ids(vocabulary, counts, min_probability=0.2, characters={"b"}).tolist() == [0, 1, 2, 3, 4, 5, 6, 9]


@pytest.mark.parametrize(
    ("counts", "shares", "message"),
    [
        ({}, (0.1, 0.0), "found no corpus"),
        ({"xx": [0] * 6}, (0.1, 0.0), "corpus of 'xx': found no token"),
        ({"xx": [1] * 6}, (0.0, 0.0), "--min-probability: found 0; expected"),
        ({"xx": [1] * 6}, (float("nan"), 0.0), "--min-probability: found nan; expected"),
        ({"xx": [1] * 6}, (1.5, 0.0), "--min-probability: found 1.5; expected"),
        ({"xx": [1] * 6}, (0.1, 1.5), "--min-coverage: found 1.5; expected"),
    ],
)
def test_wrong_choices_are_refused(counts: dict[str, list[int]], shares: tuple[float, float], message: str) -> None:
    vocabulary = read_trimmable(words([*SPECIAL, "a"]), "old")
    arrays = {language: np.array(count) for language, count in counts.items()}
    with pytest.raises(InputError, match=message):
        choose_ids(vocabulary, arrays, min_probability=shares[0], min_coverage=shares[1])
