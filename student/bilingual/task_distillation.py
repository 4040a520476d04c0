"""Phase 2 of BiStil: a task-tuned teacher instead of gold labels. L = L_attn + L_hid + L_CE at a temperature of 2.

Legend: B batch, T tokens, N places with a label, C outputs of the head, V vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from student.bilingual.state_losses import States, Totals, check_states, state_losses
from student.tasks.models import open_model
from student.tasks.task import Example, Task, has_types
from vocab.errors import InputError
from vocab.tokenizer_source import open_tokenizer

TEMPERATURE = 2.0


class TaskTeacher:
    """A model that was fine-tuned on the task, frozen; it reads the student's ids."""

    def __init__(self, folder: Path, student: Any, student_folder: Path, task: Task, labels: Sequence[str]) -> None:
        """folder: a model with the task's head, as `mergedistill sparse apply` writes it. student: the one that learns from it.

        Raises InputError for a model without this head or with other labels, one that gives no attention maps, a student whose pieces it
        does not have, and shapes that do not fit.
        """
        self._task = task
        self.model = _open(folder, task, labels)
        _check_shapes(folder, self.model, student)
        self._ids_V = torch.from_numpy(_shared_ids(folder, student_folder))
        check_states(self.model, torch.full((1, 4), int(self._ids_V[0])), str(folder))
        device = next(student.parameters()).device
        check_states(student, torch.zeros((1, 4), dtype=torch.int64, device=device), str(student_folder))

    def to(self, device: torch.device) -> "TaskTeacher":
        """Move it to a device."""
        self.model.to(device)
        self._ids_V = self._ids_V.to(device)
        return self

    def loss(self, student: Any, inputs: dict[str, Tensor], part: Sequence[Example], batch: Sequence[Example]) -> Tensor:
        """The loss of a part of a batch: losses of the parts sum to that of the batch. Gold labels only say which places count."""
        given = {name: inputs[name] for name in ("attention_mask", "token_type_ids") if name in inputs}
        wanted = {"output_hidden_states": True, "output_attentions": True, "return_dict": True}
        own = student(input_ids=inputs["input_ids"], **given, **wanted)
        with torch.no_grad():
            if not has_types(self.model):
                given.pop("token_type_ids", None)
            taught = self.model(input_ids=self._ids_V[inputs["input_ids"]], **given, **wanted)
        totals = Totals.of([len(example.input_ids) for example in batch])
        hidden, attention = state_losses(States.of(own), States.of(taught), inputs["attention_mask"], totals)
        places = sum(self._task.places(example) for example in batch)
        pairs = zip(self._task.logits(own, inputs), self._task.logits(taught, inputs), strict=True)
        loss = hidden + attention
        for mine, theirs in pairs:
            loss = loss + cross_entropy(mine, theirs) / places
        return loss


def cross_entropy(student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
    """− Σ_N Σ_C softmax(teacher / 2) · log softmax(student / 2), in float32. Outputs that are −∞ for both have no part in it."""
    target_NC = torch.softmax(teacher_NC.float() / TEMPERATURE, -1)
    log_NC = torch.log_softmax(student_NC.float() / TEMPERATURE, -1)
    return -torch.where(target_NC > 0, target_NC * log_NC, 0.0).sum()


def _open(folder: Path, task: Task, labels: Sequence[str]) -> Any:
    """The teacher with its head, in float32."""
    what = f"--distil-from {folder}"
    model, missing = open_model(folder, task.auto_class, {"attn_implementation": "eager"})
    if missing:
        raise InputError(
            f"{what}: lacks {len(missing)} weights of {type(model).__name__} ({missing[0]}, …); expected a model that was fine-tuned on "
            f"{task.name}: make one with `mergedistill evaluate {task.name} --sparse` and `mergedistill sparse apply`"
        )
    own = tuple(model.config.id2label[number] for number in range(model.config.num_labels))
    if labels and own != tuple(labels):
        raise InputError(f"{what}: has the labels {', '.join(own)}; expected those of the training files: {', '.join(labels)}")
    return model.eval().requires_grad_(False)


def _check_shapes(folder: Path, teacher: Any, student: Any) -> None:
    deep, shallow = teacher.config.num_hidden_layers, student.config.num_hidden_layers
    if deep % shallow:
        raise InputError(f"--distil-from {folder}: has {deep} layers, the student {shallow}; expected a multiple")
    for field in ("hidden_size", "num_attention_heads"):
        mine, theirs = getattr(student.config, field), getattr(teacher.config, field)
        if mine != theirs:
            raise InputError(f"--distil-from {folder}: has {field} {theirs}, the student {mine}; expected the same")


def _shared_ids(teacher: Path, student: Path) -> Any:
    """[V] the teacher's id of each of the student's pieces, by their strings."""
    backends = (open_tokenizer(folder, folder.name).backend_tokenizer for folder in (teacher, student))
    theirs, mine = (backend.get_vocab(with_added_tokens=True) for backend in backends)
    missing = [piece for piece in mine if piece not in theirs]
    if missing:
        raise InputError(
            f"--distil-from {teacher}: lacks {len(missing):,} pieces of {student} ('{missing[0]}', …); expected all of them, as in "
            "the model that the student was distilled from"
        )
    ids = np.zeros(max(mine.values()) + 1, dtype=np.int64)
    for piece, index in mine.items():
        ids[index] = theirs[piece]
    return ids
