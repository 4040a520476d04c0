"""The vocabularies of all teachers of a recipe."""

from data.recipe import Recipe
from data.teacher_files import teacher_folder, teacher_vocabulary
from pipeline.teacher.checkpoint import inspect_checkpoint
from vocab.teacher_vocabulary import TeacherVocabulary


def read_teachers(recipe: Recipe) -> list[TeacherVocabulary]:
    """The vocabularies of the recipe's teachers, in its order.

    Where the weights are there already, they must be those of a masked LM. The weights of a teacher without languages are not looked at.
    """
    read = []
    for teacher in recipe.teachers:
        folder = teacher_folder(recipe, teacher.name, weights=False)
        has_weights = any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
        if teacher.languages and has_weights:
            inspect_checkpoint(folder, teacher.name)
        read.append(teacher_vocabulary(recipe, teacher.name, folder))
    return read
