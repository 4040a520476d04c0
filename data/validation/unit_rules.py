"""The rules for a complete unit: none of its articles and windows is missing, and its masks are such as chance gives.

Legend: R rows of the file, W windows (rows without their maskings), A articles, P masked positions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.validation.findings import list_of
from data.validation.footer_rules import FrameFault
from vocab.roles import UNION_ROLES

# BERT's masking (section 3.1): 80% of the masked positions show the mask token, 10% a random piece and 10% the gold token.
MASK_SHOWN, GOLD_SHOWN, RANDOM_SHOWN = 0.8, 0.1, 0.1
_NEVER = math.log(4e9)  # of the four tails together, a sound file is in one with a probability below 1e-9
_MOST = (
    4_000  # masked positions that are taken as independent: one text may be there many times. A difference of 4 points is enough
)


def check_unit(
    article_R: NDArray[np.int64],
    window_R: NDArray[np.int64],
    names: Sequence[object],
    maskings: int,
    unit: Mapping[str, Any],
    report: Mapping[str, Any],
) -> Iterator[FrameFault]:
    """Check the articles and windows of a file against the unit and the report in its footer.

    article_R  the number of each row's article in `names` [A]; window_R  the column `window`
    """
    count = report["counters"].get
    windows = count("windows", 0) * maskings
    if len(article_R) != windows:
        found = f"{count('windows', 0):,} windows in {maskings} maskings in the footer"
        yield "report.windows", "report.counters.windows", found, f"{len(article_R):,} rows, as the file holds"
    set_aside, without = len(report.get("quarantined", ())), count("articles_without_windows", 0)
    if len(names) + set_aside + without != unit["articles"]:
        found = f"{len(names):,} articles, {set_aside:,} set aside and {without:,} without a window"
        yield "unit.articles", "doc_id", found, f"the {unit['articles']:,} articles of the unit"
    key_W = np.unique((article_R << 32) + window_R // maskings)
    article_W, number_W = key_W >> 32, key_W & 0xFFFFFFFF
    first_W = np.concatenate(([True], article_W[1:] != article_W[:-1])) if len(key_W) else np.zeros(0, dtype=np.bool_)
    before_W = np.where(first_W, -1, np.roll(number_W, 1))
    gap_W = number_W - before_W - 1  # windows between this one and the one before it in its article
    allowed = count("windows_without_maskable_token", 0)
    if gap_W.sum() > allowed:
        at = int(np.flatnonzero(gap_W)[0])
        found = f"{gap_W.sum():,} windows are missing, the first is window {before_W[at] + 1} of article '{names[article_W[at]]}'"
        yield (
            "window.missing",
            "window",
            found,
            f"all windows but the {allowed:,} without a token that can be masked (report.counters)",
        )


def count_shown(table: pa.Table) -> tuple[int, int, int]:
    """(masked positions that show the mask token, that show the gold token, all of them) of a table without nulls.

    (0, 0, 0) if its lists do not fit together.
    """
    numbers = np.arange(table.num_rows)
    tokens, masks, labels = (list_of(table, name, numbers) for name in ("input_ids", "mask_positions", "label_ids"))
    index_P = np.repeat(tokens.offsets[:-1], masks.lengths) + masks.values
    if not np.array_equal(masks.lengths, labels.lengths) or (index_P >= np.repeat(tokens.offsets[1:], masks.lengths)).any():
        return 0, 0, 0
    shown_P = tokens.values[index_P]
    masks_shown, gold_shown = (int(np.count_nonzero(shown_P == other)) for other in (UNION_ROLES.mask, labels.values))
    return masks_shown, gold_shown, len(index_P)


def check_shown(masks: int, gold: int, total: int, top_k: int) -> Iterator[FrameFault]:
    """Check what the `total` masked positions of a file show: `masks` of them the mask token, `gold` the gold token.

    A file is refused if chance alone would give such numbers less than once in 10^9 files (Chernoff's bound for each tail).
    """
    # A random piece can be the gold one: once in as many times as the teacher has pieces, and these are top_k or more.
    shares = (
        ("the mask token", masks, MASK_SHOWN, MASK_SHOWN),
        ("the gold token", gold, GOLD_SHOWN, GOLD_SHOWN + RANDOM_SHOWN / top_k),
    )
    for what, count, low, high in shares:
        share = count / max(total, 1)
        if min(total, _MOST) * _divergence(share, min(max(share, low), high)) > _NEVER:
            found = f"{share:.1%} of {total:,} masked positions show {what}"
            yield "input_ids.shown", "input_ids", found, f"about {low:.0%}, as BERT masks: chance does not explain the difference"


def _divergence(share: float, p: float) -> float:
    """The Kullback-Leibler divergence of two coins, in nats."""
    return sum(q * math.log(q / r) for q, r in ((share, p), (1 - share, 1 - p)) if q > 0)
