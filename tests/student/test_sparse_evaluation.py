"""`evaluate TASK --sparse`: the file that it leaves, the teacher of phase 2, languages' sparse fine-tunings, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from transformers import AutoModelForMaskedLM, AutoModelForTokenClassification

from cli import main
from data.sparse_file import SparseFile, read_sparse, write_sparse
from data.sparse_header import SparseHeader
from student.bilingual.shallow import shallow_student
from student.bilingual.sparse_model import base_fingerprints, sparse_names
from student.bilingual.teacher import open_with_states
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces
from tests.support.judged import evaluate, make_run, treebanks, write_entities, write_pairs, write_questions, write_treebanks

TUNING = "--epochs 10 --batch-size 8 --learning-rate 0.01 --max-length 32 --precision float32 --keep last"
FAST = TUNING.split()
SPARSE = ["--sparse", "0.3", "--full-epochs", "4"]
ZERO_SHOT = ["--protocol", "zero-shot", *treebanks("en", parts=("train",)), *treebanks("de", "en", parts=("test",))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mul: a model of both languages with two layers. student: every second of its layers."""
    folder = tmp_path_factory.mktemp("sparse")
    pieces = [*SPECIAL, *dict.fromkeys(piece for language in ("de", "en") for piece in word_pieces(TEXTS[language]))]
    save_teacher(folder / "mul", pieces, layers=2, spread=0.1)
    shutil.copytree(folder / "mul", folder / "student")
    torch.manual_seed(0)
    shallow_student(open_with_states(folder / "mul"), 2).save_pretrained(folder / "student")
    write_treebanks(folder)
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments], catch_exceptions=False)


def scores(folder: Path) -> dict[str, float]:
    content = json.loads((folder / "udpos.json").read_text())
    return {row["language"]: row["accuracy"]["mean"] for row in content["scores"]}


def sparse_teacher(inside: Path) -> Path:
    """sparse/…: φ_task of the multilingual model; tuned/: the model with it."""
    done = evaluate("udpos", "--model", "mul", *ZERO_SHOT, *FAST, *SPARSE, "--out", "of_teacher")
    assert done.exit_code == 0, done.output
    file = next((inside / "of_teacher/sparse").iterdir())
    if not (inside / "tuned").exists():
        assert command("sparse", "apply", "mul", str(file), "--out", "tuned").exit_code == 0
    return file


def test_the_file_and_what_it_was_trained_from(inside: Path) -> None:
    file = sparse_teacher(inside)
    content = read_sparse(file)
    header = content.header
    assert (header.kind, header.task, header.language) == ("task", "udpos", "en")
    assert (header.base_weights, header.base_tokenizer) == base_fingerprints(inside / "mul")
    assert 0 < content.entries <= header.k == int(0.3 * header.parameters)
    assert header.labels == tuple(sorted(header.labels))
    assert scores(inside / "of_teacher")["en"] > 40  # it learned; 5 tags
    model = AutoModelForTokenClassification.from_pretrained(inside / "tuned")
    assert tuple(model.config.id2label.values()) == header.labels
    base = AutoModelForMaskedLM.from_pretrained(inside / "mul")
    kept = sparse_names(base)
    moved = sum(int((kept[name] != parameter).sum()) for name, parameter in sparse_names(model).items())
    assert moved == content.entries


def test_a_result_is_kept_with_its_file_and_made_again_without(inside: Path) -> None:
    file = sparse_teacher(inside)
    before, content = file.stat().st_mtime_ns, read_sparse(file).fingerprint()
    sparse_teacher(inside)
    assert file.stat().st_mtime_ns == before
    file.unlink()
    again = evaluate("udpos", "--model", "mul", *ZERO_SHOT, *FAST, *SPARSE, "--out", "of_teacher")
    assert "is trained again, since of_teacher/sparse/" in again.stderr
    assert read_sparse(file).fingerprint() == content  # the same seed gives the same file
    other = evaluate("udpos", "--model", "mul", *ZERO_SHOT, *FAST, "--sparse", "0.2", "--out", "of_teacher")
    assert other.exit_code == 2
    assert "sparse: found 0.3, expected 0.2" in other.output


def test_a_student_learns_from_a_tuned_teacher_and_not_from_gold(inside: Path) -> None:
    sparse_teacher(inside)
    arguments = ["udpos", "--model", "student", *ZERO_SHOT, *FAST, *SPARSE, "--distil-from", "tuned"]
    done = evaluate(*arguments, "--out", "distilled")
    assert done.exit_code == 0, done.output
    assert scores(inside / "distilled")["en"] > 40
    # The same files with tags that are all wrong give the same weights: the teacher's outputs alone are learned from.
    text = (inside / "ud/en-train.conllu").read_text()
    tags = sorted({line.split("\t")[3] for line in text.splitlines() if "\t" in line})
    turned = dict(zip(tags, tags[1:] + tags[:1], strict=True))
    lines = [line if "\t" not in line else _with_tag(line, turned) for line in text.splitlines()]
    (inside / "ud/en-wrong.conllu").write_text("\n".join(lines) + "\n")
    wrong = [one.replace("en-train", "en-wrong") for one in arguments]
    assert evaluate(*wrong, "--out", "wrong").exit_code == 0
    one, two = (read_sparse(next((inside / out / "sparse").iterdir())) for out in ("distilled", "wrong"))
    assert all(np.array_equal(one.values[name], two.values[name]) for name in one.values)


