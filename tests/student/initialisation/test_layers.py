"""A teacher's layers in a student of other depth and vocabulary, parameter by parameter."""

from typing import Any

import pytest
import torch

from data.recipe import Student
from student.initialisation.layers import chosen_layer, copy_layers, vocabulary_parameters
from student.model import new_student
from vocab.errors import InputError
from vocab.roles import UNION_ROLES

ARCHITECTURES = ("bert", "roformer", "roberta", "distilbert", "electra", "albert", "deberta-v2", "xlm-roberta")


def small(layers: int, seed: int, *, architecture: str = "bert", vocab_size: int = 90, **options: Any) -> Any:
    shape = Student(architecture=architecture, **({"layers": layers, "hidden_size": 32, "heads": 4} | options))
    return new_student(shape, vocab_size=vocab_size, max_length=40, roles=UNION_ROLES, seed=seed)


def test_every_kth_layer_and_always_the_last() -> None:
    assert [chosen_layer(index, 12, 6) for index in range(6)] == [1, 3, 5, 7, 9, 11]
    assert [chosen_layer(index, 12, 12) for index in range(12)] == [*range(12)]
    assert [chosen_layer(index, 12, 1) for index in range(1)] == [11]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("layers", [2, 4])
def test_layers_are_the_teachers(architecture: str, layers: int) -> None:
    teacher, student = small(4, 1, architecture=architecture), small(layers, 2, architecture=architecture, vocab_size=70)
    before = {key: value.clone() for key, value in student.state_dict().items()}
    assert copy_layers(student, teacher, "t") == layers
    state = teacher.state_dict()
    for key, value in student.state_dict().items():
        if key in vocabulary_parameters(student):
            assert torch.equal(value, before[key]), key
            continue
        parts = key.split(".")
        numbers = [index for index, part in enumerate(parts) if part.isdigit()]
        if numbers and architecture != "albert":
            parts[numbers[0]] = str(chosen_layer(int(parts[numbers[0]]), 4, layers))
        assert torch.equal(value, state[".".join(parts)]), key


def test_the_same_outputs_with_the_teachers_vocabulary() -> None:
    teacher, student = small(3, 1).eval(), small(3, 2).eval()
    copy_layers(student, teacher, "t")
    with torch.no_grad():
        for key in vocabulary_parameters(student):
            student.state_dict()[key].copy_(teacher.state_dict()[key])
        ids_BT = torch.randint(5, 90, (3, 30))
        torch.testing.assert_close(student(ids_BT).logits, teacher(ids_BT).logits)


def test_tables_of_positions_may_differ() -> None:
    teacher, student = small(1, 1), small(1, 2)
    long = teacher.bert.embeddings.position_embeddings
    long.weight = torch.nn.Parameter(torch.randn(700, 32))
    copy_layers(student, teacher, "t")
    assert torch.equal(student.bert.embeddings.position_embeddings.weight, long.weight[:512])


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        ({"architecture": "roformer"}, "the architecture 'roformer', teacher 't' is a 'bert'"),
        ({"hidden_size": 64}, "found hidden_size 64, teacher 't' has 32"),
        ({"heads": 2}, "found num_attention_heads 2, teacher 't' has 4"),
        ({"intermediate_size": 99}, "found intermediate_size 99, teacher 't' has 128"),
        ({"layers": 3}, "found 3 layers, teacher 't' has 4; expected a number that divides it"),
        ({"layers": 8}, "found 8 layers, teacher 't' has 4"),
    ],
)
def test_other_shapes_are_refused(student: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        copy_layers(small(**({"layers": 4, "seed": 2} | student)), small(4, 1), "t")


def test_layers_of_several_kinds_keep_their_order() -> None:
    """ModernBERT's layers look at a part of the window or at all of it; every second one of them would be in the place of another."""
    teacher = small(6, 1, architecture="modernbert")
    copy_layers(small(6, 2, architecture="modernbert"), teacher, "t")
    with pytest.raises(InputError, match=r"student.initialise: (teacher 't' has layers of several kinds|.* has no place)"):
        copy_layers(small(2, 2, architecture="modernbert"), teacher, "t")
