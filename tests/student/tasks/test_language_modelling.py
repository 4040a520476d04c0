"""Scores of masked LMs per byte and per character, against a plain loop over masked copies."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModelForMaskedLM, BertConfig, PreTrainedTokenizerFast

from cli import main
from data.random_bits import permutation
from student.hf_folder import load_model
from student.tasks.language_modelling import MASKINGS, RATE, _cut, _one_by_one, bytes_of_pieces, score_language, words_of_pieces
from student.tasks.reading import own_reader
from tests.support.factories import SPECIAL, TEXTS, article_shard, save_teacher, word_pieces
from tests.support.judged import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("models") / "de", [*SPECIAL, *word_pieces(TEXTS["de"])])


def test_the_scores_are_those_of_a_loop(folder: Path) -> None:
    model, reader = load_model(folder).eval(), own_reader(folder, "de")
    texts = ["Der Fluss fließt Flussbach .", "Ein Bach ist Stadtfluss"]  # an unknown word, and one of several pieces
    found = score_language(model, reader, texts, max_length=32, precision="float32", what="lm")
    masked = masked_bytes = total = 0.0
    for number, (text, segmentation) in enumerate(zip(texts, reader.texts(texts), strict=True)):
        ids, words = segmentation.ids.astype(np.int64).tolist(), words_of_pieces(text, segmentation.offsets).tolist()
        sizes = bytes_of_pieces(text, segmentation.offsets).tolist()
        assert sum(sizes) == len(text.encode())

        def loss(hidden: set[int], place: int, ids: list[int] = ids) -> float:
            row = [reader.roles.cls, *(reader.roles.mask if n in hidden else one for n, one in enumerate(ids)), reader.roles.sep]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([row])).logits[0, place + 1].double()
            return float(logits.logsumexp(0) - logits[ids[place]])

        for copy in range(MASKINGS):
            drawn = permutation(len(ids), 0, "masked LM", number, 0, copy)[: max(1, round(RATE * len(ids)))].tolist()
            masked += sum(loss({*drawn}, place) for place in drawn)
            masked_bytes += sum(sizes[place] for place in drawn)
        for place, word in enumerate(words):
            total += loss({n for n, other in enumerate(words) if other == word and n >= place}, place)
    assert found.loss_per_byte == pytest.approx(masked / masked_bytes, rel=1e-5)
    assert found.perplexity_per_character == pytest.approx(math.exp(total / sum(map(len, texts))), rel=1e-5)
    assert (found.characters, found.texts, found.unknown) == (sum(map(len, texts)), 2, 1)


def test_later_pieces_of_a_word_are_masked_with_it() -> None:
    masks, places = _one_by_one(np.array([0, 1, 1, 1, 2]))
    assert [mask.nonzero()[0].tolist() for mask in masks] == [[0], [1, 2, 3], [2, 3], [3], [4]]
    assert [place.tolist() for place in places] == [[0], [1], [2], [3], [4]]


def spans(*parts: str) -> tuple[str, np.ndarray]:
    ends = np.cumsum([len(part) for part in parts])
    return "".join(parts), np.stack([ends - [len(part) for part in parts], ends], axis=1)


def test_every_byte_belongs_to_one_piece() -> None:
    text, whole = spans("für", " dich", " 东", "京")
    assert bytes_of_pieces(text, whole).tolist() == [4, 5, 4, 3]
    bert = np.array([[0, 3], [4, 8], [9, 10], [10, 11]])  # without the spaces
    assert bytes_of_pieces(text, bert).tolist() == [4, 5, 4, 3]
    shared = np.array([[0, 3], [4, 8], *[[9, 10]] * 3, *[[10, 11]] * 3])  # a character of three byte-level pieces
    assert bytes_of_pieces(text, shared).tolist() == pytest.approx([4, 5, *[4 / 3] * 3, 1, 1, 1])
    assert bytes_of_pieces("ab  ", np.array([[0, 1], [1, 2]])).tolist() == [1, 3]
    assert bytes_of_pieces("", np.zeros((0, 2), np.int64)).tolist() == []


def test_words_follow_from_the_text_whatever_the_tokenizer_calls_a_word() -> None:
    text = "für dich, 东京 ok"
    by_character = np.array([[at, at + 1] for at in range(len(text))])
    assert words_of_pieces(text, by_character).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 4, 5, 5]
    sentence_piece = np.array([[0, 3], [3, 8], [8, 9], [9, 9], [9, 12], [12, 15]])
    assert words_of_pieces(text, sentence_piece).tolist() == [0, 1, 2, 2, 3, 5]


def test_the_loss_per_byte_of_a_uniform_byte_level_model_is_that_of_its_vocabulary(tmp_path: Path) -> None:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=261, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator([], trainer)
    roles = {f"{role}_token": token for role, token in zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True)}
    PreTrainedTokenizerFast(tokenizer_object=backend, **roles).save_pretrained(tmp_path)
    shape = BertConfig(vocab_size=261, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    model = AutoModelForMaskedLM.from_config(shape)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    text = "东京是日本的首都 für dich 😀"
    found = score_language(model, own_reader(tmp_path, "bytes"), [text], max_length=128, precision="float32", what="lm")
    assert found.pieces == len(text.encode())
    assert found.loss_per_byte == pytest.approx(
        math.log(261), rel=0.02
    )  # the character's bytes are shared, and a space goes with a word
    assert found.perplexity_per_character == pytest.approx(261 ** (len(text.encode()) / len(text)), rel=1e-4)


def test_long_texts_are_read_in_windows_and_nothing_is_left_out(folder: Path) -> None:
    model, reader = load_model(folder), own_reader(folder, "de")
    text = " ".join([*TEXTS["de"]] * 4)
    (whole,) = reader.texts([text])
    found = score_language(model, reader, [text], max_length=12, precision="float32", what="lm")
    assert found.pieces == len(whole.ids) > 50
    assert found.unknown == 0


def test_texts_are_cut_at_white_space_where_there_is_some() -> None:
    assert _cut("eins zwei drei", 10) == "eins zwei"
    assert _cut("中文没有空格的文章", 4) == "中文没有"
    assert _cut("kurz", 10) == "kurz"
    assert _cut("a langeswort", 8) == "a langes"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path)
    article_shard(tmp_path / "held/de.parquet", TEXTS["de"])
    arguments = [
        "evaluate",
        "lm",
        "--model",
        "run/student",
        "--teacher",
        "de=teachers/de",
        "--tokens",
        "routed",
        "--max-length",
        "32",
    ]
    done = CliRunner().invoke(main, [*arguments, "--text", "de=held/*.parquet", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [row["model"].rpartition("/")[2] for row in rows] == ["student", "de"]
    assert rows[0]["pieces"] == rows[1]["pieces"]  # routed: cut as by the teacher
    assert all(row["perplexity_per_character"] > 1 for row in rows)
    for change, message in (
        (["--text", "de=absent/*"], "--text de: no file matches 'absent/"),
        (["--text", "de=held/*.parquet", "--max-length", "512"], "has 64 positions, and --max-length is 512"),
    ):
        refused = CliRunner().invoke(main, [*arguments, *change], catch_exceptions=False)
        assert (refused.exit_code, message in refused.output) == (2, True), refused.output
