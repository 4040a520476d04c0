"""An audit of the cache: rows drawn at random are made again from their articles, by the teacher itself, and compared with what stands.

Identity says which teacher made a shard; this is the proof. Inputs, masks and gold ids must be the same. Logits may differ by rounding,
since a batch of another shape may change the last bits of a matrix product, and then ids that are nearly as likely may change places
at the end of the top k. Legend: M masked positions, K top-k.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from data.articles import read_articles
from data.examples import Example, make_examples
from data.recipe import Recipe
from data.run import Run
from data.shards import open_shard
from data.storage import join, without_options
from data.storage_faults import storage_fault
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.label_agreement import Labels, compare_labels
from pipeline.teacher.label_unit import LoadedTeacher, load_teacher
from pipeline.teacher.plan import Unit, make_plan
from pipeline.teacher.to_union import to_union
from vocab.errors import InputError, first_line
from vocab.folder import load_map
from vocab.union import TeacherMap

# The largest |logit difference| that is rounding, by the teacher's dtype. Seen between batches of other shapes, on one CPU: none in
# float32; in bfloat16 0.13, under 12 layers of random weights. A step of float16 is 0.03 at −32 and below.
TOLERANCES = {"float32": 0.05, "bfloat16": 0.5}
_OF_THE_MEAN = 0.2  # of the tolerance: rounding errs to both sides and seldom far


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """What was found of one teacher in one language and split. The figures after `positions` are of rows with equal inputs."""

    teacher: str
    language: str
    heldout: bool
    rows: int
    equal_inputs: int  # rows whose input ids, masked positions and gold ids are the same
    positions: int  # of these rows
    first: float  # share of positions whose best id is the same; in 8-bit steps the best is the least id of its level
    shared: float  # share of ids that are in both top k
    mean: float  # |logit difference| of ids in both
    largest: float  # the same
    gap: float  # how far an id that one of them misses stands above its last, at most
    label: float  # |difference| of the gold ids' logits, the largest
    tolerance: float  # of the largest difference, the gap and the gold ids' difference
    faults: int  # rows with other inputs, or a difference beyond the tolerance
    faulty: tuple[str, ...]  # the shards that these rows are of

    @property
    def sound(self) -> bool:
        """Whether no row is at fault, and the rows' mean difference is what rounding gives."""
        return not self.faults and self.mean <= _OF_THE_MEAN * self.tolerance


def audit(
    run: Run,
    *,
    rows: int,
    tolerance: float | None = None,
    seed: int = 0,
    show_progress: bool = True,
) -> list[Audited]:
    """Make `rows` rows of a run's shards again and compare: a result for each teacher, language and split that they were drawn from.

    tolerance  of logits; by default that of the teacher's dtype in TOLERANCES. The mean difference may be a fifth of it.
    seed       of the draw

    A run without predictions, and one whose shards are not by their identity of this recipe and its teachers, is an InputError.
    """
    recipe = run.recipe
    identities = {teacher.name: teacher_identity(run, teacher.name) for teacher in recipe.teachers}
    plan = make_plan(run, identities)
    rows_of = {shard.location: shard.rows for shard in plan.finished_shards}
    units = [unit for unit in plan.units if unit.output in rows_of]
    sizes = [rows_of[unit.output] for unit in units]
    if not sum(sizes):
        raise InputError(f"{run.predictions}: found no rows; expected shards: run `mergedistill predict` first")
    heldout = without_options(join(run.heldout, ""))
    splits = [(unit.teacher, unit.language, unit.output.startswith(heldout)) for unit in units]
    drawn = draw_rows(sizes, splits, rows, seed)
    results = []
    with tqdm(total=sum(map(len, drawn)), desc="audit", unit="row", disable=not show_progress, leave=False) as bar:
        for name, identity in identities.items():
            own = [index for index, numbers in enumerate(drawn) if len(numbers) and splits[index][0] == name]
            if not own:
                continue
            teacher_map = load_map(run.vocabulary, name)
            teacher = load_teacher(recipe, name, teacher_map, identity)
            allowed = TOLERANCES[str(identity["dtype"])] if tolerance is None else tolerance
            for split in dict.fromkeys(splits[index] for index in own):
                remade: list[_Row] = []
                for index in (index for index in own if splits[index] == split):
                    remade += _make_again(units[index], drawn[index], teacher, recipe)
                    bar.update(len(drawn[index]))
                results.append(_audited(split, remade, teacher, teacher_map, recipe, allowed))
    return results


