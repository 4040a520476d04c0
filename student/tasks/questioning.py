"""Questions on a text, whose answer is a part of it: XQuAD, MLQA, TyDiQA-GoldP."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from student.tasks.answers import Scorer, score_answers
from student.tasks.question_windows import best_answers, make_question_windows, reachable
from student.tasks.read_questions import Question, read_questions
from student.tasks.reading import Reader
from student.tasks.task import Encoded, Example, FineTuning, Task
from vocab.errors import InputError


class QuestionTask(Task):
    """Extractive questions: F1 (the headline) and exact match, under a scorer by name, beside the best that is reachable."""

    name = "qa"
    headline = "f1"
    auto_class = "AutoModelForQuestionAnswering"
    defaults = FineTuning(learning_rate=3e-5, epochs=3.0, max_length=384, warmup_steps=500, weight_decay=1e-4, keep="last")

    def __init__(self, scorer: Scorer = "squad"):
        self.scorer: Scorer = scorer

    def read(self, files: Sequence[Path], labels: Path | None, *, train: bool) -> list[Question]:
        """Predictions belong to a question by its id, so in files to score each id is there once."""
        found, seen = list[Question](), dict[str, Path]()
        for file in files:
            questions = read_questions(file, unique_ids=not train)
            if not train and (twice := next((question.id for question in questions if question.id in seen), None)):
                raise InputError(f"{file}: the question id '{twice}' is in {seen[twice]} too; expected each once")
            seen |= dict.fromkeys((question.id for question in questions), file)
            found += questions
        return found

    def encode(self, data: Sequence[Question], reader: Reader, labels: Sequence[str], tuning: FineTuning) -> Encoded:
        counters: Counter[str] = Counter(questions=0)
        examples, back = make_question_windows(data, reader, tuning, counters)
        return Encoded(examples=examples, counters=counters, back=back)

    def targets(self, batch: Sequence[Example], width: int) -> dict[str, Tensor]:
        first, last = (torch.tensor([example.target[side] for example in batch]) for side in (0, 1))
        return {"start_positions": first, "end_positions": last}

    def logits(self, output: Any, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        outside_BT = inputs["attention_mask"] == 0
        return [logits.masked_fill(outside_BT, -torch.inf) for logits in (output.start_logits, output.end_logits)]

    def places(self, example: Example) -> int:
        return 2

    def answers(self, output: Any, batch: Sequence[Example]) -> list[Any]:
        first_BT, last_BT = (logits.float().cpu().numpy() for logits in (output.start_logits, output.end_logits))
        sizes = [len(example.input_ids) for example in batch]
        return [(first_BT[row, :size].copy(), last_BT[row, :size].copy()) for row, size in enumerate(sizes)]

    def predict(
        self, data: Sequence[Question], encoded: Encoded, said: Sequence[Any], labels: Sequence[str], tuning: FineTuning
    ) -> list[str]:
        return best_answers(data, encoded.back, said, tuning.answer_length)

    def score(self, data: Sequence[Question], predicted: Sequence[str], language: str) -> dict[str, float]:
        gold = {question.id: question.answers for question in data}
        found = score_answers(
            gold, {question.id: text for question, text in zip(data, predicted, strict=True)}, self.scorer, language
        )
        return {"f1": found.f1, "exact_match": found.exact_match}

    def ceiling(self, data: Sequence[Question], encoded: Encoded, language: str, tuning: FineTuning) -> dict[str, float]:
        """The scores of the pieces that cover the gold answers: about the best that this segmentation can give."""
        best = self.score(data, reachable(data, encoded.back, tuning.answer_length), language)
        return {f"best_{name}": value for name, value in best.items()}
