"""`distil` from a recipe to the student: what it learns, what a kill changes (nothing), what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from data.recipe_file import load_bilingual_recipe
from data.sparse_file import SparseFile, read_sparse, write_sparse
from data.sparse_header import SparseHeader
from student.bilingual.distil_loop import Distilling, _gradients
from student.bilingual.shallow import shallow_student
from student.bilingual.sparse_model import base_fingerprints, sparse_names
from student.bilingual.state_losses import state_losses
from student.bilingual.teacher import Teacher, open_with_states, states_of
from student.bilingual.text_windows import TextWindows, open_windows
from student.distil import distil
from student.training.metrics import read_rows
from tests.support.bilingual import bilingual_recipe, command
from tests.support.factories import article_shard, articles
from tests.support.paths import ROOT
from tests.support.stopping import kill_when
from vocab.roles import Roles
from vocab.tokenizer_source import open_tokenizer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, and the student that nothing disturbed in run/."""
    folder = tmp_path_factory.mktemp("distil")
    recipe = bilingual_recipe(folder)
    done = command("distil", str(recipe), "--out", str(folder / "run"))
    assert done.exit_code == 0, done.output
    assert "4 → 2 layers" in done.stdout
    assert "teacher's accuracy" in done.stdout
    return folder


def test_the_student_comes_closer_to_its_teacher(made: Path) -> None:
    rows = read_rows(made / "run/student")
    assert len(rows) == 40
    first, last = (float(np.mean([row["loss"] for row in part])) for part in (rows[:8], rows[-8:]))
    assert last < 0.7 * first
    assert all(row["loss"] == pytest.approx(row["hidden_loss"] + row["attention_loss"], abs=2e-6) for row in rows)
    assert {language for row in rows for language in row["losses"]} == {"de", "en"}


