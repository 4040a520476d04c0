"""The rules on sampled labels: sound ones pass whatever the dice say, and each fault is found."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from data.logits import LOWEST
from data.shards import list_column
from data.validation.sampled_rules import check_sampled_labels
from pipeline.teacher.sampling import count_draws

D, P, V = 20, 600, 300
Arrays = dict[str, NDArray[np.generic]]


def sound(seed: int, scale: float = 2.0) -> Arrays:
    """P positions: gold ids and draws from one distribution of a teacher each."""
    rng = np.random.default_rng(seed)
    p_PV = np.exp(rng.normal(0, scale, (P, V)))
    p_PV /= p_PV.sum(1, keepdims=True)
    ends_PV = p_PV.cumsum(1)
    ids_PD = np.stack([np.searchsorted(ends_PV[p], rng.random(D)).clip(max=V - 1) for p in range(P)]) + 5
    gold_P = np.array([np.searchsorted(ends_PV[p], rng.random()).clip(max=V - 1) for p in range(P)])
    ids, logits = count_draws(ids_PD)
    return {
        "label_ids": gold_P + 5,
        "label_logits": np.log(p_PV[np.arange(P), gold_P]).astype(np.float16),
        "topk_ids": ids,
        "topk_logits": logits,
    }


def broken(arrays: Arrays) -> list[str]:
    """The rules that a table of these labels breaks, three positions a row."""
    rows = np.full(P // 3, 3)
    table = pa.table(
        {
            name: list_column(values.reshape(-1), rows * (D if name.startswith("topk") else 1), name)
            for name, values in arrays.items()
        }
    )
    found = check_sampled_labels(table, np.arange(P // 3), D, V + 5)
    return [one.rule for one in found]


@pytest.mark.parametrize("scale", [0.1, 2.0, 10.0])
def test_sound_labels_pass(scale: float) -> None:
    for seed in range(60):
        assert broken(sound(seed, scale)) == []


def between(arrays: Arrays) -> None:
    arrays["topk_logits"][4, 0] = np.float16(np.log(1.5 / D))


def one_draw_more(arrays: Arrays) -> None:
    row = int(np.argmax(arrays["topk_logits"][:, 1] < np.log(3.5 / D)))
    count = round(D * float(np.exp(np.float64(arrays["topk_logits"][row, 0]))))
    arrays["topk_logits"][row, 0] = np.float16(np.log(min(D, count + 1) / D))


def twice(arrays: Arrays) -> None:
    arrays["topk_ids"][7, -1] = arrays["topk_ids"][7, -2]


def unsorted(arrays: Arrays) -> None:
    arrays["topk_logits"][3] = arrays["topk_logits"][3, ::-1]


def special(arrays: Arrays) -> None:
    arrays["topk_ids"][2, 0] = 3


def outside(arrays: Arrays) -> None:
    arrays["label_ids"][2] = V + 5


def positive(arrays: Arrays) -> None:
    arrays["label_logits"][9] = np.float16(0.5)


def shifted(arrays: Arrays) -> None:
    """The worst fault of this field: labels of the position beside."""
    for name in ("topk_ids", "topk_logits"):
        arrays[name] = np.roll(arrays[name], 1, axis=0)


def mass_in_fillers(arrays: Arrays) -> None:
    arrays["topk_logits"][:] = np.where(arrays["topk_logits"] == LOWEST, np.float16(-10), arrays["topk_logits"])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (between, "topk_logits.counts"),
        (one_draw_more, "topk_logits.draws"),
        (twice, "topk_ids.distinct"),
        (unsorted, "topk_logits.order"),
        (special, "topk_ids.special"),
        (outside, "label_ids.union"),
        (positive, "label_logits.finite"),
        (shifted, "label_logits.draws"),
        (mass_in_fillers, "topk_logits.counts"),
    ],
)
def test_faults_are_found(change: Callable[[Arrays], None], rule: str) -> None:
    arrays = sound(1)
    change(arrays)
    assert rule in broken(arrays)
