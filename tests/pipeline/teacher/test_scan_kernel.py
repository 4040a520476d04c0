"""The first pass as a Triton kernel, against float64 and against torch's operators. On CUDA where there is a card."""

import numpy as np
import pytest
import torch

from pipeline.teacher.scan_kernel import COUNTED, DROPPED, IGNORED, SHOWN, scan
from pipeline.teacher.topk import Remap
from tests.support.gpu import DEVICE
from vocab.union import TeacherMap

pytest.importorskip("triton")

BLOCK = 64
KINDS = (IGNORED, SHOWN, COUNTED, DROPPED)


def run_scan(
    logits_MV: torch.Tensor, kinds_V: torch.Tensor, *, drops: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(maxima [M, B], logsumexp [M], dropped [M]) of the kernel, in float64 on the CPU. Every place must be written."""
    M, V = logits_MV.shape
    maxima_MB = torch.full((M, -(-V // BLOCK)), torch.nan, device=DEVICE)
    lse_M, dropped_M = torch.full((2, M), torch.nan, device=DEVICE)
    scan(logits_MV, kinds_V.to(DEVICE), maxima_MB, lse_M, dropped_M, block=BLOCK, drops=drops)
    return maxima_MB.double().cpu(), lse_M.double().cpu(), dropped_M.double().cpu()


def kinds_of(V: int) -> torch.Tensor:
    kinds_V = torch.from_numpy(np.random.default_rng(V).choice(KINDS, V, p=[0.1, 0.7, 0.1, 0.1]).astype(np.int8))
    kinds_V[min(3, V - 1)] = SHOWN
    return kinds_V


def expected(logits_MV: torch.Tensor, kinds_V: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The definition, in float64."""
    exact_MV = logits_MV.double().cpu()
    counted_MV = exact_MV.masked_fill(kinds_V == IGNORED, -torch.inf)
    lse_M = counted_MV.logsumexp(1)
    shown_MV = torch.nn.functional.pad(
        exact_MV.masked_fill(kinds_V != SHOWN, -torch.inf), (0, -exact_MV.shape[1] % BLOCK), value=-torch.inf
    )
    dropped_M = (counted_MV - lse_M[:, None]).exp()[:, kinds_V == DROPPED].sum(1)
    return shown_MV.unflatten(1, (-1, BLOCK)).amax(2), lse_M, dropped_M


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("M", "V"), [(1, 5), (3, 64), (7, 4095), (5, 4096), (4, 4097), (2, 3 * 4096 + 65)])
def test_equals_the_definition(M: int, V: int, dtype: torch.dtype) -> None:
    torch.manual_seed(V)
    wide_MV = (4 * torch.randn(M, V + 11)).to(DEVICE, dtype)  # rows that are wider in memory
    kinds_V = kinds_of(V)
    for found, wanted in zip(run_scan(wide_MV[:, :V], kinds_V), expected(wide_MV[:, :V], kinds_V), strict=True):
        torch.testing.assert_close(found, wanted, rtol=2e-6, atol=2e-6)


def test_spans_without_a_logit_that_counts() -> None:
    """The first 4,096 rows are ignored, a later span is −inf, and the largest logit comes last."""
    logits_MV = torch.randn(3, 4 * 4096, device=DEVICE)
    kinds_V = torch.full((4 * 4096,), SHOWN, dtype=torch.int8)
    kinds_V[:4096] = IGNORED
    logits_MV[:, :4096] = torch.nan  # an ignored row can hold anything
    logits_MV[:, 8192:12288] = -torch.inf
    logits_MV[:, -1] = 80.0
    for found, wanted in zip(run_scan(logits_MV, kinds_V), expected(logits_MV, kinds_V), strict=True):
        torch.testing.assert_close(found, wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", [SHOWN, COUNTED, DROPPED])
def test_a_logit_that_is_not_finite_spoils_its_position_alone(kind: int, bad: float) -> None:
    logits_MV = torch.randn(3, 300, device=DEVICE)
    kinds_V = torch.full((300,), SHOWN, dtype=torch.int8)
    kinds_V[17] = kind
    logits_MV[1, 17] = bad
    assert torch.isnan(run_scan(logits_MV, kinds_V)[1]).tolist() == [False, True, False]


def test_no_position() -> None:
    assert [tuple(found.shape) for found in run_scan(torch.zeros(0, 200, device=DEVICE), kinds_of(200))] == [(0, 4), (0,), (0,)]


@pytest.mark.parametrize("dropping", [False, True])
@pytest.mark.parametrize("merging", [False, True])
@pytest.mark.parametrize("V", [90, 6001])
def test_labels_equal_those_of_torchs_operators(V: int, merging: bool, dropping: bool) -> None:
    """Equal ids and logits in float16, with many equal logits, rows that merge, and rows that are dropped."""
    torch.manual_seed(V)
    draw = np.random.default_rng(V)
    union_ids = draw.permutation(np.arange(5, 5 + V)).astype(np.uint32)
    predictable = draw.random(V) < 0.9
    real = predictable.copy()
    if merging:
        shared = np.flatnonzero(predictable)[:12]
        union_ids[shared[1::2]] = union_ids[shared[::2]]
        union_ids[shared[2]] = union_ids[shared[0]]
    if dropping:
        real |= draw.random(V) < 0.5
    table = TeacherMap(
        teacher="t", union_ids=union_ids, predictable=predictable, real=real, lengths=np.ones(V, np.int64), spelled=union_ids
    )
    logits_MV = (8 * torch.randn(40, V)).round() / 4
    logits_MV[3, :] = torch.nan
    gold_M = torch.from_numpy(draw.choice(np.flatnonzero(predictable), 40))
    plain = Remap(table, torch.device("cpu"), kernel=False)(logits_MV.clone(), gold_M, 8)
    fast = Remap(table, DEVICE, kernel=True)(logits_MV.to(DEVICE), gold_M.to(DEVICE), 8)
    fine = plain.finite_M
    assert np.array_equal(fast.finite_M, fine)
    assert fine.sum() == 39
    steps = np.float32(2.0**-10)  # float16 between 2 and 4; a last bit of the sum can fall on the other side
    for name in ("gold_logits_M", "logits_MK"):
        ours, theirs = (getattr(part, name)[fine].astype(np.float32) for part in (fast, plain))
        assert np.abs(ours - theirs).max() <= np.abs(theirs).max() * steps
    assert (fast.ids_MK == plain.ids_MK)[fine].mean() > 0.99  # two unequal logits can become equal in float16
    for name in ("dropped_M", "merged_M"):
        np.testing.assert_allclose(getattr(fast, name)[fine], getattr(plain, name)[fine], rtol=1e-4, atol=1e-6)
    assert (plain.dropped_M[fine].max() > 0.01) == dropping
