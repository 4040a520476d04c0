"""A run's vocabulary: the teachers' vocabularies, merged into RUN/vocab. Corpora are counted where the recipe's method asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.atomic import replace_folder
from data.lock import exclusive
from data.progress import each, progress_bar
from data.run import Run
from data.table import Column, Table, Value
from data.text_sample import sample_texts
from pipeline.beam.staging import recover
from pipeline.teacher.read_teachers import read_teachers
from pipeline.token_counts import corpus_scales, count_tokens
from vocab.agreement import hf_segmenter
from vocab.errors import InputError
from vocab.folder import TeacherRow, build_vocabulary, load_normaliser
from vocab.reading import Reading, compare_reading
from vocab.routed import load_routed
from vocab.selection import choose_pieces
from vocab.student_tokenizer import student_tokenizer
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import Union

CHARACTERS = 200_000  # of text for each language, on which a teacher's reading and the student's are compared
_COUNTS = ("rows of its head", "special", "placeholders", "surplus", "pieces", "dropped", "new")


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyResult:
    """The union of a run's teachers."""

    folder: Path
    union: Union
    teachers: list[TeacherRow]
    readings: list[Reading]  # of the teachers whose normaliser is not the student's
    unread: list[str]  # corpora that are not there yet

    def table(self) -> Table:
        """A row for each teacher; notes on what the student reads otherwise than a teacher, with the share of words."""
        return Table(
            title="Union vocabulary",
            columns=[Column("teacher"), Column("family"), *(Column(heading, ",d") for heading in _COUNTS)],
            rows=[_teacher_row(row) for row in self.teachers],
            notes=[
                f"{row.teacher} {row.normaliser.describe()}: the student will see {' and '.join(row.loses)}, which it never saw"
                for row in self.teachers
                if row.loses
            ]
            + [reading.describe() for reading in self.readings if reading.otherwise or reading.unknown]
            + [f"not compared with the student's tokenizer: {reason}" for reason in self.unread],
            result=f"{self.folder}: a union of {self.union.size:,} pieces from {len(self.teachers)} teachers. Next: mergedistill predict",
            facts={"folder": str(self.folder), "pieces": self.union.size, "teachers": len(self.teachers)},
        )


def _teacher_row(row: TeacherRow) -> list[Value]:
    count = row.accounting
    counts = (count.rows, count.special, count.placeholders, count.surplus, count.pieces, row.dropped, row.new)
    return [row.teacher, row.family, *counts]


def make_vocabulary(run: Run, *, beam_args: Sequence[str] = (), show_progress: bool = True) -> VocabularyResult:
    """Build the run's union vocabulary, or add the recipe's new teachers to the one that exists."""
    with exclusive(run.vocabulary, "writes this vocabulary"):
        return _make_vocabulary(run, beam_args, show_progress)


def _make_vocabulary(run: Run, beam_args: Sequence[str], show_progress: bool) -> VocabularyResult:
    recover(str(run.folder))  # a count that was killed
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

    with progress_bar(3, "vocab", "steps", show=show_progress) as bar:
        bar.set_postfix_str("reads the teachers' vocabularies")
        read = read_teachers(recipe)
        bar.update(1)
        bar.set_postfix_str("merges them")
        union, teachers = build_vocabulary(
            read, run.vocabulary, recipe.examples.max_length, replace_folder, method=recipe.vocabulary.choice(), choose=choose
        )
        bar.update(1)
        bar.set_postfix_str("compares what the student and the teachers read")
        readings, unread = _compare(run, teachers, union, show_progress)
        bar.update(1)
    return VocabularyResult(folder=run.vocabulary, union=union, teachers=teachers, readings=readings, unread=unread)


def _compare(run: Run, rows: Sequence[TeacherRow], union: Union, show_progress: bool) -> tuple[list[Reading], list[str]]:
    """What the student reads otherwise than each teacher whose normaliser is another; and why a corpus could not be compared."""
    student = load_normaliser(run.vocabulary)
    segment = hf_segmenter(student_tokenizer(union, student, run.recipe.examples.max_length))
    own = {row.teacher: row.normaliser for row in rows if not student.state and row.normaliser != student}
    pairs = [(language, teacher.name) for teacher in run.recipe.teachers if teacher.name in own for language in teacher.languages]
    readings, unread = [], {}
    for language, teacher in each(pairs, "compare normalisers", "teachers", show=show_progress):
        try:
            texts = list(sample_texts(run.recipe, language, CHARACTERS))
        except InputError as error:
            unread[language] = str(error)
            continue
        routed = load_routed(run.vocabulary, teacher)
        readings.append(compare_reading(language, teacher, texts, own=own[teacher], student=student, routed=routed, union=segment))
    return readings, list(unread.values())
