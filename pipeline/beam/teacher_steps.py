"""The Beam parts of stage 1: a teacher as RunInference sees it, and the step that makes a labelled unit durable and counts it."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import torch
from apache_beam.metrics.metric import Metrics
from apache_beam.ml.inference.base import ModelHandler

from data.identity import Identity, weights_fingerprint
from data.recipe import Recipe
from data.shards import write_shard
from pipeline.beam.progress import existing
from pipeline.teacher.files import teacher_vocabulary
from pipeline.teacher.label_unit import Labelled, LoadedTeacher
from pipeline.teacher.model import TeacherModel
from pipeline.teacher.plan import Unit
from pipeline.teacher.to_union import Spelling, window_alphabet
from vocab.errors import InputError
from vocab.model_source import model_folder
from vocab.union import TeacherMap

_LOADING = threading.Lock()  # transformers changes torch's globals while it loads: two models loaded at once both lack weights


class TeacherHandler(ModelHandler[Unit, Labelled, LoadedTeacher]):
    """RunInference's view of one teacher: an element is a unit, a prediction its whole table.

    threads    of the matrix library, in each worker process; 0 leaves torch's own choice
    processes  whether a machine has several worker processes
    """

    def __init__(
        self, recipe: Recipe, teacher: str, teacher_map: TeacherMap, identity: Identity, *, threads: int, processes: bool = False
    ):
        super().__init__()
        self._recipe, self._teacher = recipe, recipe.teacher(teacher)
        self._base = recipe.folder  # a private attribute of the recipe, which pickling would lose
        self._map, self._identity, self._threads, self._processes = teacher_map, identity, threads, processes

    def load_model(self) -> LoadedTeacher:
        with _LOADING:
            started = time.perf_counter()
            if self._threads:
                torch.set_num_threads(self._threads)
            teacher = self._teacher
            folder = model_folder(teacher.model, base=self._base, name=teacher.name, revision=teacher.revision, weights=True)
            vocabulary = teacher_vocabulary(self._recipe, teacher.name, folder, base=self._base)
            spelling = Spelling.of(self._map, longest=self._recipe.examples.max_length - 2)
            model = TeacherModel(folder, teacher.name, self._map, str(self._identity["dtype"]))
            # Now, and not before: what was loaded is what these are of.
            for what, found in (("weights", weights_fingerprint(folder)), ("tokenizer", vocabulary.tokenizer_fingerprint)):
                expected = str(self._identity[f"teacher.{what}"])
                if found != expected:
                    raise InputError(
                        f"teacher '{teacher.name}': the {what} in {folder} changed since the launch (found {found[:12]}…, expected "
                        f"{expected[:12]}…): launch again with one version of the teacher on every worker"
                    )
            return LoadedTeacher(
                model=model,
                vocabulary=vocabulary,
                alphabet=window_alphabet(vocabulary.roles, self._map, spelling),
                spelling=spelling,
                load_seconds=time.perf_counter() - started,
            )

    def share_model_across_processes(self) -> bool:
        """Whether the local worker processes label through one of them: where a GPU should hold the teacher once."""
        return self._processes and torch.cuda.is_available()

    def run_inference(
        self, batch: Sequence[Unit], model: LoadedTeacher, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Labelled]:
        for unit in batch:
            yield model.label(unit, self._map, self._recipe)


class WriteShard(beam.DoFn):
    """Write each labelled unit to its place, whole: from then on it is never computed again."""

    def __init__(self, identity: Identity):
        self._identity = identity

    def process(self, labelled: Labelled) -> Iterator[str]:
        unit = labelled.unit
        if not any(existing({unit.output})):  # a worker given up for dead may have written it: the first computation stays
            write_shard(unit.output, labelled.table, identity=self._identity, unit=unit.facts(), report=labelled.report)
            _count(labelled)
        yield unit.output


def _count(labelled: Labelled) -> None:
    """A unit's report as Beam metrics, in a namespace a teacher and language; what is no whole number in the unit of its name."""
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
