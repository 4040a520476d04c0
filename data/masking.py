"""Which tokens are masked, and what they become: plain functions on arrays.

Legend: R rows (masked windows), C candidates of a row, M masked positions, T tokens.
"""

import numpy as np
from numpy.typing import NDArray


def select_tokens(
    counts_R: NDArray[np.int64], rate: float | NDArray[np.float64], draws_RC: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Which candidates of each row are masked [R, C]: those with the smallest draws, `rate` of the row's candidates, at least one.

    counts_R   candidates of each row
    rate       of all rows, or of each
    draws_RC   random bits of each candidate; behind a row's last candidate the largest number
    """
    wanted_R = np.maximum(1, np.rint(np.multiply(rate, counts_R))).astype(np.int64)
    chosen_RC = np.zeros(draws_RC.shape, dtype=np.bool_)
    first_RC = np.arange(draws_RC.shape[1]) < wanted_R[:, None]
    np.put_along_axis(chosen_RC, np.argsort(draws_RC, axis=1, kind="stable"), first_RC, axis=1)
    return chosen_RC


def select_words(words_C: NDArray[np.int64], rate: float, draws_C: NDArray[np.uint64]) -> list[int]:
    """The candidates of one window to mask: complete words in random order, until `rate` of the candidates is reached; at least one.

    A word that would exceed the number is skipped, unless it is the first.
    """
    wanted = max(1, round(rate * len(words_C)))
    members: dict[int, list[int]] = {}
    for index in np.argsort(draws_C, kind="stable"):
        members.setdefault(int(words_C[index]), [])
    for candidate, word in enumerate(words_C):
        members[int(word)].append(candidate)
    chosen: list[int] = []
    for candidates in members.values():
        if not chosen or len(chosen) + len(candidates) <= wanted:
            chosen += candidates
        if len(chosen) >= wanted:
            break
    return chosen


def corrupt(
    tokens: NDArray[np.uint32], positions: NDArray[np.int64], mask: int, replacements: NDArray[np.uint32], draws: NDArray[np.uint64]
) -> NDArray[np.uint32]:
    """The tokens [T] with the chosen positions [M] masked: 80% become the mask token, 10% a random id, 10% stay (BERT, section 3.1)."""
    percent = (draws % np.uint64(100)).astype(np.int64)
    index = ((draws // np.uint64(100)) % np.uint64(len(replacements))).astype(np.int64)
    corrupted = tokens.copy()
    corrupted[positions] = np.where(percent < 80, mask, np.where(percent < 90, replacements[index], tokens[positions]))
    return corrupted
