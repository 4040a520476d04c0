"""Stage 1: run each teacher over its languages' articles, and write its top-k logits in the union vocabulary.

Each teacher is one branch of a Beam job: Create(units) | Reshuffle | Filter(_is_missing) | RunInference(TeacherHandler) | WriteShard.
A finished unit is a complete file at once, so a launch after a failure computes only the units that are missing.
"""

import os
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from data.article_ids import require_unique_ids
from data.atomic import clear_partial
from data.contract import HELDOUT, PREDICTIONS
from data.identity import Identity, split_identity
from data.manifest import MANIFEST, QUARANTINE, language_table, listed_shards, summarise, write_manifest
from data.run import Run
from data.shards import Shard, check_identity, list_shards, read_shard, shards_of
from data.storage import existing_files, join, map_files, require_files
from data.table import Table
from pipeline.beam.launch import run_pipeline
from pipeline.beam.progress import watch_units
from pipeline.beam.runners import has_remote_workers
from pipeline.beam.teacher_steps import TeacherHandler, WriteShard
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.plan import Plan, Unit, make_plan
from pipeline.teacher.shard_lock import clear_partial_files, lock_manifest, lock_teachers
from vocab.errors import InputError
from vocab.folder import load_map


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictResult:
    """What a launch found and did."""

    units: int  # of the plan, to train on
    heldout_units: int  # of the plan
    computed: int  # of all these, by this launch
    rows: int  # to train on, as masked_positions and bytes
    masked_positions: int
    heldout_positions: int
    bytes: int
    seconds: float
    folder: str
    languages: list[dict[str, Any]]  # of the training predictions: one for each teacher and language, see data.manifest.summarise

    def table(self) -> Table:
        """A row for each teacher and language."""
        columns, rows = language_table(self.languages)
        each = self.bytes / max(self.masked_positions, 1)
        return Table(
            title="Predictions",
            columns=columns,
            rows=rows,
            result=(
                f"{self.folder}: {self.units:,} units and {self.heldout_units:,} held-out units, of these {self.computed:,} computed now "
                f"in {self.seconds:,.1f} s; {self.masked_positions:,} masked positions, {each:.1f} bytes each, and "
                f"{self.heldout_positions:,} held-out ones. Next: mergedistill validate {self.folder}"
            ),
            facts={field.name: getattr(self, field.name) for field in fields(self) if field.name != "languages"},
        )


def predict(run: Run, *, teachers: Sequence[str] = (), beam_args: Sequence[str] = (), show_progress: bool = True) -> PredictResult:
    """Compute every missing unit of the run (of `teachers`, or of all), then write the manifest from the footers."""
    start = time.perf_counter()
    recipe = run.recipe
    names = recipe.chosen_labellers(teachers)
    _require_dtype(run, beam_args)
    identities = {name: teacher_identity(run, name) for name in names}
    with lock_teachers(run, names):  # before the plan: units that another launch is computing would look missing
        plan = make_plan(run, identities)
        clear_partial_files(run, names)
        if plan.missing:
            _require_unique_articles(run, {unit.language for unit in plan.missing})
            outputs = [unit.output for unit in plan.missing]
            with watch_units(outputs, show=show_progress):
                run_pipeline(lambda pipeline: _branches(pipeline, run, plan, identities, beam_args), beam_args)
            clear_partial_files(run, names)  # of workers that were killed and whose work the engine repeated
        with lock_manifest(run):
            return _finish(run, identities, plan, time.perf_counter() - start)


def _require_dtype(run: Run, beam_args: Sequence[str]) -> None:
    """Refuse "auto" where the workers are other machines: this one's hardware says nothing about theirs."""
    if run.recipe.predict.dtype == "auto" and has_remote_workers(beam_args) and not list_shards(run.predictions):
        raise InputError(
            'predict.dtype: found "auto", which is what this machine multiplies fast, but the workers are elsewhere; expected '
            '"bfloat16" or "float32": write into the recipe what the workers multiply fast (bfloat16: GPUs from Ampere on, processors '
            "with AMX or AVX-512 BF16)"
        )


def _require_unique_articles(run: Run, languages: Set[str]) -> None:
    """Refuse corpora in which an id is there twice, before a teacher is paid: validate would refuse the shards for ever."""
    for split, corpora in ((PREDICTIONS, run.recipe.corpora), (HELDOUT, run.recipe.heldout)):
        for language in sorted(languages & corpora.keys()):
            what = f"{'held-out ' if split == HELDOUT else ''}corpus of '{language}'"
            files = require_files(run.recipe.locate_files(corpora[language]), what)
            require_unique_ids(files, what, "make the shards again with `mergedistill prepare`, with --id-prefix for each input")


