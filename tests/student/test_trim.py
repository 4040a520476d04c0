"""Trimmed models: the same logits, the same ties, folders that transformers opens alone, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForSequenceClassification

from cli import main
from student.bilingual.trim_record import read_trim
from student.bilingual.trimming import check_logits, configured_ids, trim_model, window_logits, windows_of
from student.trim import trim
from tests.support.factories import SPECIAL, article_shard, save_teacher, word_pieces
from tests.support.families import train_tokenizer
from tests.support.sample_text import sample_text
from vocab.errors import InputError
from vocab.roles import Roles

V = 90
MOVED = Roles(pad=40, unk=41, cls=42, sep=43, mask=44)
FIRST = Roles(pad=0, unk=1, cls=2, sep=3, mask=4)
SMALL = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}
KINDS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roformer": SMALL | {"embedding_size": 8},
    "roberta": SMALL | {"max_position_embeddings": 80},
    "xlm-roberta": SMALL | {"max_position_embeddings": 80},
    "distilbert": {"n_layers": 1, "n_heads": 2, "dim": 16, "hidden_dim": 24},
    "albert": SMALL | {"embedding_size": 8},
    "electra": SMALL | {"embedding_size": 8},
    "deberta-v2": SMALL | {"legacy": False, "relative_attention": True, "pos_att_type": ["p2c"]},
    "modernbert": SMALL | {"global_attn_every_n_layers": 1},
}


def masked_lm(kind: str, roles: Roles, **changes: Any) -> Any:
    """A small random model whose configuration names the ids of the roles."""
    ids = {"bos_token_id": roles.cls, "eos_token_id": roles.sep, "cls_token_id": roles.cls, "sep_token_id": roles.sep}
    named = {"vocab_size": V, "pad_token_id": roles.pad, "initializer_range": 0.4, **ids}
    torch.manual_seed(3)
    model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(kind, **(KINDS[kind] | named | changes)))
    with torch.no_grad():  # biases begin as zeros, and would hide that they are mixed up
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape)
    return model.eval()


@pytest.mark.parametrize("roles", [FIRST, MOVED], ids=["pad first", "pad moves"])
@pytest.mark.parametrize("kind", KINDS)
def test_kept_pieces_have_the_same_logits(kind: str, roles: Roles) -> None:
    model, kept_ids = masked_lm(kind, roles), np.unique([*roles, *range(5, V, 3)])
    windows = windows_of(kept_ids, roles, 20)
    expected = [logits_TV[:, kept_ids] for logits_TV in window_logits(model, windows, roles.pad)]
    trimmed = trim_model(model, kept_ids)
    new_pad = int(kept_ids.searchsorted(roles.pad))
    found = window_logits(trimmed, [kept_ids.searchsorted(window) for window in windows], new_pad)
    assert check_logits(expected, found, kind) <= 1e-6 * max(float(logits_TV.abs().max()) for logits_TV in expected)
    assert trimmed.config.vocab_size == len(kept_ids)
    assert trimmed.config.pad_token_id == new_pad
    assert trimmed.get_input_embeddings().padding_idx in (None, new_pad)
    assert configured_ids(trimmed.config) == kept_ids.searchsorted(configured_ids(model.config)).tolist()
    assert model.config.vocab_size == V  # is not changed


@pytest.mark.parametrize("tied", [True, False])
def test_tied_weights_stay_tied(tied: bool) -> None:
    model = masked_lm("bert", FIRST, tie_word_embeddings=tied)
    trimmed = trim_model(model, np.arange(0, V, 2))
    assert (trimmed.get_output_embeddings().weight is trimmed.get_input_embeddings().weight) == tied
    assert torch.equal(trimmed.get_output_embeddings().weight, model.get_output_embeddings().weight[::2])
    assert torch.equal(trimmed.get_output_embeddings().bias, model.get_output_embeddings().bias[::2])
    assert torch.equal(trimmed.get_input_embeddings().weight, model.get_input_embeddings().weight[::2])


def test_two_tables_stay_two_whatever_the_configuration_says() -> None:
    model = masked_lm("bert", FIRST, tie_word_embeddings=True)
    decoder = model.get_output_embeddings()
    decoder.weight = torch.nn.Parameter(decoder.weight.detach() + 1)
    trimmed = trim_model(model, np.arange(0, V, 2))
    assert torch.equal(trimmed.get_output_embeddings().weight, decoder.weight[::2])
    assert torch.equal(trimmed.get_input_embeddings().weight, model.get_input_embeddings().weight[::2])
    assert not trimmed.config.tie_word_embeddings


def test_an_unknown_part_is_refused_by_its_name() -> None:
    model = masked_lm("bert", FIRST)
    model.cls.predictions.extra = torch.nn.Linear(V, 3)  # a part that its configuration does not make
    with pytest.raises(InputError, match="'bert' has weights that a trimmed model has no place for"):
        trim_model(model, np.arange(40))


def test_other_logits_are_refused() -> None:
    logits_TV = torch.zeros(3, 5)
    assert check_logits([logits_TV], [logits_TV + 5e-6], "bert") == pytest.approx(5e-6)
    with pytest.raises(InputError, match="differ by up to"):
        check_logits([logits_TV], [logits_TV + 0.01], "bert")
    with pytest.raises(InputError, match="differ by up to nan"):
        check_logits([logits_TV], [logits_TV * float("nan")], "bert")
    with pytest.raises(InputError, match="gives 4 logits; expected 5"):
        check_logits([logits_TV], [logits_TV[:, :4]], "bert")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpora of de and tr, an XLM-R with a Unigram vocabulary whose padding is its last piece, and a DistilBERT of 5 surplus rows."""
    folder = tmp_path_factory.mktemp("trim")
    for language in ("de", "tr"):
        for part in range(2):
            article_shard(folder / f"{language}{part}.parquet", sample_text(language)[30 * part :][:30], rows_per_group=7)
    article_shard(folder / "nothing.parquet", ["", " "])
    tokenizer = train_tokenizer("unigram", [*sample_text("de"), *sample_text("tr")], 900)
    tokenizer.add_special_tokens({"pad_token": "<last>", "extra_special_tokens": ["<entity>"]})
    tokenizer.save_pretrained(folder / "xlm-r")
    roles = Roles(pad=tokenizer.pad_token_id, unk=3, cls=0, sep=2, mask=4)
    size = len(tokenizer) + 3
    masked_lm("xlm-roberta", roles, vocab_size=size, max_position_embeddings=size + 40).bfloat16().save_pretrained(folder / "xlm-r")
    save_teacher(folder / "bert", [*SPECIAL, *word_pieces(sample_text("de"))])
    return folder


