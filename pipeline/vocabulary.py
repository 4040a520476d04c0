"""A run's vocabulary: the teachers' vocabularies, merged into RUN/vocab. Corpora are counted where the recipe's method asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.atomic import replace_folder
from data.recipe import Recipe
from data.run import Run
from data.table import Column, Table, Value
from pipeline.teacher.files import read_teachers
from pipeline.token_counts import corpus_scales, count_tokens
from vocab.folder import TeacherRow, build_vocabulary
from vocab.selection import choose_pieces
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import Union

_COUNTS = ("rows of its head", "special", "placeholders", "surplus", "pieces", "dropped", "new")


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyResult:
    """The union of a run's teachers."""

    folder: Path
    union: Union
    teachers: list[TeacherRow]

    def table(self) -> Table:
        """A row for each teacher; a note for each teacher that lower-cases or strips accents while the student does not."""
        return Table(
            title="Union vocabulary",
            columns=[Column("teacher"), Column("family"), *(Column(heading, ",d") for heading in _COUNTS)],
            rows=[_teacher_row(row) for row in self.teachers],
            notes=[
                f"{row.teacher} {row.normaliser.describe()}: the student will see {' and '.join(row.loses)}, which it never saw"
                for row in self.teachers
                if row.loses
            ],
            result=f"{self.folder}: a union of {self.union.size:,} pieces from {len(self.teachers)} teachers. Next: mergedistill predict",
            facts={"folder": str(self.folder), "pieces": self.union.size, "teachers": len(self.teachers)},
        )


def _teacher_row(row: TeacherRow) -> list[Value]:
    count = row.accounting
    counts = (count.rows, count.special, count.placeholders, count.surplus, count.pieces, row.dropped, row.new)
    return [row.teacher, row.family, *counts]


def make_vocabulary(run: Run, *, beam_args: Sequence[str] = (), show_progress: bool = True) -> VocabularyResult:
    """Build the run's union vocabulary, or add the recipe's new teachers to the one that exists."""
    recipe = run.recipe
    settings = recipe.vocabulary

    def choose(teachers: Sequence[TeacherVocabulary], existing: Union) -> Sequence[NDArray[np.bool_]]:
        counts = {}
        if settings.method != "union" and teachers:
            counts = count_tokens(
                recipe, teachers, beam_args, articles=settings.articles, show_progress=show_progress, staging=str(run.folder)
            )
        return choose_pieces(
            teachers,
            existing,
            counts,
            method=settings.method,
            min_probability=settings.min_probability,
            size=settings.size,
            sampling_alpha=recipe.train.sampling_alpha,
            scales=corpus_scales(recipe, settings.articles) if settings.method == "budget" else None,
        )

    union, teachers = build_vocabulary(
        read_teachers(recipe),
        run.vocabulary,
        recipe.examples.max_length,
        replace_folder,
        method=method_settings(recipe),
        choose=choose,
    )
    return VocabularyResult(folder=run.vocabulary, union=union, teachers=teachers)


def method_settings(recipe: Recipe) -> dict[str, str | float]:
    """The settings that choose the union's pieces. They are kept with the union."""
    settings = recipe.vocabulary
    method: dict[str, str | float] = {"method": settings.method}
    if settings.method == "trimmed":
        method["min_probability"] = settings.min_probability
    if settings.size is not None:
        method["size"] = settings.size
    return method