def test_the_student_opens_without_this_project(made: Path) -> None:
    script = (
        "import sys; sys.path = [p for p in sys.path if 'site-packages' in p or 'python3' in p]\n"
        "from transformers import AutoModelForMaskedLM, AutoTokenizer\n"
        "m, t = AutoModelForMaskedLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "out = m(**t('Die Stadt liegt am [MASK]', return_tensors='pt')).logits\n"
        "print(out.shape[-1], len(t), m.config.num_hidden_layers, m.config.model_type)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script, str(made / "run/student")], capture_output=True, text=True, cwd=made)
    assert done.returncode == 0, done.stderr
    rows, pieces, layers, kind = done.stdout.split()
    assert rows == pieces
    assert (layers, kind) == ("2", "bert")
    assert int(pieces) < AutoModelForMaskedLM.from_pretrained(made / "mul").config.vocab_size
    tokenizer = AutoTokenizer.from_pretrained(made / "run/student")
    assert "never" not in tokenizer.get_vocab()


def test_the_best_look_is_kept(made: Path) -> None:
    looks = read_rows(made / "run/student", "evaluations.jsonl")
    assert [row["step"] for row in looks] == [10, 20, 30, 40]
    assert {"mlm_loss", "teacher_mlm_loss", "hidden_loss"} <= looks[0]["languages"]["de"].keys()
    assert len({row["languages"]["en"]["teacher_mlm_loss"] for row in looks}) == 1  # the teacher stays as it is
    best = min(looks, key=lambda row: row["mean_loss"])
    kept = AutoModelForMaskedLM.from_pretrained(made / "run/student/best")
    student = AutoModelForMaskedLM.from_pretrained(made / "run/student")
    assert json.loads((made / "run/student/best/best.json").read_text())["step"] == best["step"]
    assert all(torch.equal(one, other) for one, other in zip(kept.parameters(), student.parameters(), strict=True))


def strip(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without timings."""
    return [{name: value for name, value in row.items() if name not in ("seconds", "tokens_per_second")} for row in rows]


def test_a_run_that_is_killed_ten_times_ends_with_the_same_losses(made: Path) -> None:
    run = made / "killed"
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\n"
        "from cli import main\n"
        f"main(['distil', {str(made / 'recipe.toml')!r}, '--out', {str(run)!r}, *sys.argv[1:]])\n"
    )
    for number in range(1, 11):
        resume = ["--resume"] if number > 1 else []
        process = subprocess.Popen([sys.executable, "-c", script, *resume], env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=-3)
        kill_when(lambda: len(read_rows(run / "student")) > 3 * number, process)  # noqa: B023 - called at once
    done = command("distil", str(made / "recipe.toml"), "--out", str(run), "--resume")
    assert done.exit_code == 0, done.output
    for file in ("metrics.jsonl", "evaluations.jsonl"):
        ours, theirs = (strip(read_rows(made / name / "student", file)) for name in ("killed", "run"))
        assert json.dumps(ours) == json.dumps(theirs)
    one, other = (AutoModelForMaskedLM.from_pretrained(made / name / "student") for name in ("killed", "run"))
    assert all(torch.equal(mine, yours) for mine, yours in zip(one.parameters(), other.parameters(), strict=True))


def test_an_interruption_saves_a_checkpoint(made: Path) -> None:
    run = made / "interrupted"
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT)]!r}\nfrom cli import main\n"
        f"main(['distil', {str(made / 'recipe.toml')!r}, '--out', {str(run)!r}, '--set', 'train.steps=4000'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while len(read_rows(run / "student")) < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert "its checkpoint is saved. Continue with --resume" in said
    step = int(said.split("after step ")[1].split()[0])
    assert (run / f"student/checkpoints/step-{step:08d}").is_dir()


def test_micro_batches_give_the_gradients_of_the_batch(made: Path) -> None:
    recipe = load_bilingual_recipe(made / "recipe.toml")
    teacher = open_with_states(made / "run/trimmed").eval()
    found = []
    for size in (None, 3):
        student = shallow_student(teacher, 2)
        windows = open_windows(
            made / "run/windows",
            {language: sorted(map(str, (made / f"corpora/{language}").glob("*"))) for language in recipe.corpora},
            open_tokenizer(made / "run/trimmed", "teacher"),
            "teacher",
            **recipe.examples.model_dump(),
            seed=recipe.seed,
            progress=False,
        )
        training = Distilling(
            student=student,
            teacher=Teacher(model=teacher),
            windows=windows,
            settings=recipe.train.model_copy(update={"micro_batch": size}),
            out=made,
            identity={},
            device=torch.device("cpu"),
        )
        losses = _gradients(training, windows.step(0, 4))
        found.append((losses, torch.cat([p.grad.flatten() for p in student.base_model.parameters() if p.grad is not None])))
    student, ids_BT = shallow_student(teacher, 2), torch.from_numpy(windows.step(0, 4).input_ids)
    seen_BT = torch.ones_like(ids_BT)
    with torch.no_grad():
        taught = states_of(teacher, ids_BT, seen_BT)
    hidden, attention = state_losses(states_of(student, ids_BT, seen_BT), taught, seen_BT)
    (hidden + attention).backward()
    plain = torch.cat([p.grad.flatten() for p in student.base_model.parameters() if p.grad is not None])
    for losses, gradient in found:
        assert losses == pytest.approx((float(hidden.detach()), float(attention.detach())), rel=1e-5)
        assert torch.allclose(gradient, plain, atol=1e-6)
    assert found[0][1].abs().max() > 1e-4


def test_a_teacher_in_half_precision_gives_a_student_in_float32(made: Path) -> None:
    small = bilingual_recipe(made / "half", train={"steps": 2, "eval_steps": 2})
    AutoModelForMaskedLM.from_pretrained(made / "half/mul").to(torch.bfloat16).save_pretrained(made / "half/mul")
    assert command("distil", str(small), "--out", str(made / "half/run")).exit_code == 0
    student = AutoModelForMaskedLM.from_pretrained(made / "half/run/student")
    assert {parameter.dtype for parameter in student.parameters()} == {torch.float32}


def test_other_text_of_the_same_size_is_other_text(made: Path) -> None:
    """Nothing that was made of one text is used for another, though rows and bytes are the same."""
    recipe = bilingual_recipe(made / "text", train={"steps": 1, "eval_steps": 1})
    assert command("distil", str(recipe), "--out", str(made / "text/run")).exit_code == 0
    windows = (made / "text/run/windows/de.train.int32").read_bytes()
    article_shard(made / "text/corpora/de/part1.parquet", [text.swapcase() for text in articles("de", 80)[40:]], rows_per_group=7)
    shutil.rmtree(made / "text/run/student")
    stale = command("distil", str(recipe), "--out", str(made / "text/run"))
    assert (stale.exit_code, "was trimmed in another way (text: found" in stale.output) == (2, True)
    untrimmed = ["--set", "vocabulary.trim=false"]
    assert command("distil", str(recipe), "--out", str(made / "text/run"), *untrimmed).exit_code == 0
    assert (made / "text/run/windows/de.train.int32").read_bytes() != windows


def test_languages_have_their_own_teacher(made: Path) -> None:
    """A language's sparse fine-tuning changes the losses of its batches, and only of them."""
    weights, tokenizer = base_fingerprints(made / "mul")
    model = AutoModelForMaskedLM.from_pretrained(made / "mul")
    places = np.arange(0, 3200, 3, dtype=np.int32)
    header = SparseHeader(
        kind="language",
        base="mul",
        base_weights=weights,
        base_tokenizer=tokenizer,
        k=9999,
        parameters=99999,
        eps=0.0,
        language="de",
    )
    names = ["embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.bias"]
    shapes = {name: tuple(sparse_names(model)[name].shape) for name in names}
    indices = {name: places[places < np.prod(shapes[name])] for name in names}
    values = {name: np.full(len(indices[name]), 0.3, dtype=np.float32) for name in names}
    file = made / "de.safetensors"
    write_sparse(file, SparseFile(header=header, indices=indices, values=values, shapes=shapes, dense={}))
    recipe = bilingual_recipe(
        made / "with", teacher={"sparse": {"de": str(file)}}, train={"steps": 2, "eval_steps": 2, "log_steps": 2}
    )
    found = distil(load_bilingual_recipe(recipe), made / "with/run", progress=False).look["languages"]
    plain = bilingual_recipe(made / "without", train={"steps": 2, "eval_steps": 2, "log_steps": 2})
    other = distil(load_bilingual_recipe(plain), made / "without/run", progress=False).look["languages"]
    assert found["de"]["hidden_loss"] > 1.2 * other["de"]["hidden_loss"]
    trained, plainly = (read_rows(made / name / "run/student")[0]["losses"] for name in ("with", "without"))
    assert trained.keys() == {"de", "en"}  # a batch of each
    assert trained["de"] > 1.2 * plainly["de"]
    assert found["en"]["teacher_mlm_loss"] == other["en"]["teacher_mlm_loss"]
    assert found["de"]["teacher_mlm_loss"] != other["de"]["teacher_mlm_loss"]
    assert read_sparse(file).fingerprint() in (made / "with/run/student/student.json").read_text()


def test_windows_are_masked_by_what_they_are_and_not_by_their_batch() -> None:
    ids = {"de": np.arange(5, 5 + 8 * 12, dtype=np.int32).reshape(8, 12) % 60, "en": np.full((3, 12), 7, dtype=np.int32)}
    maskable = np.arange(60) > 4
    windows = TextWindows(
        windows={"train": ids, "validation": ids},
        roles=Roles(pad=0, unk=1, cls=2, sep=3, mask=4),
        maskable=maskable,
        mask_rate=0.25,
        seed=1,
    )
    alone = [windows.masked("train", "de", [number], 3).input_ids[0] for number in range(8)]
    assert np.array_equal(windows.masked("train", "de", range(8), 3).input_ids, np.stack(alone))
    assert not np.array_equal(windows.masked("train", "de", range(8), 4).input_ids, np.stack(alone))
    batch = windows.masked("train", "de", range(8), 3)
    assert np.array_equal(ids["de"].ravel()[batch.places], batch.labels)
    outside = np.setdiff1d(np.arange(96), batch.places)
    assert np.array_equal(batch.input_ids.ravel()[outside], ids["de"].ravel()[outside])
    assert maskable[batch.labels].all()
    languages = [windows.step(number, 2).language for number in range(20)]
    assert (languages.count("de"), languages.count("en")) == (10, 10)
    one, again = (windows.step(11, 2) for _ in range(2))
    assert np.array_equal(one.input_ids, again.input_ids)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["student.reduction=3"], "student.reduction: found 3; the teacher has 4 layers"),
        (["teacher.model=nowhere"], "is not a folder"),
        (["corpora.de=nowhere/*.parquet"], "corpus of 'de': no file matches"),
        (["examples.max_length=64", "corpora.de=corpora/short.parquet"], "its articles for train fill no window of 64 tokens"),
        (["train.warmup_steps=40"], "warmup_steps 40 are not fewer than steps 40"),
        (["train.rate=1"], "unknown key 'train.rate'"),
        (["teacher.sparse.fr=x"], "no corpus of this language"),
        (["teacher.sparse.de=nowhere.safetensors"], "nowhere.safetensors: no such file"),
        (["train.learning_rate=1e30"], "expected a number: lower train.learning_rate"),
        (["student.layers=top"], "student.layers: found 'top'"),
        (["student.reduction=true"], "student.reduction: found True"),
        (["examples.max_length=65"], "has 64 positions, and examples.max_length is 65"),
    ],
)
def test_what_is_refused(settings: list[str], message: str, made: Path, tmp_path: Path) -> None:
    article_shard(made / "corpora/short.parquet", articles("de", 2))
    options = [part for setting in settings for part in ("--set", setting)]
    done = command("distil", str(made / "recipe.toml"), "--out", str(tmp_path / "run"), *options)
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "run/student/model.safetensors").exists()


def test_a_folder_of_another_recipe_is_refused(made: Path) -> None:
    done = command("distil", str(made / "recipe.toml"), "--out", str(made / "run"))
    assert (done.exit_code, "not empty; continue with --resume" in done.output) == (2, True)
    before = (made / "run/recipe.toml").read_bytes()
    for setting, name in (
        ("seed=7", "seed: found 42, expected 7"),
        ("train.eval_steps=3", "train.eval_steps: found 10, expected 3"),
    ):
        other = command("distil", str(made / "recipe.toml"), "--out", str(made / "run"), "--resume", "--set", setting)
        assert (other.exit_code, name in other.output) == (2, True), other.output
    assert (made / "run/recipe.toml").read_bytes() == before
    again = command("distil", str(made / "recipe.toml"), "--out", str(made / "run"), "--resume")
    assert again.exit_code == 0  # it is finished: its table is printed again


def test_several_processes_are_refused(made: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cli"]
    arguments = ["distil", str(made / "recipe.toml"), "--out", str(made / "two")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *arguments], capture_output=True, text=True, env=environment, cwd=made)
    assert done.returncode != 0
    assert "distil: found 2 processes; expected one" in done.stderr
    assert not (made / "two/student").exists()
