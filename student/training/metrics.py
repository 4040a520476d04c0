"""metrics.jsonl: what training measured, one row for each `log_steps`. Timings, which differ from run to run, are last in a row."""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.atomic import write_text

FILE = "metrics.jsonl"


@dataclass(kw_only=True, slots=True)
class Tally:
    """Sums over all ranks, part of a checkpoint. Those up to `interval_waited` are since the last row, the others since the first step."""

    loss: float = 0.0  # nats
    gold_loss: float = 0.0  # nats
    teacher_loss: float = 0.0  # nats
    correct: float = 0.0  # positions
    positions: int = 0
    interval_tokens: int = 0
    interval_seconds: float = 0.0
    interval_waited: float = 0.0  # seconds for which the model waited for the stream
    tokens: int = 0  # without padding
    rows: int = 0
    masked_positions: int = 0
    language_rows: list[int]
    seconds: float = 0.0

    def add_step(
        self, *, loss: float, gold: float, teacher: float, correct: float, masked: int, tokens: int, rows: list[int]
    ) -> None:
        """Add one step: `loss` is its mean; `gold`, `teacher` and `correct` are sums over positions; `rows` counts each language's."""
        self.loss += loss * masked
        self.gold_loss += gold
        self.teacher_loss += teacher
        self.correct += correct
        self.positions += masked
        self.interval_tokens += tokens
        self.tokens += tokens
        self.rows += sum(rows)
        self.masked_positions += masked
        self.language_rows = [before + new for before, new in zip(self.language_rows, rows, strict=True)]

    def add_time(self, seconds: float, waited: float) -> None:
        self.interval_seconds += seconds
        self.interval_waited += waited
        self.seconds += seconds

    def row(
        self, *, step: int, language_sizes: dict[str, int], with_teacher: bool, gold_weight: float, rate: float
    ) -> dict[str, Any]:
        """The row after `step` steps. Losses are means over masked positions, in nats. The sums since the last row are reset."""
        count = max(1, self.positions)
        seconds = max(self.interval_seconds, 1e-9)
        seen = zip(language_sizes.items(), self.language_rows, strict=True)
        row: dict[str, Any] = {
            "step": step,
            "tokens": self.tokens,
            "rows": self.rows,
            "masked_positions": self.masked_positions,
            "epochs": {language: round(rows / size, 6) for (language, size), rows in seen},
            "loss": round(self.loss / count, 6),
            "gold_loss": round(self.gold_loss / count, 6),
            **({"teacher_loss": round(self.teacher_loss / count, 6)} if with_teacher else {}),
            "accuracy": round(self.correct / count, 6),
            "lambda": round(gold_weight, 6),
            "learning_rate": rate,
            "tokens_per_second": round(self.interval_tokens / seconds, 1),
            "stream_wait_share": round(self.interval_waited / seconds, 4),
            "seconds": round(self.seconds, 2),
        }
        self.loss = self.gold_loss = self.teacher_loss = self.correct = self.interval_seconds = self.interval_waited = 0.0
        self.positions = self.interval_tokens = 0
        return row

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def append_row(out: Path, row: dict[str, Any], name: str = FILE) -> None:
    """Add a row. It is on the disk when this returns, so a checkpoint never counts a row that is lost."""
    with (out / name).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_rows(out: Path, name: str = FILE) -> list[dict[str, Any]]:
    """The rows of a folder's metrics. An incomplete last line, left by a kill, is ignored."""
    rows = []
    path = out / name
    # A byte that is not UTF-8 makes its line unreadable, and no other.
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            break
        rows.append(row)
    return rows


def is_number(value: Any) -> bool:
    """Whether a value of a row is a finite number."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)


def truncate_rows(out: Path, step: int, name: str = FILE) -> None:
    """Remove the rows after `step`, because a resumed run writes them again."""
    rows = [row for row in read_rows(out, name) if row["step"] <= step]
    write_text(out / name, "".join(json.dumps(row) + "\n" for row in rows))
