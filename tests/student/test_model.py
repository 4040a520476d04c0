"""New students of several architectures, and the head at masks only, against the plain model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM

from data.recipe import Student
from student.model import count_parameters, new_student, student_config
from student.training.masked_head import MaskedLM, attention_mask, decoder, hidden_at_masks
from tests.support.architectures import architectures
from vocab.errors import InputError
from vocab.roles import UNION_ROLES

ARCHITECTURES = ("bert", "roformer", "roberta", "distilbert", "electra", "albert", "deberta-v2", "modernbert")


def small(architecture: str = "bert", **options: Any) -> Any:
    shape = {"layers": 2, "hidden_size": 32, "heads": 4, "dropout": 0.0} | options
    return new_student(Student(architecture=architecture, **shape), vocab_size=120, max_length=40, roles=UNION_ROLES, seed=3)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """input_ids_BT padded, lengths_B, places_M, labels_M."""
    torch.manual_seed(1)
    lengths_B = torch.tensor([40, 25, 7])
    ids_BT = torch.randint(5, 120, (3, 40)).where(attention_mask(lengths_B, 40).bool(), UNION_ROLES.pad)
    return ids_BT, lengths_B, torch.tensor([3, 38, 41, 60, 82]), torch.tensor([7, 100, 8, 9, 10])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_head_at_masks_equals_the_plain_model(architecture: str) -> None:
    model = small(architecture).eval()
    ids_BT, lengths_B, places_M, _ = batch()
    attention_BT = attention_mask(lengths_B, 40)
    plain_MV = model(input_ids=ids_BT, attention_mask=attention_BT).logits.flatten(0, 1)[places_M]
    hidden_MH = hidden_at_masks(model, ids_BT, attention_BT, places_M)
    linear = decoder(model)
    torch.testing.assert_close(torch.nn.functional.linear(hidden_MH, linear.weight, linear.bias), plain_MV, atol=1e-5, rtol=1e-5)
    again_MV = model(input_ids=ids_BT, attention_mask=attention_BT).logits.flatten(0, 1)[places_M]
    assert torch.equal(again_MV, plain_MV)  # no hook stays behind


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_equal_those_of_the_plain_model(architecture: str) -> None:
    ids_BT, lengths_B, places_M, labels_M = batch()
    plain = small(architecture)
    logits_MV = plain(input_ids=ids_BT, attention_mask=attention_mask(lengths_B, 40)).logits.flatten(0, 1)[places_M]
    torch.nn.functional.cross_entropy(logits_MV, labels_M, reduction="sum").backward()
    ours = small(architecture)
    total, *_ = MaskedLM(ours, "renormalise")(ids_BT, lengths_B, places_M, labels_M, None, None, 1.0, 1.0)
    total.backward()
    for (name, wanted), (_, found) in zip(plain.named_parameters(), ours.named_parameters(), strict=True):
        zero = torch.zeros_like(wanted)
        left, right = (zero if part.grad is None else part.grad for part in (found, wanted))
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")  # type: ignore[misc]


def test_tied_weights_get_both_gradients_and_stay_tied(tmp_path: Path) -> None:
    model = small("bert")
    embeddings = model.get_input_embeddings().weight
    assert decoder(model).weight is embeddings
    ids_BT, lengths_B, places_M, labels_M = batch()
    MaskedLM(model, "renormalise")(ids_BT, lengths_B, places_M, labels_M, None, None, 1.0, 1.0)[0].backward()
    absent = next(token for token in range(5, 120) if token not in ids_BT and token not in labels_M)
    assert embeddings.grad[absent].abs().sum() > 0  # type: ignore[index]  # only the output side reaches it
    model.save_pretrained(tmp_path)
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sizes_are_set_whatever_the_architecture_calls_them(architecture: str) -> None:
    config = small(architecture, intermediate_size=48).config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.vocab_size) == (32, 2, 4, 120)
    assert config.pad_token_id == UNION_ROLES.pad
    assert 48 in (getattr(config, "intermediate_size", None), getattr(config, "hidden_dim", None))


def test_bert_base_is_the_default_shape() -> None:
    config = student_config(Student(), vocab_size=1000, max_length=128, roles=UNION_ROLES)
    assert (config.model_type, config.hidden_size, config.intermediate_size, config.max_position_embeddings) == (
        "bert",
        768,
        3072,
        512,
    )
    assert student_config(Student(), vocab_size=1000, max_length=600, roles=UNION_ROLES).max_position_embeddings == 600


def test_roberta_has_room_for_its_padding_offset() -> None:
    model = new_student(
        Student(architecture="roberta", layers=1, hidden_size=8, heads=1), vocab_size=50, max_length=600, roles=UNION_ROLES, seed=0
    )
    assert model.config.max_position_embeddings == 601
    ids_BT = torch.full((1, 600), 7)
    assert hidden_at_masks(model, ids_BT, torch.ones_like(ids_BT), torch.tensor([599])).shape == (1, 8)


def test_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    first = small()
    assert torch.equal(torch.get_rng_state(), before)
    second = small()
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))
    assert count_parameters(first) == sum(parameter.numel() for parameter in first.parameters())


@pytest.mark.parametrize(
    ("architecture", "message"), [("bret", "bert"), ("gpt2", "expected a masked LM"), ("bart", "encoder-decoder")]
)
def test_unknown_architectures_are_refused_with_near_names(architecture: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(architecture)


SEES_PADDING = {"convbert", "nystromformer", "yoso"}
OTHER_SHAPE = {"bart", "flaubert", "fnet", "funnel", "mbart", "mobilebert", "mvp", "perceiver", "reformer", "xlm", "xmod"}


@pytest.mark.parametrize("architecture", architectures())
def test_every_architecture_is_right_or_refused(architecture: str) -> None:
    """A student of any architecture gives the plain model's logits for each window, however it is padded (see `data.window_check`)."""
    if architecture in SEES_PADDING:
        with pytest.raises(InputError, match=f"'{architecture}': the logits of a window with padding differ by .* nats"):
            small(architecture)
    elif architecture in OTHER_SHAPE:
        with pytest.raises(InputError, match=r"expected|choose another architecture|fails"):
            small(architecture)
    else:
        model = small(architecture)
        linear = decoder(model)
        ids_BT = torch.randint(5, model.config.vocab_size, (3, 12))
        ids_BT[1, 5:] = 0
        mask_BT = (torch.arange(12) < torch.tensor([12, 5, 12])[:, None]).long()
        model.eval()
        with torch.no_grad():
            hidden_MH = hidden_at_masks(model, ids_BT, mask_BT, torch.tensor([14, 15]))
            alone_MV = model(input_ids=ids_BT[1:2, :5], attention_mask=mask_BT[1:2, :5]).logits[0, 2:4]
        torch.testing.assert_close(
            torch.nn.functional.linear(hidden_MH, linear.weight, linear.bias), alone_MV, rtol=1e-3, atol=1e-4
        )
