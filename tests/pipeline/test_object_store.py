"""Shards and corpora on an object store: a real S3-protocol server, real requests, real kills; and what a user is told when it fails."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import data
from cli import main
from data.articles import read_articles
from data.atomic import write_atomically, write_text
from data.recipe import Recipe
from data.recipe_file import save_recipe
from data.run import Run
from data.shards import list_shards, open_shard, read_shards
from data.storage import expand, relative, resolve
from data.validation.validate import validate
from pipeline import predict as stage
from pipeline.predict import PredictResult, predict
from pipeline.prepare import prepare
from pipeline.vocabulary_report import report_vocabulary
from student.train_student import evaluate_student, train_student
from tests.support.factories import two_language_recipe
from tests.support.object_store import CREDENTIALS, ObjectStore
from tests.support.runs import MULTI_PROCESSING, build_union, changed
from vocab.errors import InputError

WRITE_BIG = (
    "import sys; from data.atomic import write_atomically; write_atomically(sys.argv[1], lambda out: out.write(bytes(25_000_000)))"
)
PREDICT = (
    "import sys; from pathlib import Path; from data.recipe_file import load_recipe; from pipeline.predict import predict;"
    "from data.run import Run;"
    "predict(Run(recipe=load_recipe(sys.argv[1]), folder=Path(sys.argv[2])), show_progress=False)"
)


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    store = ObjectStore()
    with pytest.MonkeyPatch.context() as patch:
        for key, value in store.environment.items():
            patch.setenv(key, value)
        yield store
    store.close()


def recipe_on(store: str, folder: Path) -> Recipe:
    """Two teachers, eight units and four held out, whose shards go to a store."""
    recipe = two_language_recipe(folder)
    heldout = two_language_recipe(folder / "other", articles_each=20, rows_per_group=5).corpora
    there = {language: f"{folder}/other/{pattern}" for language, pattern in heldout.items()}
    return changed(recipe, predict=recipe.predict.model_dump() | {"store": store}, heldout=there)


def launch(recipe: Recipe, run: Path, beam_args: list[str] | None = None) -> PredictResult:
    build_union(recipe, run)
    return predict(Run(recipe=recipe, folder=run), beam_args=beam_args or [], show_progress=False)


def rows(folder: str) -> dict[str, object]:
    return {relative(place, folder): open_shard(place).read().replace_schema_metadata(None) for place in list_shards(folder)}


def computations(folder: str) -> dict[str, str]:
    return {shard.location: shard.report["computation"] for shard in read_shards(list_shards(folder))}


def test_the_whole_way_from_and_to_a_bucket(store: ObjectStore, tmp_path: Path) -> None:
    """Corpora are read from it, shards and manifest written to it; validate, train, the scores and the report read them there."""
    local = recipe_on(str(tmp_path / "local store"), tmp_path)
    for file in expand(tmp_path / "corpora/*/*.parquet"):
        content = Path(file).read_bytes()
        write_atomically(
            f"s3://shards/corpora/{Path(file).parent.name}/{Path(file).name}",
            lambda out, content=content: out.write(content),  # type: ignore[misc]
        )
    recipe = changed(
        local,
        predict=local.predict.model_dump() | {"store": "s3://shards/my run"},
        corpora={language: f"s3://shards/corpora/{language}/*.parquet" for language in local.corpora},
    )
    run, predictions = tmp_path / "run", "s3://shards/my run/predictions"
    result = launch(recipe, run)
    assert (result.computed, result.folder) == (12, predictions)
    assert launch(local, tmp_path / "other run").computed == 12
    assert rows(predictions) == rows(str(tmp_path / "local store/predictions"))
    names = store.names("shards/my run")
    assert len(names) == 14
    assert {name.rpartition(".")[2] for name in names} == {"parquet", "json"}  # nothing half-written, nothing of the run's own
    before = computations(predictions)
    filesystem, path = resolve(next(iter(before)))
    filesystem.delete_file(path)
    store.requests.clear()
    assert launch(recipe, run).computed == 1
    assert sum(request.startswith("PUT") for request in store.requests) == 3  # the unit, and two manifests
    assert len(before.items() - computations(predictions).items()) == 1
    assert validate(predictions, workers=1).exit_code == 0
    assert report_vocabulary(Run(recipe=recipe, folder=run), show_progress=False).counted == "predictions"
    train_student(Run(recipe=recipe, folder=run), progress=False)
    assert len(evaluate_student(Run(recipe=recipe, folder=run)).scores) == 2
    assert not (run / "predictions").exists()


def test_a_uri_with_options_reaches_worker_processes(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    recipe = recipe_on(f"s3://shards/run?{store.options}", tmp_path)
    assert launch(recipe, tmp_path / "run", MULTI_PROCESSING).computed == 12
    assert launch(recipe, tmp_path / "run").computed == 0
    assert len(store.names("shards/run")) == 14
    assert validate(f"s3://shards/run/predictions?{store.options}", workers=1).exit_code == 0
    train_student(Run(recipe=recipe, folder=tmp_path / "run"), progress=False)


def test_prepare_reads_and_writes_a_bucket(store: ObjectStore, tmp_path: Path) -> None:
    """What is written is what was given: a name that ends in .bz2 does not compress it again."""
    dump = Path(data.__file__).parent / "sample/de.heldout.xml.bz2"
    write_atomically("s3://shards/dumps/de.xml.bz2", lambda out: out.write(dump.read_bytes()))
    prepare([str(dump)], "de", str(tmp_path / "articles"), show_progress=False)
    prepare(["s3://shards/dumps/*.bz2"], "de", "s3://shards/articles", show_progress=False)
    (local,), (remote,) = expand(tmp_path / "articles"), expand("s3://shards/articles")
    assert remote == "s3://shards/articles/de-00000.parquet"
    assert [*read_articles(remote)] == [*read_articles(local)]


def test_runs_of_other_recipes_at_once_on_one_bucket(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store has no locks: the launch that finds shards of the other's at its end lists them in no manifest."""
    recipe, plan = recipe_on("s3://shards/shared", tmp_path), stage.make_plan  # type: ignore[attr-defined]
    other = changed(recipe, predict=recipe.predict.model_dump() | {"top_k": 3})
    build_union(recipe, tmp_path / "run")
    build_union(other, tmp_path / "other run")

    def planned(*arguments: Any) -> Any:
        made = plan(*arguments)
        monkeypatch.setattr(stage, "make_plan", plan)
        predict(Run(recipe=other, folder=tmp_path / "other run"), show_progress=False)
        resolve("s3://shards/shared")[0].delete_file("shards/shared/predictions/_manifest.json")
        return made

    monkeypatch.setattr(stage, "make_plan", planned)
    with pytest.raises(InputError, match="made with other settings: top_k: found 3, expected 4"):
        predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    assert "predictions/_manifest.json" not in store.names("shards/shared")


