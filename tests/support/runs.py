"""Runs of predict for tests: the launch, and what it left."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.atomic import replace_folder
from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.run import Run
from data.shards import list_shards, open_shard, read_shards
from data.teacher_files import teacher_folder
from pipeline.predict import PredictResult, predict
from vocab.folder import build_vocabulary
from vocab.teacher_vocabulary import TeacherVocabulary, read_teacher
from vocab.union import Union

MULTI_PROCESSING = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


Choose = Callable[[Sequence[TeacherVocabulary], Union], list[np.ndarray]]


def build_union(recipe: Recipe, run: Path, choose: Choose | None = None) -> None:
    """The run's vocabulary; `choose` picks the pieces that it keeps."""
    teachers = [read_teacher(teacher_folder(recipe, teacher.name, weights=False), teacher.name) for teacher in recipe.teachers]
    build_vocabulary(teachers, run / "vocab", recipe.examples.max_length, replace_folder, choose=choose)


def launch(recipe: Recipe, run: Path, beam_args: list[str] | None = None, choose: Choose | None = None) -> PredictResult:
    """Build the vocabulary, then predict."""
    build_union(recipe, run, choose)
    return predict(Run(recipe=recipe, folder=run), beam_args=beam_args or [], show_progress=False)


def columns(run: Path) -> dict[str, pa.Table]:
    """The rows of every shard by its path below the run, without the metadata of its footer, which holds times."""
    return {
        location.removeprefix(str(run)): open_shard(location).read().replace_schema_metadata(None)
        for location in list_shards(str(run / "predictions"))
    }


def computations(run: Path) -> dict[str, str]:
    """The id of the computation that made each shard: it changes if a unit is computed again."""
    return {shard.location: shard.report["computation"] for shard in read_shards(list_shards(str(run / "predictions")))}


def changed(recipe: Recipe, **sections: object) -> Recipe:
    """The recipe with other sections."""
    return parse_recipe(recipe.model_dump() | sections, folder=recipe.folder)


def load_vocab(folder: Path) -> dict[str, int]:
    """The ids of a teacher's pieces."""
    vocab: dict[str, int] = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    return vocab
