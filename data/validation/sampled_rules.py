"""The contract's rules on labels that were drawn from the teacher's distribution (the identity's selection "sampled").

Legend: P masked positions of all rows, K draws of each, and the length of its lists. In a [K, P] array row j has the j-th id of each.
"""

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.logits import LOWEST
from data.validation.findings import Finding, finding, list_of, positions, show
from data.validation.label_rules import POSITIVE_TOLERANCE, check_grid, check_pieces, check_topk

_CHANCE = 1e-9  # with which a sound block of rows is called wrong
_ROUNDING = 2.0**-10 * 16  # of the probability that a gold logit above −16 stands for; a logit below is no number of draws


def check_sampled_labels(table: pa.Table, numbers: NDArray[np.int64], draws: int, union_size: int | None) -> Iterator[Finding]:
    """Check labels and drawn ids of rows whose lists have the right lengths. `numbers` [R] are the numbers of the rows in the file.

    As in a top k, ids are distinct, the most drawn come first, and equal ones are sorted by id. Ids with the logit LOWEST fill the list.
    """
    labels, drawn = list_of(table, "label_ids", numbers), list_of(table, "topk_ids", numbers)
    logits, golds = list_of(table, "topk_logits", numbers), list_of(table, "label_logits", numbers)
    yield from check_pieces("label_ids", labels, union_size)
    yield from check_pieces("topk_ids", drawn, union_size)
    for name, column in (("topk_logits", logits), ("label_logits", golds)):
        yield from check_grid(name, column)
    ids_KP, logits_KP = (np.ascontiguousarray(column.values.reshape(-1, draws).T) for column in (drawn, logits))
    yield from check_topk(labels, ids_KP, logits_KP)
    wrong = np.flatnonzero(~np.isfinite(golds.values) | (golds.values > POSITIVE_TOLERANCE))
    yield from finding(
        "label_logits.finite", numbers, wrong, golds.value_at, "a normalised logit: a finite number, 0 or less", golds
    )
    count_KP = counts(logits_KP, draws)
    wrong = positions(count_KP < 0)
    wanted = f"logarithms of shares of {draws} draws, or {LOWEST:g} for an id that was not drawn"
    yield from finding("topk_logits.counts", numbers, wrong, lambda p: show(logits_KP[:, p]), wanted, labels)
    total_P = count_KP.clip(min=0).sum(axis=0)
    wrong = np.flatnonzero((total_P != draws) & (count_KP >= 0).all(axis=0))
    yield from finding("topk_logits.draws", numbers, wrong, lambda p: f"{total_P[p]} draws", f"{draws} draws", labels)
    gold_P = np.where(ids_KP == labels.values, count_KP.clip(min=0), 0).sum(axis=0)
    yield from _check_gold(numbers, gold_P, golds.values, draws)


def counts(logits_KP: NDArray[np.float32], draws: int) -> NDArray[np.int64]:
    """How often each id was drawn: 0 for the logit LOWEST, −1 for a logit that is no share of the draws."""
    grid = np.log(np.arange(1, draws + 1) / draws).astype(np.float16).astype(np.float32)  # increasing
    place_KP = np.searchsorted(grid, logits_KP).clip(max=draws - 1)
    found: NDArray[np.int64] = np.where(logits_KP == LOWEST, 0, np.where(grid[place_KP] == logits_KP, place_KP + 1, -1))
    return found


def _check_gold(
    numbers: NDArray[np.int64], gold_P: NDArray[np.int64], logits_P: NDArray[np.float32], draws: int
) -> Iterator[Finding]:
    """The gold ids are drawn as often as their own logits say, all rows together: labels of other positions would not be.

    Each draw is the gold id with its probability p, so the sum of the counts has the mean Σ K·p and the variance Σ K·p·(1 − p). Bernstein's
    inequality bounds its distance from the mean, with probability 1 − 1e-9; the rounding of p to float16 is added.
    """
    p_P = np.exp(np.minimum(logits_P.astype(np.float64), 0.0))
    if not np.isfinite(p_P).all():
        return
    mean, variance = draws * p_P.sum(), draws * (p_P * (1 - p_P)).sum()
    bits = math.log(2 / _CHANCE)
    room = bits / 3 + math.sqrt((bits / 3) ** 2 + 2 * variance * bits) + _ROUNDING * mean
    if abs(gold_P.sum() - mean) > room:
        found = f"{gold_P.sum():,} draws of gold ids in {len(gold_P):,} masked positions"
        wanted = f"about {mean:,.0f} (± {room:,.0f}), which the label_logits say"
        yield from finding("label_logits.draws", numbers, np.zeros(1, np.int64), lambda r: found, wanted)