def kill_when_stalled(store: ObjectStore, at: str, program: str, *arguments: str) -> None:
    """Run a program to the moment when the server has a request and has not taken it; kill it there."""
    store.stall(at)
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], env={**os.environ}, stderr=subprocess.DEVNULL)
    try:
        assert store.stalled.wait(60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        store.go_on()


def test_a_killed_upload_leaves_nothing_visible(store: ObjectStore) -> None:
    """25 MB go up in three parts; the process dies when two of them are there at most."""
    write_text("s3://shards/big/other", "stands")
    kill_when_stalled(store, "partNumber=2", WRITE_BIG, "s3://shards/big/a.parquet")
    assert store.names("shards/big") == ["other"]
    write_atomically("s3://shards/big/a.parquet", lambda out: out.write(bytes(25_000_000)))
    assert store.names("shards/big") == ["a.parquet", "other"]


def test_predict_killed_in_an_upload_loses_that_unit_alone(store: ObjectStore, tmp_path: Path) -> None:
    recipe, run, predictions = recipe_on("s3://shards/killed", tmp_path), tmp_path / "run", "s3://shards/killed/predictions"
    build_union(recipe, run)
    save_recipe(recipe, tmp_path / "recipe.toml")
    kill_when_stalled(
        store, "PUT /shards/killed/predictions/language=de/teacher=bert-de/part1", PREDICT, str(tmp_path / "recipe.toml"), str(run)
    )
    before = computations(predictions)
    assert 0 < len(before) < 8
    assert validate(predictions, workers=1, manifest=False).exit_code == 0
    assert {fault.rule for fault in validate(predictions, workers=1).faults} == {"manifest.missing"}
    assert {name.rpartition(".")[2] for name in store.names("shards/killed")} == {"parquet"}
    assert launch(recipe, run).computed > 0
    assert before.items() <= computations(predictions).items()
    assert len(computations(predictions)) == 8


def told(recipe: Recipe, tmp_path: Path) -> str:
    """The one line that the command leaves, with exit code 2."""
    save_recipe(recipe, tmp_path / "recipe.toml")
    build_union(recipe, tmp_path / "run")
    result = CliRunner().invoke(main, ["predict", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run")])
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert (result.exit_code, len(lines), "Traceback" in result.stderr) == (2, 1, False)
    return lines[0]


def test_a_bucket_that_is_not_there(store: ObjectStore, tmp_path: Path) -> None:
    line = told(recipe_on("s3://nowhere/run", tmp_path), tmp_path)
    assert "s3://nowhere/run/predictions: found no bucket 'nowhere'; expected one: correct the URI" in line
    with pytest.raises(InputError, match=r"s3://nowhere/a: .*NO_SUCH_BUCKET.*correct the URI"):
        write_text("s3://nowhere/a", "text")


def test_credentials_that_open_nothing(store: ObjectStore, tmp_path: Path) -> None:
    def allow(requests: bytes) -> None:
        address = f"http://{store.endpoint}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(address, requests, {"Content-Type": "text/plain"})).close()

    recipe = recipe_on("s3://shards/closed", tmp_path)
    allow(b"0")  # none without known credentials
    try:
        line = told(recipe, tmp_path)
        with pytest.raises(InputError, match="INVALID_ACCESS_KEY_ID during PutObject"):
            write_text("s3://shards/closed/a", "text")
    finally:
        allow(b"inf")
    assert "s3://shards/closed/predictions: the storage refused or did not answer (INVALID_ACCESS_KEY_ID" in line
    assert "expected credentials that may read and write there" in line
    assert store.names("shards/closed") == []


def test_a_server_that_goes_away_during_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore()
    for key, value in CREDENTIALS.items():
        monkeypatch.setenv(key, value)
    recipe = recipe_on(f"s3://shards/gone?{store.options}", tmp_path)
    build_union(recipe, tmp_path / "run")
    store.close_at("PUT /shards/gone/predictions/language=de/teacher=bert-de/part1-00001")
    line = told(recipe, tmp_path)
    assert "part1-00001.parquet?endpoint_override" in line
    assert "NETWORK_CONNECTION" in line
    assert "run the same command again: finished work is kept" in line
