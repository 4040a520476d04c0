"""A run's student: trained on the predictions, scored on the held-out predictions, and left in RUN/<name>."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.atomic import replace_folder
from data.contract import HELDOUT, PREDICTIONS
from data.recipe import Train
from data.recipe_file import save_recipe
from data.run import Run
from data.shards import Shard
from data.state_file import read_state_file
from data.table import Table
from student.hardware import open_accelerator
from student.heldout import Heldout, read_heldout, same_rows, score, score_table, write_heldout
from student.hf_folder import load_config, load_model
from student.initialisation.from_teachers import initialise, sound_folder
from student.model import new_student, shape_identity
from student.model_card import write_card
from student.predictions import left_out, student_shards
from student.training.checkpoint import list_checkpoints
from student.training.evaluation import BEST, Evaluate, best_look
from student.training.memory import MICROBATCH
from student.training.output import is_finished, refuse_existing
from student.training.teacher_choice import choose_rows
from student.training.train import TrainResult, train
from vocab.errors import InputError
from vocab.folder import load_union
from vocab.union import Union


def train_student(run: Run, name: str = "student", *, resume: bool = False, progress: bool = True) -> TrainResult:
    """Train the recipe's student on the run's predictions and leave it in RUN/<name>.

    Raises InputError for missing predictions, predictions of other settings, and all that `student.training.train.train` refuses.
    """
    if name in (PREDICTIONS, HELDOUT, run.vocabulary.name) or "/" in name or name.startswith("."):
        raise InputError(f"student name '{name}': expected the name of a folder of its own below {run.folder}, as 'student'")
    recipe, out = run.recipe, run.student(name)
    if not resume:
        refuse_existing(out)  # before teachers are loaded
    union = load_union(run.vocabulary)
    shards = student_shards(run, PREDICTIONS, union)
    if (others := left_out(run, PREDICTIONS)) and open_accelerator().is_main_process:
        print(others, file=sys.stderr)
    model = _begin(run, name, union, shards, resume=resume)
    names = [teacher.name for teacher in recipe.teachers]
    choice = choose_rows(shards, recipe.train.teacher_choice, names, union.pieces, progress=progress)
    result = train(
        model,
        choice,
        recipe.train,
        out,
        tokenizer=run.vocabulary / "tokenizer",
        max_length=recipe.examples.max_length,
        seed=recipe.student_seed,
        evaluate=_evaluator(run, union),
        identity={**shape_identity(recipe.student), "union": union.fingerprint},
        resume=resume,
        progress=progress,
    )
    restricted = run.vocabulary / "restricted"
    if (
        _counted_in_predictions(run) and open_accelerator().is_main_process
    ):  # for fine-tuning: it has only pieces that training showed

        def fill(fresh: Path) -> None:
            shutil.copytree(restricted, fresh, dirs_exist_ok=True)

        replace_folder(out / "restricted", fill)
    if not (out / "recipe.toml").exists():
        save_recipe(recipe, out / "recipe.toml")
    return result


def _begin(run: Run, name: str, union: Union, shards: Sequence[Shard], *, resume: bool) -> Any:
    """The new student, with what it takes from its teachers. Weights that a checkpoint will replace are not taken."""
    recipe, out = run.recipe, run.student(name)
    weights = {
        shard.path.teacher: str(shard.identity["teacher.weights"]) for shard in shards if "teacher.weights" in shard.identity
    }
    finished = resume and is_finished(out)
    leader = None if finished else recipe.student.teacher_of_layers
    model = new_student(
        recipe.student,
        vocab_size=union.size,
        max_length=recipe.examples.max_length,
        roles=union.roles,
        seed=recipe.student_seed,
        like=None if leader is None else load_config(sound_folder(recipe, leader, weights)),
    )
    continues = finished or (resume and list_checkpoints(out))
    if not continues and (said := initialise(model, run, union, weights)) and open_accelerator().is_main_process:
        print(said, file=sys.stderr)
    return model


def _evaluator(run: Run, union: Union) -> Evaluate | None:
    """What scores the student while it trains; None if the recipe wants no such looks."""
    settings = run.recipe.train
    if settings.eval_steps is None:
        return None
    if not run.recipe.heldout:
        raise InputError(
            "train.eval_steps: the recipe names no [heldout] articles; expected some: add them and predict, or remove eval_steps"
        )
    shards = student_shards(run, HELDOUT, union)

    def evaluate(model: Any) -> dict[str, Any]:
        heldout = score(model, shards, tokens_per_batch=_budget(settings), precision=settings.precision)
        return {**heldout.to_json(), "mean_loss": heldout.mean_loss}

    return evaluate


def _budget(settings: Train) -> int:
    """Tokens of a batch that is scored."""
    return MICROBATCH if settings.tokens_per_microbatch == "auto" else settings.tokens_per_microbatch


def _counted_in_predictions(run: Run) -> bool:
    """Whether the run's restricted tokenizer was made from the predictions. A report before predict counts the corpora instead."""
    report = run.vocabulary / "report/report.json"
    return report.is_file() and read_state_file(report).get("counted") == "predictions"


