"""A label depends on its window alone, for every masked-LM architecture of transformers; what cannot give that is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.examples import Example
from data.window_check import ModuleState, WindowsDiffer, check_windows, windows_for
from pipeline.teacher.labels import TopK
from pipeline.teacher.model import CheckedWindows, TeacherModel, load_masked_lm
from tests.support.architectures import architectures, save_masked_lm
from vocab.errors import InputError
from vocab.roles import UNION_ROLES
from vocab.union import TeacherMap

V, LONGEST, PAD = 200, 24, 0
USABLE = np.arange(V) > 4
EQUAL = {"big_bird", "convbert", "fnet", "funnel", "nystromformer", "yoso"}
REFUSED = {"perceiver"}  # it has 2,048 outputs, whatever it reads


def load(folder: Path) -> TeacherModel:
    ids = np.arange(V, dtype=np.uint32)
    teacher_map = TeacherMap(teacher="t", union_ids=ids, predictable=USABLE, real=USABLE, lengths=np.ones(V, np.int64), spelled=ids)
    check = CheckedWindows(windows=windows_for(UNION_ROLES, USABLE, LONGEST), pad=PAD)
    return TeacherModel(folder, "t", teacher_map, "float32", check=check)


def make_windows(count: int) -> list[Example]:
    draw, made = np.random.default_rng(0), []
    for index in range(count):
        length = int(draw.integers(3, LONGEST + 1)) if index % 3 else LONGEST
        ids = np.array([2, *draw.integers(5, V, length - 2), 3], dtype=np.uint32)
        masks = np.sort(draw.permutation(np.arange(1, length - 1))[:4]).astype(np.uint16)
        gold = ids[masks]
        ids[masks] = UNION_ROLES.mask
        made.append(Example(doc_id=str(index), window=0, input_ids=ids, mask_positions=masks, label_ids=gold))
    return made


def of_window_alone(folder: Path, example: Example) -> torch.Tensor:
    """Log-probabilities at the masked positions, by the plain model just after it was loaded."""
    ids_BT = torch.from_numpy(example.input_ids.astype(np.int64))[None]
    with torch.no_grad():
        logits_TV = load_masked_lm(folder, "t")(input_ids=ids_BT, attention_mask=torch.ones_like(ids_BT)).logits[0]
    logits_TV[:, ~USABLE] = -torch.inf
    return logits_TV[example.mask_positions.astype(np.int64)].log_softmax(-1)


def assert_labels_of_windows_alone(folder: Path, examples: list[Example], labels: TopK) -> None:
    wanted = torch.cat([of_window_alone(folder, example) for example in examples])
    gold = wanted.gather(1, torch.from_numpy(np.concatenate([example.label_ids for example in examples]).astype(np.int64))[:, None])
    topk = wanted.gather(1, torch.from_numpy(labels.ids_MK.astype(np.int64)))
    for found, exact in ((labels.gold_logits_M[:, None], gold), (labels.logits_MK, topk)):
        rounding = exact.abs().numpy() / 2048 + 1e-3  # float16
        assert np.all(np.abs(found.astype(np.float32) - exact.numpy()) <= rounding)


@pytest.mark.parametrize("kind", architectures())
def test_every_label_is_that_of_its_window_alone(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_masked_lm(kind, tmp_path, V, LONGEST)
    if kind in REFUSED:
        with pytest.raises(InputError, match=r"teacher 't' \(\w+ForMaskedLM\).*expected the logits of AutoModelForMaskedLM"):
            load(tmp_path)
        return
    teacher = load(tmp_path)
    assert (teacher.batches == "equal") == (kind in EQUAL)
    assert ("batches have windows of one length" in capsys.readouterr().err) == (kind in EQUAL)
    examples = make_windows(14)
    for _ in range(2):  # the second time in the state that the first has left
        assert_labels_of_windows_alone(tmp_path, examples, teacher.label(examples, PAD, 4, 100))


def test_a_head_of_another_size_is_refused(tmp_path: Path) -> None:
    save_masked_lm("bert", tmp_path, V + 8, LONGEST)
    with pytest.raises(InputError, match=r"208 logits for a position, config\.vocab_size is 200"):
        load(tmp_path)


def test_a_window_that_the_model_does_not_take_is_refused_before_the_first_unit(tmp_path: Path) -> None:
    save_masked_lm("mpnet", tmp_path, V, LONGEST - 12)  # eight positions more than that, two of them behind the padding row
    with pytest.raises(InputError, match=r"its forward pass of 1 windows of up to 24 tokens fails \(IndexError"):
        load(tmp_path)


class Moody(torch.nn.Module):
    """Says something else each time, or after its first short window, or about padding."""

    def __init__(self, mood: str):
        super().__init__()
        self.mood, self.calls, self.short = mood, 0, False
        self.weight = torch.randn(V, V, generator=torch.Generator().manual_seed(0))

    def forward(self, ids_BT: np.ndarray[Any, Any], _: object, places_M: np.ndarray[Any, Any]) -> Any:
        self.calls += 1
        self.short |= ids_BT.shape[1] < 10
        padding = (torch.from_numpy(ids_BT) == PAD).sum()
        shift: dict[str, Any] = {"random": torch.rand(()), "state": self.short, "padding": padding, "none": 0}
        return (self.weight[torch.from_numpy(ids_BT).flatten()[places_M]] * (1 + shift[self.mood])).numpy()


def verdict(mood: str, ours: str | None = None) -> Any:
    model = Moody(mood)
    other = Moody(ours) if ours else model
    return check_windows(
        model.forward, other.forward, windows_for(UNION_ROLES, USABLE, LONGEST), PAD, torch.nn.ModuleList([model, other])
    )


def test_what_the_check_finds() -> None:
    assert verdict("none").batches == "similar"
    assert "after a shorter window" in verdict("state").reason
    assert "with padding" in verdict("padding").reason
    with pytest.raises(WindowsDiffer, match="draws at random"):
        verdict("random")
    with pytest.raises(WindowsDiffer, match="in a batch of equal lengths"):
        verdict("none", ours="random")


@pytest.mark.parametrize("longest", [3, 4, 5, 16, 512])
def test_windows_fit_and_hold_masks(longest: int) -> None:
    windows = windows_for(UNION_ROLES, USABLE, longest)
    assert max(map(len, windows)) == longest
    assert all(len(window) >= 3 and window[0] == UNION_ROLES.cls and window[-1] == UNION_ROLES.sep for window in windows)
    assert all(UNION_ROLES.mask in window for window in windows)


def test_a_state_is_put_back() -> None:
    first, second = torch.nn.Linear(2, 2), torch.nn.Dropout(0.5)
    model = torch.nn.Sequential(first, second)
    state = ModuleState(model)
    model[0], second.p = torch.nn.Identity(), 0.1
    model.register_buffer("extra", torch.ones(1))
    state.restore()
    assert model[0] is first
    assert second.p == 0.5
    assert not hasattr(model, "extra")
