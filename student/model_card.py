"""The card of a student (README.md in its folder), as the Hub reads it: what it was made from, its scores, and how to use it."""

from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from data.atomic import write_text
from data.recipe import Student, Teacher
from data.run import Run
from data.table import Table

CARD = "README.md"
UNKNOWN = "not stated"


def write_card(run: Run, name: str, scores: Table | None) -> None:
    """Write the card into RUN/<name>. `scores`: the table of the held-out scores; None if nothing was scored."""
    recipe, folder = run.recipe, run.student(name)
    licences = {teacher.name: licence(teacher, recipe.folder) for teacher in recipe.teachers}
    stated = set(licences.values())
    data = ModelCardData(
        language=sorted({language for teacher in recipe.teachers for language in teacher.languages}),
        license=stated.pop() if len(stated) == 1 and UNKNOWN not in stated else None,
        library_name="transformers",
        pipeline_tag="fill-mask",
        tags=["mergedistill", "distillation"],
        base_model=[teacher.model for teacher in recipe.labellers if _on_hub(teacher, recipe.folder)] or None,
    )
    labels = "gold and teacher labels" if recipe.train.labels == "gold+teacher" else "gold labels only"
    lines = [
        "---",
        data.to_yaml().strip(),
        "---",
        "",
        f"# {recipe.name}: {name}",
        "",
        f"A masked language model, trained on {labels} by [MergeDistill](https://arxiv.org/abs/2106.02834) (Khanuja, Johnson and Talukdar, "
        "2021): one student over the union of its teachers' vocabularies." + _beginning(recipe.student),
        "",
        "## Teachers",
        "",
        "| teacher | model | languages | licence, as its card states it |",
        "| --- | --- | --- | --- |",
        *(f"| {t.name} | `{t.model}` | {_languages(t)} | {licences[t.name]} |" for t in recipe.teachers),
        "",
        "The licences of the teachers and of the texts may bind those who use or pass on this model.",
        "",
        "## Texts",
        "",
        "| language | trained on | held out |",
        "| --- | --- | --- |",
        *(f"| {language} | `{place}` | {_code(recipe.heldout.get(language))} |" for language, place in recipe.corpora.items()),
        "",
        "## Held-out scores",
        "",
        *(["```text", scores.text(), "```"] if scores else ["The recipe names no held-out articles: nothing was scored."]),
        "",
        "## Use",
        "",
        "```python",
        "from transformers import AutoModelForMaskedLM, AutoTokenizer",
        "",
        "tokenizer = AutoTokenizer.from_pretrained(FOLDER_OR_ID)",
        "model = AutoModelForMaskedLM.from_pretrained(FOLDER_OR_ID)",
        "```",
        "",
        _tokenizers(folder),
        "",
        "## Recipe",
        "",
        "```toml",
        (folder / "recipe.toml")
        .read_text(encoding="utf-8")
        .strip()
        .replace(f"{recipe.folder}/", ""),  # a card names no folder of a machine
        "```",
    ]
    write_text(folder / CARD, "\n".join(lines) + "\n")


def _languages(teacher: Teacher) -> str:
    return ", ".join(teacher.languages) or "none: only its vocabulary"


def _beginning(student: Student) -> str:
    """What the student took from its teachers before it was trained."""
    if student.initialise == "random":
        return " It began with random weights."
    layers = f", and its layers from `{student.teacher_of_layers}`" if student.teacher_of_layers else ""
    return f" Before it was trained, the rows of its vocabulary were taken from its teachers' weights{layers}."


def licence(teacher: Teacher, base: Path) -> str:
    """The licence that a teacher's own card states: README.md in its folder, or on the Hub if it is a Hub id and can be reached."""
    local = base / Path(teacher.model).expanduser()
    place = local / CARD if local.is_dir() else teacher.model
    if isinstance(place, Path) and not place.is_file():
        return UNKNOWN
    try:
        stated = ModelCard.load(place).data.get("license")
    except Exception:  # no network, no card, or a card whose head is no YAML: then nothing is stated
        return UNKNOWN
    return str(stated) if stated else UNKNOWN


def _tokenizers(folder: Path) -> str:
    """Which tokenizer is for what."""
    text = "The tokenizer in this folder has all pieces of the union: it finds the longest one, whichever teacher it came from."
    if (folder / "restricted").is_dir():
        text += (
            " `restricted/` is a tokenizer of only the pieces that training showed; take it for fine-tuning "
            '(`AutoTokenizer.from_pretrained(FOLDER_OR_ID, subfolder="restricted")`): each piece that it gives has a trained embedding.'
        )
    return text


def _on_hub(teacher: Teacher, base: Path) -> bool:
    return not (base / Path(teacher.model).expanduser()).is_dir() and teacher.model.count("/") == 1


def _code(text: str | None) -> str:
    return f"`{text}`" if text else "none"
