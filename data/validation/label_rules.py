"""The contract's rules on labels and top-k logits, vectorised over the masked positions of a block of rows.

Legend: P masked positions of all rows, K top-k logits of a masked position. In a [K, P] array row j has the j-th best of every
position, so a comparison within positions is a comparison of long rows.
"""

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.logits import round_down
from data.validation.findings import Finding, ListColumn, finding, list_of, positions, show
from vocab.roles import FIRST_PIECE

PAIRWISE_K = 32  # up to this k it is faster to compare all pairs than to sort

# A normalised logit is ≤ 0, except for the rounding of logit − logsumexp in float32: about 2^-24 · |logsumexp|, and the error of the
# sum. 2^-10 is much larger than that, and smaller than what a logit that was not normalised would show.
POSITIVE_TOLERANCE = 2.0**-10
_NEGATIVE_ZERO, _NEGATIVE_INFINITY = 0x8000_0000, 0xFF80_0000  # the bits of these two float32 values
_SMALLEST_NORMAL, _LARGEST = 0x3880_0000, 0x477F_E000  # of float16, as bits of float32
_BEHIND_HALF = 0x1FFF  # the bits of a float32 that a float16 does not have


def mass_tolerance(top_k: int) -> float:
    """How much rounding can raise the sum of the probabilities of a position's top k (and its gold id) above 1.

    float16 rounds a logit x by at most 2^-11·|x|, so p = e^x becomes p·(1 + 2^-11·|x|) to first order. The sum of this is
    2^-11 · Σ p·|ln p|: 2^-11 times an entropy, which is at most ln of the number of entries (1 is enough for fewer than 3). The second
    order is 2^-22 · Σ p·x²/2 with p·x² ≤ 4/e², so less than 2^-23 for each entry. The error of float32 is bounded as for one logit.
    """
    entries = top_k + 1
    return 2.0**-11 * max(1.0, math.log(entries)) + 2.0**-23 * entries + POSITIVE_TOLERANCE


def check_labels(
    table: pa.Table, numbers: NDArray[np.int64], top_k: int, union_size: int | None, *, in_steps: bool
) -> Iterator[Finding]:
    """Check labels and top k of rows whose lists have the right lengths. `numbers` [R] are the numbers of the rows in the file.

    in_steps: the top-k logits are rounded down to levels (`data.logits`). The gold ids' logits are not, but are rounded to compare.
    """
    labels, topk = list_of(table, "label_ids", numbers), list_of(table, "topk_ids", numbers)
    yield from check_pieces("label_ids", labels, union_size)
    yield from check_pieces("topk_ids", topk, union_size)
    ids_KP = np.ascontiguousarray(topk.values.reshape(-1, top_k).T)
    logits, golds = list_of(table, "topk_logits", numbers), list_of(table, "label_logits", numbers)
    gold_P = golds.values
    for name, column in (("topk_logits", logits), ("label_logits", golds)):
        yield from check_grid(name, column)
    if in_steps:
        half = _half(logits.values)
        off = np.flatnonzero(round_down(half) != half)
        yield from finding("topk_logits.steps", numbers, off, logits.value_at, "8-bit steps (the identity's logits)", logits)
    logits_KP = np.ascontiguousarray(logits.values.reshape(-1, top_k).T)
    kept_P = round_down(_half(gold_P)).astype(np.float32) if in_steps else gold_P
    yield from check_topk(labels, ids_KP, logits_KP)
    yield from _check_gold(labels, gold_P, kept_P, ids_KP, logits_KP)


def check_pieces(name: str, column: ListColumn, union_size: int | None) -> Iterator[Finding]:
    """Ids are pieces of the union that the teacher knows."""
    special = np.flatnonzero(column.values < FIRST_PIECE)
    yield from finding(f"{name}.special", column.numbers, special, column.id_at, "pieces, no special token", column)
    yield from check_union(name, column, union_size)


def check_grid(name: str, column: ListColumn) -> Iterator[Finding]:
    """Logits are float16's."""
    yield from finding(f"{name}.grid", column.numbers, _between(column.values), column.value_at, "a value that float16 has", column)


def check_union(name: str, column: ListColumn, union_size: int | None) -> Iterator[Finding]:
    """Ids are in the union that the teacher knows."""
    if union_size is not None and len(column.values) and column.values.max() >= union_size:
        wrong, wanted = np.flatnonzero(column.values >= union_size), f"below {union_size}, the size of the teacher's union"
        yield from finding(f"{name}.union", column.numbers, wrong, column.id_at, wanted, column)