def _with_tag(line: str, turned: dict[str, str]) -> str:
    columns = line.split("\t")
    columns[3] = turned[columns[3]]
    return "\t".join(columns)


@pytest.mark.parametrize("task", ["ner", "pawsx", "qa"])
def test_other_tasks(task: str, inside: Path) -> None:
    writers: dict[str, Any] = {"ner": write_entities, "pawsx": write_pairs, "qa": write_questions}
    ending = {"ner": "tsv", "pawsx": "tsv", "qa": "json"}[task]
    for part, count in (("train", 12), ("test", 7)):
        writers[task](inside / f"{task}-{part}.{ending}", "de", count)
    files = [piece for part in ("train", "test") for piece in (f"--{part}", f"de={task}-{part}.{ending}")]
    settings = [*FAST, *SPARSE, *(["--question-length", "6"] if task == "qa" else [])]
    assert evaluate(task, "--model", "mul", *files, *settings, "--out", f"t-{task}").exit_code == 0
    file = next((inside / f"t-{task}/sparse").iterdir())
    assert command("sparse", "apply", "mul", str(file), "--out", f"tuned-{task}").exit_code == 0
    distilled = evaluate(task, "--model", "student", *files, *settings, "--distil-from", f"tuned-{task}", "--out", f"s-{task}")
    assert distilled.exit_code == 0, distilled.output


def language_file(inside: Path, language: str, seed: int) -> Path:
    """A language's sparse fine-tuning of mul: some entries of a layer."""
    weights, tokenizer = base_fingerprints(inside / "mul")
    model = AutoModelForMaskedLM.from_pretrained(inside / "mul")
    name = next(name for name in sparse_names(model) if name.endswith("layer.0.output.dense.weight"))
    shape = tuple(sparse_names(model)[name].shape)
    places = np.arange(0, 60, 2, dtype=np.int32)
    values = np.random.default_rng(seed).normal(size=len(places)).astype(np.float32)
    header = SparseHeader(
        kind="language",
        base="mul",
        base_weights=weights,
        base_tokenizer=tokenizer,
        k=30,
        parameters=999,
        eps=0.0,
        language=language,
    )
    file = inside / f"{language}.safetensors"
    write_sparse(file, SparseFile(header=header, indices={name: places}, values={name: values}, shapes={name: shape}, dense={}))
    return file


def test_each_language_is_read_with_its_own_sparse_fine_tuning(inside: Path) -> None:
    files = {language: language_file(inside, language, seed) for seed, language in enumerate(("de", "en"))}
    given = [piece for language, file in files.items() for piece in ("--language-sparse", f"{language}={file}")]
    done = evaluate("udpos", "--model", "mul", *ZERO_SHOT, *FAST, *SPARSE, *given, "--out", "with_languages")
    assert done.exit_code == 0, done.output
    file = next((inside / "with_languages/sparse").iterdir())
    found = scores(inside / "with_languages")
    for language in ("de", "en"):  # θ0 + φ_language + φ_task, made by the other command, gives the same score
        out = inside / f"composed-{language}"
        assert command("sparse", "apply", "mul", str(files[language]), str(file), "--out", str(out)).exit_code == 0
        assert found[language] == pytest.approx(accuracy_of(out, inside / f"ud/{language}-test.conllu"))
    assert command("sparse", "apply", "mul", str(file), "--out", str(inside / "composed-none")).exit_code == 0
    alone = accuracy_of(inside / "composed-none", inside / "ud/de-test.conllu")
    assert found["de"] != pytest.approx(alone)  # the language's file changes what the model says
    swapped = evaluate(
        "udpos", "--model", "mul", *ZERO_SHOT, *FAST, *SPARSE, "--language-sparse", f"de={files['en']}", "--out", "no"
    )
    assert (swapped.exit_code, "expected the sparse fine-tuning of the language 'de'" in swapped.output) == (2, True)
    of_task = evaluate("udpos", "--model", "mul", *ZERO_SHOT, *FAST, *SPARSE, "--language-sparse", f"en={file}", "--out", "no")
    assert (of_task.exit_code, "is a task's" in of_task.output) == (2, True)


