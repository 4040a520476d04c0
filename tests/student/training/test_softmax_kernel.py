"""The loss by the Triton kernel against the definition in float64: sizes, tails, edges. On CUDA where there is a card."""

from typing import Any

import pytest
import torch

from student.training.block_gradient import Tail
from student.training.loss import masked_loss
from tests.support.gpu import DEVICE
from tests.support.losses import dense_loss

pytest.importorskip("triton")

H = 24
TAILS: tuple[Tail, ...] = ("renormalise", "gold", "ghost")


def inputs(m: int, v: int, k: int) -> list[Any]:
    """hidden, weight, bias, gold ids, teacher's ids and normalised logits, on the device."""
    torch.manual_seed(m * v + k)
    hidden_MH, weight_VH, bias_V = torch.randn(m, H), torch.randn(v, H) / 2, torch.randn(v)
    logits_MK, ids_MK = torch.log_softmax(3 * torch.randn(m, v, dtype=torch.float64), 1).topk(k)
    labels_M = torch.randint(v, (m,))
    labels_M[::2] = ids_MK[::2, -1]  # the gold id among the top k, and not
    learned = [part.to(DEVICE).requires_grad_() for part in (hidden_MH, weight_VH, bias_V)]
    return [*learned, labels_M.to(DEVICE), ids_MK.to(DEVICE), logits_MK.to(DEVICE, torch.float32)]


def check(arguments: list[Any], weight: float, tail: Tail, block: int | None = None, tolerance: float = 1e-5) -> None:
    """Loss and gradients as the definition has them, each relative to its norm."""
    exact: list[Any] = [part.detach().double().cpu().requires_grad_() for part in arguments[:3]]
    others = [part.cpu() for part in arguments[3:]]
    expected = dense_loss(exact[0], exact[1], exact[2], others[0], others[1], others[2].double(), weight, tail)
    loss = masked_loss(*arguments, gold_weight=weight, tail=tail, block_logits=block, kernel=True)
    assert loss.total.item() == pytest.approx(expected.item(), rel=tolerance)
    for found, wanted in zip(torch.autograd.grad(loss.total, arguments[:3]), torch.autograd.grad(expected, exact), strict=True):
        assert (found.double().cpu() - wanted).norm() <= tolerance * wanted.norm()
    logits_MV = exact[0] @ exact[1].T + exact[2]
    assert loss.correct_M.tolist() == (logits_MV.argmax(1) == others[0]).tolist()


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("m", "v", "k", "block"),
    [
        (1, 5, 4, None),  # one position, fewer logits than a span
        (7, 4096, 8, 3 * 4096),  # exactly a span, blocks of three positions and one
        (5, 4096 + 37, 1, None),  # an odd vocabulary, longer than a span
        (3, 3 * 4096 - 1, 50, None),
    ],
)
def test_equals_the_definition(m: int, v: int, k: int, block: int | None, weight: float, tail: Tail) -> None:
    check(inputs(m, v, k), weight, tail, block)


@pytest.mark.parametrize("tail", TAILS)
def test_no_position_gives_a_loss_of_zero(tail: Tail) -> None:
    hidden_MH, *others = inputs(2, 30, 4)
    arguments = [hidden_MH[:0], *others[:2], *(part[:0] for part in others[2:])]
    loss = masked_loss(*arguments, gold_weight=0.5, tail=tail, kernel=True)
    assert loss.total.item() == 0.0


@pytest.mark.parametrize("tail", TAILS)
def test_logits_of_minus_infinity_take_no_part(tail: Tail) -> None:
    arguments = inputs(5, 4500, 4)
    never = torch.ones(4500, dtype=torch.bool)
    never[arguments[3].cpu()] = never[arguments[4].cpu().flatten()] = False
    never[4200:] = False  # a whole span, and a part of the next
    with torch.no_grad():
        arguments[2][never.to(DEVICE)] = -torch.inf
    check(arguments, 0.4, tail)


def test_ghost_when_the_student_is_sure_of_the_top_k() -> None:
    """1 − P is about e⁻³⁰, which float32's 1 − P would make 0; and nothing is left at e⁻²⁰⁰."""
    for sure in (30.0, 200.0):
        arguments = inputs(4, 4100, 4)
        with torch.no_grad():
            arguments[0].zero_()
            arguments[2].zero_()[arguments[4][0]] = sure
            arguments[4][:] = arguments[4][0]
        check(arguments, 0.25, "ghost", tolerance=1e-4)


def test_a_sampled_target() -> None:
    """Counts of draws: not in order, equal ones, and unused places with no mass."""
    arguments = inputs(6, 5000, 8)
    counts_MK = torch.tensor([2.0, 5, 2, 0, 1, 0, 3, 1], device=DEVICE).expand(6, -1)
    arguments[5] = (counts_MK / counts_MK.sum(1, keepdim=True)).log()
    assert torch.isinf(arguments[5]).any()
    for weight in (0.0, 0.5):
        check(arguments, weight, "renormalise")


@pytest.mark.parametrize("tail", TAILS)
def test_bfloat16_products_lose_bfloat16s_digits_and_no_more(tail: Tail) -> None:
    arguments = inputs(9, 4133, 8)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        check_close(arguments, tail, kernel=True)
        check_close(arguments, tail, kernel=False)


def check_close(arguments: list[Any], tail: Tail, *, kernel: bool) -> None:
    with torch.autocast(DEVICE.type, enabled=False):
        exact = masked_loss(*arguments, gold_weight=0.5, tail=tail, kernel=False)
        wanted = torch.autograd.grad(exact.total, arguments[:3])
    loss = masked_loss(*arguments, gold_weight=0.5, tail=tail, block_logits=4 * 4133, kernel=kernel)
    assert loss.total.item() == pytest.approx(exact.total.item(), rel=1e-2)
    for one, other in zip(torch.autograd.grad(loss.total, arguments[:3]), wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 1.5e-2 * other.norm()


def test_of_equal_logits_the_first_is_the_models_answer() -> None:
    arguments = inputs(4, 4100, 4)
    with torch.no_grad():
        arguments[1].zero_()
        arguments[2].zero_()
    arguments[3] = torch.tensor([0, 1, 4099, 0], device=DEVICE)
    for tail in TAILS:
        assert masked_loss(*arguments, gold_weight=0.5, tail=tail, kernel=True).correct_M.tolist() == [True, False, False, True]


def test_a_logit_that_is_not_a_number_makes_the_loss_not_a_number() -> None:
    for tail in TAILS:
        arguments = inputs(3, 50, 4)
        with torch.no_grad():
            arguments[2][7] = torch.nan
        assert torch.isnan(masked_loss(*arguments, gold_weight=0.5, tail=tail, kernel=True).total)
