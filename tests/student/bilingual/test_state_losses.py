"""L_hid and L_attn against plain loops in float64; what padding changes (nothing); the layers that are compared."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, BertConfig, DistilBertConfig, FNetConfig, FunnelConfig, RoFormerConfig

from student.bilingual.shallow import shallow_student
from student.bilingual.state_losses import States, Totals, check_states, state_losses
from student.bilingual.teacher import states_of
from vocab.errors import InputError

LENGTHS = (7, 4, 1)


def states(layers: int, *, seed: int, width: int = 6, heads: int = 2) -> States:
    generator = torch.Generator().manual_seed(seed)
    size = max(LENGTHS)
    return States(
        hidden=[torch.randn(len(LENGTHS), size, width, generator=generator) for _ in range(layers + 1)],
        attention=[torch.rand(len(LENGTHS), heads, size, size, generator=generator).softmax(-1) for _ in range(layers)],
    )


def by_loops(student: States, teacher: States) -> tuple[float, float]:
    """Every entry of tokens, one by one, in float64."""
    layers, factor = len(student.attention), len(teacher.attention) // len(student.attention)
    hidden = attention = 0.0
    for index in range(layers + 1):
        squares = [
            (float(student.hidden[index][b, t, h]) - float(teacher.hidden[index * factor][b, t, h])) ** 2
            for b, length in enumerate(LENGTHS)
            for t in range(length)
            for h in range(student.hidden[index].shape[2])
        ]
        hidden += sum(squares) / len(squares) / (layers + 1)
    for index in range(layers):
        squares = [
            (float(student.attention[index][b, a, t, u]) - float(teacher.attention[(index + 1) * factor - 1][b, a, t, u])) ** 2
            for b, length in enumerate(LENGTHS)
            for a in range(student.attention[index].shape[1])
            for t in range(length)
            for u in range(length)
        ]
        attention += sum(squares) / len(squares) / layers
    return hidden, attention


def mask() -> torch.Tensor:
    return (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_losses_are_those_of_plain_loops(factor: int) -> None:
    student, teacher = states(2, seed=0), states(2 * factor, seed=1)
    found = state_losses(student, teacher, mask())
    assert [float(one) for one in found] == pytest.approx(by_loops(student, teacher), rel=1e-5)


def test_parts_of_a_batch_sum_to_its_losses() -> None:
    student, teacher = states(2, seed=0), states(4, seed=1)
    whole = state_losses(student, teacher, mask())
    total = Totals.of(LENGTHS)
    parts = []
    for row in range(len(LENGTHS)):
        own, taught = (
            States(hidden=[one[row : row + 1] for one in found.hidden], attention=[one[row : row + 1] for one in found.attention])
            for found in (student, teacher)
        )
        parts.append(state_losses(own, taught, mask()[row : row + 1], total))
    sums = [float(sum(part[side] for part in parts)) for side in (0, 1)]
    assert sums == pytest.approx([float(one) for one in whole], rel=1e-6)


SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_hidden_layers": 6,
}


def model(config: Any) -> Any:
    torch.manual_seed(3)
    return AutoModelForMaskedLM.from_config(config, attn_implementation="eager").eval()


@pytest.mark.parametrize("kind", ["bert", "roformer", "distilbert"])
def test_padding_changes_neither_loss_nor_gradient(kind: str) -> None:
    configs = {
        "bert": BertConfig(**SIZES),
        "roformer": RoFormerConfig(**SIZES),
        "distilbert": DistilBertConfig(vocab_size=40, dim=16, n_heads=2, hidden_dim=24, n_layers=6),
    }
    teacher = model(configs[kind])
    student = shallow_student(teacher, 3).eval()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    ids = torch.randint(5, 40, (2, 6), generator=torch.Generator().manual_seed(0))
    found = []
    for padding in (0, 5):
        padded = torch.nn.functional.pad(ids, (0, padding), value=1)
        seen = torch.nn.functional.pad(torch.ones_like(ids), (0, padding))
        student.zero_grad()
        with torch.no_grad():
            taught = states_of(teacher, padded, seen)
        hidden, attention = state_losses(states_of(student, padded, seen), taught, seen)
        (hidden + attention).backward()
        gradient = torch.cat([p.grad.flatten() for p in student.base_model.parameters() if p.grad is not None])
        found.append((float(hidden.detach()), float(attention.detach()), gradient))
    assert found[0][:2] == pytest.approx(found[1][:2], rel=1e-5)
    assert torch.allclose(found[0][2], found[1][2], atol=1e-6)
    assert found[0][2].abs().max() > 1e-4


@pytest.mark.parametrize(("choice", "layers"), [("regular", [2, 5]), ("bottom", [0, 1])])
def test_the_student_begins_as_the_teacher_with_fewer_layers(choice: Any, layers: list[int]) -> None:
    teacher = model(BertConfig(**SIZES, hidden_dropout_prob=0.3))
    student = shallow_student(teacher, 3, choice)
    assert student.config.num_hidden_layers == 2
    assert student.config.hidden_dropout_prob == student.config.attention_probs_dropout_prob == 0
    for own, source in enumerate(layers):
        pairs = zip(student.bert.encoder.layer[own].parameters(), teacher.bert.encoder.layer[source].parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
    assert torch.equal(student.bert.embeddings.word_embeddings.weight, teacher.bert.embeddings.word_embeddings.weight)
    assert torch.equal(student.cls.predictions.transform.dense.weight, teacher.cls.predictions.transform.dense.weight)
    assert torch.equal(student.cls.predictions.bias, teacher.cls.predictions.bias)
    assert student.cls.predictions.decoder.weight is student.bert.embeddings.word_embeddings.weight


def test_a_student_of_the_same_depth_has_no_loss() -> None:
    teacher = model(BertConfig(**SIZES))
    student = shallow_student(teacher, 1).eval()
    ids = torch.randint(5, 40, (2, 6))
    seen = torch.ones_like(ids)
    with torch.no_grad():
        losses = state_losses(states_of(student, ids, seen), states_of(teacher, ids, seen), seen)
    assert [float(one) for one in losses] == [0.0, 0.0]


def test_a_reduction_that_does_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match=r"student.reduction: found 4; the teacher has 6 layers: .*1, 2, 3, 6"):
        shallow_student(model(BertConfig(**SIZES)), 4)


def test_models_without_attention_maps_are_refused_by_name() -> None:
    fnet = model(
        FNetConfig(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, use_tpu_fourier_optimizations=False)
    )
    funnel = model(FunnelConfig(vocab_size=40, d_model=16, n_head=2, d_head=8, d_inner=24, block_sizes=[1, 1]))
    for wrong, name in ((fnet, "fnet"), (funnel, "funnel")):
        with pytest.raises(InputError, match=f"the model: {name} gives .*expected hidden states and attention maps"):
            check_states(wrong, torch.full((2, 9), 7), "the model")
    check_states(model(BertConfig(**SIZES)), torch.full((2, 9), 7), "the model")
