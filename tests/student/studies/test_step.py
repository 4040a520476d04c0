"""Steps: what their identity depends on, what runs again, in which order, and what a failure says."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from data.interruption import EXIT_CODE
from student.studies.scheduler import run_steps
from student.studies.step import Step, before, end_orphans, is_done, log_of, mark, output_of, resumed, run_step
from vocab.errors import InputError

SCHEMA = ("recipe", "--schema")  # a command that needs no file, and soon ends


def steps(folder: Path) -> tuple[Step, Step]:
    source = folder / "source.txt"
    source.write_text("one", encoding="utf-8")
    first = Step(name="first", commands=(SCHEMA,), inputs={"in/source.txt": source}, files={"a.toml": "x = 1\n"})
    return first, Step(name="second", commands=(SCHEMA,), needs=(first,))


def test_identity_is_of_commands_content_and_steps_before(tmp_path: Path) -> None:
    first, second = steps(tmp_path)
    moved = tmp_path / "elsewhere.txt"
    moved.write_text("one", encoding="utf-8")
    same = Step(name="first", commands=(SCHEMA,), inputs={"in/source.txt": moved}, files={"a.toml": "x = 1  # a comment\n"})
    assert same.identity == first.identity
    moved.write_text("two", encoding="utf-8")
    other = [
        Step(name="first", commands=(SCHEMA,), inputs={"in/source.txt": moved}, files={"a.toml": "x = 1\n"}),
        Step(name="first", commands=(SCHEMA,), inputs=first.inputs, files={"a.toml": "x = 2\n"}),
        Step(name="first", commands=((*SCHEMA, "--json"),), inputs=first.inputs, files=first.files),
    ]
    assert len({first.identity, *(step.identity for step in other)}) == 4
    assert second.identity != Step(name="second", commands=(SCHEMA,), needs=(other[0],)).identity
    assert [step.name for step in before(second)] == ["first", "second"]


def test_a_check_is_no_part_of_the_identity_and_a_step_that_fails_it_is_not_done(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = 3", encoding="utf-8")
    sound = Step(name="one", commands=(SCHEMA,), checks=(("recipe", "--schema", "--bilingual"),))
    broken = Step(name="one", commands=(SCHEMA,), checks=(("recipe", "bad.toml"),))
    assert sound.identity == broken.identity
    with pytest.raises(InputError, match="the step 'one' failed with exit code 2"):
        run_step(tmp_path, broken, {})
    assert not mark(tmp_path, broken).exists()
    run_step(tmp_path, sound, {})
    assert is_done(tmp_path, broken)  # a step that is done is not checked again
    assert json.loads(output_of(tmp_path, sound).read_text())["title"] == "Recipe"  # that of the command, not of the check


def test_steps_run_once_each_after_those_it_needs(tmp_path: Path) -> None:
    first, second = steps(tmp_path)
    work, ended = tmp_path / "work", []
    run_steps([second, first], work, 2, done=lambda step: ended.append(step.name), progress=False)
    assert ended == ["first", "second"]
    assert json.loads(output_of(work, second).read_text())["title"] == "Recipe"
    assert (work / "in/source.txt").read_text() == "one"
    assert (work / "a.toml").read_text() == "x = 1\n"
    times = {step.name: os.stat(mark(work, step)).st_mtime_ns for step in (first, second)}
    mark(work, second).unlink()  # as if it had been killed
    run_steps([second], work, 1, done=lambda step: ended.append(step.name), progress=False)
    assert ended[2:] == ["second"]
    assert os.stat(mark(work, first)).st_mtime_ns == times["first"]


def test_another_step_of_the_same_name_is_refused(tmp_path: Path) -> None:
    first, _ = steps(tmp_path)
    run_step(tmp_path, first, {})
    assert is_done(tmp_path, first)
    with pytest.raises(InputError, match=r"holds 'first' of another text, scale or study.*give another --work"):
        is_done(tmp_path, Step(name="first", commands=((*SCHEMA, "--json"),)))


def test_what_another_text_began_is_not_taken(tmp_path: Path) -> None:
    """A link to another file is replaced; a teacher that a killed step of another scale left is refused."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name, encoding="utf-8")
        run_step(tmp_path / "work", Step(name=name, commands=(SCHEMA,), inputs={"in/a.txt": tmp_path / name / "a.txt"}), {})
        assert (tmp_path / "work/in/a.txt").read_text() == name
    mark(tmp_path / "work", Step(name="one", commands=(SCHEMA,))).unlink()
    with pytest.raises(InputError, match=r"'one' was begun with another text, scale or study"):
        run_step(tmp_path / "work", Step(name="one", commands=(SCHEMA,)), {})


def test_a_teacher_that_no_step_began_is_removed(tmp_path: Path) -> None:
    (tmp_path / "teachers/de").mkdir(parents=True)
    (tmp_path / "teachers/de/model.safetensors").touch()
    pretrain = ("pretrain", "nowhere/*.parquet", "--language", "de", "--out", "teachers/de")
    with pytest.raises(InputError, match=r"'teacher de' failed with exit code 2: .*nowhere"):
        run_step(tmp_path, Step(name="teacher de", commands=(pretrain,)), {})
    assert not (tmp_path / "teachers/de/model.safetensors").exists()