LOADS = """
import json, sys, torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForMaskedLM.from_pretrained(sys.argv[1])
batch = tokenizer(["Ein <entity> <mask>", "Stadt"], return_tensors="pt", padding=True)
with torch.no_grad():
    logits = model(**batch).logits
print(json.dumps([tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist()), list(logits.shape), len(tokenizer), str(model.dtype)]))
"""


def test_the_folder_opens_without_this_project(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = trim(str(place / "xlm-r"), {"de": [str(place / "de*.parquet")]}, out, min_probability=2e-3, progress=False)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADS, str(out)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    tokens, shape, size, dtype = json.loads(done.stdout)
    own: Any = AutoTokenizer.from_pretrained(place / "xlm-r")
    assert tokens == own.convert_ids_to_tokens(own("Ein <entity> <mask>")["input_ids"])
    assert "<entity>" in tokens
    assert shape == [2, len(tokens), size]
    assert size == result.pieces_after < result.pieces_before
    assert dtype == "torch.bfloat16"
    assert result.logit_difference < 1e-5
    record = read_trim(out)
    assert (record.model, record.languages, len(record.kept_ids)) == (str(place / "xlm-r"), ("de",), size)
    new: Any = AutoTokenizer.from_pretrained(out)
    assert own.convert_ids_to_tokens(record.kept_ids.tolist()) == new.convert_ids_to_tokens([*range(size)])
    assert json.loads((out / "tokenizer_config.json").read_text())["additional_special_tokens"] == [
        "<entity>"
    ]  # as transformers 4 reads
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]  # nothing hidden stays


