"""Named entities and parts of speech: a tag for each word."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from student.tasks.entities import accuracy, entity_f1, xtreme_f1
from student.tasks.read_tags import Sentence, Words, read_conllu, read_entities
from student.tasks.reading import Reader
from student.tasks.task import IGNORED, Encoded, Example, FineTuning, Task
from student.tasks.word_windows import join_tags, make_windows
from vocab.errors import InputError


class _Tagging(Task):
    auto_class = "AutoModelForTokenClassification"

    def label_set(self, data: Sequence[Sequence[Sentence]]) -> tuple[str, ...]:
        return tuple(sorted({tag for sentences in data for sentence in sentences for tag in sentence.tags}))

    def encode(self, data: Sequence[Sentence], reader: Reader, labels: Sequence[str], tuning: FineTuning) -> Encoded:
        counters: Counter[str] = Counter(words=0)
        windows = make_windows([sentence.words for sentence in data], reader.words, reader.roles, tuning.max_length, counters)
        number = {label: index for index, label in enumerate(labels)}
        examples, done = [], Counter[int]()
        for window in windows:
            tags = data[window.sentence].tags[done[window.sentence] :][: len(window.heads)]
            done[window.sentence] += len(window.heads)
            target = [IGNORED] * len(window.input_ids)
            for place, tag in zip(window.heads, tags, strict=True):
                target[place] = number.get(tag, IGNORED)
            examples.append(Example(input_ids=window.input_ids, second=len(window.input_ids), target=tuple(target)))
        return Encoded(examples=examples, counters=counters, back=windows)

    def targets(self, batch: Sequence[Example], width: int) -> dict[str, Tensor]:
        return {"labels": torch.tensor([[*example.target, *[IGNORED] * (width - len(example.target))] for example in batch])}

    def logits(self, output: Any, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        return [output.logits[inputs["labels"] != IGNORED]]

    def places(self, example: Example) -> int:
        return sum(target != IGNORED for target in example.target)

    def answers(self, output: Any, batch: Sequence[Example]) -> list[Any]:
        best_BT = output.logits.argmax(-1).cpu().numpy()
        return [best_BT[row, : len(example.input_ids)] for row, example in enumerate(batch)]

    def predict(
        self, data: Sequence[Sentence], encoded: Encoded, said: Sequence[Any], labels: Sequence[str], tuning: FineTuning
    ) -> list[list[str]]:
        tags = [[labels[best[place]] for place in window.heads] for window, best in zip(encoded.back, said, strict=True)]
        return join_tags(encoded.back, tags, len(data))


class EntityTask(_Tagging):
    """Named entities: F1 as seqeval has it, lenient (the headline) and strict."""

    name = "ner"
    headline = "f1"
    defaults = FineTuning(eval_steps=1000)

    def read(self, files: Sequence[Path], labels: Path | None, *, train: bool) -> list[Sentence]:
        """WikiANN's .conllu (the word is the second column), PAN-X (two columns with a tab), and else CoNLL's columns."""
        return _with_tags([sentence for file in files for sentence in read_entities(file)], files, "O", "an entity")

    def score(self, data: Sequence[Sentence], predicted: Sequence[Sequence[str]], language: str) -> dict[str, float]:
        gold = [sentence.tags for sentence in data]
        return {
            "f1": entity_f1(gold, predicted),
            "strict_f1": entity_f1(gold, predicted, "strict"),
            "accuracy": accuracy(gold, predicted),
        }


class PartOfSpeechTask(_Tagging):
    """Parts of speech: accuracy (the headline), and XTREME's F1."""

    name = "udpos"
    headline = "accuracy"
    defaults = FineTuning(eval_steps=500)

    def __init__(self, words: Words = "fused"):
        self.words: Words = words

    def read(self, files: Sequence[Path], labels: Path | None, *, train: bool) -> list[Sentence]:
        return _with_tags(
            [sentence for file in files for sentence in read_conllu(file, words=self.words)], files, "_", "a tag (UPOS)"
        )

    def score(self, data: Sequence[Sentence], predicted: Sequence[Sequence[str]], language: str) -> dict[str, float]:
        gold = [sentence.tags for sentence in data]
        return {"accuracy": accuracy(gold, predicted), "xtreme_f1": xtreme_f1(gold, predicted)}


def _with_tags(sentences: list[Sentence], files: Sequence[Path], none: str, what: str) -> list[Sentence]:
    """The sentences, unless no word has a tag: some test sets are published without, and would score 0."""
    if all(tag == none for sentence in sentences for tag in sentence.tags):
        raise InputError(
            f"{files[0]}: found {len(sentences):,} sentences and not {what}; expected tags: were they removed from this file?"
        )
    return sentences