def test_a_tuned_model_that_no_step_began_is_removed(tmp_path: Path) -> None:
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned/model.safetensors").touch()
    apply = ("sparse", "apply", "teachers/mul", "nowhere.safetensors", "--out", "tuned")
    with pytest.raises(InputError, match=r"'tuned' failed with exit code 2"):
        run_step(tmp_path, Step(name="tuned", commands=(apply,)), {})
    assert not (tmp_path / "tuned/model.safetensors").exists()


def test_two_steps_never_write_one_store_at_once_and_others_end_after_a_failure(tmp_path: Path) -> None:
    wait = Step(name="slow", commands=((*SCHEMA,), (*SCHEMA,)), holds="store")
    wrong = Step(name="wrong", commands=(("recipe", "nowhere.toml"),))
    held = Step(name="held", commands=(SCHEMA,), holds="store")
    ended: list[str] = []
    with pytest.raises(InputError, match=r"'wrong' failed"):
        run_steps([wait, held, wrong], tmp_path, 2, done=lambda step: ended.append(step.name), progress=False)
    assert ended == ["slow"]  # it ran beside the one that failed; the one that needs the same store had not begun


def test_a_failure_names_the_step_its_last_line_and_its_log(tmp_path: Path) -> None:
    wrong = Step(name="wrong recipe", commands=(("recipe", "nowhere.toml"),))
    after = Step(name="after", commands=(SCHEMA,), needs=(wrong,))
    with pytest.raises(InputError, match=r"'wrong recipe' failed with exit code 2: .*nowhere.toml.*wrong-recipe.log") as caught:
        run_steps([after], tmp_path, 2, done=lambda step: None, progress=False)
    assert "Traceback" not in log_of(tmp_path, wrong).read_text()
    assert str(log_of(tmp_path, wrong)) in str(caught.value)
    assert not mark(tmp_path, after).exists()
    assert EXIT_CODE != 2


def test_the_commands_of_a_killed_study_are_ended(tmp_path: Path) -> None:
    """Those in its work folder; not other programs there, nor commands elsewhere."""
    (tmp_path / "work/in").mkdir(parents=True)
    (tmp_path / "cli.py").write_text(
        "import time; time.sleep(600)", encoding="utf-8"
    )  # stands where Python finds it as the program
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    sleepers = [
        # Started by a shell that ended, as by a study that was killed: it is no child of this process.
        subprocess.run(
            ["sh", "-c", f"{shlex.join([sys.executable, *program])} >/dev/null 2>&1 & echo $!"],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=True,
        )
        for folder, program in (
            (tmp_path / "work", ("-P", "-m", "cli", "train")),
            (tmp_path / "work/in", ("-P", "-m", "cli", "train")),
            (tmp_path / "work", ("-c", "import time; time.sleep(600)")),
        )
    ]
    orphan, elsewhere, other = (psutil.Process(int(started.stdout)) for started in sleepers)
    while orphan.cmdline()[:1] != [sys.executable]:  # the shell's copy, before it becomes the program
        time.sleep(0.01)
    try:
        end_orphans(tmp_path / "work")
        assert not orphan.is_running()
        assert elsewhere.is_running()
        assert other.is_running()
    finally:
        elsewhere.kill()
        other.kill()


def test_interrupted_commands_continue(tmp_path: Path) -> None:
    train = ("train", "a.toml", "--out", "runs/a", "--student", "gold", "--json")
    assert resumed(tmp_path, train) == [*train]
    (tmp_path / "runs/a/gold").mkdir(parents=True)
    assert resumed(tmp_path, train) == [*train, "--resume"]
    pretrain = ("pretrain", "corpora/*.parquet", "--out", "teachers/de", "--json")
    assert resumed(tmp_path, pretrain) == [*pretrain]
    (tmp_path / "teachers/.de.work").mkdir(parents=True)
    assert resumed(tmp_path, pretrain) == [*pretrain, "--resume"]
    distil = ("distil", "a.toml", "--out", "runs/b", "--json")
    assert resumed(tmp_path, distil) == [*distil]
    (tmp_path / "runs/b/student").mkdir(parents=True)
    assert resumed(tmp_path, distil) == [*distil, "--resume"]
    apply = ("sparse", "apply", "teachers/mul", "a.safetensors", "--out", "tuned")
    assert resumed(tmp_path, apply) == [*apply]
    (tmp_path / "tuned").mkdir()
    assert resumed(tmp_path, apply) is None
    prepare = ("prepare", "text/de/a.gz", "--language", "de", "--out", "corpora/de")
    (tmp_path / "corpora/de").mkdir(parents=True)
    (tmp_path / "corpora/de/half").touch()
    assert resumed(tmp_path, prepare) == [*prepare]
    assert not (tmp_path / "corpora/de").exists()
    assert resumed(tmp_path, ("predict", "a.toml", "--out", "runs/a")) == ["predict", "a.toml", "--out", "runs/a"]
