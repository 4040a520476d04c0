"""`distil`: phase 1 of BiStil (Ansell et al., Findings of ACL 2023). A multilingual model becomes a small one for a few languages.

The teacher is trimmed to the languages' pieces, the student begins with every f-th of its layers and learns its hidden states and attention
maps on text. RUN/trimmed is the trimmed teacher, RUN/windows the text, RUN/student the result, with its checkpoints and metrics.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.bilingual_recipe import BilingualRecipe
from data.identity import differences, location_fingerprint
from data.interruption import deferred
from data.lock import exclusive
from data.progress import progress_bar
from data.recipe_file import save_bilingual_recipe
from data.sparse_file import SparseFile, read_language_sparse
from data.storage import require_files
from student.bilingual.distil_loop import Distilling, make_optimizer, run_distillation, validation
from student.bilingual.distil_result import DistilResult
from student.bilingual.language_tuning import masked_lm_loss
from student.bilingual.shallow import shallow_student
from student.bilingual.sparse_model import base_fingerprints, restrict_rows, sparse_names, untie
from student.bilingual.state_losses import check_states
from student.bilingual.teacher import Teacher, open_with_states
from student.bilingual.text_windows import MaskedBatch, open_windows
from student.bilingual.trim_record import read_trim
from student.hardware import autocast, open_accelerator, use_bfloat16
from student.tasks.models import check_room
from student.training.checkpoint import load_weights, newest_sound, read_state
from student.training.checkpoint_writer import CheckpointWriter
from student.training.evaluation import BEST, Evaluations, best_look
from student.training.metrics import read_rows, truncate_rows
from student.training.output import finish_output, is_finished, open_output, refuse_existing
from student.trim import trim
from vocab.errors import InputError
from vocab.model_source import model_folder
from vocab.roles import read_roles
from vocab.student_tokenizer import save_tokenizer
from vocab.tokenizer_source import open_tokenizer

_OPERATIONAL = {"log_steps", "checkpoint_steps", "micro_batch"}  # settings that change no weight, nor which student is kept


def distil(recipe: BilingualRecipe, run: Path, *, resume: bool = False, progress: bool = True) -> DistilResult:
    """Trim the teacher, make the windows, and train the student of a recipe into RUN/student.

    resume  continue from the newest checkpoint with the same batches, losses (up to rounding) and metrics as without a stop

    SIGINT and SIGTERM end it after the step that runs, with a checkpoint. Raises InputError for a teacher that is not there or gives no
    attention maps, a reduction that does not divide its layers, sparse fine-tunings of another base, a folder of another recipe, and a loss
    that is not finite.
    """
    accelerator = open_accelerator()
    if accelerator.num_processes > 1:
        raise InputError(f"distil: found {accelerator.num_processes} processes; expected one: start it without a launcher")
    use_bfloat16(recipe.train.precision, accelerator.device)  # says its choice, before there is a progress bar
    with exclusive(run / "student", "distils this student"):
        return _distil(recipe, run, accelerator.device, resume, progress)


def _distil(recipe: BilingualRecipe, run: Path, device: torch.device, resume: bool, progress: bool) -> DistilResult:
    out = run / "student"
    if not resume:
        refuse_existing(out, "another --out")
    corpora = {
        language: require_files(recipe.locate_files(pattern), f"corpus of '{language}'")
        for language, pattern in recipe.corpora.items()
    }
    source = model_folder(recipe.teacher.model, base=recipe.folder, name="teacher", revision=recipe.teacher.revision, weights=True)
    weights, tokenizer_print = base_fingerprints(source)
    sparse = {
        language: read_language_sparse(Path(recipe.locate(file)), language, base_weights=weights, base_tokenizer=tokenizer_print)
        for language, file in recipe.teacher.sparse.items()
    }
    full = _checked_teacher(recipe, source)  # what can be wrong with it is found before the text is read
    trimmed = _trimmed(recipe, source, corpora, weights, tokenizer_print, run, progress)
    windows = open_windows(
        run / "windows",
        corpora,
        open_tokenizer(trimmed, "teacher"),
        "teacher",
        **recipe.examples.model_dump(),
        seed=recipe.seed,
        progress=progress,
    )
    identity = {
        "teacher": weights,
        "tokenizer": tokenizer_print,
        **{f"sparse.{language}": content.fingerprint() for language, content in sparse.items()},
        "windows": windows.fingerprint(),
        **{f"student.{key}": value for key, value in recipe.student.model_dump().items()},
        **{f"train.{key}": value for key, value in recipe.train.model_dump().items() if key not in _OPERATIONAL},
        "seed": recipe.seed,
    }
    open_output(out, identity, resume=resume)
    save_bilingual_recipe(recipe, run / "recipe.toml")
    teacher = _teacher(trimmed, source, sparse, device)
    student = shallow_student(teacher.model, recipe.student.reduction, recipe.student.layers).to(device)
    if not is_finished(out):
        training = Distilling(
            student=student,
            teacher=teacher,
            windows=windows,
            settings=recipe.train,
            out=out,
            identity=identity,
            device=device,
        )
        _train(training, trimmed, resume=resume, progress=progress)
    look = best_look(out)
    assert look is not None, "the last step is looked at"
    return DistilResult(
        out=out,
        layers=(int(full.config.num_hidden_layers), int(student.config.num_hidden_layers)),
        parameters=(full.num_parameters(), student.num_parameters()),
        pieces=(int(full.config.vocab_size), int(student.config.vocab_size)),
        look=look,
        tokens=read_rows(out)[-1]["tokens"],
    )


def _checked_teacher(recipe: BilingualRecipe, source: Path) -> Any:
    """The teacher that was given, after it did all that a step and a look ask of it. Raises InputError if it cannot."""
    full = open_with_states(source).eval()
    check_room(source, full, recipe.examples.max_length, "examples.max_length")
    roles = read_roles(open_tokenizer(source, "teacher"), "teacher")
    ids_BT = np.array([[roles.cls, roles.mask, roles.unk, roles.sep]])
    check_states(full, torch.from_numpy(ids_BT), str(source))
    probe = MaskedBatch(language="", input_ids=ids_BT, places=np.array([1]), labels=np.array([roles.unk]))
    with torch.no_grad():
        masked_lm_loss(shallow_student(full, recipe.student.reduction, recipe.student.layers), probe, torch.device("cpu"))
    return full


def _trimmed(
    recipe: BilingualRecipe,
    source: Path,
    corpora: Mapping[str, Sequence[str]],
    weights: str,
    tokenizer: str,
    run: Path,
    progress: bool,
) -> Path:
    """The teacher with the pieces of the recipe's languages; the one that was given, if the recipe does not trim."""
    if not recipe.vocabulary.trim:
        return source
    folder, settings = run / "trimmed", recipe.vocabulary.model_dump(exclude={"trim"})
    if not (folder / "config.json").is_file():
        trim(str(source), corpora, folder, **settings, progress=progress)
    found = read_trim(folder)
    before = {name: getattr(found, name) for name in settings} | {"weights": found.weights, "tokenizer": found.tokenizer}
    wanted = {**settings, "weights": weights, "tokenizer": tokenizer}
    text = {language: tuple(location_fingerprint(file) for file in files) for language, files in corpora.items()}
    if wrong := differences({**before, "text": dict(found.corpora)}, {**wanted, "text": text}):
        raise InputError(
            f"{folder}: was trimmed in another way ({wrong[0]}); expected the recipe's: remove it, or give another --out"
        )
    return folder


