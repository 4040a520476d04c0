"""The files of a recipe's teachers: their local folders, and the vocabularies in them."""

from pathlib import Path

from data.recipe import Recipe
from vocab.model_source import model_folder
from vocab.teacher_vocabulary import TeacherVocabulary, read_teacher


def teacher_folder(recipe: Recipe, name: str, *, weights: bool) -> Path:
    """The local folder of one of the recipe's teachers. A snapshot of a Hub id is downloaded, with its weights if asked for."""
    teacher = recipe.teacher(name)
    return model_folder(teacher.model, base=recipe.folder, name=name, revision=teacher.revision, weights=weights)


def teacher_vocabulary(recipe: Recipe, name: str, folder: Path) -> TeacherVocabulary:
    """The vocabulary of the teacher in `folder`: that of its own tokenizer, or of the tokenizer that the recipe names for it."""
    tokenizer = recipe.teacher(name).tokenizer
    if tokenizer is None:
        return read_teacher(folder, name)
    local = recipe.folder / Path(tokenizer).expanduser()
    if not local.exists() and local.suffix not in (".json", ".txt", ".model"):
        local = model_folder(tokenizer, base=recipe.folder, name=name)
    return read_teacher(folder, name, local)
