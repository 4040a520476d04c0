"""What predict refuses before a teacher is paid, and what it accepts."""

import fcntl
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.articles import group_row_groups
from data.manifest import listed_shards
from data.recipe import Recipe
from data.run import Run
from data.shards import list_shards, open_shard, read_shards
from pipeline.beam.runners import has_remote_workers
from pipeline.predict import predict
from tests.support.factories import article_shard, save_teacher, two_language_recipe
from tests.support.runs import build_union, changed, launch, load_vocab
from vocab.errors import InputError


def test_row_groups_are_grouped_whole() -> None:
    assert group_row_groups([1000, 1000, 300], 1000) == [(0, 1), (1, 1), (2, 1)]
    assert group_row_groups([100] * 5, 250) == [(0, 3), (3, 2)]
    assert group_row_groups([], 10) == []


def contents(run: Path) -> dict[Path, bytes]:
    """Every file of a run but the empty ones that launches lock."""
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.suffix != ".lock"}


def refused(recipe: Recipe, run: Path, message: str) -> None:
    """The launch is refused with one line, and nothing that stood is touched."""
    before = contents(run)
    with pytest.raises(InputError) as error:
        launch(recipe, run)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("predict", {"top_k": 5, "dtype": "float32", "unit_articles": 10}, "top_k: found 4, expected 5"),
        ("examples", {"max_length": 24, "mask_rate": 0.2}, "examples.mask_rate: found 0.15, expected 0.2"),
        ("seed", 1, "seed: found 0, expected 1"),
        ("predict", {"top_k": 4, "dtype": "float32", "unit_articles": 20}, "of no unit of this recipe"),
    ],
)
def test_a_run_folder_of_another_recipe_is_refused(
    recipe: Recipe, undisturbed: Path, section: str, value: object, message: str
) -> None:
    refused(changed(recipe, **{section: value}), undisturbed, message)


def test_teachers_in_another_order_are_refused(recipe: Recipe, undisturbed: Path) -> None:
    refused(changed(recipe, teachers=recipe.model_dump()["teachers"][::-1]), undisturbed, "made by another recipe")


def test_changed_articles_and_changed_weights_are_refused(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path, articles_each=20)
    run = tmp_path / "run"
    launch(recipe, run)
    kept = (tmp_path / "corpora/en/part0.parquet").read_bytes()
    article_shard(tmp_path / "corpora/en/part0.parquet", ["Other articles entirely ."] * 10, rows_per_group=10)
    refused(recipe, run, "made from other articles")
    (tmp_path / "corpora/en/part0.parquet").write_bytes(kept)
    pieces = [token for token, _ in sorted(load_vocab(tmp_path / "teachers/en").items(), key=lambda item: item[1])]
    save_teacher(tmp_path / "teachers/en", pieces, seed=77)
    refused(recipe, run, "teacher.weights: found")


def test_bad_corpora(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path, articles_each=20)
    run = tmp_path / "run"
    build_union(recipe, run)
    shard = tmp_path / "corpora/en/part0.parquet"
    good = shard.read_bytes()
    for bad, message in [
        (pa.table({"title": ["x"]}), "found columns title; expected a column 'text'"),
        (pa.table({"text": [3]}), "column 'text' is int64; expected string"),
        (pa.table({"text": ["a", None]}), "column 'text' is null in 1 rows"),
    ]:
        pq.write_table(bad, shard)
        with pytest.raises(InputError) as error:
            predict(Run(recipe=recipe, folder=run), show_progress=False)
        assert message in str(error.value)
        assert not [location for location in list_shards(str(run / "predictions")) if "part0" in location and "=en" in location]
    shard.write_bytes(good[:200])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        predict(Run(recipe=recipe, folder=run), show_progress=False)
    refused(changed(recipe, corpora={"en": "nothing/*.parquet", "de": "corpora/de/*"}), run, "no file matches")


def test_odd_articles_become_sound_shards(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path, articles_each=20)
    article_shard(tmp_path / "corpora/en/part0.parquet", ["T", "😀", "", "The river " * 3000], rows_per_group=10)
    result = launch(recipe, tmp_path / "run")
    rows = open_shard(str(tmp_path / "run/predictions/language=en/teacher=bert-en/part0-00000.parquet")).read().to_pylist()
    assert result.computed == 4
    assert {row["doc_id"] for row in rows} == {"part0-0", "part0-3"}


