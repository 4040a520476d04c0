"""The top k in 8-bit steps, against the obvious slow version; and a shard of them is smaller and reads as any other."""

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from data.logits import LEVELS, in_steps, round_down
from data.shards import leaf
from tests.support.shard_factory import make_identity, make_shard, make_table

EVERY = np.arange(0x8000, 0xFC00, dtype=np.uint16).view(np.float16)  # every float16 from 0 down


def test_every_logit_falls_to_the_next_level() -> None:
    assert len(set(LEVELS.tolist())) == 256
    levels = [float(level) for level in LEVELS]
    slow = [next((level for level in levels if level <= x), levels[-1]) for x in EVERY.astype(float).tolist()]
    np.testing.assert_array_equal(round_down(EVERY).astype(float), slow)
    np.testing.assert_array_equal(round_down(LEVELS), LEVELS)


def test_the_stated_error() -> None:
    exact, rounded = EVERY.astype(np.float64), round_down(EVERY).astype(np.float64)
    inside = exact >= LEVELS[-1]
    assert (exact - rounded)[inside].max() <= 0.25
    assert (exact - rounded)[inside].min() >= 0
    lost = np.exp(exact) - np.exp(rounded)
    assert 0.0109 < lost.max() < 0.011
    assert lost.min() >= -4e-7  # what lies below the last level comes up to it


def test_what_is_no_logit_stays_to_be_found() -> None:
    odd = np.array([np.nan, np.inf, -np.inf], np.float16)
    np.testing.assert_array_equal(round_down(odd), odd)


@given(st.lists(st.lists(st.floats(-20, 5), min_size=12, max_size=12), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_a_top_k_stays_one(raw: list[list[float]], seed: int) -> None:
    logits = np.array(raw)
    normal_MV = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).clip(max=0).astype(np.float16)
    ids_MV = np.random.default_rng(seed).permuted(np.tile(np.arange(12, dtype=np.uint32), (len(raw), 1)), axis=1)
    order = np.lexsort((ids_MV, -normal_MV.astype(np.float32)), axis=1)[:, :5]
    before = [
        dict(zip(ids, values, strict=True))
        for ids, values in zip(
            np.take_along_axis(ids_MV, order, 1).tolist(), np.take_along_axis(normal_MV, order, 1).tolist(), strict=True
        )
    ]
    ids_MK, logits_MK = in_steps(np.take_along_axis(ids_MV, order, 1), np.take_along_axis(normal_MV, order, 1))
    for exact, ids, values in zip(before, ids_MK.tolist(), logits_MK.tolist(), strict=True):
        assert dict(zip(ids, values, strict=True)) == {key: float(round_down(np.float16(x))) for key, x in exact.items()}  # type: ignore[arg-type]
        assert sorted(zip(values, ids, strict=True), key=lambda pair: (-pair[0], pair[1])) == list(zip(values, ids, strict=True))
        assert sum(map(math.exp, values)) <= sum(map(math.exp, exact.values())) + 5 * 4e-7


def test_a_shard_in_steps_is_smaller(tmp_path: Path) -> None:
    sizes = {}
    for logits in ("float16", "8-bit"):
        identity = make_identity(logits=logits, top_k=8)
        table = make_table(identity, articles=200)
        file = Path(make_shard(str(tmp_path / logits), identity=identity, table=table))
        assert pq.read_table(file, partitioning=None).equals(table)
        sizes[logits] = file.stat().st_size / len(leaf(table["label_ids"])[0])
    assert sizes["8-bit"] < sizes["float16"] - 4  # bytes a masked position
