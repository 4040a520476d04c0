"""The teacher on a GPU. Skipped where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.examples import Example
from data.recipe import Recipe
from data.run import Run
from data.shards import leaf, list_shards, read_shards
from data.validation.validate import validate
from pipeline.predict import predict
from pipeline.teacher.model import TeacherModel
from tests.support.factories import two_language_recipe
from tests.support.gpu import needs_card
from tests.support.runs import MULTI_PROCESSING, build_union, changed, columns, computations
from vocab.folder import load_map

pytestmark = needs_card


def labels(run: Path) -> dict[str, Any]:
    return {path: table.select(["input_ids", "mask_positions", "label_ids"]) for path, table in columns(run).items()}


def largest_difference(run: Path, other: Path) -> float:
    """Of the gold logits, over all shards of two runs."""
    pairs = zip(columns(run).items(), columns(other).items(), strict=True)
    parts = [np.abs(leaf(one["label_logits"])[0] - leaf(two["label_logits"])[0]).max() for (_, one), (_, two) in pairs]
    return float(max(parts))


def run_on(device: str, recipe: Recipe, folder: Path, beam_args: list[str] | None = None) -> Path:
    build_union(recipe, folder)
    with pytest.MonkeyPatch.context() as patch:
        if device == "cpu":
            patch.setattr(torch.cuda, "is_available", lambda: False)
        predict(Run(recipe=recipe, folder=folder), beam_args=beam_args or [], show_progress=False)
    assert {shard.report["device"].split(":")[0] for shard in read_shards(list_shards(str(folder / "predictions")))} == {device}
    assert validate(str(folder / "predictions"), show_progress=False).sound
    return folder


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 4e-3), ("bfloat16", 0.3)])
def test_labels_are_those_of_the_cpu(tmp_path: Path, dtype: str, allowed: float) -> None:
    recipe = two_language_recipe(tmp_path)
    recipe = changed(recipe, predict=recipe.predict.model_dump() | {"dtype": dtype, "tokens_per_batch": "auto"})
    there = run_on("cuda", recipe, tmp_path / "card")
    here = run_on("cpu", changed(recipe, predict=recipe.predict.model_dump() | {"dtype": "float32"}), tmp_path / "cpu")
    assert labels(there) == labels(here)
    assert largest_difference(there, here) < allowed


def test_worker_processes_share_the_card(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path)
    alone = run_on("cuda", recipe, tmp_path / "alone")
    together = run_on("cuda", recipe, tmp_path / "together", MULTI_PROCESSING)
    assert labels(together) == labels(alone)
    assert largest_difference(together, alone) < 4e-3
    before = computations(together)
    assert predict(Run(recipe=recipe, folder=together), show_progress=False).computed == 0
    assert computations(together) == before


def test_memory_that_is_too_small_halves_the_batches(tmp_path: Path) -> None:
    """A limit on this process's share of the card, which real allocations run into."""
    recipe = two_language_recipe(tmp_path)
    build_union(recipe, tmp_path / "run")
    teacher = TeacherModel(tmp_path / "teachers/en", "bert-en", load_map(tmp_path / "run/vocab", "bert-en"), "float32")
    draw = np.random.default_rng(0)
    examples = []
    for index in range(4096):
        ids = draw.integers(5, 20, 60).astype(np.uint32)
        masks = np.sort(draw.permutation(np.arange(1, 59))[:9]).astype(np.uint16)
        examples.append(Example(doc_id="d", window=index, input_ids=ids, mask_positions=masks, label_ids=ids[masks]))
    expected = teacher.label(examples, 0, 4, 4096)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 60e6) / total)
        found = teacher.label(examples, 0, 4, 1 << 20)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert teacher.fitting is not None
    assert teacher.fitting < 4096 * 60
    assert np.abs(found.logits_MK.astype(float) - expected.logits_MK.astype(float)).max() < 1e-2


def test_compiled_layers_give_the_same_labels(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path)
    plain = run_on("cuda", recipe, tmp_path / "plain")
    compiled = changed(recipe, predict=recipe.predict.model_dump() | {"compile": True})
    assert largest_difference(run_on("cuda", compiled, tmp_path / "compiled"), plain) < 4e-3