def draw_rows(sizes: Sequence[int], splits: Sequence[object], rows: int, seed: int) -> list[NDArray[np.int64]]:
    """`rows` different rows of shards of these sizes: numbers of rows for each shard, increasing.

    One of each split first (of as many as there are rows to draw), the others at random from all.
    """
    generator = np.random.default_rng(seed)
    size_S, ends_S = np.array(sizes), np.cumsum(sizes)
    first: list[int] = []
    for split in dict.fromkeys(splits):
        own_S = size_S * np.array([other == split for other in splits])
        if own_S.any():
            shard = generator.choice(len(sizes), p=own_S / own_S.sum())
            first.append(int(ends_S[shard] - generator.integers(size_S[shard]) - 1))
    others = generator.choice(ends_S[-1], size=min(rows + len(first), int(ends_S[-1])), replace=False)
    chosen = [*generator.permutation(first), *others[~np.isin(others, first)]][:rows]
    places = np.sort(np.array(chosen, dtype=np.int64))
    return [places[(places >= end - size) & (places < end)] - (end - size) for size, end in zip(size_S, ends_S, strict=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A row as its shard has it, and the example that its article gives, in the teacher's ids; None: it gives no such window."""

    shard: str
    stored: dict[str, Any]
    example: Example | None


def _make_again(unit: Unit, numbers: NDArray[np.int64], teacher: LoadedTeacher, recipe: Recipe) -> Iterator[_Row]:
    try:
        rows = open_shard(unit.output).read().take(pa.array(numbers)).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        reason = first_line(error)
        raise storage_fault(unit.output, error) or InputError(
            f"{unit.output}: is damaged ({reason}); remove it and run `mergedistill predict` again"
        ) from None
    wanted = {row["doc_id"] for row in rows}
    groups = range(unit.first_row_group, unit.first_row_group + unit.row_groups)
    articles = (article for article in read_articles(unit.corpus, groups) if article[0] in wanted)
    tokenizer = teacher.vocabulary.tokenizer
    examples = make_examples(articles, tokenizer, teacher.alphabet, recipe.examples, recipe.seed, Counter())
    found = {(example.doc_id, example.window): example for example in examples}
    for row in rows:
        yield _Row(shard=unit.output, stored=row, example=found.get((row["doc_id"], row["window"])))


def _audited(
    split: tuple[str, str, bool],
    rows: Sequence[_Row],
    teacher: LoadedTeacher,
    teacher_map: TeacherMap,
    recipe: Recipe,
    tolerance: float,
) -> Audited:
    k = recipe.predict.top_k
    equal = [
        row.example is not None and _same_inputs(row.stored, to_union(row.example, teacher_map, teacher.spelling), k)
        for row in rows
    ]
    same = [row for row, is_equal in zip(rows, equal, strict=True) if is_equal]
    examples = [row.example for row in same if row.example is not None]
    made = teacher.model.label(examples, teacher.vocabulary.roles.pad, k, recipe.predict.tokens_per_batch)
    again = Labels(gold_logits_M=made.gold_logits_M, ids_MK=made.ids_MK, logits_MK=made.logits_MK)
    stored = Labels(
        gold_logits_M=_column(same, "label_logits", np.float16),
        ids_MK=_column(same, "topk_ids", np.uint32).reshape(-1, k),
        logits_MK=_column(same, "topk_logits", np.float16).reshape(-1, k),
    )
    labels = compare_labels(stored, again, eight_bit=recipe.predict.logits == "8-bit")
    row_M = np.repeat(np.arange(len(same)), [len(example.mask_positions) for example in examples])
    beyond = {same[index].shard for index in row_M[~labels.within(tolerance)]}
    positions, shared = len(row_M), int(labels.shared_M.sum())
    return Audited(
        teacher=split[0],
        language=split[1],
        heldout=split[2],
        rows=len(rows),
        equal_inputs=len(same),
        positions=positions,
        first=float(labels.first_M.mean()) if positions else 0.0,
        shared=shared / max(1, positions * k),
        mean=float(labels.sum_M.sum()) / max(1, shared),
        largest=float(labels.largest_M.max(initial=0.0)),
        gap=float(labels.gap_M.max(initial=0.0)),
        label=float(labels.label_M.max(initial=0.0)),
        tolerance=tolerance,
        faults=equal.count(False) + len(np.unique(row_M[~labels.within(tolerance)])),
        faulty=tuple(sorted(beyond.union(row.shard for row, is_equal in zip(rows, equal, strict=True) if not is_equal))),
    )


def _column(rows: Sequence[_Row], name: str, dtype: type[np.generic]) -> NDArray[Any]:
    return np.array([value for row in rows for value in row.stored[name]], dtype=dtype)


def _same_inputs(row: dict[str, Any], example: Example, k: int) -> bool:
    """Whether a row holds what the teacher must have been shown: an example in union ids; and a label for each of its masks."""
    masked = len(example.mask_positions)
    lengths = (len(row["label_logits"]), len(row["topk_ids"]), len(row["topk_logits"]))
    fields = ("input_ids", "mask_positions", "label_ids")
    return lengths == (masked, masked * k, masked * k) and all(
        np.array_equal(row[field], getattr(example, field)) for field in fields
    )


HEADER = ("again", "rows", "inputs equal", "positions", "best id", "top k", "mean |Δ|", "largest |Δ|", "gap", "label |Δ|", "faults")


def render(results: Sequence[Audited]) -> list[tuple[str, ...]]:
    """The rows of a table under HEADER."""
    return [
        (
            f"{result.language}{' heldout' if result.heldout else ''} ({result.teacher})",
            f"{result.rows:,}",
            f"{result.equal_inputs:,}",
            f"{result.positions:,}",
            f"{result.first:.2%}",
            f"{result.shared:.2%}",
            f"{result.mean:.5f}",
            *(f"{value:.4f}" for value in (result.largest, result.gap, result.label)),
            f"{result.faults:,}",
        )
        for result in results
    ]


def verdict(results: Sequence[Audited]) -> str:
    """One line: what was found, and what to do."""
    wrong = [result for result in results if not result.sound]
    if not wrong:
        return "sound: every row that was drawn is what its article and its teacher give again"
    shards = [shard for result in wrong for shard in result.faulty]
    where = ", ".join(f"{result.language} ({result.teacher})" for result in wrong)
    files = f"{shards[0]}{f' and {len(shards) - 1:,} more' if len(shards) > 1 else ''}" if shards else "the shards"
    return f"not sound: {where}: remove {files}, and run `mergedistill predict` again"
