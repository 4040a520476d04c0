"""Stage 1: run each teacher over its languages' articles, and write its top-k logits in the union vocabulary.

Per teacher one branch: Create(units) | Reshuffle | Filter(_is_missing) | RunInference(TeacherHandler) | WriteShard. A finished unit is
durable at once, so a launch after a failure computes only what is missing.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import torch
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from data.contract import HELDOUT, PREDICTIONS, parse_path
from data.identity import Identity, shard_identity, weights_fingerprint
from data.manifest import listed_shards, summarise, write_manifest
from data.recipe import Recipe
from data.shards import check_identity, list_shards, read_shard
from data.storage import map_files
from pipeline.beam.launch import run_pipeline
from pipeline.beam.progress import existing, watch_files
from pipeline.beam.teacher_steps import TeacherHandler, WriteShard
from pipeline.teacher.files import teacher_folder, teacher_vocabulary
from pipeline.teacher.model import choose_dtype
from pipeline.teacher.plan import Plan, Unit, make_plan
from pipeline.teacher.shard_lock import clear_partial_files, lock_manifest, lock_teachers
from vocab.errors import InputError
from vocab.folder import load_map, load_union
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import TeacherMap, map_into


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictResult:
    """What a launch found and did."""

    units: int
    computed: int  # of these, by this launch
    rows: int
    masked_positions: int
    bytes: int
    seconds: float
    folder: str
    languages: list[dict[str, Any]]  # of the training predictions: a row a teacher and language, see data.manifest.summarise


def predict(
    recipe: Recipe, run: Path, *, teachers: Sequence[str] = (), beam_args: Sequence[str] = (), show_progress: bool = True
) -> PredictResult:
    """Compute every missing unit of the recipe (of `teachers`, all by default), then write the manifest from the footers."""
    clock = time.perf_counter()
    names = [*dict.fromkeys(recipe.teacher(name).name for name in teachers)] or [teacher.name for teacher in recipe.teachers]
    identities = {name: teacher_identity(recipe, run, name) for name in names}
    with lock_teachers(recipe, run, names):  # before the plan: what another launch is computing would look missing
        plan = make_plan(recipe, str(run), identities)
        clear_partial_files(recipe, run, names)
        if plan.missing:
            outputs = [unit.output for unit in plan.missing]
            with watch_files(outputs, description="predict", unit="unit", show=show_progress):
                run_pipeline(lambda pipeline: _branches(pipeline, recipe, run, plan, identities, beam_args), beam_args)
            clear_partial_files(recipe, run, names)  # of workers that were killed, where the engine did their work again
        with lock_manifest(recipe, run):
            return _finish(recipe, run, identities, plan, time.perf_counter() - clock)


def teacher_identity(recipe: Recipe, run: Path, name: str) -> Identity:
    """The identity that this recipe gives a teacher's shards. A teacher that is not the one in the union is an InputError."""
    union = load_union(run / "vocab")
    known = {link.teacher: link for link in union.links}
    if [teacher.name for teacher in recipe.teachers] != list(known)[: len(recipe.teachers)]:
        raise InputError(
            f"{run / 'vocab'}: holds the teachers {', '.join(known)}, the recipe has {', '.join(t.name for t in recipe.teachers)}; "
            "expected the same in the same order: run `mergedistill vocab` with this recipe, or use another run folder"
        )
    folder = teacher_folder(recipe, name, weights=True)
    vocabulary = teacher_vocabulary(recipe, name, folder)
    tokenizer = vocabulary.tokenizer_fingerprint
    if tokenizer != known[name].tokenizer:
        raise InputError(
            f"teacher '{name}': the tokenizer in {folder} is not the one that the union was made from (found {tokenizer[:12]}…, "
            f"expected {known[name].tokenizer[:12]}…): run `mergedistill vocab` into another run folder"
        )
    teacher_map = load_map(run / "vocab", name)
    if not teacher_map.equals(map_into(union, vocabulary)):
        raise InputError(f"{run / 'vocab/maps'}/{name}.npz: is not the map of teacher '{name}': run `mergedistill vocab` again")
    _check_limits(recipe, vocabulary, teacher_map)
    return shard_identity(
        recipe,
        dtype=_resolve_dtype(recipe, run, name),
        union=known[name].fingerprint,
        tokenizer=tokenizer,
        weights=weights_fingerprint(folder),
    )


