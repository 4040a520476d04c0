"""What lies in the folder of a run of `distil`: the recipe, the sizes of teacher and student, and the looks at the validation windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from data.bilingual_recipe import BilingualRecipe
from data.state_file import read_state_file
from student.bilingual.distil_result import LOOK_COLUMNS
from student.training.evaluation import kept_step
from student.training.metrics import is_number
from vocab.errors import InputError

_KEYS = [column.name for column in LOOK_COLUMNS]


@dataclass(frozen=True, kw_only=True, slots=True)
class BilingualFiles:
    """What a run of `distil` has beside its metrics. None where it is not there yet.

    trimmed  parameters of the trimmed teacher; None if the recipe does not trim
    kept     the step of the student that is kept
    looks    rows of evaluations.jsonl
    """

    recipe: BilingualRecipe
    pieces: int | None
    layers: int | None  # of the student
    trimmed: int | None
    student: int | None  # parameters
    kept: int | None
    looks: Sequence[Mapping[str, Any]]

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The look at the student that is kept; None if its row is not there."""
        return next((look for look in self.looks if look["step"] == self.kept), None)


def read_bilingual(folder: Path, recipe: BilingualRecipe, looks: Sequence[Mapping[str, Any]]) -> BilingualFiles:
    """Read what a run of `distil` left in its folder. Raises InputError for a damaged file."""
    student, trimmed = folder / "student", folder / "trimmed"
    trims = recipe.vocabulary.trim  # else the folder is of another recipe
    of_student, of_teacher = (
        read_state_file(file) if (file := place / "config.json").is_file() else {} for place in (student, trimmed)
    )
    if not trims:
        of_teacher = {}
    teacher_layers, layers = (_whole(config, "num_hidden_layers") for config in (of_teacher, of_student))
    if wrong := [look for look in looks if not _is_look(look)]:
        raise InputError(
            f"{student / 'evaluations.jsonl'}: step {wrong[0]['step']} is not as `mergedistill distil` writes it; put back the file "
            "that it wrote, or distil again into another folder"
        )
    return BilingualFiles(
        recipe=recipe,
        pieces=_whole(of_student, "vocab_size") or _whole(of_teacher, "vocab_size"),
        layers=layers or (teacher_layers // recipe.student.reduction if teacher_layers else None),
        trimmed=_parameters(trimmed) if trims else None,
        student=_parameters(student),
        kept=kept_step(student),
        looks=looks,
    )


def _whole(config: Mapping[str, Any], key: str) -> int | None:
    """A whole number of a model's configuration; None if it names it otherwise, or there is no configuration yet."""
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _is_look(look: Mapping[str, Any]) -> bool:
    """Whether a row has a mean loss, and all values of each language."""
    languages = look.get("languages")
    return (
        is_number(look.get("mean_loss"))
        and is_number(look.get("step"))
        and isinstance(languages, dict)
        and bool(languages)
        and all(isinstance(found, dict) and all(is_number(found.get(key)) for key in _KEYS) for found in languages.values())
    )


def _parameters(folder: Path) -> int | None:
    """The parameters of a model's folder, tied ones once; None if it has no weights yet."""
    files = sorted(folder.glob("model*.safetensors"))
    total = 0
    for file in files:
        try:
            with safe_open(file, "numpy") as content:
                total += sum(prod(content.get_slice(name).get_shape()) for name in sorted(content.keys()))
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{file}: cannot be read ({error}); expected the weights that `mergedistill distil` wrote: put them back, or distil again "
                "into another folder"
            ) from None
    return total if files else None
