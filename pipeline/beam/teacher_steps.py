"""The steps of the predict job: the teacher, as RunInference calls it, and the step that writes a labelled unit to its file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
import torch
from apache_beam.metrics.metric import Metrics
from apache_beam.ml.inference.base import ModelHandler

from data.identity import Identity, split_identity
from data.recipe import Recipe
from data.shards import write_shard
from data.storage import existing_files
from pipeline.beam.running_unit import RunningUnit
from pipeline.teacher.label_unit import Labelled, label_unit
from pipeline.teacher.loaded import LoadedTeacher, RemoteModel, attach_teacher, load_teacher
from pipeline.teacher.plan import Unit
from vocab.union import TeacherMap


class TeacherHandler(ModelHandler[Unit, Labelled, LoadedTeacher]):
    """One teacher for RunInference: an element is a unit, a prediction is the unit's complete table.

    threads    of the matrix library in each worker process; 0 keeps torch's own choice
    processes  whether a machine runs several worker processes
    """

    def __init__(
        self, recipe: Recipe, teacher: str, teacher_map: TeacherMap, identity: Identity, *, threads: int, processes: bool = False
    ):
        super().__init__()
        self._recipe, self._teacher = recipe, teacher
        self._map, self._identity, self._threads, self._processes = teacher_map, identity, threads, processes
        self._tokenizer_here: LoadedTeacher | None = None  # of a shared teacher

    def load_model(self) -> LoadedTeacher:
        return load_teacher(self._recipe, self._teacher, self._map, self._identity, threads=self._threads)

    def share_model_across_processes(self) -> bool:
        """Whether the local worker processes share the teacher: yes on CUDA, where one process keeps a device busy."""
        return self._processes and torch.cuda.is_available()

    def model_copies(self) -> int:
        """The copies of a shared teacher: one for each device. Each copy is a process of its own, and claims a device."""
        return max(1, torch.cuda.device_count())

    def run_inference(
        self, batch: Sequence[Unit], model: LoadedTeacher, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Labelled]:
        # A shared teacher is a proxy of the one in another process. It only labels: this process reads, tokenises and masks.
        teacher = model if isinstance(model, LoadedTeacher) else self._attached(model)
        for unit in batch:
            running = RunningUnit(unit)
            try:
                yield label_unit(unit, teacher, self._map, self._recipe, running)
            finally:
                running.end()

    def _attached(self, proxy: Any) -> LoadedTeacher:
        if self._tokenizer_here is None:
            self._tokenizer_here = attach_teacher(self._recipe, self._teacher, self._map, self._identity, proxy)
        return replace(self._tokenizer_here, model=RemoteModel(proxy))


class WriteShard(beam.DoFn):
    """Writes each labelled unit to its file. From then on the unit is finished, and no launch computes it again."""

    def __init__(self, identity: Identity, recipe: Recipe):
        self._identities = {heldout: split_identity(identity, recipe, heldout=heldout) for heldout in (False, True)}

    def process(self, labelled: Labelled) -> Iterator[str]:
        unit = labelled.unit
        if not any(
            existing_files({unit.output})
        ):  # a worker that the engine believed dead may have written it: keep the first file
            write_shard(
                unit.output, labelled.table, identity=self._identities[unit.heldout], unit=unit.facts(), report=labelled.report
            )
            _count(labelled)
        yield unit.output


def _count(labelled: Labelled) -> None:
    """Publish a unit's report as Beam metrics: one namespace for each teacher and language. Metrics are integers, hence the units."""
    report = labelled.report
    namespace = f"mergedistill.{labelled.unit.teacher}.{labelled.unit.language}"
    for name, count in {**report["counters"], "units": 1, "rows": report["rows"]}.items():
        Metrics.counter(namespace, name).inc(count)
    for name, value in {
        "unit_milliseconds": 1e3 * report["seconds"],
        "teacher_load_milliseconds": 1e3 * report["teacher_load_seconds"],
        "tokens_per_second": report["tokens_per_second"],
        "loss_millinats": 1e3 * report["loss"],
        "mass_dropped_ppm": 1e6 * report["mass_dropped"],
        "mass_merged_ppm": 1e6 * report["mass_merged"],
    }.items():
        Metrics.distribution(namespace, name).update(round(value))
