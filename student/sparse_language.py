"""`sparse language`: a language's sparse fine-tuning of a masked LM, from its text. Checkpoints lie beside the file, in `.NAME.work`."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from data.bilingual_recipe import Distillation
from data.interruption import deferred
from data.lock import exclusive
from data.recipe_sections import check_language
from data.sparse_file import SparseFile, write_sparse
from data.sparse_header import SparseHeader
from data.storage import require_files
from data.table import Table
from student.bilingual.language_tuning import tune_language
from student.bilingual.sparse_model import base_fingerprints, untie
from student.bilingual.sparse_tuning import EPS
from student.bilingual.teacher import open_with_states
from student.bilingual.text_windows import open_windows
from student.hardware import open_accelerator, use_bfloat16
from student.tasks.models import check_room
from vocab.errors import InputError
from vocab.model_source import model_folder
from vocab.tokenizer_source import open_tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageSettings:
    """How a language's sparse fine-tuning is trained. The defaults are those of Ansell et al. 2022 for mBERT."""

    share: float = 0.0433  # of the sparse parameters: 7,667,712 of mBERT's
    steps: int = 100_000  # of each of the two phases
    batch_size: int = 8  # windows
    max_length: int = 256  # tokens of a window
    mask_rate: float = 0.15
    learning_rate: float = 5e-5
    l1: float = 0.1  # weight of the mean |θ − θ0|
    freeze_norms: bool = True
    precision: str = "auto"
    checkpoint_steps: int = 1000
    seed: int = 42

    def training(self) -> Distillation:
        """The settings of one phase. Raises InputError for values that cannot be."""
        names = ("steps", "batch_size", "learning_rate", "precision", "checkpoint_steps")
        try:
            return Distillation.model_validate({name: getattr(self, name) for name in names})
        except ValidationError as error:
            wrong = error.errors()[0]
            raise InputError(f"{'.'.join(map(str, wrong['loc']))}: found {wrong['input']}; {wrong['msg']}") from None


def tune(
    model: str, language: str, corpora: Sequence[str], out: Path, settings: LanguageSettings | None = None, *, progress: bool = True
) -> Table:
    """Train on article shards (paths, globs or URIs) and write the file `out`. A call that was stopped continues.

    Raises InputError for a file that is there, a model that is no masked LM, a language without text, and checkpoints of other settings.
    """
    settings = settings or LanguageSettings()
    with exclusive(out, "trains this sparse fine-tuning"):
        if out.exists():
            raise InputError(f"{out}: exists; expected a new file: choose another --out, or remove it")
        check_language(language)
        training, device = settings.training(), open_accelerator().device
        use_bfloat16(training.precision, device)
        folder = model_folder(model, base=Path(), name=None, weights=True)
        if out.resolve().parent == folder.resolve():
            raise InputError(
                f"{out}: is in the folder of the model, where it would be taken for its weights; expected another place"
            )
        files = [file for pattern in corpora for file in require_files(pattern, f"corpus of '{language}'")]
        weights, tokenizer_print = base_fingerprints(folder)
        found = open_with_states(folder)
        check_room(folder, found, settings.max_length)
        untie(found)
        work = out.with_name(f".{out.name}.work")
        windows = open_windows(
            work / "windows",
            {language: files},
            open_tokenizer(folder, folder.name),
            folder.name,
            max_length=settings.max_length,
            mask_rate=settings.mask_rate,
            validation=0.0,
            seed=settings.seed,
            progress=progress,
        )
        with deferred() as deferral:
            result = tune_language(
                found.to(device),
                windows,
                training,
                work,
                share=settings.share,
                l1=settings.l1,
                freeze_norms=settings.freeze_norms,
                identity={
                    **{name: getattr(settings, name) for name in settings.__slots__ if name != "checkpoint_steps"},
                    "base": weights,
                    "windows": windows.fingerprint(),
                },
                device=device,
                deferral=deferral,
                progress=progress,
            )
        header = SparseHeader(
            kind="language",
            base=model,
            base_weights=weights,
            base_tokenizer=tokenizer_print,
            k=result.k,
            parameters=result.parameters,
            eps=EPS,
            language=language,
        )
        content = SparseFile(header=header, indices=result.indices, values=result.values, shapes=result.shapes, dense={})
        write_sparse(out, content)
        shutil.rmtree(work, ignore_errors=True)
    return Table(
        title="Sparse fine-tuning",
        result=(
            f"{out}: {content.entries:,} differences in {language}, masked-LM loss {result.sparse.loss:.3f} (all parameters: "
            f"{result.full.loss:.3f}) after {result.sparse.steps:,} steps each. Next: name it in [teacher.sparse] or --language-sparse"
        ),
        facts={
            "out": str(out),
            "entries": content.entries,
            "k": result.k,
            "loss": result.sparse.loss,
            "full_loss": result.full.loss,
            "steps": result.sparse.steps,
        },
    )
