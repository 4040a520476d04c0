"""The chunked sparse loss against a dense float64 reference: values, gradients, tails, edges."""

import pytest
import torch
from torch import Tensor

from student.training.block_gradient import Tail, teacher_target
from student.training.loss import masked_loss
from tests.support.losses import dense_loss

M, H, V, K = 7, 6, 23, 4
TAILS = ("renormalise", "gold", "ghost")


def inputs(k: int = K, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    hidden_MH = torch.randn(M, H, dtype=dtype, requires_grad=True)
    weight_VH = torch.randn(V, H, dtype=dtype, requires_grad=True)
    bias_V = torch.randn(V, dtype=dtype, requires_grad=True)
    teacher_MV = torch.log_softmax(3 * torch.randn(M, V, dtype=torch.float64), 1)
    logits_MK, ids_MK = teacher_MV.topk(k)
    labels_M = torch.randint(V, (M,))
    labels_M[::2] = ids_MK[::2, 0]  # the gold id among the top k, and not
    return hidden_MH, weight_VH, bias_V, labels_M, ids_MK, logits_MK.to(dtype)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("k", [1, K])
@pytest.mark.parametrize("block", [V, 3 * V, 100 * V])
def test_loss_and_gradients_equal_the_dense_reference(tail: Tail, weight: float, k: int, block: int) -> None:
    arguments = inputs(k)
    expected = dense_loss(*arguments, weight, tail)
    expected_gradients = torch.autograd.grad(expected, arguments[:3])
    loss = masked_loss(*arguments, gold_weight=weight, tail=tail, block_logits=block)
    torch.testing.assert_close(loss.total, expected)
    for found, wanted in zip(torch.autograd.grad(loss.total, arguments[:3]), expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("tail", TAILS)
def test_gradcheck(tail: Tail) -> None:
    hidden_MH, weight_VH, bias_V, *labels = inputs()

    def total(h: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return masked_loss(h, w, b, *labels, gold_weight=0.4, tail=tail, block_logits=2 * V, scale=0.7, reusable=True).total

    assert torch.autograd.gradcheck(total, (hidden_MH, weight_VH, bias_V))


def test_gold_labels_alone_are_cross_entropy() -> None:
    hidden_MH, weight_VH, bias_V, labels_M, *_ = inputs()
    loss = masked_loss(hidden_MH, weight_VH, bias_V, labels_M, block_logits=2 * V)
    logits_MV = hidden_MH @ weight_VH.T + bias_V
    expected_M = torch.nn.functional.cross_entropy(logits_MV, labels_M, reduction="none")
    torch.testing.assert_close(loss.gold_M, expected_M.detach())
    torch.testing.assert_close(loss.total, expected_M.sum())
    assert loss.correct_M.tolist() == (logits_MV.argmax(1) == labels_M).tolist()
    found = torch.autograd.grad(loss.total, (hidden_MH, weight_VH, bias_V))
    for one, other in zip(found, torch.autograd.grad(expected_M.sum(), (hidden_MH, weight_VH, bias_V)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("tail", TAILS)
def test_metrics_of_each_row(tail: Tail) -> None:
    arguments = inputs()
    loss = masked_loss(*arguments, gold_weight=0.25, tail=tail)
    for row in range(M):
        one = [arguments[0][row : row + 1], *arguments[1:3], *(part[row : row + 1] for part in arguments[3:])]
        alone = masked_loss(*one, gold_weight=0.0, tail=tail)
        torch.testing.assert_close(loss.teacher_M[row], alone.total.detach())
    torch.testing.assert_close(loss.total.detach(), 0.25 * loss.gold_M.sum() + 0.75 * loss.teacher_M.sum())
    assert not loss.gold_M.requires_grad
    assert not loss.teacher_M.requires_grad


@pytest.mark.parametrize("tail", TAILS)
def test_probabilities_that_round_to_more_than_one(tail: Tail) -> None:
    logits_MK = torch.tensor([[-0.1, -2.2, -6.0]]).half().double() + 0.05
    assert logits_MK.exp().sum() > 1
    t_MK, rest_M = teacher_target(logits_MK, tail)
    assert rest_M.item() == 0.0
    assert t_MK.sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("tail", TAILS)
def test_target_sums_to_one(tail: Tail) -> None:
    t_MK, rest_M = teacher_target(inputs()[5].half().double(), tail)
    torch.testing.assert_close(t_MK.sum(1) + rest_M, torch.ones(M, dtype=torch.float64))


def test_ghost_keeps_its_digits_when_the_student_is_sure() -> None:
    hidden_MH = torch.tensor([[30.0]], requires_grad=True)
    weight_VH = torch.tensor([[1.0], [0.0], [-1.0]], requires_grad=True)
    labels_M, ids_MK, logits_MK = torch.tensor([0]), torch.tensor([[0]]), torch.tensor([[-0.1]])
    loss = masked_loss(hidden_MH, weight_VH, None, labels_M, ids_MK, logits_MK, gold_weight=0.0, tail="ghost")
    loss.total.backward()
    rest = 1 - torch.tensor(-0.1).exp().item()
    assert loss.total.item() == pytest.approx(rest * 30, rel=1e-4)  # 1 − P is about e⁻³⁰, which float32's 1 − P would make 0
    assert hidden_MH.grad is not None
    assert hidden_MH.grad.item() == pytest.approx(rest, rel=1e-3)


@pytest.mark.parametrize("tail", TAILS)
def test_extreme_logits_stay_finite(tail: Tail) -> None:
    hidden_MH, weight_VH, bias_V, *labels = inputs(dtype=torch.float32)
    loss = masked_loss((1000 * hidden_MH.detach()).requires_grad_(), weight_VH, bias_V, *labels, gold_weight=0.5, tail=tail)
    gradients = torch.autograd.grad(loss.total, (weight_VH, bias_V))
    assert all(torch.isfinite(part).all() for part in (loss.total, *gradients))


@pytest.mark.parametrize("tail", TAILS)
def test_autocast_multiplies_in_bfloat16_and_sums_in_float32(tail: Tail) -> None:
    arguments = inputs(dtype=torch.float32)
    exact = masked_loss(*arguments, gold_weight=0.5, tail=tail)
    exact_gradients = torch.autograd.grad(exact.total, arguments[:3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = masked_loss(*arguments, gold_weight=0.5, tail=tail, block_logits=2 * V)
    assert loss.total.dtype == torch.float32
    assert loss.total.item() != exact.total.item()
    assert loss.total.item() == pytest.approx(exact.total.item(), rel=2e-2)
    for found, wanted in zip(torch.autograd.grad(loss.total, arguments[:3]), exact_gradients, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted, atol=0.05, rtol=0.05)


def test_scale_and_the_incoming_gradient_multiply() -> None:
    arguments = inputs()
    plain = torch.autograd.grad(masked_loss(*arguments, gold_weight=0.5).total, arguments[:3])
    scaled = torch.autograd.grad(masked_loss(*arguments, gold_weight=0.5, scale=0.25).total * 3, arguments[:3])
    for one, other in zip(plain, scaled, strict=True):
        torch.testing.assert_close(one * 0.75, other)


def test_no_gradient_is_computed_where_none_is_wanted() -> None:
    hidden_MH, weight_VH, bias_V, labels_M, *_ = inputs()
    with torch.no_grad():
        loss = masked_loss(hidden_MH, weight_VH, bias_V, labels_M)
    assert not loss.total.requires_grad


def test_a_second_backward_is_refused() -> None:
    arguments = inputs()
    total = masked_loss(*arguments, gold_weight=0.5).total
    total.backward(retain_graph=True)
    with pytest.raises(AssertionError, match="second backward"):
        total.backward()
