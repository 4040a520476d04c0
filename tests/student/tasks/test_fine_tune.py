"""Fine-tuning: equal updates however a batch is split, the schedule, the best weights, and what is refused."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from student.tasks.fine_tune import _backward, _batches, _linear, answers, fine_tune
from student.tasks.models import new_model
from student.tasks.pairing import PairTask
from student.tasks.questioning import QuestionTask
from student.tasks.tagging import PartOfSpeechTask
from student.tasks.task import Example, FineTuning, Task
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces
from vocab.errors import InputError
from vocab.roles import UNION_ROLES

LABELS = ("A", "B")
TUNING = FineTuning(learning_rate=1e-3, epochs=2.0, batch_size=4, micro_batch=4, max_length=16, keep="last")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("models") / "de", [*SPECIAL, *word_pieces(TEXTS["de"])])


def tags(count: int) -> list[Example]:
    """The tag of a place follows from its id."""
    found = []
    for number in range(count):
        ids = tuple(5 + (number * 7 + place) % 20 for place in range(3 + number % 5))
        target = tuple(-100 if place % 3 == 2 else token % 2 for place, token in enumerate(ids))
        found.append(Example(input_ids=(2, *ids, 3), second=len(ids) + 2, target=(-100, *target, -100)))
    return found


def trained(
    folder: Path, task: Task, examples: Sequence[Example], tuning: FineTuning, *, seed: int = 0, dropout: bool = False, **kw: Any
) -> Any:
    model = new_model(folder, task, LABELS if task.name != "qa" else (), 16, seed)
    if not dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    options = {"precision": "float32", "dev": None, "what": "test"} | kw
    return model, fine_tune(model, task, examples, tuning, UNION_ROLES, seed=seed, **options)


def weights(model: Any) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("micro", [1, 3])
def test_micro_batches_give_the_gradient_of_the_whole_batch(folder: Path, micro: int) -> None:
    task, found = PartOfSpeechTask(), []
    for size in (11, micro):
        model = new_model(folder, task, LABELS, 16, 0).eval()  # without dropout
        loss = _backward(model, task, tags(11), replace(TUNING, micro_batch=size), UNION_ROLES, "float32")
        found.append((loss, torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)
    assert found[0][1].abs().max() > 1e-3


def test_a_seed_gives_the_same_weights_and_another_one_others(folder: Path) -> None:
    one, other, third = (trained(folder, PartOfSpeechTask(), tags(9), TUNING, seed=seed, dropout=True)[0] for seed in (3, 3, 4))
    assert torch.equal(weights(one), weights(other))
    assert not torch.equal(weights(one), weights(third))


def test_it_learns_tags(folder: Path) -> None:
    examples = tags(60)
    model, tuned = trained(folder, PartOfSpeechTask(), examples, replace(TUNING, epochs=20.0))
    said = answers(model, PartOfSpeechTask(), examples, UNION_ROLES, "float32")
    gold = np.concatenate([example.target for example in examples])
    right = (np.concatenate(said) == gold)[gold >= 0]
    assert right.mean() > 0.95
    assert tuned.steps == 300
    assert tuned.loss < 0.3


def test_it_learns_pairs_and_spans(folder: Path) -> None:
    pairs = [Example(input_ids=(2, 5 + n % 2, 7 + n % 5, 3, 9, 3), second=4, target=(n % 2,)) for n in range(40)]
    model, _ = trained(folder, PairTask("pawsx"), pairs, replace(TUNING, epochs=20.0))
    assert answers(model, PairTask("pawsx"), pairs, UNION_ROLES, "float32") == [n % 2 for n in range(40)]
    marked = [tuple(11 if place == n % 4 else 12 for place in range(4)) for n in range(40)]
    spans = [Example(input_ids=(2, 9, 3, *ids, 3), second=3, target=(3 + ids.index(11),) * 2) for ids in marked]
    model, _ = trained(folder, QuestionTask(), spans, replace(TUNING, epochs=20.0))
    said = answers(model, QuestionTask(), spans, UNION_ROLES, "float32")
    assert [(int(first.argmax()), int(last.argmax())) for first, last in said] == [example.target for example in spans]


def test_answers_do_not_depend_on_the_others_of_a_batch(folder: Path) -> None:
    model = new_model(folder, QuestionTask(), (), 16, 0)
    examples = [Example(input_ids=(2, *range(5, 5 + size), 3), second=2, target=(0, 0)) for size in (9, 2, 5, 1)]
    together = answers(model, QuestionTask(), examples, UNION_ROLES, "float32")
    for example, (first, _) in zip(examples, together, strict=True):
        ((alone, _),) = answers(model, QuestionTask(), [example], UNION_ROLES, "float32")
        assert len(first) == len(example.input_ids)
        assert torch.allclose(torch.from_numpy(first), torch.from_numpy(alone), atol=1e-5)


def test_the_weights_of_the_best_look_are_kept(folder: Path) -> None:
    seen: list[torch.Tensor] = []
    found = iter([10.0, 30.0, 20.0, 30.0])
    holder: dict[str, Any] = {}
    model = holder["model"] = new_model(folder, PartOfSpeechTask(), LABELS, 16, 0)

    def dev() -> float:
        seen.append(weights(holder["model"]).clone())
        return next(found)

    tuning = replace(TUNING, epochs=4.0, keep="best", eval_steps=2)
    tuned = fine_tune(model, PartOfSpeechTask(), tags(8), tuning, UNION_ROLES, seed=0, precision="float32", dev=dev, what="t")
    assert (tuned.steps, tuned.best_step, tuned.dev) == (8, 4, 30.0)  # the first of two equal ones
    assert torch.equal(weights(model), seen[1])


def test_every_example_comes_once_an_epoch_and_the_last_epoch_may_be_cut() -> None:
    examples = tags(23)
    batches = [*_batches(examples, TUNING, 5, 15)]
    assert len(batches) == 15
    for epoch in range(2):
        seen = [example for batch in batches[6 * epoch : 6 * epoch + 6] for example in batch]
        assert sorted(map(id, seen)) == sorted(map(id, examples))
    assert [len(batch) for batch in batches].count(4) >= 12


def test_the_schedule_at_its_corners() -> None:
    assert _linear(1, 100, 0) == 1.0
    assert _linear(100, 100, 0) == pytest.approx(0.01)
    assert _linear(101, 100, 0) == 0.0
    assert [_linear(step, 10, 4) for step in (1, 2, 4)] == [0.25, 0.5, 1.0]
    assert _linear(10, 10, 4) == pytest.approx(1 / 7)
    values = [_linear(step, 50, 10) for step in range(1, 51)]
    assert max(values) == 1.0
    assert values == sorted(values[:10]) + sorted(values[10:], reverse=True)


def test_a_warm_up_longer_than_the_steps_is_shortened_and_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, tuned = trained(folder, PartOfSpeechTask(), tags(8), replace(TUNING, warmup_steps=500), what="a short one")
    assert "a short one: 500 steps of warm-up are all of its 4 steps: 0 are taken" in capsys.readouterr().err
    assert math.isfinite(tuned.loss)


def test_an_encoder_without_its_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    weights_of = load_file(folder / "model.safetensors")
    kept = {name: one for name, one in weights_of.items() if "layer.0.attention" not in name}
    save_file(kept, tmp_path / "model/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks \d+ weights of its encoder \(bert.encoder.layer.0.attention"):
        new_model(tmp_path / "model", PartOfSpeechTask(), LABELS, 16, 0)


def test_what_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="has 64 positions, and --max-length is 384; expected as many: lower --max-length"):
        new_model(folder, QuestionTask(), (), 384, 0)
    with pytest.raises(InputError, match=r"test, step \d+: loss nan: not finite; .* lower --learning-rate"):
        trained(folder, PartOfSpeechTask(), tags(40), replace(TUNING, learning_rate=1e20))
