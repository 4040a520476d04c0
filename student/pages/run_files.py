"""What lies in the folder of a run: the files that a report shows, found and read. Nothing is computed here."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.bilingual_recipe import BilingualRecipe
from data.contract import HELDOUT, PREDICTIONS
from data.manifest import MANIFEST, read_manifest, summarise
from data.recipe import Recipe
from data.recipe_file import load_any_recipe, parse_recipe
from data.run import Run
from data.shards import list_shards, read_shards
from data.storage import join
from student.pages.bilingual_files import BilingualFiles, read_bilingual
from student.pages.student_files import StudentFiles, is_student, read_student
from student.tasks.results import Evaluation, read_evaluation
from student.training.output import IDENTITY
from vocab.errors import InputError

_TASKS = ("ner", "udpos", "xnli", "pawsx", "qa")
_BILINGUAL = {"teacher", "windows"}  # settings of a student of `distil` that no other student has
_DEPTH = 4  # folders below the run in which evaluations are looked for
_OTHERS = {PREDICTIONS, HELDOUT, "vocab", "corpora", "teachers", "checkpoints", "best", "restricted"}  # hold no evaluations


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFiles:
    """One run.

    label        its name in the page, which no other run of the page has
    recipe       None if nothing in the folder holds it, or if it is that of a bilingual student
    predictions  where its shards lie
    cache        a row for each teacher and language, as data.manifest.summarise makes it
    complete     whether predict has finished
    manifest     the content of the manifest, empty without one
    """

    label: str
    folder: Path
    recipe: Recipe | None
    predictions: str
    cache: Sequence[Mapping[str, Any]]
    complete: bool
    manifest: Mapping[str, Any]
    students: Sequence[StudentFiles]
    evaluations: Sequence[Evaluation]
    bilingual: BilingualFiles | None = None  # of a run of `distil`, which has none of the parts above but a student and evaluations

    @property
    def vocabulary(self) -> Path | None:
        """The folder of the union vocabulary, if there is one."""
        folder = self.folder / "vocab"
        return folder if (folder / "union.json").is_file() else None

    def command(self, verb: str, *more: str) -> str:
        """A command for this run, as the user can give it."""
        return " ".join(["mergedistill", verb, "RECIPE", "--out", shlex.quote(str(self.folder)), *more])


def read_run_files(folder: Path, label: str) -> RunFiles:
    """Read a run's folder. Parts that are not there yet are empty.

    Raises InputError for a folder that is not there, that holds nothing of a run, or that holds a damaged file.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; expected the folder of a run, as `mergedistill run RECIPE --out {folder}` makes it"
        )
    places = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    students = [read_student(place) for place in places if place.name not in _OTHERS and is_student(place)]
    evaluations = [read_evaluation(file) for file in _evaluation_files(folder)]
    recipe = _recipe(folder, students)
    if isinstance(recipe, BilingualRecipe):
        return _bilingual_run(folder, label, recipe, students, evaluations)
    if recipe is None and (lost := [student.name for student in students if student.settings.keys() >= _BILINGUAL]):
        raise InputError(
            f"{folder / 'recipe.toml'}: found no such file; expected the recipe of the bilingual student in {lost[0]}/: "
            f"`mergedistill distil RECIPE --out {folder} --resume` writes it again"
        )
    predictions = Run(recipe=recipe, folder=folder).predictions if recipe else str(folder / PREDICTIONS)
    manifest = _manifest(predictions)
    found = RunFiles(
        label=label,
        folder=folder,
        recipe=recipe,
        predictions=predictions,
        cache=manifest["languages"] if manifest else summarise(read_shards(list_shards(predictions))),
        complete=manifest is not None,
        manifest=manifest or {},
        students=students,
        evaluations=evaluations,
    )
    if not (found.vocabulary or found.cache or found.students or found.evaluations):
        if (folder / IDENTITY).is_file():
            raise InputError(f"{folder}: is the folder of a student; expected that of its run: name {folder.parent}")
        raise InputError(
            f"{folder}: found no vocab/, predictions/, student or evaluation; expected the folder of a run: run `mergedistill run RECIPE "
            f"--out {folder}` or `mergedistill distil RECIPE --out {folder}` first, or name another folder"
        )
    return found


