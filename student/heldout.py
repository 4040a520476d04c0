"""Held-out scores: the student and its teachers on the same masked positions, and how far apart they are (RDT).

The teacher's side costs nothing: its loss and its accuracy lie in the shards. Legend: M masked positions.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from data.shards import Shard
from data.storage import write_text
from student.hardware import autocast
from student.training.batch import GOLD_COLUMNS, TEACHER_COLUMNS, Batch, Columns, batch_bounds, make_batch
from student.training.masked_head import MaskedLM
from student.training.rows import read_row_group
from vocab.errors import InputError

FILE = "heldout.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One (language, teacher) pair's held-out rows. Losses are means over positions of −log p(gold), in nats."""

    language: str
    teacher: str
    positions: int
    student_loss: float
    student_accuracy: float  # share of positions
    teacher_loss: float | None  # None: gold-only shards
    teacher_accuracy: float | None
    rdt: float | None  # percent, of accuracy: positive means the student is better; None too if the teacher is never right


@dataclass(frozen=True, kw_only=True, slots=True)
class Heldout:
    """All pairs, and the mean over languages of their RDT (a language's is the mean over its teachers)."""

    scores: tuple[Score, ...]
    mean_rdt: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def score(
    model: Any,
    shards: Sequence[Shard],
    *,
    tokens_per_batch: int = 16_384,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
) -> Heldout:
    """Score a masked LM over the union vocabulary on held-out shards, row group by row group.

    tokens_per_batch counts padding. The order is that of the files, so two runs on one machine give the same numbers. No shard
    at all is an InputError.
    """
    if not shards:
        raise InputError(
            "found no held-out shard; expected some below heldout/: name [heldout] articles in the recipe, then predict"
        )
    device = next(model.parameters()).device
    module = MaskedLM(model, "renormalise")
    was_training = model.training
    model.eval()
    scores = []
    ordered = sorted(shards, key=lambda shard: (shard.path.language, shard.path.teacher, shard.path.name))
    for (language, teacher), group in groupby(ordered, key=lambda shard: (shard.path.language, shard.path.teacher)):
        members = list(group)
        with_teacher = all("teacher.weights" in shard.identity for shard in members)
        sums = np.zeros(5)  # positions, student loss, student correct, teacher loss, teacher correct
        for batch in _batches(members, with_teacher, tokens_per_batch, model.config.vocab_size, model.config.pad_token_id):
            sums += _measure(module, batch.to(device), precision)
        scores.append(_score(language, teacher, sums, with_teacher))
    model.train(was_training)
    return Heldout(scores=tuple(scores), mean_rdt=mean_rdt(scores))


def relative_deviation(student: float, teacher: float) -> float | None:
    """RDT in percent: 100 · (P_S − P_T) / P_T (MergeDistill, section 4; the sign of its tables). None if P_T is 0."""
    return 100.0 * (student - teacher) / teacher if teacher else None


def mean_rdt(scores: Sequence[Score]) -> float | None:
    """The mean over languages of the mean over each one's teachers."""
    by_language: dict[str, list[float]] = {}
    for row in scores:
        if row.rdt is not None:
            by_language.setdefault(row.language, []).append(row.rdt)
    return float(np.mean([np.mean(values) for values in by_language.values()])) if by_language else None


def write_heldout(heldout: Heldout, out: Path) -> None:
    """Write heldout.json into a student's folder."""
    write_text(out / FILE, json.dumps(heldout.to_json(), indent=2) + "\n")


def _batches(shards: Sequence[Shard], with_teacher: bool, tokens: int, vocab_size: int, pad: int) -> Iterator[Batch]:
    """Batches of rows of one row group each, longest first."""
    columns = [*GOLD_COLUMNS, *((*TEACHER_COLUMNS, "label_logits") if with_teacher else ())]
    for shard in shards:
        for group in range(shard.row_groups):
            table = read_row_group(shard, group, columns, vocab_size)
            if not table.num_rows:
                continue
            lengths = pc.list_value_length(table.column("input_ids")).to_numpy().astype(np.int64)
            rows = Columns(table.take(pa.array(np.argsort(-lengths, kind="stable"))).combine_chunks())
            cuts = batch_bounds(rows.lengths(), tokens)
            for begin, end in pairwise(cuts):
                yield make_batch(rows, begin, end, pad=pad)


@torch.inference_mode()
def _measure(module: MaskedLM, batch: Batch, precision: Literal["auto", "float32", "bfloat16"]) -> Any:
    """The five sums of one batch."""
    with autocast(precision, batch.input_ids.device):
        _, gold_M, _, correct_M = module(batch.input_ids, batch.lengths, batch.places, batch.label_ids, None, None, 1.0, 1.0)
    teacher_loss = teacher_correct = 0.0
    if batch.label_logits is not None and batch.topk_ids is not None:
        teacher_loss = -float(batch.label_logits.double().sum())
        teacher_correct = float((batch.topk_ids[:, 0] == batch.label_ids).sum())
    return np.array([batch.masked, float(gold_M.double().sum()), float(correct_M.sum()), teacher_loss, teacher_correct])


def _score(language: str, teacher: str, sums: Any, with_teacher: bool) -> Score:
    positions = int(sums[0])
    student_loss, student_accuracy, teacher_loss, teacher_accuracy = (float(value) for value in sums[1:] / max(1, positions))
    return Score(
        language=language,
        teacher=teacher,
        positions=positions,
        student_loss=student_loss,
        student_accuracy=student_accuracy,
        teacher_loss=teacher_loss if with_teacher else None,
        teacher_accuracy=teacher_accuracy if with_teacher else None,
        rdt=relative_deviation(student_accuracy, teacher_accuracy) if with_teacher else None,
    )


def score_table(students: Mapping[str, Heldout]) -> tuple[list[str], list[list[str]]]:
    """(header, a line a language and teacher, and one of means) of students beside their teachers, all scored on the same articles."""
    header = ["held-out loss / accuracy", "positions", "teacher", *students, *(f"RDT {name}" for name in students)]
    lines = []
    for scores in zip(*(heldout.scores for heldout in students.values()), strict=True):
        base = scores[0]
        lines.append(
            [
                f"{base.language} ({base.teacher})",
                f"{base.positions:,}",
                _loss_and_accuracy(base.teacher_loss, base.teacher_accuracy),
                *(_loss_and_accuracy(score.student_loss, score.student_accuracy) for score in scores),
                *(_percent(score.rdt) for score in scores),
            ]
        )
    lines.append(["mean", "", "", *("" for _ in students), *(_percent(heldout.mean_rdt) for heldout in students.values())])
    return header, lines


def _loss_and_accuracy(loss: float | None, accuracy: float | None) -> str:
    return "–" if loss is None or accuracy is None else f"{loss:.3f} / {accuracy:5.1%}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}%"
