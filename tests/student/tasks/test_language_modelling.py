"""Scores of masked LMs per byte and per character, against a plain loop over masked copies."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cli import main
from data.random_bits import permutation
from student.hf_folder import load_model
from student.tasks.language_modelling import MASKINGS, RATE, _cut, _one_by_one, score_language
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
        ids, words = segmentation.ids.astype(np.int64).tolist(), segmentation.word_ids.tolist()
        sizes = [len(text[begin:end].encode()) for begin, end in segmentation.offsets.tolist()]

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
    masks, places = _one_by_one(np.array([0, 1, 1, 1, 2, -1, -1]))
    assert [mask.nonzero()[0].tolist() for mask in masks] == [[0], [1, 2, 3], [2, 3], [3], [4], [5], [6]]
    assert [place.tolist() for place in places] == [[0], [1], [2], [3], [4], [5], [6]]


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
