"""train.eval_steps: the student on held-out articles while it trains. evaluations.jsonl has a row for each look, best/ the best student."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from data.atomic import replace_folder
from data.state_file import read_state_file
from student.hf_folder import save_model
from student.training.checkpoint import refuse_failed_writes
from student.training.metrics import append_row, is_number, read_rows, truncate_rows
from vocab.errors import InputError

FILE = "evaluations.jsonl"
BEST = "best"  # a folder of transformers in the student's folder
_STATE = "best.json"  # in it: step and loss

Evaluate: TypeAlias = Callable[[Any], dict[str, Any]]  # a model → its scores as JSON, with "mean_loss", which decides what is best


class Evaluations:
    """The looks at one student. A run that was stopped and resumed has the same ones as a run without a stop."""

    def __init__(self, out: Path, evaluate: Evaluate, tokenizer: Path, done: int) -> None:
        """done: steps of the checkpoint from which training continues; later looks are forgotten, because they come again."""
        self._out, self._evaluate, self._tokenizer = out, evaluate, tokenizer
        truncate_rows(out, done, FILE)
        self._best = min((row["mean_loss"] for row in read_looks(out)), default=float("inf"))

    def look(self, model: Any, step: int) -> dict[str, Any]:
        """Score the model; the row, which is on the disk now. A model with a lower mean loss than all before it goes into best/."""
        row = {"step": step, **self._evaluate(model)}
        append_row(self._out, row, FILE)
        if row["mean_loss"] < self._best:
            self._best = row["mean_loss"]
            refuse_failed_writes(str(self._out / BEST), "make room, then continue with --resume", lambda: self._keep(model, row))
        return row

    def _keep(self, model: Any, row: dict[str, Any]) -> None:
        def fill(fresh: Path) -> None:
            save_model(model, fresh)
            for file in self._tokenizer.iterdir():
                if file.is_file():
                    shutil.copyfile(file, fresh / file.name)
            (fresh / _STATE).write_text(json.dumps({"step": row["step"], "mean_loss": row["mean_loss"]}), encoding="utf-8")

        replace_folder(self._out / BEST, fill)


def best_look(out: Path) -> dict[str, Any] | None:
    """The row of the best student of a folder; None if there was no look."""
    return min(read_looks(out), key=lambda row: (row["mean_loss"], row["step"]), default=None)


def read_looks(out: Path) -> list[dict[str, Any]]:
    """The rows of evaluations.jsonl. Raises InputError for one whose mean loss is no number: which student is best would be a guess."""
    rows = read_rows(out, FILE)
    if wrong := [row["step"] for row in rows if not is_number(row.get("mean_loss"))]:
        raise InputError(
            f"{out / FILE}: the row of step {wrong[0]} has no number as its mean_loss; expected what this program wrote: put the file "
            "back, or remove the row"
        )
    return rows


def kept_step(out: Path) -> int | None:
    """The step of the student in best/; None if it does not say."""
    file = out / BEST / _STATE
    step = read_state_file(file).get("step") if file.is_file() else None
    return step if isinstance(step, int) else None