def _bilingual_run(
    folder: Path, label: str, recipe: BilingualRecipe, students: Sequence[StudentFiles], evaluations: Sequence[Evaluation]
) -> RunFiles:
    """A run of `distil`, whose student has one name."""
    own = [student for student in students if student.name == "student"]
    if not own:
        raise InputError(
            f"{folder}: found the recipe of a bilingual student and no student; expected the folder of its run: run `mergedistill distil "
            "RECIPE --out RUN` first, or name that folder"
        )
    return RunFiles(
        label=label,
        folder=folder,
        recipe=None,
        predictions="",
        cache=[],
        complete=False,
        manifest={},
        students=own,
        evaluations=evaluations,
        bilingual=read_bilingual(folder, recipe, own[0].looks),
    )


def labels(folders: Sequence[Path]) -> list[str]:
    """A name for each run: that of its folder, with as many of the folders above it as make the names differ.

    Raises InputError for a folder that is given twice.
    """
    whole = [folder.resolve() for folder in folders]
    if odd := [folder for folder in whole if not _is_text(folder)]:
        raise InputError(f"{odd[0]!a}: found a name that is not UTF-8; expected one that a page can show: rename the folder")
    if twice := [folder for place, folder in enumerate(folders) if whole[place] in whole[:place]]:
        raise InputError(f"{twice[0]}: found the same run twice; expected different ones: name each once")
    found = [folder.name or str(folder) for folder in whole]
    depth = 2
    while len(set(found)) < len(found):
        found = [
            "/".join(folder.parts[-depth:]) if found.count(name) > 1 else name for name, folder in zip(found, whole, strict=True)
        ]
        depth += 1
    return found


def _is_text(folder: Path) -> bool:
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _recipe(folder: Path, students: Sequence[StudentFiles]) -> Recipe | BilingualRecipe | None:
    """The run's recipe: beside a student, in the run's folder, or in a manifest. A student's has paths that hold everywhere."""
    for place in (*(folder / student.name / "recipe.toml" for student in students), folder / "recipe.toml"):
        if place.is_file():
            return load_any_recipe(place)
    for split in (PREDICTIONS, HELDOUT):
        manifest = read_manifest(str(folder / split))
        if manifest is not None and "recipe" in manifest:
            return parse_recipe(dict(manifest["recipe"]), folder=folder, source=f"the manifest in {folder / split}")
    return None


def _manifest(predictions: str) -> dict[str, Any] | None:
    """The manifest of finished predictions. Raises InputError for JSON that is no manifest."""
    manifest = read_manifest(predictions)
    if manifest is None:
        return None
    rows, identities = manifest.get("languages"), manifest.get("identities")
    sound = (
        isinstance(rows, list)
        and isinstance(identities, dict)
        and all(isinstance(one, dict) for one in [*rows, *identities.values()])
    )
    if not sound or not all(_is_summary(row) for row in rows or ()):
        raise InputError(
            f"{join(predictions, MANIFEST)}: is not as `mergedistill predict` writes it; remove it and run `mergedistill predict` again: "
            "it makes the manifest from the shards, and computes nothing twice"
        )
    return manifest


def _is_summary(row: Mapping[str, Any]) -> bool:
    """Whether a row has a teacher, a language, and numbers."""
    named = isinstance(row.get("teacher"), str) and isinstance(row.get("language"), str)
    return named and all(isinstance(value, int | float) for key, value in row.items() if key not in ("teacher", "language"))


def _evaluation_files(folder: Path) -> list[Path]:
    """The files that may be results of `mergedistill evaluate`, sorted. Any JSON of another kind is left out."""
    found = []
    for place, folders, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if depth < _DEPTH and name not in _OTHERS and not name.startswith("."))
        found += [Path(place) / f"{task}.json" for task in _TASKS if f"{task}.json" in files]
    return [file for file in sorted(found) if not _is_other_json(file)]


def _is_other_json(file: Path) -> bool:
    """Whether a file is sound JSON of another kind, as a data set for the task qa is. What is no JSON may be a damaged result."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return not (isinstance(content, dict) and "scorer" in content and "runs" in content)
