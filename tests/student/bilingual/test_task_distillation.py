"""The loss of phase 2 against plain loops in float64."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from student.bilingual.shallow import shallow_student
from student.bilingual.state_losses import States, state_losses
from student.bilingual.task_distillation import TaskTeacher, cross_entropy
from student.bilingual.teacher import open_with_states
from student.hf_folder import copy_tokenizer
from student.tasks.models import new_model
from student.tasks.questioning import QuestionTask
from student.tasks.tagging import PartOfSpeechTask
from student.tasks.task import Example, pad_batch
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces

LABELS = ("A", "B", "C")


def by_loops(student: torch.Tensor, teacher: torch.Tensor) -> float:
    """- sum over rows and outputs of softmax(z_t / 2) log softmax(z_s / 2)."""
    total = 0.0
    for own, taught in zip(student.tolist(), teacher.tolist(), strict=True):
        sums = [sum(math.exp(z / 2) for z in row) for row in (own, taught)]
        total -= sum(math.exp(t / 2) / sums[1] * math.log(math.exp(s / 2) / sums[0]) for s, t in zip(own, taught, strict=True))
    return total


def test_cross_entropy_has_a_temperature_of_two() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (2 * torch.randn(5, 3, generator=generator) for _ in range(2))
    assert float(cross_entropy(student, teacher)) == pytest.approx(by_loops(student, teacher), rel=1e-5)


def test_outputs_behind_the_text_have_no_part_in_it() -> None:
    inputs = {"attention_mask": torch.tensor([[1, 1, 1, 0]])}
    outputs = [
        SimpleNamespace(start_logits=torch.tensor([[1.0, 2.0, 0.5, last]]), end_logits=torch.zeros(1, 4)) for last in (3.0, 9.0)
    ]
    task = QuestionTask()
    found = [float(cross_entropy(task.logits(outputs[0], inputs)[0], task.logits(other, inputs)[0])) for other in outputs]
    assert found[0] == found[1]
    assert found[0] == pytest.approx(by_loops(outputs[0].start_logits[:, :3], outputs[0].start_logits[:, :3]), rel=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mul: a masked LM of two layers; small: every second of them; tuned: mul with a head."""
    folder = tmp_path_factory.mktemp("phase2")
    save_teacher(folder / "mul", [*SPECIAL, *word_pieces(TEXTS["de"])], layers=2, spread=0.1)
    shallow_student(open_with_states(folder / "mul"), 2).save_pretrained(folder / "small")
    new_model(folder / "mul", PartOfSpeechTask(), LABELS, 16, 1).save_pretrained(folder / "tuned")
    for name in ("small", "tuned"):
        copy_tokenizer(folder / "mul", folder / name)
    return folder


def test_the_loss_is_the_sum_of_its_three_parts_however_the_batch_is_split(folder: Path) -> None:
    task = PartOfSpeechTask()
    student = new_model(folder / "small", task, LABELS, 16, 7, maps=True).eval()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(1.1)
    teacher = TaskTeacher(folder / "tuned", student, folder / "small", task, LABELS)
    batch = [
        Example(
            input_ids=(2, *range(5, 5 + size), 3),
            second=size + 2,
            target=(-100, *(place % 3 for place in range(size - 1)), -100, -100),
        )
        for size in (6, 3, 4)
    ]

    def of(part: list[Example]) -> torch.Tensor:
        inputs = pad_batch(part, 0, types=False)
        inputs |= task.targets(part, inputs["input_ids"].shape[1])
        return teacher.loss(student, inputs, part, batch)

    whole = float(of(batch).detach())
    assert whole == pytest.approx(sum(float(of([one]).detach()) for one in batch), rel=1e-5)

    inputs = pad_batch(batch, 0, types=False)
    given = {"attention_mask": inputs["attention_mask"], "output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        own, taught = (model(input_ids=inputs["input_ids"], **given) for model in (student, teacher.model))
    hidden, attention = state_losses(States.of(own), States.of(taught), inputs["attention_mask"])
    labelled = task.targets(batch, inputs["input_ids"].shape[1])["labels"] != -100
    entropy = by_loops(own.logits[labelled], taught.logits[labelled]) / int(labelled.sum())
    assert min(float(hidden), float(attention), entropy) > 1e-6
    assert whole == pytest.approx(float(hidden) + float(attention) + entropy, rel=1e-4)
