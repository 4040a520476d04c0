"""The identity of a teacher's shards, with every check that can refuse a teacher before its first unit."""

import numpy as np
import torch

from data.contract import HELDOUT, PREDICTIONS
from data.identity import Identity, shard_identity, weights_fingerprint
from data.recipe import Recipe
from data.run import Run
from data.shards import list_shards, read_shard
from data.teacher_files import teacher_folder, teacher_vocabulary
from pipeline.teacher.checkpoint import Checkpoint, inspect_checkpoint
from pipeline.teacher.model import fast_dtype
from vocab.errors import InputError
from vocab.folder import load_map, load_union, order_advice
from vocab.notices import say_once
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import TeacherMap, map_into


def teacher_identity(run: Run, name: str) -> Identity:
    """The identity of the shards that this run's recipe makes with one of its teachers.

    Raises InputError if the teacher's tokenizer is not the one in the union, or if the teacher cannot do what the recipe asks for.
    """
    union = load_union(run.vocabulary)
    links = {link.teacher: link for link in union.links}
    names = [teacher.name for teacher in run.recipe.teachers]
    if names != list(links)[: len(names)]:
        raise InputError(
            f"{run.vocabulary}: holds the teachers {', '.join(links)}, the recipe has {', '.join(names)}; expected the same in the "
            f"same order: {order_advice(union, names)}"
        )
    folder = teacher_folder(run.recipe, name, weights=True)
    vocabulary = teacher_vocabulary(run.recipe, name, folder)
    tokenizer = vocabulary.tokenizer_fingerprint
    if tokenizer != links[name].tokenizer:
        raise InputError(
            f"teacher '{name}': the tokenizer in {folder} is not the one that the union was made from (found {tokenizer[:12]}…, "
            f"expected {links[name].tokenizer[:12]}…): run `mergedistill vocab` into another run folder"
        )
    teacher_map = load_map(run.vocabulary, name)
    if not teacher_map.equals(map_into(union, vocabulary)):
        raise InputError(
            f"{run.vocabulary / 'maps'}/{name}.npz: is not the map of teacher '{name}': run `mergedistill vocab` again"
        )
    weights = weights_fingerprint(folder)
    _check_settings(run.recipe, vocabulary, teacher_map, inspect_checkpoint(folder, name))
    return shard_identity(
        run.recipe,
        dtype=_resolve_dtype(run, name),
        union=links[name].fingerprint,
        tokenizer=tokenizer,
        weights=weights,
    )


def _resolve_dtype(run: Run, name: str) -> str:
    """The dtype that the teacher computes in.

    "auto" means the dtype of this teacher's finished shards, so that a launch on another machine continues the cache. Without such
    shards it means the best dtype of this machine's hardware.
    """
    if run.recipe.predict.dtype != "auto":
        return run.recipe.predict.dtype
    for split in (PREDICTIONS, HELDOUT):
        for location in list_shards(run.shards(split)):
            if f"/teacher={name}/" in location:
                return str(read_shard(location).identity["dtype"])
    dtype, why = fast_dtype(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    name_of_dtype = str(dtype).removeprefix("torch.")
    say_once(f"predict.dtype: {name_of_dtype}, since {why}")
    return name_of_dtype


def _check_settings(recipe: Recipe, vocabulary: TeacherVocabulary, teacher_map: TeacherMap, checkpoint: Checkpoint) -> None:
    """Refuse settings of the recipe that this teacher cannot meet."""
    name = vocabulary.name
    pieces = len(np.unique(teacher_map.union_ids[teacher_map.predictable]))
    for key, value in (("top_k", recipe.predict.top_k), ("draws", recipe.predict.drawn(heldout=False))):
        if value > pieces:
            raise InputError(f"predict.{key}: found {value}; teacher '{name}' can predict {pieces} pieces: lower {key}")
    words = set(vocabulary.tokenizer.encode("a b", add_special_tokens=False).word_ids)
    if recipe.examples.masking == "whole-word" and len(words) < 2:
        raise InputError(
            f"examples.masking: found 'whole-word'; the tokenizer of teacher '{name}' does not report words: use 'token'"
        )
    if checkpoint.longest is not None and recipe.examples.max_length > checkpoint.longest:
        raise InputError(
            f"examples.max_length: found {recipe.examples.max_length}; teacher '{name}' takes at most {checkpoint.longest} tokens: "
            "lower max_length"
        )
