"""Storage that fails while predict runs: nothing finished is lost, nothing wrong is kept, and the same command, again, ends the work."""

import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from data import atomic
from data.recipe import Recipe
from data.recipe_file import save_recipe
from data.run import Run
from data.storage import TEMPORARY_SUFFIX
from pipeline import predict as stage
from pipeline.predict import predict
from tests.support.factories import save_teacher, two_language_recipe
from tests.support.runs import build_union, changed, columns, computations, launch, load_vocab
from vocab.errors import InputError


def command(recipe: Recipe, run: Path) -> tuple[int, str]:
    """Exit code and the one line of an error, of `mergedistill predict`."""
    if not (run / "vocab").exists():
        build_union(recipe, run)
    save_recipe(recipe, run / "recipe.toml")
    result = CliRunner().invoke(main, ["predict", str(run / "recipe.toml"), "--out", str(run)])
    assert "Traceback" not in result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert len(errors) == (result.exit_code != 0)
    return result.exit_code, "".join(errors)


def at_write(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Let `act` happen when the bytes of the number-th shard of a launch are on the disk, and not yet its name."""
    sync, writes = atomic.sync, itertools.count(1)

    def synced(path: str | Path) -> None:
        sync(path)
        if ".parquet." in str(path) and str(path).endswith(TEMPORARY_SUFFIX) and next(writes) == number:
            act()

    monkeypatch.setattr(atomic, "sync", synced)


def ends_well(recipe: Recipe, run: Path, undisturbed: Path, before: dict[str, str], shards: Path | None = None) -> None:
    """The same command, again: what stood is not computed again, and the rows are those of a run that nothing disturbed."""
    shards = shards or run
    assert not [*shards.rglob("_manifest.json")]
    assert command(recipe, run) == (0, "")
    assert not [*shards.rglob(f"*{TEMPORARY_SUFFIX}")]
    assert before.items() <= computations(shards).items()
    ours, theirs = columns(shards), columns(undisturbed)
    assert list(ours) == list(theirs)
    assert all(ours[name].equals(theirs[name]) for name in ours)


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


@pytest.mark.parametrize(("act", "reason"), [(shutil.rmtree, "no such file or directory"), (replace_by_file, "not a directory")])
def test_the_output_folder_is_taken_away(
    act: Callable[[Path], None], reason: str, recipe: Recipe, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "predictions"
    at_write(monkeypatch, 3, lambda: act(folder))
    code, line = command(recipe, tmp_path)
    assert (code, reason in line, "was it removed or replaced?" in line) == (2, True, True)
    if folder.is_file():
        assert command(recipe, tmp_path)[0] == 2
        folder.unlink()
    ends_well(recipe, tmp_path, undisturbed, {})


def test_a_finished_shard_is_removed_during_the_job(
    recipe: Recipe, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No manifest says that such a folder is whole."""
    at_write(monkeypatch, 3, lambda: next((tmp_path / "predictions").rglob("*.parquet")).unlink())
    code, line = command(recipe, tmp_path)
    assert (code, "not there though the job ended well" in line) == (2, True)
    before = computations(tmp_path)
    assert len(before) == 7
    ends_well(recipe, tmp_path, undisturbed, before)


def test_a_limit_on_the_size_of_files(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    sizes = sorted(path.stat().st_size for path in undisturbed.rglob("*.parquet"))
    build_union(recipe, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[4], hard))
    try:
        code, line = command(recipe, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, "file too large; raise the limit on a file's size (ulimit -f)" in line) == (2, True)
    ends_well(recipe, tmp_path, undisturbed, computations(tmp_path))


Mount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """`mount OPTION… FOLDER`, undone at the end."""
    mounted: list[Path] = []

    def run(*arguments: str | Path) -> None:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
        if done.returncode and not mounted:
            pytest.skip(f"mounting takes more rights than these: {done.stderr.strip()}")
        assert not done.returncode, done.stderr
        mounted.append(Path(arguments[-1]))

    yield run
    for folder in {*mounted}:
        subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


def test_the_disk_is_full(mount: Mount, recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=32k", "tmpfs", disk)
    stored = changed(recipe, predict=recipe.predict.model_dump() | {"store": str(disk)})
    code, line = command(stored, tmp_path / "run")
    assert (code, "no space left on device; free space, or choose another folder" in line) == (2, True)
    before = computations(disk)
    assert 0 < len(before) < 8
    assert not [*disk.rglob(f"*{TEMPORARY_SUFFIX}")]
    mount("-o", "remount,size=1m", disk)
    ends_well(stored, tmp_path / "run", undisturbed, before, disk)


def test_the_disk_becomes_read_only(
    mount: Mount, recipe: Recipe, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    mount("--bind", folder, folder)
    at_write(monkeypatch, 3, lambda: mount("-o", "remount,bind,ro", folder))
    for _ in range(2):  # during the job, and at the next launch
        code, line = command(recipe, tmp_path)
        assert (code, "read-only file system; expected a folder that can be read and written" in line) == (2, True)
    before = computations(tmp_path)
    assert len(before) == 2
    assert [*folder.rglob(f"*{TEMPORARY_SUFFIX}")]  # it could not be removed; the next launch removes it
    mount("-o", "remount,bind,rw", folder)
    ends_well(recipe, tmp_path, undisturbed, before)


def test_the_teacher_is_exchanged_before_a_worker_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, plan = two_language_recipe(tmp_path, articles_each=20), stage.make_plan  # type: ignore[attr-defined]
    pieces = sorted(load_vocab(tmp_path / "teachers/de").items(), key=lambda item: item[1])

    def planned(*arguments: object) -> object:
        save_teacher(tmp_path / "teachers/de", [piece for piece, _ in pieces], seed=77, head_rows=120)
        return plan(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "make_plan", planned)
    code, line = command(recipe, tmp_path / "run")
    assert (code, "the weights in" in line, "changed since the launch" in line) == (2, True, True)
    assert not [place for place in computations(tmp_path / "run") if "bert-de" in place]


def test_weights_overwritten_under_a_loaded_teacher_change_no_label(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loaded safetensors file is a map of the file: written into, it would change the weights in memory."""
    recipe = two_language_recipe(tmp_path)

    def spoil() -> None:
        for weights in tmp_path.glob("teachers/de/model.safetensors"):
            with weights.open("r+b") as file:
                file.seek(-20_000, os.SEEK_END)
                file.write(bytes(20_000))

    load = stage.TeacherHandler.load_model  # type: ignore[attr-defined]

    def loaded(handler: stage.TeacherHandler) -> object:  # type: ignore[name-defined]
        teacher = load(handler)
        if handler._teacher == "bert-de":
            spoil()
        return teacher

    monkeypatch.setattr(stage.TeacherHandler, "load_model", loaded)  # type: ignore[attr-defined]
    launch(recipe, tmp_path / "run")
    ours, theirs = columns(tmp_path / "run"), columns(undisturbed)
    assert all(ours[name].equals(theirs[name]) for name in theirs if "bert-de" in name)
    with pytest.raises(InputError, match=r"teacher\.weights: found"):
        predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)


def test_two_runs_at_once_on_one_store(recipe: Recipe, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock lies where the shards lie. A launch that has died holds none."""
    stored = changed(recipe, predict=recipe.predict.model_dump() | {"store": str(tmp_path / "store")})
    build_union(stored, tmp_path / "second")
    refused: list[str] = []

    def second_launch() -> None:
        with pytest.raises(InputError) as error:
            predict(Run(recipe=stored, folder=tmp_path / "second"), show_progress=False)
        refused.append(str(error.value))

    at_write(monkeypatch, 2, second_launch)
    assert command(stored, tmp_path / "first") == (0, "")
    assert "store: another predict runs for teacher 'bert-en'; wait for it" in refused[0]
    assert predict(Run(recipe=stored, folder=tmp_path / "second"), show_progress=False).computed == 0

    program = "import fcntl, sys, time; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); print(flush=True); time.sleep(99)"
    lock = tmp_path / "store/.predict-bert-de.lock"
    holder = subprocess.Popen([sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline()
    assert command(stored, tmp_path / "first")[0] == 2
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert command(stored, tmp_path / "first") == (0, "")


@pytest.mark.parametrize("moment", [0, 4_000_000_000])
def test_no_decision_asks_the_clock(moment: int, recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    """Every file of a run from 1970, or from 2096: as after a jump of the clock, or a copy that keeps no times."""
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    gone = next((run / "predictions").rglob("*.parquet"))
    gone.unlink()
    before = computations(run)
    for path in (run, *run.rglob("*")):
        os.utime(path, (moment, moment))
    assert predict(Run(recipe=recipe, folder=run), show_progress=False).computed == 1
    assert before.items() <= computations(run).items()
    assert columns(run)[f"/{gone.relative_to(run)}"].equals(columns(undisturbed)[f"/{gone.relative_to(run)}"])