def _teacher(trimmed: Path, source: Path, sparse: Mapping[str, SparseFile], device: torch.device) -> Teacher:
    """The trimmed teacher, with the sparse fine-tunings of the full one: rows of pieces that are gone are left out."""
    model = open_with_states(trimmed).eval().to(device)
    if sparse:
        untie(model)  # a language's sparse fine-tuning leaves the output as it was
        if trimmed != source:
            rows = model.get_input_embeddings().weight
            name = next(name for name, parameter in sparse_names(model).items() if parameter is rows)
            kept = read_trim(trimmed).kept_ids
            sparse = {language: restrict_rows(content, name, kept) for language, content in sparse.items()}
    return Teacher(model=model, sparse=sparse)


def _train(training: Distilling, trimmed: Path, *, resume: bool, progress: bool) -> None:
    """The steps that are missing; then the best student is in its folder, with the trimmed tokenizer."""
    out, steps = training.out, training.settings.steps
    tokenizer = out.parent / "tokenizer"
    save_tokenizer(open_tokenizer(trimmed, "teacher"), tokenizer)
    optimizer = make_optimizer(training.student.parameters(), training.settings.learning_rate)
    checkpoint = newest_sound(out) if resume else None
    state = read_state(checkpoint, training.identity) if checkpoint else None
    if checkpoint:
        load_weights(checkpoint, training.student, optimizer)
    first = state.step if state else 0
    truncate_rows(out, first)
    looks = Evaluations(out, validation(training, _mlm_scores(training)), tokenizer, first)
    with (
        deferred() as deferral,
        CheckpointWriter(out, background=training.device.type == "cuda") as writer,
        progress_bar(steps, "distil", "steps", show=progress, initial=first) as bar,
    ):
        run_distillation(training, optimizer, looks, state, deferral, writer, bar)
    training.student.load_state_dict(open_with_states(out / BEST).state_dict())
    finish_output(out, training.student, tokenizer)
    shutil.rmtree(tokenizer, ignore_errors=True)


def _mlm_scores(training: Distilling) -> Any:
    """(model, batch) → (sum of masked-LM losses, right ones), for validation."""

    def scores(model: Any, batch: MaskedBatch) -> tuple[float, float]:
        if not len(batch.labels):
            return 0.0, 0.0
        with autocast(training.settings.precision, training.device):
            loss, right = masked_lm_loss(model, batch, training.device, reduction="sum")
        return float(loss), float(right)

    return scores
