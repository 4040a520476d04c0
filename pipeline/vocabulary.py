"""A recipe's vocabulary: the teachers read and merged into RUN/vocab, their corpora counted where the method asks for it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.recipe import Recipe
from data.storage import replace_folder
from pipeline.teacher.files import teacher_folder, teacher_vocabulary
from pipeline.token_counts import corpus_scales, count_tokens
from vocab.folder import TeacherRow, build_vocabulary
from vocab.selection import choose_pieces
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import Union


def make_vocabulary(
    recipe: Recipe, run: Path, *, beam_args: Sequence[str] = (), show_progress: bool = True
) -> tuple[Union, list[TeacherRow]]:
    """Build `run/vocab`, or let the recipe's new teachers join the one that stands there."""
    settings = recipe.vocabulary

    def choose(teachers: Sequence[TeacherVocabulary], standing: Union) -> Sequence[NDArray[np.bool_]]:
        counts = {}
        if settings.method != "union" and teachers:
            counts = count_tokens(
                recipe, teachers, beam_args, articles=settings.articles, show_progress=show_progress, staging=str(run)
            )
        return choose_pieces(
            teachers,
            standing,
            counts,
            method=settings.method,
            min_probability=settings.min_probability,
            size=settings.size,
            sampling_alpha=recipe.train.sampling_alpha,
            scales=corpus_scales(recipe, settings.articles) if settings.method == "budget" else None,
        )

    return build_vocabulary(
        read_teachers(recipe), run / "vocab", recipe.examples.max_length, replace_folder, method=chosen_by(recipe), choose=choose
    )


def chosen_by(recipe: Recipe) -> dict[str, str | float]:
    """The settings that choose the pieces, as the union keeps them."""
    settings = recipe.vocabulary
    method: dict[str, str | float] = {"method": settings.method}
    if settings.method == "trimmed":
        method["min_probability"] = settings.min_probability
    if settings.size is not None:
        method["size"] = settings.size
    return method


def read_teachers(recipe: Recipe) -> list[TeacherVocabulary]:
    """The vocabularies of the recipe's teachers, in its order."""
    names = [teacher.name for teacher in recipe.teachers]
    return [teacher_vocabulary(recipe, name, teacher_folder(recipe, name, weights=False)) for name in names]
