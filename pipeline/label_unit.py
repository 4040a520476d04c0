"""One unit of work, from its articles to its finished table: the pure step of stage 1, and the Beam parts that adapt it."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import apache_beam as beam
import numpy as np
import pyarrow as pa
import torch
from apache_beam.ml.inference.base import ModelHandler
from numpy.typing import NDArray

from data.articles import read_articles
from data.contract import SCHEMA
from data.examples import Alphabet, Example, gold_table, make_examples
from data.identity import Identity, weights_fingerprint
from data.recipe import Recipe
from data.shards import list_column, write_shard
from pipeline.plan import Unit
from pipeline.teacher import Teacher
from pipeline.topk import TopK
from vocab.errors import InputError
from vocab.roles import UNION_ROLES
from vocab.source import model_folder
from vocab.teacher_vocabulary import TeacherVocabulary, read_teacher
from vocab.union import TeacherMap, spell_out


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A unit with its labels: what becomes one shard."""

    unit: Unit
    table: pa.Table  # the contract's schema
    report: dict[str, Any]


@dataclass(kw_only=True)
class LoadedTeacher:
    """What a worker holds of one teacher."""

    model: Teacher
    vocabulary: TeacherVocabulary
    alphabet: Alphabet
    spelling: "Spelling"
    load_seconds: float


class TeacherHandler(ModelHandler[Unit, Labelled, LoadedTeacher]):
    """RunInference's view of one teacher: an element is a unit, a prediction its whole table.

    threads: of the matrix library, in each worker process; 0 leaves torch's own choice.
    """

    def __init__(self, recipe: Recipe, teacher: str, teacher_map: TeacherMap, identity: Identity, threads: int):
        super().__init__()
        self._recipe, self._teacher = recipe, recipe.teacher(teacher)
        self._base = recipe.folder  # a private attribute of the recipe, which pickling would lose
        self._map, self._identity, self._threads = teacher_map, identity, threads

    def load_model(self) -> LoadedTeacher:
        started = time.perf_counter()
        if self._threads:
            torch.set_num_threads(self._threads)
        teacher = self._teacher
        folder = model_folder(teacher.model, base=self._base, name=teacher.name, revision=teacher.revision, weights=True)
        found = weights_fingerprint(folder)
        if found != self._identity["teacher.weights"]:
            raise InputError(
                f"teacher '{teacher.name}': the weights in {folder} changed since the launch (found {found[:12]}…, expected "
                f"{str(self._identity['teacher.weights'])[:12]}…): launch again with one version of the teacher on every worker"
            )
        vocabulary = teacher_vocabulary(self._recipe, teacher.name, folder, base=self._base)
        spelling = Spelling.of(self._map, longest=self._recipe.examples.max_length - 2)
        return LoadedTeacher(
            model=Teacher(folder, teacher.name, self._map, str(self._identity["dtype"])),
            vocabulary=vocabulary,
            alphabet=Alphabet(
                roles=vocabulary.roles,
                maskable=self._map.predictable,
                lengths=None if spelling.one_to_one else spelling.lengths_V,
            ),
            spelling=spelling,
            load_seconds=time.perf_counter() - started,
        )

    def batch_elements_kwargs(self) -> dict[str, int]:
        return {"min_batch_size": 1, "max_batch_size": 1}

    def run_inference(
        self, batch: Sequence[Unit], model: LoadedTeacher, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Labelled]:
        for unit in batch:
            yield label_unit(unit, model, self._map, self._recipe)


