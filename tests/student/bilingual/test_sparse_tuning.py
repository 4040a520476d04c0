"""LT-SFT: the mask against a sort over all parameters, the rewinding, and what stays as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sparse_file import SparseFile
from data.sparse_header import SparseHeader
from student.bilingual.sparse_model import add_sparse, head_names, load_head, sparse_names
from student.bilingual.sparse_tuning import Hook, SparseTuned, largest_differences, sparse_tune
from student.tasks.models import new_model
from student.tasks.tagging import PartOfSpeechTask
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces
from vocab.errors import InputError

LABELS = ("A", "B")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("models") / "de", [*SPECIAL, *word_pieces(TEXTS["de"])])


def by_sorting(differences: dict[str, torch.Tensor], k: int) -> dict[str, torch.Tensor]:
    """The mask of the k largest sizes by a stable sort over all entries: of equal ones the first."""
    sizes = np.concatenate([one.abs().numpy().ravel() for one in differences.values()])
    flat = np.zeros(len(sizes), dtype=bool)
    flat[np.argsort(-sizes, kind="stable")[:k]] = True
    ends = np.cumsum([one.numel() for one in differences.values()])
    parts = zip(differences.items(), np.split(flat, ends[:-1]), strict=True)
    return {name: torch.from_numpy(part).view(one.shape) for (name, one), part in parts}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_mask_is_that_of_a_sort(data: st.DataObject) -> None:
    number = st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, 3e38]), st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
    sizes = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    differences = {
        str(place): torch.tensor(data.draw(st.lists(number, min_size=size, max_size=size)), dtype=torch.float32)
        for place, size in enumerate(sizes)
    }
    k = data.draw(st.integers(1, sum(sizes)))
    found, expected = largest_differences(differences, k), by_sorting(differences, k)
    assert sum(int(mask.sum()) for mask in found.values()) == k
    assert all(torch.equal(found[name], expected[name]) for name in differences)


def test_the_mask_of_many_parameters() -> None:
    generator = torch.Generator().manual_seed(0)
    differences = {
        name: torch.randn(size, generator=generator) for name, size in (("a", (300, 70)), ("b", (41,)), ("c", (8, 9, 10)))
    }
    differences["a"][100:] = 0.0  # rows of pieces that no text had
    for k in (1, 500, 7800, 20_000):
        found, expected = largest_differences(differences, k), by_sorting(differences, k)
        assert sum(int(mask.sum()) for mask in found.values()) == k
        assert all(torch.equal(found[name], expected[name]) for name in differences)


def steps(model: Any, hook: Hook, count: int = 3) -> int:
    """Some steps of AdamW on random inputs, always the same ones."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0.0)
    model.eval()  # without dropout
    for _ in range(count):
        ids = torch.randint(5, 20, (4, 9), generator=generator)
        model(input_ids=ids, labels=ids % 2).loss.backward()
        hook()
        optimizer.step()
        optimizer.zero_grad()
    return count


def tuned(
    folder: Path, share: float = 0.05, **options: Any
) -> tuple[Any, dict[str, torch.Tensor], SparseTuned[int], dict[str, Any]]:
    """The trained model, its sparse parameters before, the result, and what both phases began and ended with."""
    model = new_model(folder, PartOfSpeechTask(), LABELS, 16, 0)
    with torch.no_grad():
        next(iter(sparse_names(model).values()))[0, 0] = -0.0
    before = {name: parameter.detach().clone() for name, parameter in sparse_names(model).items()}
    seen: dict[str, Any] = {}

    def train(phase: str, hook: Hook) -> int:
        seen[f"{phase} begins"] = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        done = steps(model, hook)
        seen[f"{phase} ends"] = {name: parameter.detach().clone() for name, parameter in sparse_names(model).items()}
        return done

    return model, before, sparse_tune(model, share, train, **options), seen


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().view(torch.int32)


def test_both_phases_begin_with_the_same_weights_and_the_same_head(folder: Path) -> None:
    _, _, _, seen = tuned(folder)
    first, second = seen["full begins"], seen["sparse begins"]
    assert first.keys() == second.keys()
    assert all(torch.equal(bits(first[name]), bits(second[name])) for name in first)


@pytest.mark.parametrize("freeze_norms", [True, False])
def test_outside_of_the_mask_every_bit_stays(folder: Path, freeze_norms: bool) -> None:
    model, before, found, seen = tuned(folder, freeze_norms=freeze_norms)
    chosen = {name for name, p in sparse_names(model).items() if p.requires_grad}
    assert ({name for name in before if "LayerNorm" in name} <= chosen) == (not freeze_norms)
    assert found.parameters == sum(before[name].numel() for name in chosen)
    assert found.k == int(0.05 * found.parameters)
    mask = by_sorting({name: seen["full ends"][name] - before[name] for name in before if name in chosen}, found.k)
    changed = 0
    for name, parameter in sparse_names(model).items():
        same = bits(parameter) == bits(before[name])
        outside = ~mask[name] if name in mask else torch.ones_like(same)
        assert bool(same[outside].all()), name
        changed += int((~same).sum())
    assert 0.9 * found.k < changed <= found.k
    assert sum(map(len, found.indices.values())) <= found.k


def test_the_file_gives_the_trained_model_to_the_last_bit(folder: Path) -> None:
    model, _, found, _ = tuned(folder)
    header = SparseHeader(
        kind="task", base="b", base_weights="w", base_tokenizer="t", k=found.k, parameters=found.parameters, eps=1e-7, head="x"
    )
    content = SparseFile(header=header, indices=found.indices, values=found.values, shapes=found.shapes, dense=found.dense)
    other = new_model(folder, PartOfSpeechTask(), LABELS, 16, 5)  # another head
    with torch.no_grad():
        next(iter(sparse_names(other).values()))[0, 0] = -0.0
    add_sparse(other, content)
    load_head(other, content)
    for mine, theirs in ((sparse_names(model), sparse_names(other)), (head_names(model), head_names(other))):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_l1_pulls_towards_the_beginning(folder: Path) -> None:
    with_penalty, without = (tuned(folder, l1=strength)[3]["full ends"] for strength in (3e5, 0.0))
    begin = tuned(folder)[1]
    moved = [sum(float((end[name] - begin[name]).abs().sum()) for name in begin) for end in (with_penalty, without)]
    assert moved[0] < 0.9 * moved[1]


@pytest.mark.parametrize("share", [1e-9, 1.0])
def test_a_share_of_no_parameter_or_of_all_is_refused(folder: Path, share: float) -> None:
    with pytest.raises(InputError, match=r"--sparse .*: leaves .* of .* parameters; expected"):
        tuned(folder, share)