def _resolve_dtype(recipe: Recipe, run: Path, name: str) -> str:
    """The recipe's dtype; "auto" is the one that this teacher's standing shards have, else what the launcher's hardware has.

    So a launch from another machine goes on with the cache as it was begun.
    """
    if recipe.predict.dtype != "auto":
        return recipe.predict.dtype
    for folder in (PREDICTIONS, HELDOUT):
        for location in list_shards(recipe.shards_below(run, folder)):
            if f"/teacher={name}/" in location:
                return str(read_shard(location).identity["dtype"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return str(choose_dtype("auto", device)).removeprefix("torch.")


def _check_limits(recipe: Recipe, vocabulary: TeacherVocabulary, teacher_map: TeacherMap) -> None:
    """Refuse settings that the teacher cannot meet before it is paid."""
    pieces = len(np.unique(teacher_map.union_ids[teacher_map.predictable]))
    if recipe.predict.top_k > pieces:
        raise InputError(
            f"predict.top_k: found {recipe.predict.top_k}; teacher '{vocabulary.name}' can predict {pieces} pieces: lower top_k"
        )
    if (
        recipe.examples.masking == "whole-word"
        and len(set(vocabulary.tokenizer.encode("a b", add_special_tokens=False).word_ids)) < 2
    ):
        raise InputError(
            f"examples.masking: found 'whole-word'; the tokenizer of teacher '{vocabulary.name}' says nothing of words: use 'token'"
        )
    if vocabulary.positions is not None and recipe.examples.max_length > vocabulary.positions:
        raise InputError(
            f"examples.max_length: found {recipe.examples.max_length}; teacher '{vocabulary.name}' takes at most {vocabulary.positions} "
            "tokens: lower max_length"
        )


def _branches(
    pipeline: beam.Pipeline, recipe: Recipe, run: Path, plan: Plan, identities: dict[str, Identity], beam_args: Sequence[str]
) -> None:
    threads = _threads(beam_args)
    written = []
    for name, identity in identities.items():
        units = [replace(unit, output=_anywhere(unit.output)) for unit in plan.missing if unit.teacher == name]
        if not units:
            continue
        handler: Any = TeacherHandler(
            recipe, name, load_map(run / "vocab", name), identity, threads=threads or 0, processes=threads is not None
        )
        # Each unit is a batch: BatchElements holds the last unit of a bundle back, and DaskRunner drops what a bundle's end emits.
        written.append(
            pipeline
            | f"{name}: units" >> beam.Create([[unit] for unit in units], reshuffle=False)
            | f"{name}: reshuffle" >> beam.Reshuffle()
            | f"{name}: still missing" >> beam.Filter(_is_missing)
            | f"{name}: teacher" >> RunInference(handler.with_no_batching())
            | f"{name}: write" >> beam.ParDo(WriteShard(identity))
        )
    _ = written | beam.Flatten()  # DaskRunner computes only what the pipeline's last transform asks for


def _anywhere(location: str) -> str:
    """A location that means the same in a worker's working directory."""
    return location if "://" in location else os.path.abspath(location)


def _is_missing(batch: Sequence[Unit]) -> bool:
    """Whether a unit is still to be computed: an engine that lost a worker runs what that worker had finished again."""
    return not any(existing({unit.output for unit in batch}))


def _threads(beam_args: Sequence[str]) -> int | None:
    """Threads a worker process: the machine's cores shared out among Beam's local worker processes; None where there are none."""
    options = PipelineOptions(list(beam_args)).view_as(DirectOptions)
    if options.direct_running_mode != "multi_processing":
        return None
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // (options.direct_num_workers or cores))


def _finish(recipe: Recipe, run: Path, identities: Mapping[str, Identity], plan: Plan, seconds: float) -> PredictResult:
    """The manifests of both folders, and the launch's result, all from the footers: the plan's, and those of what is new.

    A manifest lists these teachers' shards, and of others what it listed before: theirs may be under way in another launch.
    """
    below = {folder: recipe.shards_below(run, folder) for folder in (PREDICTIONS, HELDOUT)}
    read = {shard.location: shard for shard in plan.finished_shards}
    there: dict[str, list[str]] = {}
    for folder, location in below.items():
        before = listed_shards(location) or set()
        there[folder] = [place for place in list_shards(location) if _teacher(place) in identities or place in before]
        for shard in map_files(read_shard, [place for place in there[folder] if place not in read]):
            if shard.path.teacher in identities:  # two runs that share an object store are not kept off each other
                check_identity(shard, identities[shard.path.teacher])
            read[shard.location] = shard
    if lost := {unit.output for unit in plan.units}.difference(*there.values()):  # before the manifest, which says what is whole
        more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise InputError(
            f"{min(lost)}{more}: not there though the job ended well; expected a file for each unit: were files removed while it ran? "
            "Run the same command again: it computes what is missing"
        )
    for folder, location in below.items():
        if there[folder]:
            write_manifest(location, recipe, [read[place] for place in there[folder]])
    shards = [read[unit.output] for unit in plan.units]
    return PredictResult(
        units=len(plan.units),
        computed=len(plan.missing),
        rows=sum(shard.rows for shard in shards),
        masked_positions=sum(shard.report["masked_positions"] for shard in shards),
        bytes=sum(shard.bytes for shard in shards),
        seconds=seconds,
        folder=below[PREDICTIONS],
        languages=summarise([read[place] for place in there[PREDICTIONS] if _teacher(place) in identities]),
    )


def _teacher(location: str) -> str | None:
    path = parse_path(location)
    return path.teacher if path else None
