"""The choice of the pieces that the union takes: all, all except rare ones, or those with most of the corpora's tokens.

Legend: V ids of one teacher, P its distinct pieces in order of id.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vocab.errors import InputError
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import Union

Counts = Mapping[tuple[str, str], NDArray[np.int64]]  # (teacher, language) → how often each id occurs [V]


def choose_pieces(
    teachers: Sequence[TeacherVocabulary],
    existing: Union,
    counts: Counts,
    *,
    method: str,
    min_probability: float,
    size: int | None,
    sampling_alpha: float,
    scales: Mapping[str, float] | None = None,
) -> list[NDArray[np.bool_]]:
    """For each teacher, in order, the ids [V] whose pieces the union takes. Pieces that are in the union already stay in any case.

    "union" takes every piece and needs no counts.

    "trimmed" takes a piece of teacher t if P_tl(piece) ≥ min_probability in at least one of the corpora l that t reads. P_tl(piece) =
    count of its tokens / count of all tokens, when t tokenises l. BiStil (Ansell et al., Findings of ACL 2023) trims to the source
    and target language in this way. Each teacher is judged by its own corpora, so one teacher can drop what another takes.

    "budget" fills the union up to `size` pieces (including special tokens and existing pieces) with the pieces of the largest weight

        w(piece) = Σ_l p_l · mean over the teachers t of l of P_tl(piece),    p_l = n_l^α / Σ_m n_m^α

    n_l is the number of tokens of l (the mean over its teachers) times scales[l], the size of the corpus divided by its counted part
    (1 by default). α is `sampling_alpha`, so p_l is the share of the language in training (Khanuja et al. 2021; Conneau and Lample
    2019). Equal weights are ordered by recipe order, then by id. Pieces that never occur fill the remaining places.

    Raises InputError for a `size` without room for a new piece.
    """
    if method == "union":
        return [np.array([piece is not None for piece in teacher.pieces], dtype=np.bool_) for teacher in teachers]
    if method == "trimmed":
        return [_trim(teacher, counts, min_probability) for teacher in teachers]
    assert method == "budget", method
    assert size is not None, "the recipe refuses a budget without a size"
    return _fill(teachers, existing, size, _weights(teachers, counts, sampling_alpha, scales or {}))


def _trim(teacher: TeacherVocabulary, counts: Counts, min_probability: float) -> NDArray[np.bool_]:
    rows = _group(teacher)
    keep_P = np.zeros(rows.max(initial=-1) + 1, dtype=np.bool_)
    for _, count in _corpora(teacher, counts):
        keep_P |= _probabilities(rows, count) >= min_probability
    keep_V: NDArray[np.bool_] = np.append(keep_P, False)[rows]  # a row without a piece has the number −1, which is the last place
    return keep_V


def _weights(
    teachers: Sequence[TeacherVocabulary], counts: Counts, sampling_alpha: float, scales: Mapping[str, float]
) -> dict[str, float]:
    """The weight of every piece; the keys in recipe order, then by id."""
    rows = {teacher.name: _group(teacher) for teacher in teachers}
    read: dict[str, list[tuple[TeacherVocabulary, NDArray[np.int64]]]] = {}
    for teacher in teachers:
        for language, count in _corpora(teacher, counts):
            read.setdefault(language, []).append((teacher, count))
    tokens = {
        language: scales.get(language, 1.0) * float(np.mean([count.sum() for _, count in readers]))
        for language, readers in read.items()
    }
    shares = {language: number**sampling_alpha if number else 0.0 for language, number in tokens.items()}
    whole = sum(shares.values()) or 1.0
    weights: dict[str, float] = {}
    for teacher in teachers:
        weight_P = np.zeros(rows[teacher.name].max(initial=-1) + 1)
        for language, count in _corpora(teacher, counts):
            weight_P += _probabilities(rows[teacher.name], count) * (shares[language] / whole / len(read[language]))
        for piece, weight in zip(_distinct(teacher), weight_P.tolist(), strict=True):
            weights[piece] = weights.get(piece, 0.0) + weight
    return weights


def _fill(
    teachers: Sequence[TeacherVocabulary], existing: Union, size: int, weights: Mapping[str, float]
) -> list[NDArray[np.bool_]]:
    taken = set(existing.pieces)
    new = [piece for piece in weights if piece not in taken]
    room = size - existing.size
    if teachers and room < 1:
        raise InputError(
            f"vocabulary.size: found {size:,}; {existing.size:,} pieces are there already (including special tokens): expected at least "
            f"{existing.size + 1:,}"
        )
    order = np.argsort([-weights[piece] for piece in new], kind="stable")  # a stable sort keeps ties in recipe order
    taken = {new[index] for index in order[: max(room, 0)]}
    return [np.array([piece in taken for piece in teacher.pieces], dtype=np.bool_) for teacher in teachers]


def _corpora(teacher: TeacherVocabulary, counts: Counts) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """(language, counts [V]) for each corpus that the teacher reads."""
    for (name, language), count in counts.items():
        if name == teacher.name:
            assert len(count) == len(teacher.pieces), f"{len(count)} counts for {len(teacher.pieces)} ids of '{name}'"
            yield language, count


def _distinct(teacher: TeacherVocabulary) -> dict[str, int]:
    """The different pieces of a teacher, numbered in the order of ids. Several ids can have the same piece."""
    numbers: dict[str, int] = {}
    for piece in teacher.pieces:
        if piece is not None:
            numbers.setdefault(piece, len(numbers))
    return numbers


def _group(teacher: TeacherVocabulary) -> NDArray[np.int64]:
    """[V] the number of each id's piece, or −1 for an id without a piece."""
    numbers = _distinct(teacher)
    return np.array([-1 if piece is None else numbers[piece] for piece in teacher.pieces], dtype=np.int64)


def _probabilities(rows: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of each piece in the tokens, summed over its ids. Zeros for a corpus without tokens."""
    has = rows >= 0
    summed = np.bincount(rows[has], weights=count[has], minlength=int(rows.max(initial=-1)) + 1)
    probabilities: NDArray[np.float64] = summed / max(int(count.sum()), 1)
    return probabilities
