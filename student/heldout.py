"""Held-out scores: the student and its teachers on the same masked positions, and the deviation between them (RDT).

The teachers are not run: their loss and accuracy follow from the shards. Legend: M masked positions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.atomic import write_text
from data.progress import each
from data.recipe import Precision
from data.shards import Shard
from data.table import Column, Table, Value
from student.measures import POSITIONS, SUMS, calibration_error, means, measure
from student.tasks.deviation import deviation
from student.training.batch import GOLD_COLUMNS, TEACHER_COLUMNS, Batch, batch_bounds, make_batch
from student.training.columns import Columns
from student.training.rows import read_row_group
from vocab.errors import InputError

FILE = "heldout.json"
_WIDE = 8  # columns of languages that a table of students shows
_NOTE = "RDT: relative deviation from the teacher, of accuracy, in percent; positive means that the student is better."


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """The held-out rows of one language and teacher. A loss is the mean of −log p(gold) over masked positions, in nats."""

    language: str
    teacher: str
    positions: int
    student_loss: float
    student_accuracy: float  # share of positions
    teacher_loss: float | None  # None: gold-only shards
    teacher_accuracy: float | None
    kl: float | None = None  # KL(teacher ‖ student) over the teacher's top k and the rest, nats; None without a teacher
    student_mass: float | None = None  # the probability that the student gives the teacher's top k
    teacher_mass: float | None = None  # the same of the teacher
    calibration_error: float | None = (
        None  # of the student: mean |accuracy − confidence|; see student.measures. None: an older file
    )
    rdt: float | None  # percent, of accuracy; positive: the student is better. None without a teacher, or if it is never right


@dataclass(frozen=True, kw_only=True, slots=True)
class Heldout:
    """The scores of all languages and teachers, and their mean RDT (see `mean_rdt`)."""

    scores: tuple[Score, ...]
    mean_rdt: float | None

    @property
    def mean_loss(self) -> float:
        """The mean of the student's loss over languages, nats. The value of a language is the mean over its teachers."""
        return mean_of_languages([(score.language, score.student_loss) for score in self.scores]) or 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def score(
    model: Any,
    shards: Sequence[Shard],
    *,
    tokens_per_batch: int = 16_384,
    precision: Precision = "float32",
    progress: bool = False,
) -> Heldout:
    """Score a masked LM over the union vocabulary on held-out shards, row group by row group.

    tokens_per_batch includes padding. The rows are read in the order of the files, so two calls on one machine give the same numbers.
    An empty list of shards is an InputError.
    """
    if not shards:
        raise InputError("found no held-out shard; expected some in heldout/: name [heldout] articles in the recipe, then predict")
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    scores = []
    ordered = sorted(shards, key=lambda shard: (shard.path.language, shard.path.teacher, shard.path.name))
    watched = each(ordered, "held-out scores", "files", show=progress)
    for (language, teacher), group in groupby(watched, key=lambda shard: (shard.path.language, shard.path.teacher)):
        with_teacher = all(
            "teacher.weights" in shard.identity
            for shard in ordered
            if (shard.path.language, shard.path.teacher) == (language, teacher)
        )
        sums = np.zeros(SUMS)
        for batch in _batches(group, with_teacher, tokens_per_batch, model.config.vocab_size, model.config.pad_token_id):
            sums += measure(model, batch.to(device), precision)
        scores.append(_score(language, teacher, sums, with_teacher))
    model.train(was_training)
    return Heldout(scores=tuple(scores), mean_rdt=mean_rdt(scores))


def relative_deviation(student: float, teacher: float) -> float | None:
    """RDT in percent: 100 · (P_S − P_T) / P_T (MergeDistill, section 4; the sign of its tables). None if P_T is 0."""
    return deviation(student, teacher) if teacher else None


def mean_rdt(scores: Sequence[Score]) -> float | None:
    """The mean over languages. The value of a language is the mean over its teachers."""
    return mean_of_languages([(row.language, row.rdt) for row in scores if row.rdt is not None])


def mean_of_languages(values: Sequence[tuple[str, float]]) -> float | None:
    """The mean over languages of (language, value) pairs, where the value of a language is the mean of its own. None for no pair."""
    by_language: dict[str, list[float]] = {}
    for language, value in values:
        by_language.setdefault(language, []).append(value)
    return float(np.mean([np.mean(found) for found in by_language.values()])) if by_language else None


def write_heldout(heldout: Heldout, out: Path) -> None:
    """Write heldout.json into a student's folder."""
    write_text(out / FILE, json.dumps(heldout.to_json(), indent=2) + "\n")


def read_heldout(out: Path) -> Heldout | None:
    """The heldout.json of a student's folder. None if there is none, or if it cannot be read."""
    try:
        content = json.loads((out / FILE).read_text(encoding="utf-8"))
        scores = tuple(Score(**score) for score in content["scores"])
        sound = all(_is_sound(score) for score in scores) and isinstance(content["mean_rdt"], int | float | None)
        return Heldout(scores=scores, mean_rdt=content["mean_rdt"]) if sound else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _is_sound(score: Score) -> bool:
    """Whether a score that was read has names, and numbers for what is known of every student; others may be unknown."""
    numbers = [value for key, value in asdict(score).items() if key not in ("language", "teacher")]
    known = (score.positions, score.student_loss, score.student_accuracy)
    named = isinstance(score.language, str) and isinstance(score.teacher, str)
    return named and None not in known and all(isinstance(value, int | float | None) for value in numbers)


