"""Pairs of texts: laid out and cut as transformers does it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertConfig

from student.tasks.pairing import PairTask
from student.tasks.read_pairs import Pair
from student.tasks.reading import own_reader
from student.tasks.task import FineTuning, pad_batch
from tests.support.factories import SPECIAL, TEXTS, word_pieces
from vocab.errors import InputError

TUNING = FineTuning(max_length=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *word_pieces(TEXTS["de"])]), encoding="utf-8")
    BertConfig().save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.lists(st.sampled_from(TEXTS["de"][0].split()), max_size=20).map(" ".join)] * 2), min_size=1, max_size=4)
)
def test_pairs_are_those_of_transformers(folder: Path, texts: list[tuple[str, str]]) -> None:
    data = [Pair(first, second, "neutral") for first, second in texts]
    encoded = PairTask("xnli").encode(data, own_reader(folder, "bert"), ("neutral",), TUNING)
    found = pad_batch(encoded.examples, 0, types=True)
    theirs = AutoTokenizer.from_pretrained(folder)(
        [first for first, _ in texts], [second for _, second in texts], truncation="longest_first", max_length=16, padding=True
    )
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert found[name].tolist() == theirs[name], name
    cut = sum(len(first.split()) + len(second.split()) > 13 for first, second in texts)
    assert encoded.counters == {"pairs": len(texts)} | ({"cut_pairs": cut} if cut else {})


def test_scores_and_refusals(tmp_path: Path) -> None:
    task = PairTask("pawsx")
    data = [Pair("a", "b", label) for label in "0110"]
    assert task.score(data, ["0", "1", "0", "0"], "de") == {"accuracy": 75.0}
    with pytest.raises(ValueError, match="found 3 predictions for 4 pairs"):
        task.score(data, ["0", "1", "0"], "de")
    with pytest.raises(InputError, match="found 2 files of pairs for one file of labels"):
        task.read([tmp_path / "a.tsv", tmp_path / "b.tsv"], tmp_path / "labels", train=False)
