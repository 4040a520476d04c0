"""An audit of the cache: rows drawn at random are computed again from their articles by the teachers, and compared with the shards.

The identity of a shard says which teacher made it; the audit proves it. Inputs, masks and gold ids must be the same. Logits may differ
by rounding, because a batch of another shape can change the last bits of a matrix product. Then ids of nearly equal probability can
change places at the end of the top k. Legend: M masked positions, K top-k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.progress import progress_bar
from data.recipe import Recipe
from data.run import Run
from data.storage import join, without_options
from data.table import Column, Table, Value
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.label_agreement import Labels, compare_draws, compare_labels
from pipeline.teacher.loaded import LoadedTeacher, load_teacher
from pipeline.teacher.plan import make_plan
from pipeline.teacher.remade_rows import RemadeRow, draw_rows, remake_rows, same_inputs
from pipeline.teacher.to_union import to_union
from vocab.errors import InputError
from vocab.folder import load_map
from vocab.union import TeacherMap

# The largest |logit difference| that counts as rounding, by the teacher's dtype. Measured between batches of different shapes on one
# CPU: 0 in float32; 0.13 in bfloat16, with 12 layers of random weights. A step of float16 is 0.03 at −32.
TOLERANCES = {"float32": 0.05, "bfloat16": 0.5}
_OF_THE_MEAN = 0.2  # of the tolerance, for the mean difference: most rounding errors are small


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """The result for one teacher in one language and split. Figures from `positions` on are of rows with equal inputs."""

    teacher: str
    language: str
    heldout: bool
    rows: int
    equal_inputs: int  # rows whose input ids, masked positions and gold ids are the same
    positions: int  # masked positions of these rows
    first: float  # share of positions whose best id is the same; with 8-bit logits, the best is the smallest id of the best level
    shared: float  # share of ids that are in both top k
    mean: float  # mean |logit difference| of ids in both top k
    largest: float  # largest |logit difference| of ids in both top k
    gap: float  # for ids in one top k only: how much larger their logit is than the last of the other top k; the largest
    label: float  # largest |difference| of the gold ids' logits
    tolerance: float  # allowed for `largest`, `gap` and `label`
    faults: int  # rows with different inputs, or a difference above the tolerance
    faulty: tuple[str, ...]  # the shards of these rows

    @property
    def sound(self) -> bool:
        """Whether no row has a fault, and the mean difference can be rounding."""
        return not self.faults and self.mean <= _OF_THE_MEAN * self.tolerance


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditResult:
    """The results of all teachers, languages and splits."""

    rows: tuple[Audited, ...]

    @property
    def sound(self) -> bool:
        """Whether all results are sound."""
        return all(row.sound for row in self.rows)

    def table(self) -> Table:
        """A row for each teacher, language and split."""
        columns = [
            Column("again", key="language"),
            Column("rows", ",d"),
            Column("inputs equal", ",d"),
            Column("positions", ",d"),
            Column("best id", ".2%"),
            Column("top k", ".2%"),
            Column("mean |Δ|", ".5f", key="mean_difference"),
            Column("largest |Δ|", ".4f", key="largest_difference"),
            Column("gap", ".4f"),
            Column("label |Δ|", ".4f", key="label_difference"),
            Column("faults", ",d"),
        ]
        rows: list[list[Value]] = [
            [
                f"{row.language}{' heldout' if row.heldout else ''} ({row.teacher})",
                *(row.rows, row.equal_inputs, row.positions, row.first, row.shared, row.mean, row.largest, row.gap, row.label),
                row.faults,
            ]
            for row in self.rows
        ]
        return Table(title="Audit", columns=columns, rows=rows, result=self._verdict(), facts={"sound": self.sound})

    def _verdict(self) -> str:
        wrong = [row for row in self.rows if not row.sound]
        if not wrong:
            return "sound: the teachers give every drawn row again"
        shards = [shard for row in wrong for shard in row.faulty]
        where = ", ".join(f"{row.language} ({row.teacher})" for row in wrong)
        files = f"{shards[0]}{f' and {len(shards) - 1:,} more' if len(shards) > 1 else ''}" if shards else "the shards"
        return f"not sound: {where}: remove {files}, and run `mergedistill predict` again"


def audit(
    run: Run,
    *,
    rows: int,
    tolerance: float | None = None,
    seed: int = 0,
    show_progress: bool = True,
) -> AuditResult:
    """Compute `rows` random rows of a run's shards again, and compare.

    tolerance  allowed difference of logits, by default that of the teacher's dtype in TOLERANCES. A fifth of it is allowed for the mean
    seed       of the random choice of rows

    Raises InputError for a run without predictions, and for shards whose identity is not that of the recipe and its teachers.
    """
    recipe = run.recipe
    identities = {teacher.name: teacher_identity(run, teacher.name) for teacher in recipe.labellers}
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
    with progress_bar(sum(map(len, drawn)), "audit", "rows", show=show_progress, long=False) as bar:
        for name, identity in identities.items():
            own = [index for index, numbers in enumerate(drawn) if len(numbers) and splits[index][0] == name]
            if not own:
                continue
            teacher_map = load_map(run.vocabulary, name)
            teacher = load_teacher(recipe, name, teacher_map, identity)
            allowed = TOLERANCES[str(identity["dtype"])] if tolerance is None else tolerance
            for split in dict.fromkeys(splits[index] for index in own):
                remade: list[RemadeRow] = []
                for index in (index for index in own if splits[index] == split):
                    remade += remake_rows(units[index], drawn[index], teacher, recipe)
                    bar.update(len(drawn[index]))
                results.append(_audited(split, remade, teacher, teacher_map, recipe, allowed))
    return AuditResult(rows=tuple(results))


def _audited(
    split: tuple[str, str, bool],
    rows: Sequence[RemadeRow],
    teacher: LoadedTeacher,
    teacher_map: TeacherMap,
    recipe: Recipe,
    tolerance: float,
) -> Audited:
    drawn, k = recipe.predict.drawn(heldout=split[2]), recipe.predict.width(heldout=split[2])
    equal = [
        row.example is not None and same_inputs(row.stored, to_union(row.example, teacher_map, teacher.spelling), k) for row in rows
    ]
    same = [row for row, is_equal in zip(rows, equal, strict=True) if is_equal]
    examples = [row.example for row in same if row.example is not None]
    made = teacher.label(examples, recipe, heldout=split[2])
    again = Labels(gold_logits_M=made.gold_logits_M, ids_MK=made.ids_MK, logits_MK=made.logits_MK)
    stored = Labels(
        gold_logits_M=_column(same, "label_logits", np.float16),
        ids_MK=_column(same, "topk_ids", np.uint32).reshape(-1, k),
        logits_MK=_column(same, "topk_logits", np.float16).reshape(-1, k),
    )
    eight_bit = recipe.predict.logits == "8-bit"
    labels = compare_draws(stored, again, drawn) if drawn else compare_labels(stored, again, eight_bit=eight_bit)
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


def _column(rows: Sequence[RemadeRow], name: str, dtype: type[np.generic]) -> NDArray[Any]:
    return np.array([value for row in rows for value in row.stored[name]], dtype=dtype)
