"""One unit of work, from its articles to its table and report. This step of stage 1 writes no files.

Three things run at the same time: a thread reads, tokenises and masks a block of windows; the teacher's device labels the block before
it; and the labels of the block before that one are collected.

Legend: M masked positions, K top-k.
"""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
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
from data.examples import Example, make_examples
from data.logits import in_steps
from data.read_ahead import ReadAhead
from data.recipe import Recipe
from data.shards import list_column
from pipeline.teacher.labels import TopK, concatenate, no_labels, take_positions
from pipeline.teacher.loaded import LoadedTeacher, Started
from pipeline.teacher.model import batch_budget, is_out_of_memory
from pipeline.teacher.plan import Unit
from pipeline.teacher.to_union import Spelling, union_table
from pipeline.teacher.windows import Windows, block_windows
from vocab.errors import InputError, first_line
from vocab.union import TeacherMap

# What a broken device, driver or library says. Most are plain RuntimeErrors, and nothing works on the device any more.
_DEVICE_FAILED = re.compile(r"CUDA error|CUBLAS_STATUS|CUDNN_STATUS|cuDNN error|device-side assert")
_DIGITS = re.compile(r"\d+")
_ENOUGH_TO_JUDGE = 5  # articles that fail for one reason


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A unit with its labels, which becomes one shard."""

    unit: Unit
    table: pa.Table  # the contract's schema
    report: dict[str, Any]


def label_unit(
    unit: Unit,
    teacher: LoadedTeacher,
    teacher_map: TeacherMap,
    recipe: Recipe,
    on_block: Callable[[int, int], None] | None = None,
) -> Labelled:
    """Read a unit's articles, mask them, run the teacher, map its labels to the union: the complete table and report of a unit.

    on_block  called after each block, with the number of articles that were read and of masked positions that have labels

    Articles on which the tokenizer or the teacher fails are set aside, with the reason in the report. Raises InputError if they are more
    than the recipe's share, or if the memory is too small for a single window.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    counters: Counter[str] = Counter()
    quarantine: dict[str, str] = {}
    articles = read_articles(unit.corpus, range(unit.first_row_group, unit.first_row_group + unit.row_groups))
    examples = make_examples(
        articles, teacher.vocabulary.tokenizer, teacher.alphabet, recipe.examples, recipe.seed, counters, quarantine.setdefault
    )
    tables: list[pa.Table] = [GOLD_SCHEMA.empty_table()]
    parts: list[TopK] = [no_labels(0, recipe.predict.width(heldout=unit.heldout))]
    lengths: list[int] = []  # of the windows, in the teacher's tokens
    size = block_windows(batch_budget(recipe.predict.tokens_per_batch, teacher.model.device.type), recipe.examples.max_length)
    ahead = ReadAhead(_blocks(examples, teacher_map, teacher.spelling, size, partial(_windows, recipe=recipe, unit=unit)), depth=2)
    running: tuple[list[Example], Started | Exception] | None = None  # the block that the device labels
    try:
        for block, windows, table in ahead:
            begun = block, _begin(windows, teacher, recipe)
            if running:
                parts.append(_finish(*running, teacher, recipe, unit, quarantine))
            running = begun
            tables.append(table)
            lengths += windows.lengths_W.tolist()
            if on_block:
                on_block(counters["articles"], sum(len(part.gold_logits_M) for part in parts))
        if running:
            parts.append(_finish(*running, teacher, recipe, unit, quarantine))
    finally:
        ahead.close()
    table, tokens = pa.concat_tables(tables).combine_chunks(), np.array(lengths)
    gold, labels = _set_aside(table, concatenate(parts), tokens, recipe.examples.copies, quarantine, counters)
    if reason := _common_reason(table["doc_id"].to_pylist(), tokens, quarantine):
        raise InputError(f"{unit.corpus}: teacher '{unit.teacher}' {reason}")
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
        "device": str(teacher.model.device.type),
        "counters": dict(counters),
        "quarantined": [{"doc_id": doc_id, "reason": reason} for doc_id, reason in quarantine.items()],
    }
    return Labelled(unit=unit, table=contract_table(gold, labels, recipe.predict.logits), report=report)