def same_rows(one: Heldout, other: Heldout) -> bool:
    """Whether two students were scored on the same languages, teachers and positions."""
    rows = [[(score.language, score.teacher, score.positions) for score in heldout.scores] for heldout in (one, other)]
    return rows[0] == rows[1]


def _batches(shards: Iterable[Shard], with_teacher: bool, tokens: int, vocab_size: int, pad: int) -> Iterator[Batch]:
    """Batches of rows, longest first. All rows of a batch are from one row group."""
    columns = [*GOLD_COLUMNS, *((*TEACHER_COLUMNS, "label_logits") if with_teacher else ())]
    for shard in shards:
        for group in range(shard.row_groups):
            table = read_row_group(shard, group, columns, vocab_size)
            if not table.num_rows:
                continue
            lengths = pc.list_value_length(table.column("input_ids")).to_numpy().astype(np.int64)
            rows = Columns.of(table.take(pa.array(np.argsort(-lengths, kind="stable"))).combine_chunks())
            cuts = batch_bounds(rows.lengths(), tokens)
            for begin, end in pairwise(cuts):
                yield make_batch(rows, begin, end, pad=pad)


def _score(language: str, teacher: str, sums: Any, with_teacher: bool) -> Score:
    student_loss, student_accuracy, teacher_loss, teacher_accuracy, kl, student_mass, teacher_mass = means(sums)
    return Score(
        language=language,
        teacher=teacher,
        positions=int(sums[POSITIONS]),
        student_loss=student_loss,
        student_accuracy=student_accuracy,
        teacher_loss=teacher_loss if with_teacher else None,
        teacher_accuracy=teacher_accuracy if with_teacher else None,
        kl=kl if with_teacher else None,
        student_mass=student_mass if with_teacher else None,
        teacher_mass=teacher_mass if with_teacher else None,
        calibration_error=calibration_error(sums),
        rdt=relative_deviation(student_accuracy, teacher_accuracy) if with_teacher else None,
    )


def score_table(students: Mapping[str, Heldout]) -> Table:
    """Students next to their teachers, all scored on the same rows.

    One or two students: a row for each language and teacher, and a row of means. More students: a row for each of them.
    """
    return _by_language(students) if len(students) <= 2 else _by_student(students)


def _by_student(students: Mapping[str, Heldout]) -> Table:
    """The teachers' means, then each student: its means, and its RDT in each language, if these fit on a screen."""
    first = next(iter(students.values()))
    pairs = [(score.language, score.teacher) for score in first.scores]
    several = len({language for language, _ in pairs}) < len(pairs)
    shown = pairs if len(pairs) <= _WIDE else []
    headings = [f"{language} ({teacher})" if several else language for language, teacher in shown]
    columns = [
        Column("student"),
        Column("loss", ".3f"),
        Column("accuracy", ".1%"),
        Column("RDT %", "+z.1f", key="rdt"),
        *(Column(heading, "+z.1f", key=f"rdt_{'_'.join(pair)}") for heading, pair in zip(headings, shown, strict=True)),
    ]

    def mean(values: Sequence[float | None]) -> float | None:
        return mean_of_languages([(pair[0], value) for pair, value in zip(pairs, values, strict=True) if value is not None])

    teachers = [mean([getattr(score, f"teacher_{name}") for score in first.scores]) for name in ("loss", "accuracy")]
    rows: list[list[Value]] = [["the teachers", *teachers, None, *[None] * len(shown)]]
    for name, heldout in students.items():
        accuracy = mean([score.student_accuracy for score in heldout.scores])
        rows.append([name, heldout.mean_loss, accuracy, heldout.mean_rdt, *(score.rdt for score in heldout.scores if shown)])
    return Table(title="Held-out scores", columns=columns, rows=rows, notes=[_NOTE])


def _by_language(students: Mapping[str, Heldout]) -> Table:
    columns = [Column("held-out", key="language"), Column("positions", ",d")]
    for name in ("teacher", *students):
        columns += [Column(f"{name} loss", ".3f"), Column("accuracy", ".1%", key=f"{name} accuracy".replace(" ", "_"))]
    columns += [Column(f"RDT {name} %", "+z.1f", key=f"rdt_{name}") for name in students]
    rows: list[list[Value]] = []
    for scores in zip(*(heldout.scores for heldout in students.values()), strict=True):
        first = scores[0]
        row: list[Value] = [f"{first.language} ({first.teacher})", first.positions, first.teacher_loss, first.teacher_accuracy]
        for score in scores:
            row += [score.student_loss, score.student_accuracy]
        rows.append([*row, *(score.rdt for score in scores)])
    if rows:
        rows.append(["mean", *[None] * (3 + 2 * len(students)), *(heldout.mean_rdt for heldout in students.values())])
    return Table(title="Held-out scores", columns=columns, rows=rows, notes=[_NOTE])
