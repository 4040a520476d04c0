"""One unit of work, from its articles to its table and report. This step of stage 1 writes no files.

Legend: M masked positions, K top-k.
"""

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from data.articles import read_articles
from data.contract import GOLD_SCHEMA, SCHEMA
from data.examples import Alphabet, Example, gold_table, make_examples
from data.identity import Identity, weights_fingerprint
from data.logits import in_steps
from data.read_ahead import ReadAhead
from data.recipe import Recipe
from data.shards import list_column
from pipeline.teacher.files import teacher_folder, teacher_vocabulary
from pipeline.teacher.model import TeacherModel
from pipeline.teacher.plan import Unit
from pipeline.teacher.to_union import Spelling, to_union, window_alphabet
from pipeline.teacher.topk import TopK, concatenate, no_labels, take_positions
from vocab.errors import InputError, first_line
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import TeacherMap

# torch has no exception type for this on a CPU.
_OUT_OF_MEMORY = re.compile(r"can't allocate memory|ALLOC_FAILED|out of memory")
_LOADING = threading.Lock()  # transformers changes global state of torch while it loads: two loads at once lose weights
BLOCK = 1024  # windows that the teacher gets at once: enough windows of similar length for full batches


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A unit with its labels, which becomes one shard."""

    unit: Unit
    table: pa.Table  # the contract's schema
    report: dict[str, Any]


@dataclass(kw_only=True)
class LoadedTeacher:
    """A teacher in the memory of a worker."""

    model: TeacherModel
    vocabulary: TeacherVocabulary
    alphabet: Alphabet
    spelling: Spelling
    load_seconds: float

    def label(self, unit: Unit, teacher_map: TeacherMap, recipe: Recipe) -> "Labelled":
        """`label_unit` as a method: if another process has the teacher, only its methods can be called."""
        return label_unit(unit, self, teacher_map, recipe)


def load_teacher(recipe: Recipe, name: str, teacher_map: TeacherMap, identity: Identity, *, threads: int = 0) -> LoadedTeacher:
    """Load one of the recipe's teachers, ready to label units.

    threads: of the matrix library in this process; 0 keeps torch's own choice. Raises InputError if the files of the teacher are not
    the ones that `identity` was made from.
    """
    with _LOADING:
        started = time.perf_counter()
        if threads:
            torch.set_num_threads(threads)
        folder = teacher_folder(recipe, name, weights=True)
        vocabulary = teacher_vocabulary(recipe, name, folder)
        spelling = Spelling.of(teacher_map, longest=recipe.examples.max_length - 2)
        model = TeacherModel(folder, name, teacher_map, str(identity["dtype"]))
        # After loading, so that the fingerprints are those of the files that were loaded.
        for what, found in (("weights", weights_fingerprint(folder)), ("tokenizer", vocabulary.tokenizer_fingerprint)):
            expected = str(identity[f"teacher.{what}"])
            if found != expected:
                raise InputError(
                    f"teacher '{name}': the {what} in {folder} changed since the launch (found {found[:12]}…, expected "
                    f"{expected[:12]}…): launch again with one version of the teacher on every worker"
                )
        return LoadedTeacher(
            model=model,
            vocabulary=vocabulary,
            alphabet=window_alphabet(vocabulary.roles, teacher_map, spelling),
            spelling=spelling,
            load_seconds=time.perf_counter() - started,
        )


def label_unit(unit: Unit, teacher: LoadedTeacher, teacher_map: TeacherMap, recipe: Recipe) -> Labelled:
    """Read a unit's articles, mask them, run the teacher, map its labels to the union: the complete table and report of a unit.

    A second thread reads, tokenises and masks in advance; the teacher gets BLOCK windows at a time. Articles on which the tokenizer or
    the teacher fails are set aside, with the reason in the report. Raises InputError if they are more than the recipe's share.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    counters: Counter[str] = Counter()
    quarantine: dict[str, str] = {}
    articles = read_articles(unit.corpus, range(unit.first_row_group, unit.first_row_group + unit.row_groups))
    examples = make_examples(
        articles, teacher.vocabulary.tokenizer, teacher.alphabet, recipe.examples, recipe.seed, counters, quarantine.setdefault
    )
    tables: list[pa.Table] = [GOLD_SCHEMA.empty_table()]
    parts: list[TopK] = [no_labels(0, recipe.predict.top_k)]
    lengths: list[int] = []  # of the windows, in the teacher's tokens
    ahead = ReadAhead(_blocks(examples, teacher_map, teacher.spelling), depth=2)
    try:
        for block, table in ahead:
            tables.append(table)
            lengths += [len(example.input_ids) for example in block]
            parts.append(_label(block, teacher, recipe, unit.teacher, quarantine))
    finally:
        ahead.close()
    gold, labels = _set_aside(
        pa.concat_tables(tables).combine_chunks(),
        concatenate(parts),
        np.array(lengths),
        recipe.examples.maskings,
        quarantine,
        counters,
    )
    if len(quarantine) > math.ceil(recipe.predict.max_quarantined * counters["articles"]):
        doc_id, reason = next(iter(quarantine.items()))
        raise InputError(
            f"{unit.corpus}: teacher '{unit.teacher}' failed on {len(quarantine):,} of the {counters['articles']:,} articles of a unit, "
            f"the first '{doc_id}' ({reason}); expected at most predict.max_quarantined = {recipe.predict.max_quarantined:g} of them: "
            "correct the articles or the teacher, or raise it"
        )
    seconds = time.perf_counter() - clock
    report = {
        "rows": gold.num_rows,
        "masked_positions": len(labels.gold_logits_M),
        "loss": _mean(-labels.gold_logits_M.astype(np.float64)),  # in nats, mean over masked positions
        "mass_dropped": _mean(labels.dropped_M),
        "mass_merged": _mean(labels.merged_M),
        "seconds": round(seconds, 3),
        "tokens_per_second": round(counters["tokens"] / seconds, 1),
        "teacher_load_seconds": round(teacher.load_seconds, 3),
        "started": started.isoformat(timespec="milliseconds"),
        "computation": uuid4().hex,  # a unit that is computed again gets another value
        "dtype": str(teacher.model.dtype).removeprefix("torch."),
        "device": str(teacher.model.device),
        "counters": dict(counters),
        "quarantined": [{"doc_id": doc_id, "reason": reason} for doc_id, reason in quarantine.items()],
    }
    return Labelled(unit=unit, table=contract_table(gold, labels, recipe.predict.logits), report=report)


