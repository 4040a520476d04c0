"""The audit on a sound cache and on damaged ones, every one of which has the right schema, sums and identity."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cli import main
from data.contract import SCHEMA
from data.logits import in_steps
from data.recipe import Recipe
from data.recipe_file import parse_recipe, save_recipe
from data.run import Run
from data.shards import leaf, list_shards, open_shard, read_shard, write_shard
from pipeline.audit import audit
from pipeline.predict import predict
from pipeline.teacher.label_agreement import Labels, compare_labels
from pipeline.teacher.remade_rows import draw_rows
from pipeline.vocabulary import make_vocabulary
from tests.support.factories import article_shard, articles, save_teacher, two_language_recipe
from vocab.errors import InputError


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("audit")
    for language in ("en", "de"):
        article_shard(folder / f"heldout/{language}.parquet", articles(language, 9))
    return two_language_recipe(folder, heldout={language: f"heldout/{language}.parquet" for language in ("en", "de")})


@pytest.fixture(scope="module")
def clean(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("clean")
    make_vocabulary(Run(recipe=recipe, folder=run), show_progress=False)
    predict(Run(recipe=recipe, folder=run), show_progress=False)
    return run


def with_predict(recipe: Recipe, **settings: object) -> Recipe:
    return parse_recipe(recipe.model_dump() | {"predict": recipe.predict.model_dump() | settings}, folder=recipe.folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_sound_cache_passes_in_batches_of_another_shape(recipe: Recipe, clean: Path, tmp_path: Path, dtype: str) -> None:
    run = clean
    if dtype == "bfloat16":
        run = tmp_path
        make_vocabulary(Run(recipe=recipe, folder=run), show_progress=False)
        predict(Run(recipe=with_predict(recipe, dtype=dtype), folder=run), show_progress=False)
    found = audit(Run(recipe=with_predict(recipe, dtype=dtype, tokens_per_batch=64), folder=run), rows=60, show_progress=False).rows
    assert [(row.teacher, row.language, row.heldout) for row in found] == [
        (f"bert-{language}", language, heldout) for language in ("en", "de") for heldout in (False, True)
    ]
    assert sum(row.rows for row in found) == 60
    assert all(row.sound and row.rows == row.equal_inputs and row.positions and row.first > 0.9 for row in found)
    assert not any(
        row.sound
        for row in audit(Run(recipe=with_predict(recipe, dtype=dtype), folder=run), rows=8, tolerance=-1, show_progress=False).rows
    )


def permuted(table: pa.Table) -> dict[str, np.ndarray]:
    """The top k of each masked position given to another one."""
    ids, logits = (leaf(table[name])[0].reshape(-1, 4) for name in ("topk_ids", "topk_logits"))
    return {"topk_ids": np.roll(ids, 1, axis=0).ravel(), "topk_logits": np.roll(logits, 1, axis=0).ravel()}


def shifted(table: pa.Table) -> dict[str, np.ndarray]:
    """Each logit by less than the tolerance: the mean tells."""
    return {"topk_logits": leaf(table["topk_logits"])[0] - np.float16(0.03)}


def scaled(table: pa.Table) -> dict[str, np.ndarray]:
    return {name: (leaf(table[name])[0] * np.float16(1.1)) for name in ("topk_logits", "label_logits")}


def off_by_one(table: pa.Table) -> dict[str, np.ndarray]:
    return {"input_ids": leaf(table["input_ids"])[0] + np.uint32(1)}


def other_gold(table: pa.Table) -> dict[str, np.ndarray]:
    return {"label_ids": np.roll(leaf(table["label_ids"])[0], 1)}


def without_labels(table: pa.Table) -> dict[str, pa.Array]:
    return {"label_logits": pa.array([[]] * table.num_rows, SCHEMA.field("label_logits").type)}


def nan(table: pa.Table) -> dict[str, np.ndarray]:
    return {"topk_logits": leaf(table["topk_logits"])[0] * np.float16(np.nan)}


@pytest.mark.parametrize("damage", [permuted, scaled, shifted, off_by_one, other_gold, without_labels, nan])
def test_a_damaged_cache_is_found_out(
    recipe: Recipe, clean: Path, tmp_path: Path, damage: Callable[[pa.Table], dict[str, np.ndarray]]
) -> None:
    run = shutil.copytree(clean, tmp_path / "run")
    for location in list_shards(str(run / "predictions")):
        if "teacher=bert-de" in location:
            shard, table = read_shard(location), open_shard(location).read()
            for name, values in damage(table).items():
                column, kind = values, SCHEMA.field(name).type
                if not isinstance(values, pa.Array):
                    flat = pa.array(values, type=kind.value_type)
                    column = pa.ListArray.from_arrays(pa.array(leaf(table[name])[1]), flat, type=kind)
                table = table.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), column)
            write_shard(location, table, identity=shard.identity, unit=shard.unit, report=shard.report)
    result = audit(Run(recipe=recipe, folder=run), rows=100, show_progress=False)
    found = result.rows
    sound = {(row.language, row.heldout): row.sound for row in found}
    assert sound == {("en", False): True, ("en", True): True, ("de", False): False, ("de", True): True}
    german = found[2]
    assert (german.faults > german.rows / 2) != (damage is shifted)
    assert (german.equal_inputs < german.rows) == (damage in (off_by_one, other_gold, without_labels))
    assert all("teacher=bert-de" in shard for shard in german.faulty)
    assert bool(german.faulty) != (damage is shifted)
    assert "not sound: de (bert-de)" in result.table().result


def test_labels_of_other_weights_under_a_forged_identity_are_found_out(recipe: Recipe, clean: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(recipe.folder, other)
    pieces = vocabulary(other / "teachers/en")
    save_teacher(other / "teachers/en", pieces, seed=99)
    forged = parse_recipe(recipe.model_dump(), folder=other)
    run = tmp_path / "run"
    make_vocabulary(Run(recipe=forged, folder=run), show_progress=False)
    predict(Run(recipe=forged, folder=run), show_progress=False)
    with pytest.raises(InputError, match=r"teacher.weights: found"):
        audit(Run(recipe=recipe, folder=run), rows=20, show_progress=False)
    genuine = {location.removeprefix(str(clean)): read_shard(location) for location in list_shards(str(clean / "predictions"))}
    for folder in ("predictions", "heldout"):
        for location in list_shards(str(run / folder)):
            shard = read_shard(location)
            identity = {**shard.identity, "teacher.weights": next(
                one.identity["teacher.weights"] for one in genuine.values() if one.path.teacher == shard.path.teacher
            )}  # fmt: skip
            write_shard(location, open_shard(location).read(), identity=identity, unit=shard.unit, report=shard.report)
    found = audit(Run(recipe=recipe, folder=run), rows=20, show_progress=False).rows
    assert [(row.sound, row.equal_inputs == row.rows) for row in found] == [(False, True)] * 2 + [(True, True)] * 2


def vocabulary(folder: Path) -> list[str]:
    from tokenizers import Tokenizer

    found: dict[str, int] = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    return sorted(found, key=found.__getitem__)


def test_users_mistakes(recipe: Recipe, clean: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `mergedistill vocab` first"):
        audit(Run(recipe=recipe, folder=tmp_path), rows=5, show_progress=False)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path), show_progress=False)
    with pytest.raises(InputError, match="run `mergedistill predict` first"):
        audit(Run(recipe=recipe, folder=tmp_path), rows=5, show_progress=False)
    shutil.copytree(clean / "predictions", tmp_path / "predictions")
    location = Path(list_shards(str(tmp_path / "predictions"))[0])
    content = bytearray(location.read_bytes())
    content[len(content) // 8] ^= 255
    location.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        audit(Run(recipe=recipe, folder=tmp_path), rows=500, show_progress=False)


def test_the_command_exits_by_what_it_found(recipe: Recipe, clean: Path) -> None:
    save_recipe(recipe, recipe.folder / "recipe.toml")
    command = ["audit", str(recipe.folder / "recipe.toml"), "--out", str(clean), "--rows", "20"]
    for options, code, said in [
        ([], 0, "sound: the teachers give every drawn row again"),
        (["--set", "predict.tokens_per_batch=64", "--tolerance", "0"], 0, "sound: the teachers give every drawn row again"),
        (["--set", "seed=1"], 2, "seed: found 0, expected 1"),
    ]:
        shown = CliRunner().invoke(main, command + options)
        assert (shown.exit_code, said in shown.output) == (code, True), shown.output
    location = list_shards(str(clean / "heldout"))[0]
    kept = Path(location).read_bytes()
    shard, table = read_shard(location), open_shard(location).read()
    damaged = table.set_column(1, SCHEMA.field("window"), pa.array(table["window"].to_numpy() + 7, pa.int32()))
    write_shard(location, damaged, identity=shard.identity, unit=shard.unit, report=shard.report)
    shown = CliRunner().invoke(main, command)
    Path(location).write_bytes(kept)
    assert (shown.exit_code, f"remove {location}, and run" in shown.output) == (1, True), shown.output


def labels(seed: int, count: int = 50, k: int = 8) -> Labels:
    generator = np.random.default_rng(seed)
    ids = np.stack([generator.permutation(100)[:k] for _ in range(count)]).astype(np.uint32)
    logits = -np.sort(generator.exponential(6, (count, k)), axis=1).astype(np.float16)
    return Labels(gold_logits_M=logits[:, 2], ids_MK=ids, logits_MK=logits)


def changed(one: Labels, **fields: Any) -> Labels:
    return Labels(**{name: fields.get(name, getattr(one, name)) for name in Labels.__slots__})


def test_an_id_as_likely_as_the_last_may_be_missing() -> None:
    one = labels(0)
    ids = one.ids_MK.copy()
    ids[:, -1] = 100  # another id at the end, as likely
    assert compare_labels(one, changed(one, ids_MK=ids)).within(0.0).all()
    ids[:, -1], ids[:, 0] = one.ids_MK[:, -1], 100  # and at the beginning
    found = compare_labels(one, changed(one, ids_MK=ids))
    np.testing.assert_allclose(found.gap_M, one.logits_MK[:, 0].astype(float) - one.logits_MK[:, -1].astype(float))
    assert (found.shared_M == 7).all()
    assert not (found.first_M | found.within(0.05)).any()
    gold = one.gold_logits_M - np.float16(0.5)
    assert not compare_labels(one, changed(one, gold_logits_M=gold)).within(0.4).any()


def test_rounding_to_8_bits_is_no_difference() -> None:
    one = labels(1)
    ids, logits = in_steps(one.ids_MK, one.logits_MK)
    stored = changed(one, ids_MK=ids, logits_MK=logits)
    assert compare_labels(stored, one, eight_bit=True).within(0.0).all()
    assert not compare_labels(stored, one).within(0.05).all()
    deep = changed(one, logits_MK=np.full_like(logits, -20))  # below the last level, which says of them only that
    assert (
        compare_labels(changed(stored, logits_MK=in_steps(ids, deep.logits_MK)[1]), changed(deep, ids_MK=ids), eight_bit=True)
        .within(0.0)
        .all()
    )
    assert not compare_labels(changed(deep, logits_MK=np.full_like(logits, np.nan)), deep, eight_bit=True).within(0.05).any()
    for other in (logits * np.float16(1.1), logits + np.float16(0.4)):
        assert not compare_labels(changed(stored, logits_MK=other), one, eight_bit=True).within(0.05).any()


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=12).filter(lambda s: any(n for n, _ in s)),
    st.integers(1, 60),
    st.integers(0, 9),
)
def test_rows_are_drawn_once_and_from_every_split(shards: list[tuple[int, str]], rows: int, seed: int) -> None:
    sizes, splits = [size for size, _ in shards], [split for _, split in shards]
    drawn = draw_rows(sizes, splits, rows, seed)
    assert sum(map(len, drawn)) == min(rows, sum(sizes))
    for numbers, size in zip(drawn, sizes, strict=True):
        assert len(set(numbers.tolist())) == len(numbers)
        assert all(0 <= number < size for number in numbers)
    filled = {split for size, split in shards if size}
    assert len({split for numbers, split in zip(drawn, splits, strict=True) if len(numbers)}) >= min(rows, len(filled))
    assert all(np.array_equal(one, other) for one, other in zip(drawn, draw_rows(sizes, splits, rows, seed), strict=True))


def test_rows_are_drawn_in_proportion() -> None:
    for rows in (1, 20):
        counts = np.sum([list(map(len, draw_rows([100, 300], ["a", "a"], rows, seed))) for seed in range(600)], axis=0)
        assert counts[1] / counts[0] == pytest.approx(3, rel=0.2)
