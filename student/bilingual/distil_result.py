"""What phase 1 made, as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.table import Column, Table


@dataclass(frozen=True, kw_only=True)
class DistilResult:
    """What phase 1 made."""

    out: Path  # the student's folder
    layers: tuple[int, int]  # of the teacher, of the student
    parameters: tuple[int, int]  # of the model that was given, of the student
    pieces: tuple[int, int]
    look: Mapping[str, Any]  # at the validation windows, of the student that was kept
    tokens: int

    def table(self) -> Table:
        """Loss and masked-LM scores by language."""
        rows = [
            [
                language,
                *(found[key] for key in ("hidden_loss", "attention_loss", "mlm_loss", "mlm_accuracy")),
                *(found[key] for key in ("teacher_mlm_loss", "teacher_mlm_accuracy")),
            ]
            for language, found in self.look["languages"].items()
        ]
        return Table(
            title="Student on the validation windows",
            columns=[
                Column("language"),
                Column("hidden states", ".5f"),
                Column("attention maps", ".6f"),
                Column("masked-LM loss", ".3f", key="mlm_loss"),
                Column("accuracy", ".1%", key="mlm_accuracy"),
                Column("teacher's loss", ".3f", key="teacher_mlm_loss"),
                Column("teacher's accuracy", ".1%", key="teacher_mlm_accuracy"),
            ],
            rows=rows,
            notes=[
                f"{self.layers[0]} → {self.layers[1]} layers, {self.pieces[0]:,} → {self.pieces[1]:,} pieces, "
                f"{self.parameters[0]:,} → {self.parameters[1]:,} parameters. Hidden states and attention maps: mean squared differences."
            ],
            result=(
                f"{self.out}: the student after {self.look['step']:,} steps, the best of those looked at. Next: mergedistill evaluate TASK "
                f"--model {self.out} --sparse 0.08"
            ),
            facts={"out": str(self.out), "step": self.look["step"], "tokens": self.tokens, "mean_loss": self.look["mean_loss"]},
        )
