"""Where the files of a recipe's teacher lie, and the vocabulary in them."""

from pathlib import Path

from data.recipe import Recipe
from vocab.model_source import model_folder
from vocab.teacher_vocabulary import TeacherVocabulary, read_teacher


def teacher_vocabulary(recipe: Recipe, name: str, folder: Path, *, base: Path | None = None) -> TeacherVocabulary:
    """The vocabulary of the teacher in `folder`: its own tokenizer's, or that of the one that the recipe names."""
    teacher, base = recipe.teacher(name), base or recipe.folder
    if teacher.tokenizer is None:
        return read_teacher(folder, name)
    local = base / Path(teacher.tokenizer).expanduser()
    if not local.exists() and local.suffix not in (".json", ".txt", ".model"):
        local = model_folder(teacher.tokenizer, base=base, name=name)
    return read_teacher(folder, name, local)


def teacher_folder(recipe: Recipe, name: str, *, weights: bool) -> Path:
    """The local folder of one of the recipe's teachers (a Hub id's snapshot is fetched)."""
    teacher = recipe.teacher(name)
    return model_folder(teacher.model, base=recipe.folder, name=name, revision=teacher.revision, weights=weights)