def _branches(pipeline: beam.Pipeline, run: Run, plan: Plan, identities: Mapping[str, Identity], beam_args: Sequence[str]) -> None:
    """Add a branch for each teacher that has missing units."""
    threads = _threads(beam_args)
    written = []
    for name, identity in identities.items():
        units = [replace(unit, output=_absolute(unit.output)) for unit in plan.missing if unit.teacher == name]
        if not units:
            continue
        handler: Any = TeacherHandler(
            run.recipe, name, load_map(run.vocabulary, name), identity, threads=threads or 0, processes=threads is not None
        )
        # Each unit is a batch of its own: BatchElements would hold back the last unit of a bundle, and DaskRunner drops what is
        # emitted at the end of a bundle.
        written.append(
            pipeline
            | f"{name}: units" >> beam.Create([[unit] for unit in units], reshuffle=False)
            | f"{name}: reshuffle" >> beam.Reshuffle()
            | f"{name}: still missing" >> beam.Filter(_is_missing)
            | f"{name}: teacher" >> RunInference(handler.with_no_batching())
            | f"{name}: write" >> beam.ParDo(WriteShard(identity, run.recipe))
        )
    _ = written | beam.Flatten()  # DaskRunner computes only what the pipeline's last transform needs


def _absolute(location: str) -> str:
    """The location as an absolute one: workers have other working directories."""
    return location if "://" in location else os.path.abspath(location)


def _is_missing(batch: Sequence[Unit]) -> bool:
    """Whether a unit is still missing. An engine that lost a worker repeats units that this worker had finished."""
    return not any(existing_files({unit.output for unit in batch}))


def _threads(beam_args: Sequence[str]) -> int | None:
    """Threads of each local worker process, so that together they use the machine's cores. None without worker processes."""
    options = PipelineOptions(list(beam_args)).view_as(DirectOptions)
    if options.direct_running_mode != "multi_processing":
        return None
    if options.direct_num_workers < 0:
        raise InputError(f"--direct_num_workers: found {options.direct_num_workers}; expected 0 (one for each core) or more")
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // (options.direct_num_workers or cores))


def _finish(run: Run, identities: Mapping[str, Identity], plan: Plan, seconds: float) -> PredictResult:
    """Write the manifests of both splits and return the result, both from the footers.

    A manifest lists all shards of this launch's teachers in the recipe's languages. Of other teachers and languages it keeps the shards
    that it listed before, because another launch, or another recipe that shares the store, may have more of them to compute.
    """
    for split in (PREDICTIONS, HELDOUT):
        for file in (MANIFEST, QUARANTINE):
            clear_partial(join(run.shards(split), file))
    known = {shard.location: shard for shard in plan.finished_shards}
    listed: dict[str, list[str]] = {}
    own: dict[str, set[str]] = {}
    for split in (PREDICTIONS, HELDOUT):
        before, places = listed_shards(run.shards(split)) or set(), list_shards(run.shards(split))
        own[split] = {*shards_of(places, [pair for pair in run.pairs(split) if pair[0] in identities])}
        listed[split] = [place for place in places if place in own[split] or place in before]
        for shard in map_files(read_shard, [place for place in listed[split] if place not in known]):
            if shard.path.teacher in identities:  # two runs that share an object store do not lock each other out
                identity = identities[shard.path.teacher]
                check_identity(shard, split_identity(identity, run.recipe, heldout=split == HELDOUT))
            known[shard.location] = shard
    _refuse_lost_files(plan, listed)
    for split in (PREDICTIONS, HELDOUT):
        if listed[split]:
            write_manifest(run.shards(split), run.recipe, [known[place] for place in listed[split]])
    trained_on, held_out = {*listed[PREDICTIONS]}, {*listed[HELDOUT]}
    shards = [known[unit.output] for unit in plan.units if unit.output in trained_on]
    heldout = [known[unit.output] for unit in plan.units if unit.output in held_out]
    return PredictResult(
        units=len(shards),
        heldout_units=len(heldout),
        computed=len(plan.missing),
        rows=sum(shard.rows for shard in shards),
        masked_positions=_positions(shards),
        heldout_positions=_positions(heldout),
        bytes=sum(shard.bytes for shard in shards),
        seconds=seconds,
        folder=run.predictions,
        languages=summarise([known[place] for place in listed[PREDICTIONS] if place in own[PREDICTIONS]]),
    )


def _positions(shards: Sequence[Shard]) -> int:
    return sum(shard.report["masked_positions"] for shard in shards)


def _refuse_lost_files(plan: Plan, listed: Mapping[str, Sequence[str]]) -> None:
    """Refuse to write a manifest if a unit has no file: a manifest means that the work is complete."""
    if lost := {unit.output for unit in plan.units}.difference(*listed.values()):
        more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise InputError(
            f"{min(lost)}{more}: not there though the job ended well; expected a file for each unit: were files removed while it ran? "
            "Run the same command again: it computes what is missing"
        )