def _between(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """The finite values that float16 does not have. A look at the bits finds the few that could be one."""
    bits = logits.view(np.uint32)
    size = bits & 0x7FFF_FFFF
    odd = np.flatnonzero(((bits & _BEHIND_HALF) != 0) | (size < _SMALLEST_NORMAL) | (size > _LARGEST))
    found: NDArray[np.int64] = odd[np.isfinite(logits[odd]) & (_half(logits[odd]).astype(np.float32) != logits[odd])]
    return found


def _half(logits: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # to infinity: a fault that is found
        return logits.astype(np.float16)


def check_topk(labels: ListColumn, ids_KP: NDArray[np.uint32], logits_KP: NDArray[np.float32]) -> Iterator[Finding]:
    """Check the top k of each position."""
    numbers = labels.numbers

    def ids(p: int) -> str:
        return f"ids {show(ids_KP[:, p])} at masked position {labels.place(p)}"

    def logits(p: int) -> str:
        return f"{show(logits_KP[:, p])} at masked position {labels.place(p)}"

    yield from finding("topk_ids.distinct", numbers, _repeats(ids_KP), ids, "distinct ids within a position", labels)
    if _falling(logits_KP, ids_KP):
        return
    wrong = positions(~np.isfinite(logits_KP))
    yield from finding("topk_logits.finite", numbers, wrong, logits, "finite numbers", labels)
    wrong = positions(logits_KP > POSITIVE_TOLERANCE)
    yield from finding("topk_logits.positive", numbers, wrong, logits, "normalised logits: 0 or less", labels)
    wrong = positions(logits_KP[1:] > logits_KP[:-1])
    yield from finding("topk_logits.order", numbers, wrong, logits, "best first", labels)
    wrong = positions((logits_KP[1:] == logits_KP[:-1]) & (ids_KP[1:] < ids_KP[:-1]))
    yield from finding("topk_logits.ties", numbers, wrong, lambda p: f"{ids(p)}: {logits(p)}", "equal logits sorted by id", labels)


def _falling(logits_KP: NDArray[np.float32], ids_KP: NDArray[np.uint32]) -> bool:
    """Whether all logits are finite, below 0, best first, and equal ones sorted by id. Comparing bits is several times faster.

    For negative numbers, a smaller number has larger bits. False does not mean a fault, because 0 is legal too: then check in
    detail.
    """
    bits_KP = logits_KP.view(np.uint32)
    if not bits_KP.size or bits_KP.min() <= _NEGATIVE_ZERO or bits_KP.max() >= _NEGATIVE_INFINITY:
        return False
    falls, same = bits_KP[1:] > bits_KP[:-1], bits_KP[1:] == bits_KP[:-1]
    return bool((falls | (same & (ids_KP[1:] > ids_KP[:-1]))).all())


def _check_gold(
    labels: ListColumn,
    gold_P: NDArray[np.float32],
    kept_P: NDArray[np.float32],
    ids_KP: NDArray[np.uint32],
    logits_KP: NDArray[np.float32],
) -> Iterator[Finding]:
    """Check the gold ids' logits, and compare them, rounded as the top k are (`kept_P`), with the top k."""
    numbers, top_k = labels.numbers, len(ids_KP)

    def gold(p: int) -> str:
        return f"{gold_P[p]:.5g} at masked position {labels.place(p)}"

    def both(p: int) -> str:
        return f"gold {gold_P[p]:.5g}, top k {show(logits_KP[:, p])} at masked position {labels.place(p)}"

    finite_P = np.isfinite(gold_P)
    yield from finding("label_logits.finite", numbers, np.flatnonzero(~finite_P), gold, "finite numbers", labels)
    finite_P &= np.isfinite(logits_KP).all(axis=0)  # the rules below cannot judge values that are not numbers
    wrong = np.flatnonzero(gold_P > POSITIVE_TOLERANCE)
    yield from finding("label_logits.positive", numbers, wrong, gold, "normalised logits: 0 or less", labels)
    is_gold_KP = ids_KP == labels.values
    outside_P = ~is_gold_KP.any(axis=0)
    wrong = positions(is_gold_KP & (logits_KP != kept_P) & finite_P)
    yield from finding("label_logits.topk", numbers, wrong, both, "the logit that the gold id has among the top k", labels)
    above = np.flatnonzero((kept_P > logits_KP[-1]) & outside_P & finite_P)
    step = np.nextafter(_half(logits_KP[-1, above]), np.float16(np.inf)).astype(np.float32)
    wanted = "at most the last of the top k, for the gold id is not among them"
    yield from finding("label_logits.rank", numbers, above[kept_P[above] > step], both, wanted, labels)
    with np.errstate(over="ignore", invalid="ignore"):
        mass_P = np.exp(logits_KP).sum(axis=0) + np.where(outside_P, np.exp(gold_P), 0)
        wrong = np.flatnonzero((mass_P > 1 + mass_tolerance(top_k)) & finite_P)
    wanted = f"probabilities that sum to 1 at most (+ {mass_tolerance(top_k):.4f} for rounding)"
    yield from finding("topk_logits.mass", numbers, wrong, lambda p: f"a sum of {mass_P[p]:.4f}: {both(p)}", wanted, labels)


def _repeats(ids_KP: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The positions that hold an id twice."""
    if len(ids_KP) > PAIRWISE_K:
        ordered = np.sort(ids_KP, axis=0)
        return positions(ordered[1:] == ordered[:-1])
    pairs = [positions(ids_KP[apart:] == ids_KP[:-apart]) for apart in range(1, len(ids_KP))]
    return np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, dtype=np.int64)