def _blocks(
    examples: Iterator[Example],
    teacher_map: TeacherMap,
    spelling: Spelling,
    size: int,
    windows_of: Callable[[Sequence[Example]], Windows],
) -> Iterator[tuple[list[Example], Windows, pa.Table]]:
    """Blocks of `size` examples, each also as arrays, and with its gold columns in union ids."""
    while block := [*islice(examples, size)]:
        windows = windows_of(block)
        yield block, windows, union_table(block, windows, teacher_map, spelling)


def _windows(examples: Sequence[Example], *, recipe: Recipe, unit: Unit) -> Windows:
    """Examples as arrays, with random numbers if the unit's labels are drawn."""
    return Windows.of(examples, draws=recipe.predict.drawn(heldout=unit.heldout), seed=recipe.seed)


def _begin(windows: Windows, teacher: LoadedTeacher, recipe: Recipe) -> Started | Exception:
    """Start to label a block. The exception of a failure is returned: the block before this one is collected first."""
    try:
        return teacher.model.begin(windows, teacher.vocabulary.roles.pad, recipe.predict.top_k, recipe.predict.tokens_per_batch)
    except Exception as error:
        return error


def _finish(
    block: list[Example],
    started: Started | Exception,
    teacher: LoadedTeacher,
    recipe: Recipe,
    unit: Unit,
    quarantine: dict[str, str],
) -> TopK:
    """The labels of a block. If the teacher fails, each article is tried alone; articles that fail are added to `quarantine`."""
    try:
        if isinstance(started, Exception):
            raise started
        return started.result()
    except torch.AcceleratorError:
        raise  # the device failed, not an article
    except Exception as error:
        reason = first_line(error)
        if is_out_of_memory(error):
            raise InputError(
                f"teacher '{unit.teacher}': out of memory ({reason}); lower predict.tokens_per_batch, "
                f"found {recipe.predict.tokens_per_batch}"
            ) from None
        if _DEVICE_FAILED.search(str(error)):
            raise
        by_article = [[*group] for _, group in groupby(block, key=lambda example: example.doc_id)]
        if len(by_article) > 1:
            return concatenate(
                [
                    _finish(
                        article,
                        _begin(_windows(article, recipe=recipe, unit=unit), teacher, recipe),
                        teacher,
                        recipe,
                        unit,
                        quarantine,
                    )
                    for article in by_article
                ]
            )
        quarantine.setdefault(block[0].doc_id, f"the teacher failed: {reason}")
        return no_labels(sum(len(example.mask_positions) for example in block), recipe.predict.width(heldout=unit.heldout))


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


def _common_reason(doc_ids: list[str], tokens: NDArray[np.int64], quarantine: dict[str, str]) -> str:
    """What makes failed articles the teacher's fault and not the articles': one reason for most of those that are as long. Else nothing.

    doc_ids, tokens: of each window, the failed ones too
    """
    longest: dict[str, int] = {}  # the longest window of each article
    for doc_id, length in zip(doc_ids, tokens.tolist(), strict=True):
        longest[doc_id] = max(length, longest.get(doc_id, 0))
    by_reason: dict[str, list[str]] = {}
    for doc_id, reason in quarantine.items():
        by_reason.setdefault(_DIGITS.sub("#", reason), []).append(doc_id)
    for failed in by_reason.values():
        shortest = min(longest.get(doc_id, 0) for doc_id in failed)
        as_long = sum(length >= shortest for length in longest.values())
        if len(failed) >= _ENOUGH_TO_JUDGE and 2 * len(failed) >= as_long:
            return (
                f"failed on {len(failed):,} of the {as_long:,} articles with windows of {shortest} tokens or more, for one reason "
                f"({quarantine[failed[0]]}): this is the teacher's fault and not the articles': correct the teacher or examples.max_length"
            )
    return ""


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