def test_normalisations_stay_unless_they_are_trained_too(inside: Path) -> None:
    kept = read_sparse(sparse_teacher(inside))
    assert not any("LayerNorm" in name for name in kept.shapes)
    done = evaluate("udpos", "--model", "mul", *ZERO_SHOT, *FAST, *SPARSE, "--train-norms", "--out", "norms")
    assert done.exit_code == 0, done.output
    trained = read_sparse(next((inside / "norms/sparse").iterdir()))
    assert any("LayerNorm" in name for name in trained.shapes)
    assert trained.header.parameters > kept.header.parameters
    run = json.loads((inside / "norms/udpos.json").read_text())["runs"][0]
    assert run["steps"] == run["best_step"] == (4 + 10) * 3  # full and sparse epochs of three batches


def test_another_tokenizer_of_the_teacher_is_another_teacher(inside: Path) -> None:
    sparse_teacher(inside)
    shutil.copytree(inside / "tuned", inside / "retold", dirs_exist_ok=True)
    arguments = ["udpos", "--model", "student", *ZERO_SHOT, *FAST, *SPARSE, "--distil-from", "retold", "--out", "retaught"]
    assert evaluate(*arguments).exit_code == 0
    state = json.loads((inside / "retold/tokenizer.json").read_text())
    vocabulary = state["model"]["vocab"]
    one, other = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    (inside / "retold/tokenizer.json").write_text(json.dumps(state))
    again = evaluate(*arguments)
    assert (again.exit_code, "distil_from: found" in again.output) == (2, True)


def accuracy_of(model_folder: Path, treebank: Path) -> float:
    """The accuracy of a tagger by a plain loop over sentences, each alone."""
    from transformers import AutoTokenizer

    model = AutoModelForTokenClassification.from_pretrained(model_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    right = total = 0
    for block in treebank.read_text().split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if "\t" in line]
        ids, heads = [tokenizer.cls_token_id], []
        for row in rows:
            heads.append(len(ids))
            ids += tokenizer(row[1], add_special_tokens=False)["input_ids"]
        if not rows or len(ids) + 1 > 32:
            continue
        with torch.no_grad():
            best = model(input_ids=torch.tensor([[*ids, tokenizer.sep_token_id]])).logits[0].argmax(-1)
        right += sum(model.config.id2label[int(best[head])] == row[3] for head, row in zip(heads, rows, strict=True))
        total += len(rows)
    return 100 * right / total


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--full-epochs", "2"], "--full-epochs: is only used with --sparse"),
        (["--distil-from", "mul"], "--distil-from: is only used with --sparse"),
        ([*SPARSE, "--weight-decay", "0.1"], "would change all parameters"),
        ([*SPARSE, "--distil-from", "nowhere/at/all"], "is not a folder"),
        ([*SPARSE, "--distil-from", "mul"], "expected a model that was fine-tuned on udpos"),
        ([*SPARSE, "--language-sparse", "fr=x"], "--language-sparse fr=…: no model reads this language"),
        ([*SPARSE, "--language-sparse", "de=nowhere.safetensors"], "nowhere.safetensors: no such file"),
        (["--sparse", "1.5"], "1.5 is not in the range"),
        (["--sparse", "1"], "leaves"),
        (["--sparse", "0"], "leaves 0 of"),
    ],
)
def test_what_is_refused(options: list[str], message: str, inside: Path) -> None:
    done = evaluate("udpos", "--model", "student", *ZERO_SHOT, *FAST, *options, "--out", "refused")
    assert done.exit_code == 2
    assert message in done.output
    assert not list((inside / "refused").rglob("*.json")) if (inside / "refused").exists() else True


def test_a_teacher_of_other_labels_or_pieces_is_refused(inside: Path) -> None:
    sparse_teacher(inside)
    make_run(inside / "others")
    shutil.copytree(inside / "tuned", inside / "renamed", dirs_exist_ok=True)
    config = json.loads((inside / "renamed/config.json").read_text())
    config["id2label"] = {number: f"{label}X" for number, label in config["id2label"].items()}
    config["label2id"] = {label: int(number) for number, label in config["id2label"].items()}
    (inside / "renamed/config.json").write_text(json.dumps(config))
    arguments = ["udpos", *ZERO_SHOT, *FAST, *SPARSE, "--out", "no"]
    renamed = evaluate(*arguments, "--model", "student", "--distil-from", "renamed")
    assert (renamed.exit_code, "expected those of the training files" in renamed.output) == (2, True)
    union = evaluate(*arguments, "--model", "others/run/student", "--distil-from", "tuned")
    assert (union.exit_code, "over a union vocabulary" in union.output) == (2, True)
    itself = evaluate(*arguments, "--model", "tuned", "--distil-from", "tuned")
    assert itself.exit_code == 2
    other_base = language_file(inside, "de", 0)
    refused = evaluate(*arguments, "--model", "student", "--language-sparse", f"de={other_base}")
    assert (refused.exit_code, "give the model that it was trained from" in refused.output) == (2, True)
