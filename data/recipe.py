"""The recipe: everything that a run depends on, as immutable tables. `data.recipe_file` reads and writes it as TOML."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from data.recipe_sections import (
    Examples,
    Language,
    Name,
    Precision,
    Predict,
    RecipeFile,
    Section,
    Student,
    Teacher,
    Train,
    Vocabulary,
    check_language,
)
from vocab.errors import InputError

__all__ = [
    "Examples",
    "Language",
    "Name",
    "Precision",
    "Predict",
    "Recipe",
    "RecipeFile",
    "Section",
    "Student",
    "Teacher",
    "Train",
    "Vocabulary",
    "check_language",
]


class Recipe(RecipeFile):
    """Everything that a run depends on."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    teachers: Annotated[list[Teacher], Field(min_length=1)]
    corpora: dict[Language, str]  # language → glob or URI of article shards
    heldout: dict[Language, str] = Field(default_factory=dict)  # the same for held-out articles: predicted, but not trained on
    vocabulary: Vocabulary = Vocabulary()
    examples: Examples = Examples()
    predict: Predict = Predict()
    student: Student = Student()
    train: Train = Train()

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        names = [teacher.name for teacher in self.teachers]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"teachers: the name '{twice}' is there twice; give each teacher a name of its own")
        if (name := self.student.teacher_of_layers) is not None and name not in names:
            raise ValueError(f"student.initialise: no teacher is called '{name}'; the recipe has {', '.join(names)}")
        self._check_vocabulary_only()
        taught = {language for teacher in self.teachers for language in teacher.languages}
        for teacher in self.teachers:
            if len(set(teacher.languages)) < len(teacher.languages):
                raise ValueError(f"teacher '{teacher.name}' names a language twice; name each once")
            for language in teacher.languages:
                if language not in self.corpora:
                    raise ValueError(
                        f"teacher '{teacher.name}' names the language '{language}', which has no corpus: add it to [corpora]"
                    )
        for section in ("corpora", "heldout"):
            for language in getattr(self, section):
                if language not in taught:
                    raise ValueError(f"{section}.{language}: no teacher names this language: add it to one, or remove the corpus")
        return self

    def _check_vocabulary_only(self) -> None:
        """Refuse what a teacher with languages = [] cannot give."""
        silent = [teacher.name for teacher in self.teachers if not teacher.languages]
        if len(silent) == len(self.teachers):
            raise ValueError("teachers: none names a language, so nothing is labelled: give one of them its languages")
        if silent and self.vocabulary.method != "union":
            raise ValueError(
                f'vocabulary.method: found "{self.vocabulary.method}", which counts a teacher\'s pieces in its corpora, and teacher '
                f"'{silent[0]}' has none (languages = []): expected method = \"union\": choose it, or give the teacher languages"
            )
        if self.student.teacher_of_layers in silent:
            raise ValueError(
                f"student.initialise: teacher '{self.student.teacher_of_layers}' gives only its vocabulary (languages = []); expected a "
                "teacher that labels a language, whose weights the predictions prove: name one"
            )

    @property
    def labellers(self) -> list[Teacher]:
        """The teachers that label text, in order. The others (languages = []) give the union their pieces, and nothing else."""
        return [teacher for teacher in self.teachers if teacher.languages]

    @property
    def student_seed(self) -> int:
        """The seed of the student: its first weights, its stream, its dropout."""
        return self.seed if self.train.seed is None else self.train.seed

    def teacher(self, name: str) -> Teacher:
        """The teacher with this name, or an InputError that lists the names."""
        for teacher in self.teachers:
            if teacher.name == name:
                return teacher
        raise InputError(f"no teacher is called '{name}'; the recipe has {', '.join(t.name for t in self.teachers)}")

    def chosen_labellers(self, names: Sequence[str]) -> list[str]:
        """These teachers by name, each once, or all that label text. InputError for one that does not."""
        for name in names:
            if not self.teacher(name).languages:
                raise InputError(
                    f"teacher '{name}' labels nothing (languages = [] in the recipe), so there is nothing to predict; expected one of "
                    f"{', '.join(t.name for t in self.labellers)}"
                )
        return [*dict.fromkeys(names)] or [teacher.name for teacher in self.labellers]