def evaluate_student(run: Run, name: str = "student") -> Heldout:
    """Score the trained student RUN/<name> on the run's held-out predictions; writes its heldout.json."""
    folder = run.student(name)
    if not is_finished(folder):
        raise InputError(f"{folder}: found no trained student; expected one: run `mergedistill train` first")
    shards = student_shards(run, HELDOUT, load_union(run.vocabulary))
    model = load_model(folder).to(open_accelerator().device)
    settings = run.recipe.train
    heldout = score(model, shards, tokens_per_batch=_budget(settings), precision=settings.precision, progress=True)
    write_heldout(heldout, folder)
    return heldout


def _best(out: Path, steps: int) -> list[str]:
    """A line about the best of the looks while it trained, if the last one was not the best."""
    best = best_look(out)
    if best is None or best["step"] == steps:
        return []
    return [f"The lowest held-out loss, {best['mean_loss']:.3f}, was after step {best['step']:,}: that student is in {out / BEST}"]


def student_table(run: Run, result: TrainResult) -> Table:
    """The result of `train`: the student's held-out scores, next to its teachers and to the run's other students.

    Scores the student first, if the recipe names held-out articles. Other students are shown if they were scored on the same rows.
    """
    name = result.out.name
    students: dict[str, Heldout] = {}
    if run.recipe.heldout:
        heldout = evaluate_student(run, name)
        others = {folder.name: read_heldout(folder) for folder in sorted(run.folder.iterdir()) if is_finished(folder)}
        others.pop(name, None)
        students = {other: scores for other, scores in others.items() if scores and same_rows(scores, heldout)} | {name: heldout}
    table = score_table(students)
    if open_accelerator().is_main_process:
        write_card(run, name, table if students else None)
    won = [
        f"{run.recipe.train.teacher_choice}: rows in {language} of {', '.join(f'{name} {share:.1%}' for name, share in shares.items())}"
        for language, shares in result.metrics.get("won", {}).items()
    ]
    action = "was trained already" if result.already_finished else "trained"
    return Table(
        title="Held-out scores",
        columns=table.columns,
        rows=table.rows,
        notes=[
            *(table.notes if students else ["The recipe names no [heldout] articles: nothing was scored."]),
            *won,
            *_best(result.out, result.steps),
            "Load the student:",
            "from transformers import AutoModelForMaskedLM, AutoTokenizer",
            f'tokenizer = AutoTokenizer.from_pretrained("{result.out}")',
            f'model = AutoModelForMaskedLM.from_pretrained("{result.out}")',
        ],
        result=f"{result.out}: {action}, {result.steps:,} steps",
        facts={
            "student": str(result.out),
            "steps": result.steps,
            "already_finished": result.already_finished,
            "mean_rdt": students[name].mean_rdt if students else None,
        },
    )