@pytest.mark.parametrize(("kind", "types"), [("bert", True), ("distilbert", False)])
def test_the_tokenizer_gives_what_the_model_takes(kind: str, types: bool, place: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(place / "bert")
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names
    tokenizer.save_pretrained(tmp_path / "old")
    masked_lm(kind, FIRST, vocab_size=len(tokenizer)).save_pretrained(tmp_path / "old")
    trim(str(tmp_path / "old"), {"de": [str(place / "de0.parquet")]}, tmp_path / "new", progress=False)
    given = AutoTokenizer.from_pretrained(tmp_path / "new")("Stadt", return_tensors="pt")
    assert ("token_type_ids" in given) == types
    AutoModelForMaskedLM.from_pretrained(tmp_path / "new")(**given)


def test_the_table_says_what_changed(place: Path, tmp_path: Path) -> None:
    corpora = [f"--corpus=de={place}/de0.parquet", f"--corpus=de={place}/de1.parquet", f"--corpus=tr={place}/tr*.parquet"]
    shown = invoke("trim", str(place / "xlm-r"), *corpora, "--out", str(tmp_path / "out"), "--articles", "50", "--json")
    assert shown.exit_code == 0, shown.output
    table = json.loads(shown.stdout)
    assert [(row["language"], row["articles"]) for row in table["rows"]] == [("de", 50), ("tr", 50)]
    for row in table["rows"]:
        assert row["unknown_after"] <= row["unknown_before"] < 0.1
        assert row["same_words"] > 0.998
        assert 1 < row["pieces_per_word_before"] <= row["pieces_per_word_after"] < 4
    facts = table["facts"]
    assert facts["pieces_after"] < facts["pieces_before"]
    assert facts["parameters_after"] < facts["parameters_before"]
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "out").num_parameters() == facts["parameters_after"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


def classifier(folder: Path) -> None:
    AutoTokenizer.from_pretrained(folder.parent / "bert").save_pretrained(folder)
    config = BertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertForSequenceClassification(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Missing option '--corpus'"),
        (("--corpus", "de"), "expected LANG=FILES"),
        (("--corpus", "de=none*.parquet"), "no file matches 'none*.parquet'"),
        (("--corpus", "de=de0.parquet", "--corpus", "de=de0.parquet"), "found de0.parquet twice"),
        (("--corpus", "de=de0.parquet", "--corpus", "tr=de*.parquet"), "twice; expected each file once"),
        (("--corpus", "de=de0.parquet", "--corpus", "tr=nothing.parquet"), "corpus of 'tr': found no token"),
        (("--corpus", "de=de0.parquet", "--min-probability", "0"), "--min-probability"),
        (("--corpus", "de=de0.parquet", "--min-probability", "1.5"), "--min-probability"),
        (("--corpus", "de=de0.parquet", "--min-coverage", "nan"), "--min-coverage"),
        (("--corpus", "de=de0.parquet", "--articles", "-1"), "--articles"),
        (("--corpus", "de=de0.parquet", "--out", "bert"), "bert: already holds something"),
    ],
)
def test_a_mistake_is_one_line(
    options: tuple[str, ...], message: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    out = () if "--out" in options else ("--out", str(tmp_path / "out"))
    refused(invoke("trim", "bert", *out, *options), message)
    assert not [*tmp_path.iterdir()]


def refused(result: Result, message: str) -> None:
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len([line for line in result.stderr.splitlines() if not line.startswith(("Usage:", "Try ")) and line]) == 1


def test_what_is_no_masked_lm_is_refused(place: Path, tmp_path: Path) -> None:
    classifier(place / "classifier")
    corpus = f"de={place}/de0.parquet"
    refused(invoke("trim", str(place / "classifier"), "--corpus", corpus, "--out", str(tmp_path / "out")), "weights of a masked LM")
    refused(invoke("trim", str(place / "nowhere"), "--corpus", corpus, "--out", str(tmp_path / "out")), "is not a folder")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "found the version 2; expected 1"),
        ({"kept_ids": [1, 1]}, "found a damaged 'kept_ids'"),
        ({"kept_ids": [0.5]}, "found a damaged 'kept_ids'"),
        ({"weights": "abc"}, "found a damaged 'weights'"),
        ({"corpora": {}}, "found a damaged 'corpora'"),
    ],
)
def test_a_damaged_record_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    sound = {"version": 1, "model": "m", "weights": "0" * 64, "tokenizer": "1" * 64, "corpora": {"de": ["2" * 64]}}
    content = sound | {"min_probability": 1e-6, "min_coverage": 0, "articles": 0, "kept_ids": [0, 3]}
    (tmp_path / "trim.json").write_text(json.dumps(content))
    assert read_trim(tmp_path).kept_ids.tolist() == [0, 3]
    (tmp_path / "trim.json").write_text(json.dumps(content | change))
    with pytest.raises(InputError, match=message):
        read_trim(tmp_path)
    (tmp_path / "trim.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_trim(tmp_path)
