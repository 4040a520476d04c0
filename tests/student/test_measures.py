"""The divergence from a teacher, against dense distributions in float64."""

import numpy as np
import pytest
import torch

from student.measures import BINS, POSITIONS, SUMS, calibration_error, confidence_bins, divergence

V, K = 50, 4


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_divergence_against_dense_float64(scale: float) -> None:
    rng = np.random.default_rng(3)
    teacher_mV = np.exp(rng.normal(0, scale, (30, V)))
    teacher_mV /= teacher_mV.sum(1, keepdims=True)
    z_mV = rng.normal(0, scale, (30, V))
    ids_mK = np.argsort(-teacher_mV, axis=1)[:, :K]
    kl_m, mass_m, teacher_mass_m = divergence(
        torch.tensor(z_mV, dtype=torch.float32),
        torch.tensor(ids_mK),
        torch.tensor(np.log(np.take_along_axis(teacher_mV, ids_mK, 1)), dtype=torch.float32),
    )
    student_mV = np.exp(z_mV - z_mV.max(1, keepdims=True))
    student_mV /= student_mV.sum(1, keepdims=True)
    for row in range(30):
        t = np.append(teacher_mV[row, ids_mK[row]], np.delete(teacher_mV[row], ids_mK[row]).sum())
        p = np.append(student_mV[row, ids_mK[row]], np.delete(student_mV[row], ids_mK[row]).sum())
        assert kl_m[row] == pytest.approx(np.sum(t * np.log(t / p)), rel=1e-4, abs=1e-5)
        assert mass_m[row] == pytest.approx(p[:K].sum(), rel=1e-5)
        assert teacher_mass_m[row] == pytest.approx(t[:K].sum(), rel=1e-5)


def test_a_student_equal_to_its_teacher() -> None:
    z_mV = torch.randn(5, V, generator=torch.Generator().manual_seed(0))
    logits_mV = z_mV.log_softmax(1)
    top = logits_mV.topk(K)
    kl_m, mass_m, teacher_mass_m = divergence(z_mV, top.indices, top.values)
    torch.testing.assert_close(kl_m, torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(mass_m, teacher_mass_m)


def test_a_teacher_that_is_sure_of_what_the_student_thinks_impossible() -> None:
    """A finite number, where a mass of 0 or 1 in float32 would make it infinite or no number."""
    z_mV = torch.zeros(1, V)
    z_mV[0, 0] = 200.0
    kl_m, *_ = divergence(z_mV, torch.tensor([[1, 2, 3, 4]]), torch.log(torch.tensor([[1.0, 1e-9, 1e-9, 1e-9]])))
    assert kl_m.item() == pytest.approx(200.0, rel=1e-3)
    kl_m, *_ = divergence(z_mV, torch.tensor([[0, 2, 3, 4]]), torch.log(torch.tensor([[0.5, 1e-9, 1e-9, 1e-9]])))
    assert kl_m.item() == pytest.approx(0.5 * (200.0 - np.log(V - 4)) + np.log(0.5), rel=1e-3)


def test_calibration_error_against_a_loop_over_positions() -> None:
    rng = np.random.default_rng(5)
    confidence = np.append(rng.random(500), [0.0, 1.0, 1.0])  # the edges too
    right = rng.random(len(confidence)) < confidence**2
    sums = np.zeros(SUMS)
    for part in (slice(0, 200), slice(200, None)):  # bins of two batches add up
        sums[POSITIONS] += len(confidence[part])
        sums[8:] += confidence_bins(torch.tensor(confidence[part]), torch.tensor(right[part]))
    expected = 0.0
    for place in range(BINS):
        inside = [at for at, value in enumerate(confidence) if min(int(value * BINS), BINS - 1) == place]
        if inside:
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += len(inside) / len(confidence) * gap
    assert calibration_error(sums) == pytest.approx(expected, rel=1e-9)
    assert calibration_error(np.zeros(SUMS)) == 0.0
