"""`sparse language`: what it trains, what stays, a kill, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from data.sparse_file import read_sparse
from student.bilingual.sparse_model import base_fingerprints, sparse_names
from tests.support.bilingual import bilingual_recipe, command
from tests.support.factories import article_shard
from tests.support.paths import ROOT
from tests.support.stopping import kill_when

TUNE = [
    "--steps",
    "30",
    "--batch-size",
    "4",
    "--max-length",
    "16",
    "--learning-rate",
    "0.003",
    "--share",
    "0.1",
    "--precision",
    "float32",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mul/, corpora/ and de.safetensors."""
    folder = tmp_path_factory.mktemp("language")
    bilingual_recipe(folder)
    done = command(*arguments(folder, "de.safetensors"))
    assert done.exit_code == 0, done.output
    return folder


def arguments(folder: Path, name: str) -> list[str]:
    corpus = ["--language", "de", "--corpus", str(folder / "corpora/de/*.parquet")]
    return ["sparse", "language", str(folder / "mul"), *corpus, "--out", str(folder / name), *TUNE]


def test_the_language_is_learned_by_a_few_entries_of_the_encoder(made: Path) -> None:
    content = read_sparse(made / "de.safetensors")
    header = content.header
    assert (header.kind, header.language, header.head, dict(content.dense)) == ("language", "de", "", {})
    assert 0 < content.entries <= header.k == int(0.1 * header.parameters)
    assert (header.base_weights, header.base_tokenizer) == base_fingerprints(made / "mul")
    assert not any("LayerNorm" in name for name in content.shapes)
    assert sorted(path.name for path in made.iterdir() if path.name.startswith(".")) == []
    assert command("sparse", "apply", str(made / "mul"), str(made / "de.safetensors"), "--out", str(made / "dense")).exit_code == 0
    base, tuned = (AutoModelForMaskedLM.from_pretrained(made / name) for name in ("mul", "dense"))
    rows = base.get_input_embeddings().weight
    assert torch.equal(tuned.get_output_embeddings().weight, rows)  # the output keeps the base's embeddings
    assert torch.equal(tuned.cls.predictions.bias, base.cls.predictions.bias)
    moved = sum(int((one != sparse_names(base)[name]).sum()) for name, one in sparse_names(tuned).items())
    assert moved == content.entries
    losses = [mean_loss(model, made) for model in (base, tuned)]
    assert losses[1] < 0.9 * losses[0]


def mean_loss(model: torch.nn.Module, folder: Path) -> float:
    from data.articles import read_articles
    from vocab.tokenizer_source import open_tokenizer

    tokenizer = open_tokenizer(folder / "mul", "mul").backend_tokenizer
    vocabulary = tokenizer.get_vocab()
    found = []
    for _, text in read_articles(str(folder / "corpora/de/part0.parquet")):
        ids = torch.tensor([[vocabulary["[CLS]"], *tokenizer.encode(text, add_special_tokens=False).ids[:14], vocabulary["[SEP]"]]])
        masked, labels = ids.clone(), torch.full_like(ids, -100)
        masked[0, 2::5], labels[0, 2::5] = vocabulary["[MASK]"], ids[0, 2::5]
        with torch.no_grad():
            found.append(float(model.eval()(input_ids=masked, labels=labels).loss))
    return float(np.mean(found))


@pytest.mark.parametrize(("phase", "step"), [("full", 11), ("sparse", 14)])
def test_a_killed_call_continues(phase: str, step: int, made: Path) -> None:
    name = f"killed-{phase}.safetensors"
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\nfrom cli import main\n"
        "import student.sparse_language as command\nfrom functools import partial\n"
        "command.LanguageSettings = partial(command.LanguageSettings, checkpoint_steps=5)\n"
        "import student.bilingual.language_tuning as tuning\nfrom tests.support.stopping import stop_after\n"
        f"stop_after(tuning, 'masked_lm_loss', {step if phase == 'full' else 30 + step})\n"
        f"main({arguments(made, name)!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"OMP_NUM_THREADS": "1"})
    checkpoints = made / f".{name}.work/{phase}/checkpoints/step-00000010"
    kill_when(checkpoints.is_dir, process)
    assert not (made / name).exists()
    other = [*arguments(made, name), "--seed", "3"]
    refused = command(*other)
    assert (refused.exit_code, "begun with other settings" in refused.output) == (2, True)
    assert command(*arguments(made, name)).exit_code == 0
    assert read_sparse(made / name).fingerprint() == read_sparse(made / "de.safetensors").fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--out": "de.safetensors"}, "exists; expected a new file"),
        ({"--corpus": "nowhere/*"}, "no file matches"),
        ({"--language": "Deutsch"}, "expected the code of a language"),
        ({"--share": "1"}, "leaves"),
        ({"--max-length": "65"}, "has 64 positions, and --max-length is 65"),
        ({"--out": "mul/de.safetensors"}, "is in the folder of the model"),
        ({"--learning-rate": "1e30"}, "expected a number: lower --learning-rate"),
    ],
)
def test_what_is_refused(change: dict[str, str], message: str, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    given = arguments(made, "refused.safetensors")
    for option, value in change.items():
        given[given.index(option) + 1] = value
    done = command(*given)
    assert done.exit_code == 2
    assert message in done.output
    assert not (made / "refused.safetensors").exists()


def test_l1_keeps_the_differences_small(made: Path) -> None:
    found = []
    for strength in ("0", "3000"):
        file = made / f"l1-{strength}.safetensors"
        assert command(*arguments(made, file.name), "--l1", strength).exit_code == 0
        found.append(sum(float(np.abs(values).sum()) for values in read_sparse(file).values.values()))
    assert found[1] < 0.9 * found[0]


def test_text_without_a_known_piece_is_refused(made: Path) -> None:
    article_shard(made / "corpora/odd.parquet", ["\U0001f600 \U0001f601 " * 40] * 9)
    given = arguments(made, "odd.safetensors")
    given[given.index("--corpus") + 1] = str(made / "corpora/odd.parquet")
    done = command(*given)
    assert (done.exit_code, "fill no window of 16 tokens with a known piece" in done.output) == (2, True)