def label_unit(unit: Unit, teacher: LoadedTeacher, teacher_map: TeacherMap, recipe: Recipe) -> Labelled:
    """Read a unit's articles, mask them, run the teacher, remap to the union: one unit's whole table and report."""
    started, clock = datetime.now(UTC), time.perf_counter()
    counters: Counter[str] = Counter()
    groups = range(unit.first_row_group, unit.first_row_group + unit.row_groups)
    articles = read_articles(unit.corpus, groups)
    tokenizer = teacher.vocabulary.tokenizer
    examples = [*make_examples(articles, tokenizer, teacher.alphabet, recipe.examples, recipe.seed, counters)]
    k = recipe.predict.top_k
    labels = teacher.model.label(examples, teacher.vocabulary.roles.pad, k, recipe.predict.tokens_per_batch)
    table = contract_table([to_union(example, teacher_map, teacher.spelling) for example in examples], labels)
    report = {
        "rows": table.num_rows,
        "masked_positions": len(labels.gold_logits_M),
        "seconds": round(time.perf_counter() - clock, 3),
        "teacher_load_seconds": round(teacher.load_seconds, 3),
        "started": started.isoformat(timespec="milliseconds"),
        "computation": uuid4().hex,  # a unit that was computed again would show another
        "dtype": str(teacher.model.dtype).removeprefix("torch."),
        "device": str(teacher.model.device),
        "counters": dict(counters),
    }
    return Labelled(unit=unit, table=table, report=report)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spelling:
    """The union ids that each id of a teacher becomes in an input: one, but for a dropped piece that kept pieces spell."""

    lengths_V: NDArray[np.int64]
    starts_V: NDArray[np.int64]  # where an id's union ids begin in `spelled`
    spelled: NDArray[np.uint32]  # [sum of lengths]
    one_to_one: bool

    @classmethod
    def of(cls, teacher_map: TeacherMap, longest: int) -> "Spelling":
        """A map's spelling. What takes more than `longest` places is unk: a window of the student could not hold it."""
        lengths_V, spelled = teacher_map.lengths, teacher_map.spelled
        long = np.repeat(lengths_V > longest, lengths_V)
        if long.any():
            first = np.zeros(len(spelled), dtype=np.bool_)
            first[np.cumsum(lengths_V) - lengths_V] = True
            spelled = np.where(long, np.uint32(UNION_ROLES.unk), spelled)[~long | first]
            lengths_V = np.where(lengths_V > longest, 1, lengths_V)
        one_to_one = bool((lengths_V == 1).all())
        return cls(lengths_V=lengths_V, starts_V=np.cumsum(lengths_V) - lengths_V, spelled=spelled, one_to_one=one_to_one)


def to_union(example: Example, teacher_map: TeacherMap, spelling: Spelling) -> Example:
    """The example in union ids: each id spelled out, the masked positions moved to where their tokens come to stand.

    A masked position stays one place, whatever stands there (mask, random id, gold id): maskable ids are never spelled out.
    """
    labels = teacher_map.union_ids[example.label_ids]
    if spelling.one_to_one:
        return replace(example, input_ids=spelling.spelled[example.input_ids], label_ids=labels)
    input_ids, lengths_T = spell_out(example.input_ids, spelling.lengths_V, spelling.starts_V, spelling.spelled)
    places_T = np.cumsum(lengths_T) - lengths_T
    return replace(
        example,
        input_ids=input_ids,
        mask_positions=places_T[example.mask_positions].astype(np.uint16),
        label_ids=labels,
    )


def contract_table(examples: list[Example], labels: TopK) -> pa.Table:
    """The contract's table of examples in union ids, and their labels in the same order."""
    gold = gold_table(examples)
    masked = np.array([len(example.mask_positions) for example in examples], dtype=np.int64)
    k = labels.ids_MK.shape[1]
    columns = [
        *gold.columns,
        list_column(labels.gold_logits_M, masked, "label_logits"),
        list_column(labels.ids_MK.reshape(-1), masked * k, "topk_ids"),
        list_column(labels.logits_MK.reshape(-1), masked * k, "topk_logits"),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


class WriteShard(beam.DoFn):
    """Write each labelled unit to its place, whole: from then on it is never computed again."""

    def __init__(self, identity: Identity):
        self._identity = identity

    def process(self, labelled: Labelled) -> Iterator[str]:
        unit = labelled.unit
        write_shard(unit.output, labelled.table, identity=self._identity, unit=unit.facts(), report=labelled.report)
        yield unit.output


def teacher_vocabulary(recipe: Recipe, name: str, folder: Path, *, base: Path | None = None) -> TeacherVocabulary:
    """The vocabulary of the teacher in `folder`: its own tokenizer's, or that of the one that the recipe names."""
    teacher, base = recipe.teacher(name), base or recipe.folder
    if teacher.tokenizer is None:
        return read_teacher(folder, name)
    local = base / Path(teacher.tokenizer).expanduser()
    if not local.exists() and local.suffix not in (".json", ".txt", ".model"):
        local = model_folder(teacher.tokenizer, base=base, name=name)
    return read_teacher(folder, name, local)


def teacher_folder(recipe: Recipe, name: str, *, weights: bool) -> Path:
    """The local folder of one of the recipe's teachers (a Hub id's snapshot is fetched)."""
    teacher = recipe.teacher(name)
    return model_folder(teacher.model, base=recipe.folder, name=name, revision=teacher.revision, weights=weights)
