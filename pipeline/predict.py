"""Stage 1: run each teacher over its languages' articles, and write its top-k logits in the union vocabulary.

Per teacher one branch: Create(units) | Reshuffle | RunInference(TeacherHandler) | WriteShard. A finished unit is durable at once,
so a launch after a failure computes only what is missing.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from data.identity import Identity, shard_identity, weights_fingerprint
from data.manifest import write_manifest
from data.recipe import Recipe
from data.shards import list_shards, read_shards
from data.storage import TEMPORARY_SUFFIX, join
from pipeline.label_unit import TeacherHandler, WriteShard, teacher_folder
from pipeline.launch import run_pipeline
from pipeline.plan import HELDOUT, PREDICTIONS, Plan, make_plan
from pipeline.progress import watch_files
from vocab.errors import InputError
from vocab.folder import load_map, load_union
from vocab.teacher_vocabulary import read_teacher


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


def predict(
    recipe: Recipe, run: Path, *, teachers: Sequence[str] = (), beam_args: Sequence[str] = (), show_progress: bool = True
) -> PredictResult:
    """Compute every missing unit of the recipe (of `teachers`, all by default), then write the manifest from the footers."""
    clock = time.perf_counter()
    names = [recipe.teacher(name).name for name in teachers] or [teacher.name for teacher in recipe.teachers]
    identities = {name: teacher_identity(recipe, run, name) for name in names}
    plan = make_plan(recipe, str(run), identities)
    if plan.missing:
        _clear_partial_files(run)
        with watch_files([unit.output for unit in plan.missing], description="predict", show=show_progress):
            run_pipeline(lambda pipeline: _branches(pipeline, recipe, run, plan, identities, beam_args), beam_args)
    return _finish(recipe, run, plan, time.perf_counter() - clock)


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
    tokenizer = read_teacher(folder, name).tokenizer_fingerprint
    if tokenizer != known[name].tokenizer:
        raise InputError(
            f"teacher '{name}': the tokenizer in {folder} is not the one that the union was made from (found {tokenizer[:12]}…, "
            f"expected {known[name].tokenizer[:12]}…): run `mergedistill vocab` into another run folder"
        )
    return shard_identity(recipe, union=known[name].fingerprint, tokenizer=tokenizer, weights=weights_fingerprint(folder))


def _branches(
    pipeline: beam.Pipeline, recipe: Recipe, run: Path, plan: Plan, identities: dict[str, Identity], beam_args: Sequence[str]
) -> None:
    threads = _threads(beam_args)
    for name, identity in identities.items():
        units = [unit for unit in plan.missing if unit.teacher == name]
        if not units:
            continue
        handler: Any = TeacherHandler(recipe, name, load_map(run / "vocab", name), identity, threads)
        _ = (
            pipeline
            | f"{name}: units" >> beam.Create(units, reshuffle=False)
            | f"{name}: reshuffle" >> beam.Reshuffle()
            | f"{name}: teacher" >> RunInference(handler)
            | f"{name}: write" >> beam.ParDo(WriteShard(identity))
        )


def _threads(beam_args: Sequence[str]) -> int:
    """Threads a worker process: the machine's cores shared out among Beam's local worker processes; 0 (torch's choice) elsewhere."""
    options = PipelineOptions(list(beam_args)).view_as(DirectOptions)
    if options.direct_running_mode != "multi_processing":
        return 0
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // (options.direct_num_workers or cores))


def _clear_partial_files(run: Path) -> None:
    """Remove what a killed launch left half-written; finished shards have other names."""
    for folder in (PREDICTIONS, HELDOUT):
        for partial in (run / folder).glob(f"language=*/teacher=*/.*{TEMPORARY_SUFFIX}"):
            partial.unlink(missing_ok=True)


def _finish(recipe: Recipe, run: Path, plan: Plan, seconds: float) -> PredictResult:
    """The manifests of both folders, and the launch's result, all from the footers."""
    shards = []
    for folder in (PREDICTIONS, HELDOUT):
        location = join(str(run), folder)
        found = read_shards(list_shards(location))
        if found:
            write_manifest(location, recipe, found)
        shards += [shard for shard in found if shard.location in {unit.output for unit in plan.units}]
    assert len(shards) == len(plan.units), f"{len(plan.units) - len(shards)} units are missing after a job that reported success"
    return PredictResult(
        units=len(plan.units),
        computed=len(plan.missing),
        rows=sum(shard.rows for shard in shards),
        masked_positions=sum(shard.report["masked_positions"] for shard in shards),
        bytes=sum(shard.bytes for shard in shards),
        seconds=seconds,
        folder=join(str(run), PREDICTIONS),
    )
