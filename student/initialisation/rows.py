"""The rows of the student's vocabulary from its teachers' rows: plain functions on tensors.

Teachers that were trained alone have their numbers in different places: the same piece has unlike rows in two teachers. The rows of the
pieces that both have say how the one is turned into the other. Legend: V pieces of the union, n rows of one teacher, E its width,
s pieces that two teachers share, H the student's width.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vocab.pieces import parse

FEW = 2  # a script with fewer rows than this says nothing of its distribution


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherRows:
    """What one teacher knows of the union's pieces."""

    teacher: str
    ids: Tensor  # [n] int64 union ids, distinct and increasing
    rows: Tensor  # [n, E] float32


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Where the rows of the student's vocabulary came from."""

    copied: int = 0  # from the only teacher that has the piece
    averaged: int = 0  # over the teachers that have it
    projected: int = 0  # of both, those that a teacher of another width took part in
    drawn: int = 0  # no teacher has it


def collect_rows(teacher: str, weight_RE: Tensor, ids_R: Tensor, used_R: Tensor) -> TeacherRows:
    """A teacher's rows by union id: several rows of one union id (surface forms of one piece) become their mean.

    ids_R are the union ids of its rows; used_R says which rows hold something (pieces of the union and special tokens).
    """
    ids, places = ids_R[used_R].unique(return_inverse=True)
    sums = torch.zeros(len(ids), weight_RE.shape[1]).index_add_(0, places, weight_RE[used_R].float())
    return TeacherRows(teacher=teacher, ids=ids, rows=sums / places.bincount(minlength=len(ids))[:, None])


def project(part: TeacherRows, reference: TeacherRows) -> TeacherRows:
    """A teacher's rows in the space of another: turned so that the rows of the pieces that both have agree best, and as long as these.

    The turn is the solution of the orthogonal Procrustes problem (Schönemann 1966), which keeps lengths and angles. Between widths it is
    the best matrix with orthonormal rows or columns. Without any shared piece, the first numbers stay where they are.
    """
    own, other = shared(part.ids, reference.ids)
    from_sE, to_sH = part.rows[own].double(), reference.rows[other].double()
    left, _, right = torch.linalg.svd(from_sE.T @ to_sH, full_matrices=False)
    scale = to_sH.norm() / from_sE.norm().clamp_min(1e-12) if len(own) else 1.0
    turn_EH = left @ right if len(own) else torch.eye(part.rows.shape[1], reference.rows.shape[1], dtype=torch.float64)
    return replace(part, rows=(scale * (part.rows.double() @ turn_EH)).float())


def shared(ids_n: Tensor, ids_m: Tensor) -> tuple[Tensor, Tensor]:
    """The places in two increasing lists of ids at which they have the same ids."""
    in_first = torch.isin(ids_n, ids_m).nonzero()[:, 0]
    return in_first, torch.searchsorted(ids_m, ids_n[in_first])


def average(parts: Sequence[TeacherRows], size: int) -> tuple[Tensor, Tensor]:
    """(the mean row of each union id over the teachers that have it [V, H], the number of these teachers [V])."""
    sums_VH, count_V = torch.zeros(size, parts[0].rows.shape[1]), torch.zeros(size, dtype=torch.int64)
    for part in parts:
        sums_VH.index_add_(0, part.ids, part.rows)
        count_V.index_add_(0, part.ids, torch.ones_like(part.ids))
    return sums_VH / count_V.clamp_min(1)[:, None], count_V


def draw_missing(rows_VH: Tensor, present_V: Tensor, pieces: Sequence[str], generator: torch.Generator) -> Tensor:
    """The rows, with those that no teacher has drawn from the rows of their script: a normal distribution for each number of a row.

    A script of which fewer than two rows are known takes the distribution of all rows (Downey et al. 2023 draw by script).
    """
    missing = (~present_V).nonzero()[:, 0].tolist()
    if not missing:
        return rows_VH
    filled = rows_VH.clone()
    by_script: dict[str, list[int]] = {}
    for index in present_V.nonzero()[:, 0].tolist():
        by_script.setdefault(script(pieces[index]), []).append(index)
    whole = _spread(rows_VH[present_V])
    known = {name: _spread(rows_VH[indices]) for name, indices in by_script.items() if len(indices) >= FEW}
    for index in missing:
        mean, deviation = known.get(script(pieces[index]), whole)
        filled[index] = mean + deviation * torch.randn(len(mean), generator=generator)
    return filled


def script(piece: str) -> str:
    """The script of a piece's first letter, as its name in Unicode begins with it: "LATIN", "CJK"; "" for a piece without letters."""
    content = parse(piece).content
    letters = (char for char in content if char.isalpha()) if isinstance(content, str) else ()
    return next((unicodedata.name(char, "").partition(" ")[0].partition("-")[0] for char in letters), "")


def _spread(rows_nH: Tensor) -> tuple[Tensor, Tensor]:
    return rows_nH.mean(0), rows_nH.std(0) if len(rows_nH) > 1 else torch.zeros(rows_nH.shape[1])