def _blocks(examples: Iterator[Example], teacher_map: TeacherMap, spelling: Spelling) -> Iterator[tuple[list[Example], pa.Table]]:
    """Blocks of BLOCK examples, each with its gold columns in union ids."""
    while block := [*islice(examples, BLOCK)]:
        yield block, gold_table([to_union(example, teacher_map, spelling) for example in block])


def _label(block: list[Example], teacher: LoadedTeacher, recipe: Recipe, name: str, quarantine: dict[str, str]) -> TopK:
    """The labels of a block. If the teacher fails, each article is tried alone; articles that fail are added to `quarantine`."""
    k, budget = recipe.predict.top_k, recipe.predict.tokens_per_batch
    try:
        return teacher.model.label(block, teacher.vocabulary.roles.pad, k, budget)
    except torch.AcceleratorError:
        raise  # the device failed, not an article: nothing works on it any more
    except Exception as error:
        reason = first_line(error)
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or _OUT_OF_MEMORY.search(str(error)):
            raise InputError(
                f"teacher '{name}': out of memory ({reason}); lower predict.tokens_per_batch, found {budget}"
            ) from None
        by_article = [[*group] for _, group in groupby(block, key=lambda example: example.doc_id)]
        if len(by_article) > 1:
            return concatenate([_label(article, teacher, recipe, name, quarantine) for article in by_article])
        quarantine.setdefault(block[0].doc_id, f"the teacher failed: {reason}")
        return no_labels(sum(len(example.mask_positions) for example in block), k)


def _set_aside(
    gold: pa.Table, labels: TopK, tokens: NDArray[np.int64], maskings: int, quarantine: dict[str, str], counters: Counter[str]
) -> tuple[pa.Table, TopK]:
    """Remove the rows of failed articles. Articles with a label that is not finite are added to `quarantine`."""
    masked = pc.list_value_length(gold["mask_positions"]).to_numpy()
    rows_M = np.repeat(np.arange(gold.num_rows), masked)
    doc_ids = gold["doc_id"].to_pylist()
    for row in np.unique(rows_M[~labels.finite_M]):
        quarantine.setdefault(doc_ids[row], "the teacher's logits are not finite")
    counters["quarantined_articles"] = len(quarantine)
    kept = np.array([doc_id not in quarantine for doc_id in doc_ids], dtype=np.bool_)
    if kept.all():
        return gold, labels
    lost = gold.filter(~kept)
    counters["windows"] -= lost.num_rows // maskings
    counters["tokens"] -= int(tokens[~kept].sum())
    counters["masked_positions"] -= int(masked[~kept].sum())
    return gold.filter(kept), take_positions(labels, kept[rows_M])


def _mean(values_M: NDArray[Any]) -> float:
    return round(float(values_M.mean()), 6) if len(values_M) else 0.0


def contract_table(gold: pa.Table, labels: TopK, precision: str = "float16") -> pa.Table:
    """The contract's table, from gold columns in union ids and labels in the same order. precision: predict.logits of the recipe."""
    masked = pc.list_value_length(gold["mask_positions"]).to_numpy().astype(np.int64)
    ids_MK, logits_MK = (labels.ids_MK, labels.logits_MK) if precision == "float16" else in_steps(labels.ids_MK, labels.logits_MK)
    k = ids_MK.shape[1]
    columns = [
        *gold.columns,
        list_column(labels.gold_logits_M, masked, "label_logits"),
        list_column(ids_MK.reshape(-1), masked * k, "topk_ids"),
        list_column(logits_MK.reshape(-1), masked * k, "topk_logits"),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
