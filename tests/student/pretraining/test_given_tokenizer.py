"""Teachers of every family, and teachers with a given tokenizer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf

from data.recipe import Examples
from data.shards import list_shards
from student.pretraining.given_tokenizer import given_tokenizer, highest_id
from student.pretraining.subwords import SPECIAL, train_subwords
from student.pretraining.text_source import GivenVocabulary, NewVocabulary, TextSource, prepare_text
from student.training.metrics import read_rows
from tests.support.factories import SPECIAL as BRACKETS
from tests.support.factories import TEXTS, article_shard, articles, save_tokenizer, word_pieces
from tests.support.paths import ROOT
from tests.support.pretraining import fit
from tests.support.stopping import kill_when
from vocab.errors import InputError
from vocab.teacher_vocabulary import vocabulary_of

FAMILIES = ["unigram", "bpe", "byte-level"]
SENTENCE = "Die Stadt liegt am Ufer des Flusses ."


def train(family: str, texts: list[str], size: int = 500, **settings: Any) -> Any:
    return train_subwords(family, lambda: texts, vocab_size=size, max_length=32, **settings)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("architecture", ["roformer", "roberta"])
def test_a_teacher_of_each_family(family: str, architecture: str, tmp_path: Path) -> None:
    article_shard(tmp_path / "a.parquet", articles("de", 40))
    result = fit(str(tmp_path / "*.parquet"), tmp_path / "teacher", family=family, vocab_size=300, architecture=architecture)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "teacher")
    config = AutoModelForMaskedLM.from_pretrained(tmp_path / "teacher").config
    assert len(tokenizer) == config.vocab_size == result.vocab_size <= 300
    assert tokenizer.decode(tokenizer(SENTENCE)["input_ids"], skip_special_tokens=True) == SENTENCE
    trained = train(family, articles("de", 40), 300)
    assert tokenizer(SENTENCE)["input_ids"] == trained(SENTENCE)["input_ids"]
    assert vocabulary_of(tokenizer, "t").pieces == vocabulary_of(trained, "t").pieces


def spiece_model(path: Path, texts: list[str]) -> list[str]:
    """A real SentencePiece model, as published ones come: <unk>, <s>, </s>, then pieces; no pad, no mask. Its pieces."""
    state = json.loads(train("unigram", texts, 200).backend_tokenizer.to_str())
    learnt = [(piece, score) for piece, score in state["model"]["vocab"] if piece not in SPECIAL.values()]
    proto = import_protobuf().ModelProto()
    proto.trainer_spec.model_type = 1
    for piece, score, kind in [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *((*entry, 1) for entry in learnt)]:
        proto.pieces.add(piece=piece, score=score, type=kind)
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = True
    path.write_bytes(proto.SerializeToString())
    return [piece.piece for piece in proto.pieces]


def test_a_sentencepiece_model_gets_a_pad_and_a_mask_after_its_last_id(tmp_path: Path) -> None:
    pieces = spiece_model(tmp_path / "spiece.model", articles("de", 40))
    article_shard(tmp_path / "a.parquet", articles("de", 40))
    settings: dict[str, Any] = {"vocab_size": None, "tokenizer": tmp_path / "spiece.model"}
    result = fit(str(tmp_path / "*.parquet"), tmp_path / "teacher", **settings)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "teacher")
    assert tokenizer.convert_ids_to_tokens(range(len(pieces))) == pieces  # type: ignore[arg-type,call-overload]  # no id changes
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (len(pieces), len(pieces) + 1)
    assert (tokenizer.pad_token, tokenizer.mask_token) == ("<pad>", "<mask>")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "teacher")
    assert model.config.vocab_size == result.vocab_size == len(pieces) + 2
    assert model.config.pad_token_id == len(pieces)
    ids = tokenizer(SENTENCE)["input_ids"]
    assert tokenizer.convert_ids_to_tokens([ids[0], ids[-1]]) == ["<s>", "</s>"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == SENTENCE


def test_a_vocab_txt_and_a_tokenizer_json_and_a_folder_are_used_as_they_are(tmp_path: Path) -> None:
    pieces = ["[MASK]", "[unused7]", *word_pieces(TEXTS["de"]), *BRACKETS[:4]]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    save_tokenizer(tmp_path / "folder", pieces)
    for source in (tmp_path / "vocab.txt", tmp_path / "folder", tmp_path / "folder/tokenizer.json"):
        tokenizer = given_tokenizer(source, "de", 24)
        assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == pieces
        assert tokenizer.tokenize(SENTENCE) == SENTENCE.split()
        ids = tokenizer(SENTENCE)["input_ids"]
        assert (ids[0], ids[-1]) == (pieces.index("[CLS]"), pieces.index("[SEP]"))
        assert tokenizer.model_max_length == 24


def test_a_standing_token_is_declared_rather_than_added(tmp_path: Path) -> None:
    pieces = ["[UNK]", "[CLS]", "[SEP]", "<mask>", *word_pieces(TEXTS["de"])]
    backend = Tokenizer(models.WordPiece(vocab={piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = given_tokenizer(tmp_path / "tokenizer.json", "de", 24)
    assert (tokenizer.cls_token_id, tokenizer.mask_token_id) == (1, 3)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("[PAD]", len(pieces))
    assert highest_id(tokenizer) == len(pieces)


def test_a_post_processor_that_is_none_of_a_masked_lm_is_replaced(tmp_path: Path) -> None:
    trained = train("byte-level", articles("de", 40), 300)
    right = trained(SENTENCE)["input_ids"]
    backend = trained.backend_tokenizer
    ending = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 3)])
    for number, wrong in enumerate((processors.ByteLevel(), ending)):
        backend.post_processor = wrong
        file = tmp_path / str(number) / "tokenizer.json"
        file.parent.mkdir()
        backend.save(str(file))
        assert PreTrainedTokenizerFast(tokenizer_file=str(file))(SENTENCE)["input_ids"] != right
        assert given_tokenizer(file, "de", 24)(SENTENCE)["input_ids"] == right


def test_ids_with_gaps(tmp_path: Path) -> None:
    """The head has a row up to the highest id; a new token in a gap's stead would fall on another's id."""
    for name, special in (("whole", BRACKETS), ("lacking", BRACKETS[:4])):
        vocab = {piece: 3 * index for index, piece in enumerate([*special, *word_pieces(TEXTS["de"])])}
        backend = Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        (tmp_path / name).mkdir()
        backend.save(str(tmp_path / name / "tokenizer.json"))
        if name == "whole":
            article_shard(tmp_path / "a.parquet", articles("de", 40))
            source = tmp_path / name / "tokenizer.json"
            result = fit(str(tmp_path / "*.parquet"), tmp_path / "teacher", vocab_size=None, tokenizer=source)
            assert result.vocab_size == max(vocab.values()) + 1
    with pytest.raises(InputError, match="declares no mask token, and its ids have gaps"):
        given_tokenizer(tmp_path / "lacking/tokenizer.json", "de", 24)


def test_special_tokens_and_placeholders_are_never_labels(tmp_path: Path) -> None:
    texts = [f"{text} [unused7] [MASK]" for text in articles("de", 40)]
    corpus = article_shard(tmp_path / "a.parquet", texts)
    pieces = [*BRACKETS, "[unused7]", *word_pieces(texts)]
    backend = Tokenizer(models.WordPiece(vocab={piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # so that the text holds the placeholder's token
    backend.save(str(tmp_path / "tokenizer.json"))
    vocabulary = GivenVocabulary(tmp_path / "tokenizer.json", "de", 24)
    assert vocabulary.tokenizer.convert_tokens_to_ids("[unused7]") in vocabulary.tokenizer("Die [unused7]")["input_ids"]
    prepare_text(tmp_path / "work", source_of(str(corpus), vocabulary))
    (path,) = list_shards(str(tmp_path / "work"))
    labels = set(pq.read_table(str(path), columns=["label_ids"]).column(0).combine_chunks().flatten().to_pylist())
    assert labels
    assert min(labels) > pieces.index("[unused7]")


def source_of(corpus: str, vocabulary: NewVocabulary | GivenVocabulary) -> TextSource:
    return TextSource(corpora=(corpus,), language="de", vocabulary=vocabulary, examples=Examples(max_length=24, maskings=2), seed=0)


def test_what_was_prepared_is_known_by_family_and_by_the_tokenizers_content(tmp_path: Path) -> None:
    corpus = str(article_shard(tmp_path / "a.parquet", articles("de", 40)))

    def new(family: str) -> NewVocabulary:
        return NewVocabulary(family=family, size=300, lowercase=False, special_token_ids={})

    pieces = [*BRACKETS, *word_pieces(TEXTS["de"])]
    save_tokenizer(tmp_path / "one", pieces)
    save_tokenizer(tmp_path / "elsewhere", pieces)
    save_tokenizer(tmp_path / "other", [*pieces[:-2], *reversed(pieces[-2:])])
    prepare_text(tmp_path / "new", source_of(corpus, new("bpe")))
    counters = prepare_text(tmp_path / "given", source_of(corpus, GivenVocabulary(tmp_path / "one", "de", 24)))
    moved = source_of(corpus, GivenVocabulary(tmp_path / "elsewhere", "de", 24))
    assert prepare_text(tmp_path / "given", moved) == counters
    for work, vocabulary, field in (
        ("new", new("unigram"), "vocabulary.family: found unigram, expected bpe"),
        ("new", GivenVocabulary(tmp_path / "one", "de", 24), "vocabulary"),
        ("given", GivenVocabulary(tmp_path / "other", "de", 24), "vocabulary.given: found"),
        ("given", new("bpe"), "vocabulary"),
    ):
        with pytest.raises(InputError, match=f"begun with other arguments .*{field}"):
            prepare_text(tmp_path / work, source_of(corpus, vocabulary))


def test_resuming_with_another_tokenizer_is_refused(tmp_path: Path) -> None:
    corpus = str(article_shard(tmp_path / "a.parquet", articles("de", 40)))
    pieces = [*BRACKETS, *word_pieces(TEXTS["de"])]
    save_tokenizer(tmp_path / "one", pieces)
    save_tokenizer(tmp_path / "other", [*pieces[:-2], *reversed(pieces[-2:])])
    settings: dict[str, Any] = {"vocab_size": None, "steps": 100, "checkpoint_steps": 10, "log_steps": 1}
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from pathlib import Path\nfrom tests.support.pretraining import fit\n"
        "import student.training.loop as loop\nfrom tests.support.stopping import stop_after\n"
        "stop_after(loop.Accelerator, 'clip_grad_norm_', 14)\n"
        f"fit({corpus!r}, Path({str(tmp_path / 'killed')!r}), tokenizer=Path({str(tmp_path / 'one')!r}), **{settings!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"OMP_NUM_THREADS": "1"})
    kill_when(lambda: len(read_rows(tmp_path / ".killed.work/model")) >= 12, process)
    with pytest.raises(InputError, match=r"other arguments \(vocabulary.given: found"):
        fit(corpus, tmp_path / "killed", tokenizer=tmp_path / "other", resume=True, **settings)
    with pytest.raises(InputError, match=r"other arguments \(vocabulary"):
        fit(corpus, tmp_path / "killed", resume=True, **(settings | {"vocab_size": 120}))
    assert fit(corpus, tmp_path / "killed", tokenizer=tmp_path / "one", resume=True, **settings).steps == 100


def test_refusals(tmp_path: Path) -> None:
    corpus = str(article_shard(tmp_path / "a.parquet", articles("de", 4)))
    tokenizer = tmp_path / "tokenizer"
    save_tokenizer(tokenizer, [*BRACKETS, *word_pieces(TEXTS["de"])])
    for changes, message in (
        ({"vocab_size": 300}, "vocab_size: found 300 and a tokenizer; a given tokenizer is used as it is"),
        ({"family": "wordpiece"}, "family: found wordpiece and a tokenizer"),
        ({"lowercase": True}, "lowercase: found True and a tokenizer"),
        ({"special_token_ids": {"mask": 0}}, "special_token_ids: found"),
        ({"tokenizer": tmp_path / "none.json"}, "none.json: no such file"),
        ({"tokenizer": None, "family": "char"}, "family: found 'char'; expected one of wordpiece, unigram, bpe, byte-level"),
        ({"tokenizer": None, "family": "byte-level", "vocab_size": 260}, "vocab_size: found 260; expected at least 261"),
    ):
        with pytest.raises(InputError, match=message):
            fit(corpus, tmp_path / "out", **({"tokenizer": tokenizer, "vocab_size": None} | changes))
    pieces = {token: index for index, token in enumerate([*BRACKETS, "Die</w>"])}
    words = Tokenizer(models.BPE(pieces, [], end_of_word_suffix="</w>", unk_token="[UNK]"))
    words.save(str(tmp_path / "words.json"))
    with pytest.raises(InputError, match="BPE with the marks"):
        fit(corpus, tmp_path / "out", tokenizer=tmp_path / "words.json", vocab_size=None)
    for family in ("unigram", "bpe", "byte-level"):
        article_shard(tmp_path / "white/a.parquet", [" \n"])
        with pytest.raises(InputError, match="corpus of 'de'"):
            fit(str(tmp_path / "white/a.parquet"), tmp_path / "out", family=family, vocab_size=300)
    assert not (tmp_path / "out").exists()
