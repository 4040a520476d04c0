"""What phase 1 made, as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.table import Column, Table

# What a look at the validation windows gives for a language, as columns; the names of the values are the keys.
LOOK_COLUMNS = (
    Column("hidden states", ".5f", key="hidden_loss"),
    Column("attention maps", ".6f", key="attention_loss"),
    Column("masked-LM loss", ".3f", key="mlm_loss"),
    Column("accuracy", ".1%", key="mlm_accuracy"),
    Column("teacher's loss", ".3f", key="teacher_mlm_loss"),
    Column("teacher's accuracy", ".1%", key="teacher_mlm_accuracy"),
)


def look_values(look: Mapping[str, Any]) -> dict[str, list[float]]:
    """language → the values of LOOK_COLUMNS."""
    return {language: [found[column.name] for column in LOOK_COLUMNS] for language, found in look["languages"].items()}


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
        return Table(
            title="Student on the validation windows",
            columns=[Column("language"), *LOOK_COLUMNS],
            rows=[[language, *values] for language, values in look_values(self.look).items()],
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
