"""The better teacher of an article and of a language, against a loop over rows; and what the stream then reads."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.shards import Shard, open_shard
from student.training.metrics import read_rows
from student.training.rows import Cursor
from student.training.stream import Stream, StreamSettings
from student.training.teacher_choice import Choice, byte_length, choose_rows
from tests.support.student_shards import FIRST, V, make_shards
from tests.support.training import fit

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *("##" * (index % 2) + "é" * (1 + index % 5) for index in range(V - 5))]
SETTINGS = StreamSettings(
    seed=1, alpha=0.7, with_teacher=True, tokens_per_batch=400, tokens_per_microbatch=200, max_length=24, vocab_size=V, pad=0
)
TEACHERS = ["b", "a"]  # the recipe's order is not the alphabet's


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Shard]:
    """Two teachers of "de" on the same articles (of three windows each, which cross row groups), one teacher of "en"."""
    folder = tmp_path_factory.mktemp("choice")
    sizes = {("de", "a"): [50, 31], ("de", "b"): [50, 31], ("en", "a"): [40]}
    return make_shards(folder, sizes, windows_each=3, numbers_by_teacher=True)


def by_hand(shards: list[Shard], *, whole_language: bool) -> dict[tuple[str, str], str]:
    """(language, article) → the teacher that wins, from sums in plain Python."""
    logits: dict[tuple[str, str, str], float] = defaultdict(float)
    sizes: dict[tuple[str, str, str], int] = defaultdict(int)
    articles = set()
    for shard in shards:
        for row in open_shard(shard.location).read().to_pylist():
            articles.add((shard.path.language, row["doc_id"]))
            key = (shard.path.language, "" if whole_language else row["doc_id"], shard.path.teacher)
            for label, logit in zip(row["label_ids"], row["label_logits"], strict=True):
                logits[key] += logit
                sizes[key] += len(PIECES[label].removeprefix("##").encode())
    winners = {}
    for language, article in articles:
        scores = {}
        for teacher in TEACHERS:
            key = (language, "" if whole_language else article, teacher)
            if key in logits:
                scores[teacher] = logits[key] / sizes[key]
        winners[language, article] = max(scores, key=lambda teacher: scores[teacher])
    return winners


@pytest.mark.parametrize("choice", ["best-article", "best-language"])
def test_against_a_loop_over_rows(shards: list[Shard], choice: str) -> None:
    chosen = choose_rows(shards, choice, TEACHERS, PIECES)  # type: ignore[arg-type]
    winners = by_hand(shards, whole_language=choice == "best-language")
    counts: dict[str, int] = defaultdict(int)
    for shard in shards:
        docs = open_shard(shard.location).read(columns=["doc_id"]).column("doc_id").to_pylist()
        expected = [winners[shard.path.language, doc] == shard.path.teacher for doc in docs]
        found = chosen.kept.get(shard.location, np.ones(shard.rows, np.bool_))
        assert found.tolist() == expected, shard.location
        assert (shard in chosen.shards) == any(expected)
        if shard.path.language == "de":
            counts[shard.path.teacher] += sum(expected)
    assert set(chosen.won) == {"de"}
    for teacher in TEACHERS:
        assert chosen.won["de"][teacher] == pytest.approx(counts[teacher] / sum(counts.values()))
    if choice == "best-article":
        assert all(0.1 < share < 0.9 for share in chosen.won["de"].values())  # both teachers are there to be told apart
    else:
        assert sorted(chosen.won["de"].values()) == [0.0, 1.0]


def test_all_reads_nothing(shards: list[Shard]) -> None:
    gone = [replace(shard, location="gone") for shard in shards]
    assert choose_rows(gone, "all", TEACHERS, PIECES) == Choice(shards=tuple(gone))
    english = [shard for shard in gone if shard.path.language == "en"]
    assert choose_rows(english, "best-article", TEACHERS, PIECES) == Choice(shards=tuple(english))


def test_between_equals_the_order_of_the_recipe_decides(shards: list[Shard], tmp_path: Path) -> None:
    twins = make_shards(tmp_path, {("de", "a"): [20], ("de", "b"): [20]}, numbers_by_teacher=True, same_labels=True)
    assert choose_rows(twins, "best-article", ["b", "a"], PIECES).won["de"] == {"b": 1.0, "a": 0.0}
    assert choose_rows(twins, "best-article", ["a", "b"], PIECES).won["de"] == {"a": 1.0, "b": 0.0}


def test_an_article_that_one_teacher_lacks_is_the_others(tmp_path: Path) -> None:
    found = make_shards(tmp_path, {("de", "a"): [20], ("de", "b"): [12]}, numbers_by_teacher=True)
    chosen = choose_rows(found, "best-article", TEACHERS, PIECES)
    assert chosen.kept[found[0].location][12:].all()
    assert sum(int(kept.sum()) for kept in chosen.kept.values()) == 20


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_stream_reads_each_chosen_row_once_an_epoch(shards: list[Shard], world: int) -> None:
    chosen = choose_rows([shard for shard in shards if shard.path.language == "de"], "best-article", TEACHERS, PIECES)
    seen = []
    for rank in range(world):
        settings = replace(SETTINGS, rank=rank, world=world)
        with Stream(chosen.shards, settings, kept=chosen.kept) as stream:
            assert stream.rows == {"de": 81}
            rows = next(iter(stream._rows))
            picked, _ = rows.take(sum(1 for _ in range(rank, 81, world)) if rows._by_row else _own(rows), Cursor())
            sources = [picked.sources[index] for index in picked.source_R]
            seen += [source.values("input_ids", row, row + 1)[1] - FIRST for source, row in zip(sources, picked.row_R, strict=True)]
    assert sorted(seen) == [*range(81)]


def _own(rows: object) -> int:
    """The rows of a rank in its first epoch."""
    return sum(len(rows._chunk(0, index).row_R) for index in range(len(rows.chunks(0))))  # type: ignore[attr-defined, misc]


def test_training_says_who_won(tmp_path: Path, shards: list[Shard]) -> None:
    folder = Path(shards[0].location).parents[2]
    (tmp_path / "tokenizer").mkdir()
    chosen = choose_rows(shards, "best-article", TEACHERS, PIECES)
    fit(tmp_path, tmp_path / "out", choice=chosen, predictions=str(folder), steps=4, teacher_choice="best-article", warmup_steps=1)
    assert read_rows(tmp_path / "out")[-1]["won"] == {"de": pytest.approx(chosen.won["de"])}


def test_bytes_of_pieces() -> None:
    assert [byte_length(piece) for piece in ("haus", "##ß", "語", "<bytes E4 B8>", "##<bytes E4 B8 AA>")] == [4, 2, 3, 2, 3]
