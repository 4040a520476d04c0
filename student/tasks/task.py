"""What the tasks have in common: examples, what a model says of them, and scores.

Legend: B examples of a batch, T places of the longest one.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from student.tasks.reading import Reader
from vocab.roles import Roles

IGNORED = -100  # a target that no loss counts
Keep: TypeAlias = Literal["best", "last"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTuning:
    """How a model is fine-tuned. The defaults of each task are those of XTREME's scripts."""

    learning_rate: float = 2e-5
    epochs: float = 10.0
    batch_size: int = 32
    micro_batch: int = 32  # examples of one forward pass; gradients of the micro-batches of a batch are averaged
    max_length: int = 128  # places of an example, special tokens included
    warmup_steps: int = 0
    weight_decay: float = 0.0  # not of biases and layer norms
    clip: float = 1.0
    keep: Keep = "best"  # the weights with the best score on the development set, or those of the last step
    eval_steps: int = 500  # steps between two looks at the development set
    stride: int = 128  # questions: pieces between the starts of two windows of a context
    question_length: int = 64  # questions: pieces of a question
    answer_length: int = 30  # questions: pieces of an answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One input of a model."""

    input_ids: tuple[int, ...]
    second: int  # the place where the second text begins; the number of places if there is none
    target: tuple[int, ...]  # what it means, the task says


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A data set as one reader gives it to a model."""

    examples: Sequence[Example]
    counters: Mapping[str, int]  # what happened to words, sentences, answers
    back: Any  # what the task needs to get from examples to the data set


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """The scores of one data set, in percent. The first metric is the task's headline."""

    metrics: dict[str, float]
    count: int  # words, pairs or questions
    counters: dict[str, int] = field(default_factory=dict)


class Task(ABC):
    """A task: how its files are read, its examples made, and its predictions scored."""

    name: str
    defaults: FineTuning
    auto_class: str  # of transformers, as "AutoModelForTokenClassification"
    headline: str  # the metric that RDT and the choice of the best weights use

    @abstractmethod
    def read(self, files: Sequence[Path], labels: Path | None, *, train: bool) -> list[Any]:
        """The sentences, pairs or questions of one language. labels: a file of labels beside them."""

    def label_set(self, data: Sequence[Sequence[Any]]) -> tuple[str, ...]:
        """The labels of all data sets, sorted; none for tasks without."""
        return ()

    @abstractmethod
    def encode(self, data: Sequence[Any], reader: Reader, labels: Sequence[str], tuning: FineTuning) -> Encoded:
        """The examples of a data set. A label that is not in `labels` is no target: training does not have it, and scores it as wrong."""

    @abstractmethod
    def targets(self, batch: Sequence[Example], width: int) -> dict[str, Tensor]:
        """The targets of a batch under the names of the model's arguments."""

    @abstractmethod
    def logits(self, output: Any, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The head's outputs at the places with a target, one row a place: what a student learns of a teacher."""

    @abstractmethod
    def places(self, example: Example) -> int:
        """The rows that `logits` has for an example."""

    @abstractmethod
    def answers(self, output: Any, batch: Sequence[Example]) -> list[Any]:
        """What a model says of each example, as small as it can be."""

    @abstractmethod
    def predict(self, data: Sequence[Any], encoded: Encoded, said: Sequence[Any], labels: Sequence[str], tuning: FineTuning) -> Any:
        """The predictions for a data set, as they are scored and written."""

    @abstractmethod
    def score(self, data: Sequence[Any], predicted: Any, language: str) -> dict[str, float]:
        """The metrics, in percent."""

    def ceiling(self, data: Sequence[Any], encoded: Encoded, language: str, tuning: FineTuning) -> dict[str, float]:
        """What the gold answers score as this reader can give them; nothing for tasks in which every label can be given."""
        return {}

    def count(self, encoded: Encoded) -> int:
        """The words, pairs or questions that are scored."""
        return next(encoded.counters[name] for name in ("words", "pairs", "questions") if name in encoded.counters)


def has_types(model: Any) -> bool:
    """Whether a model tells a first text from a second one (token_type_ids)."""
    return (getattr(model.config, "type_vocab_size", 0) or 0) > 1


def pad_batch(batch: Sequence[Example], pad: int, *, types: bool) -> dict[str, Tensor]:
    """A batch as the arguments of a model: input_ids, attention_mask and, if the model has them, token_type_ids, each [B, T]."""
    width = max(len(example.input_ids) for example in batch)
    ids_BT: NDArray[np.int64] = np.full((len(batch), width), pad, dtype=np.int64)
    lengths_B = np.array([len(example.input_ids) for example in batch])
    for row, example in enumerate(batch):
        ids_BT[row, : len(example.input_ids)] = example.input_ids
    place_T = np.arange(width)
    inside_BT = place_T < lengths_B[:, None]
    found = {"input_ids": torch.from_numpy(ids_BT), "attention_mask": torch.from_numpy(inside_BT.astype(np.int64))}
    if types:
        second_B = np.array([example.second for example in batch])
        found["token_type_ids"] = torch.from_numpy(((place_T >= second_B[:, None]) & inside_BT).astype(np.int64))
    return found


def join_texts(first: Sequence[int], second: Sequence[int], roles: Roles, separators: int) -> tuple[tuple[int, ...], int]:
    """cls, first, sep (once or twice), second, sep; and the place where the second text begins."""
    start = (roles.cls, *first, *(roles.sep for _ in range(separators)))
    return (*start, *second, roles.sep), len(start)


def shown(counters: Counter[str]) -> dict[str, int]:
    """Counters without those that are 0."""
    return {name: count for name, count in counters.items() if count}
