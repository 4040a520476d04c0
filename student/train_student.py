"""A recipe's student in its run folder: RUN/vocab and the predictions become RUN/<name>; the held-out predictions its scores."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from data.contract import HELDOUT, PREDICTIONS, parse_path
from data.identity import shard_identity
from data.manifest import MANIFEST, listed_shards
from data.recipe import Recipe
from data.recipe_file import save_recipe
from data.shards import Shard, check_identity, list_shards, read_shards
from data.storage import replace_folder
from student.hardware import open_accelerator
from student.heldout import Heldout, score, write_heldout
from student.hf_folder import load_model
from student.model import new_student
from student.training.loop import TrainResult, train
from student.training.output import is_finished
from vocab.errors import InputError
from vocab.folder import load_union
from vocab.union import Union

VOCAB = "vocab"


def train_student(recipe: Recipe, run: Path, name: str = "student", *, resume: bool = False, progress: bool = True) -> TrainResult:
    """Train the recipe's student on the run's predictions and leave it in `run/name`.

    Raises InputError for missing or foreign predictions, and for all that `student.training.loop.train` refuses.
    """
    if name in (PREDICTIONS, HELDOUT, VOCAB) or "/" in name or name.startswith("."):
        raise InputError(f"student name '{name}': expected the name of a folder of its own below {run}, as 'student'")
    union = load_union(run / VOCAB)
    shards = student_shards(recipe, run, PREDICTIONS, union)
    roles = union.roles
    model = new_student(recipe.student, vocab_size=union.size, max_length=recipe.examples.max_length, roles=roles, seed=recipe.seed)
    result = train(
        model,
        shards,
        recipe.train,
        run / name,
        tokenizer=run / VOCAB / "tokenizer",
        max_length=recipe.examples.max_length,
        seed=recipe.seed,
        identity={**{f"student.{key}": value for key, value in recipe.student.model_dump().items()}, "union": union.fingerprint},
        resume=resume,
        progress=progress,
    )
    restricted = run / VOCAB / "restricted"
    if _of_predictions(run) and open_accelerator().is_main_process:  # for fine-tuning: it finds only pieces that training showed

        def fill(fresh: Path) -> None:
            shutil.copytree(restricted, fresh, dirs_exist_ok=True)

        replace_folder(run / name / "restricted", fill)
    if not (run / name / "recipe.toml").exists():
        save_recipe(recipe, run / name / "recipe.toml")
    return result


def _of_predictions(run: Path) -> bool:
    """Whether the run has a restricted tokenizer, made of what the predictions show (a report before predict counts the corpora)."""
    report = run / VOCAB / "report/report.json"
    return report.is_file() and json.loads(report.read_text(encoding="utf-8"))["counted"] == "predictions"


def evaluate_student(recipe: Recipe, run: Path, name: str = "student") -> Heldout:
    """Score the trained student `run/name` on the run's held-out predictions; writes its heldout.json."""
    if not is_finished(run / name):
        raise InputError(f"{run / name}: found no trained student; expected one: run `mergedistill train` first")
    shards = student_shards(recipe, run, HELDOUT, load_union(run / VOCAB))
    model = load_model(run / name).to(open_accelerator().device)
    heldout = score(model, shards, tokens_per_batch=recipe.train.tokens_per_microbatch, precision=recipe.train.precision)
    write_heldout(heldout, run / name)
    return heldout


def student_shards(recipe: Recipe, run: Path, kind: Literal["predictions", "heldout"], union: Union) -> list[Shard]:
    """The shards of the recipe's teachers in their languages, every identity checked. Shards of other teachers are left alone.

    What the recipe does not say (the teachers' tokenizers and weights) must be the same in all of a teacher's shards, and its
    tokenizer the one that the union was made with.
    """
    folder, languages = recipe.shards_below(run, kind), recipe.corpora if kind == PREDICTIONS else recipe.heldout
    wanted = [(teacher.name, language) for teacher in recipe.teachers for language in teacher.languages if language in languages]
    if not wanted:
        raise InputError(f"the recipe names no corpora for {folder}; expected a section [{kind}] in it")
    found = [shard for shard in read_shards(list_shards(folder)) if (shard.path.teacher, shard.path.language) in wanted]
    links = {link.teacher: link for link in union.links}
    first: dict[str, Shard] = {}
    for shard in found:
        link = links.get(shard.path.teacher)
        if link is None:
            raise InputError(f"{shard.location}: its teacher is not in the union vocabulary; run `mergedistill vocab` again")
        one = first.setdefault(shard.path.teacher, shard).identity
        dtype = one.get("dtype", "") if recipe.predict.dtype == "auto" else recipe.predict.dtype
        weights = one.get("teacher.weights", "")
        check_identity(
            shard, shard_identity(recipe, dtype=dtype, union=link.fingerprint, tokenizer=link.tokenizer, weights=weights)
        )
    present = {(shard.path.teacher, shard.path.language) for shard in found}
    missing = [f"teacher '{teacher}' on '{language}'" for teacher, language in wanted if (teacher, language) not in present]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{folder}: found no predictions of {missing[0]}{more}; expected some: run `mergedistill predict` first")
    _require_whole(folder, found, wanted)
    return found


def _require_whole(folder: str, found: Sequence[Shard], wanted: Sequence[tuple[str, str]]) -> None:
    """Refuse a cache that predict has not finished, or that lost a file since: the student would silently learn from a part."""
    there = {shard.location for shard in found}
    known = listed_shards(folder)
    if known is None:
        raise InputError(
            f"{folder}: found no {MANIFEST}; expected the one that a finished `mergedistill predict` leaves: run it again, it "
            "computes only what is missing"
        )
    listed = {place for place in known if (path := parse_path(place)) and (path.teacher, path.language) in wanted}
    if there != listed:
        raise InputError(
            f"{folder}: found {len(there):,} shards of this recipe's teachers, its manifest lists {len(listed):,}; predict has not "
            "finished, or files were removed: run `mergedistill predict` again, it computes only what is missing"
        )
