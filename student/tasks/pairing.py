"""Inference (XNLI) and paraphrase (PAWS-X): a label for each pair of texts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from student.tasks.read_pairs import PAWSX_LABELS, XNLI_LABELS, Pair, read_pairs
from student.tasks.reading import Reader
from student.tasks.task import Encoded, Example, FineTuning, Task, join_texts
from vocab.errors import InputError


class PairTask(Task):
    """Sentence pairs: accuracy."""

    auto_class = "AutoModelForSequenceClassification"
    headline = "accuracy"

    def __init__(self, name: str):
        self.name = name
        self._labels = XNLI_LABELS if name == "xnli" else PAWSX_LABELS
        self.defaults = FineTuning(epochs=5.0, eval_steps=100 if name == "xnli" else 200)

    def read(self, files: Sequence[Path], labels: Path | None, *, train: bool) -> list[Pair]:
        if labels is not None and len(files) != 1:
            raise InputError(f"{labels}: found {len(files)} files of pairs for one file of labels; expected one")
        return [pair for file in files for pair in read_pairs(file, self._labels, label_file=labels)]

    def label_set(self, data: Sequence[Sequence[Pair]]) -> tuple[str, ...]:
        return self._labels

    def encode(self, data: Sequence[Pair], reader: Reader, labels: Sequence[str], tuning: FineTuning) -> Encoded:
        counters: Counter[str] = Counter(pairs=len(data))
        room = tuning.max_length - 2 - reader.separators
        firsts, seconds = (reader.texts([getattr(pair, side) for pair in data]) for side in ("first", "second"))
        examples = []
        for pair, one, other in zip(data, firsts, seconds, strict=True):
            first, second = one.ids.tolist(), other.ids.tolist()
            if len(first) + len(second) > room:
                counters["cut_pairs"] += 1
                first, second = _longest_first(first, second, room)
            ids, start = join_texts(first, second, reader.roles, reader.separators)
            examples.append(Example(input_ids=ids, second=start, target=(labels.index(pair.label),)))
        return Encoded(examples=examples, counters=counters, back=None)

    def targets(self, batch: Sequence[Example], width: int) -> dict[str, Tensor]:
        return {"labels": torch.tensor([example.target[0] for example in batch])}

    def logits(self, output: Any, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        return [output.logits]

    def places(self, example: Example) -> int:
        return 1

    def answers(self, output: Any, batch: Sequence[Example]) -> list[Any]:
        return list(output.logits.argmax(-1).tolist())

    def predict(
        self, data: Sequence[Pair], encoded: Encoded, said: Sequence[Any], labels: Sequence[str], tuning: FineTuning
    ) -> list[str]:
        return [labels[best] for best in said]

    def score(self, data: Sequence[Pair], predicted: Sequence[str], language: str) -> dict[str, float]:
        if len(data) != len(predicted):
            raise ValueError(f"found {len(predicted):,} predictions for {len(data):,} pairs; expected one each")
        right = sum(pair.label == label for pair, label in zip(data, predicted, strict=True))
        return {"accuracy": 100.0 * right / max(1, len(data))}


def _longest_first(first: list[int], second: list[int], room: int) -> tuple[list[int], list[int]]:
    """Both texts cut at their ends to `room` pieces together: the longer one, then both equally, as transformers does."""
    short = min(len(first), len(second), room // 2)
    keep = room - short if len(first) > len(second) else short
    return first[:keep], second[: room - keep]