def test_settings_a_teacher_cannot_meet_are_refused_before_it_is_paid(recipe: Recipe, tmp_path: Path) -> None:
    build_union(recipe, tmp_path)
    for settings, message in [
        ({"predict": {"top_k": 66, "dtype": "float32"}}, "teacher 'bert-en' can predict 59 pieces"),
        ({"examples": {"max_length": 65}}, "teacher 'bert-en' takes at most 64 tokens"),
    ]:
        with pytest.raises(InputError, match=message):
            predict(Run(recipe=changed(recipe, **settings), folder=tmp_path), show_progress=False)  # type: ignore[arg-type]
    assert not (tmp_path / "predictions").exists()


@pytest.mark.parametrize(
    ("options", "remote"),
    [
        ([], False),
        (["--runner=DirectRunner"], False),
        (["--runner=DaskRunner", "--dask_client_address=tcp://127.0.0.1:9"], True),
        (["--runner=FlinkRunner", "--flink_master=127.0.0.1:9", "--environment_type=EXTERNAL"], True),
        (["--runner=FlinkRunner", "--flink_master=127.0.0.1:9", "--environment_type=LOOPBACK"], False),
    ],
)
def test_workers_elsewhere_need_a_dtype_in_the_recipe(recipe: Recipe, tmp_path: Path, options: list[str], remote: bool) -> None:
    assert has_remote_workers(options) == remote
    if remote:
        build_union(recipe, tmp_path)
        auto = changed(recipe, predict=recipe.predict.model_dump() | {"dtype": "auto"})
        with pytest.raises(InputError, match=r'predict\.dtype: found "auto".*the workers are elsewhere'):
            predict(Run(recipe=auto, folder=tmp_path), beam_args=options, show_progress=False)


def test_heldout_articles_that_are_trained_on_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    build_union(recipe, tmp_path)
    refused(changed(recipe, heldout={"en": "corpora/en/part0.parquet"}), tmp_path, "is held out and trained on")


def test_a_second_launch_at_once_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    build_union(recipe, tmp_path)
    with (tmp_path / ".predict-bert-de.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another predict runs for teacher 'bert-de'"):
            predict(Run(recipe=recipe, folder=tmp_path), show_progress=False)


def test_auto_dtype_goes_on_with_what_the_cache_has(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    Path(list_shards(str(run / "predictions"))[0]).unlink()
    auto = changed(recipe, predict=recipe.predict.model_dump() | {"dtype": "auto"})
    assert launch(auto, run).computed == 1
    assert {shard.identity["dtype"] for shard in read_shards(list_shards(str(run / "predictions")))} == {"float32"}


def test_a_run_folder_with_wildcard_signs_in_its_name(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path / "a[1]*", articles_each=20)
    assert launch(recipe, tmp_path / "a[1]*/run").computed == 4
    assert launch(recipe, tmp_path / "a[1]*/run").computed == 0


def test_a_manifest_lists_only_teachers_that_are_whole(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    """One launch a teacher: while the other's is under way, its shards are in no manifest, and training refuses them."""
    build_union(recipe, tmp_path)
    half = list_shards(str(undisturbed / "predictions"))[0].removeprefix(str(undisturbed))
    (tmp_path / half[1:]).parent.mkdir(parents=True)
    shutil.copy(f"{undisturbed}{half}", f"{tmp_path}{half}")
    assert predict(Run(recipe=recipe, folder=tmp_path), teachers=["bert-en", "bert-en"], show_progress=False).computed == 4
    listed = listed_shards(str(tmp_path / "predictions"))
    assert listed == {location for location in list_shards(str(tmp_path / "predictions")) if "teacher=bert-en" in location}
    assert predict(Run(recipe=recipe, folder=tmp_path), teachers=["bert-de"], show_progress=False).computed == 3
    assert listed_shards(str(tmp_path / "predictions")) == set(list_shards(str(tmp_path / "predictions")))
