"""One fine-tuned model of an evaluation, fully trained or by a sparse fine-tuning, and how it answers in each language."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data.identity import weights_fingerprint
from data.sparse_file import SparseFile, read_language_sparse, write_sparse
from data.sparse_header import SparseHeader
from student.bilingual.sparse_model import add_sparse, base_fingerprints, sparse_names
from student.bilingual.sparse_tuning import EPS, Hook, SparseTuned, sparse_tune
from student.bilingual.task_distillation import TaskTeacher
from student.tasks.fine_tune import Loss, Tuned
from student.tasks.judged import Judged
from student.tasks.request import Request
from student.tasks.task import FineTuning
from vocab.errors import InputError

Train = Callable[[FineTuning, str, Loss | None, Hook | None], Tuned]


@dataclass(frozen=True, kw_only=True)
class Languages:
    """The languages' sparse fine-tunings of one model (φ_language): one of them at a time is in its weights."""

    contents: Mapping[str, SparseFile]

    @classmethod
    def of(cls, request: Request, model: Judged) -> "Languages":
        """Those of the request, which must be of this model. Raises InputError for a file of another base."""
        if request.sparse is None or not request.sparse.languages:
            return cls(contents={})
        weights, tokenizer = base_fingerprints(model.folder)
        return cls(
            contents={
                language: read_language_sparse(file, language, base_weights=weights, base_tokenizer=tokenizer)
                for language, file in request.sparse.languages.items()
            }
        )

    def identity(self, language: str) -> dict[str, str]:
        """What the weights depend on while the language is read."""
        return {"language sparse": self.contents[language].fingerprint()} if language in self.contents else {}


class TunedModel:
    """A model with a task's head. Training puts φ_task into it; `read` makes it θ0 + φ_language + φ_task."""

    def __init__(self, model: Any, languages: Languages, language: str) -> None:
        """model: with a new head. language: that it is trained in."""
        self.model, self._languages, self._language = model, languages, language
        self._task: SparseFile | None = None
        self._base: dict[str, Tensor] = {}
        if languages.contents:
            self._base = {name: parameter.detach().clone() for name, parameter in sparse_names(model).items()}
            self._compose(language)

    def read(self, language: str) -> None:
        """Make the model ready for a language."""
        if self._base and language != self._language:
            self._compose(language)

    def _compose(self, language: str) -> None:
        self._language = language
        with torch.no_grad():
            for name, parameter in sparse_names(self.model).items():
                parameter.copy_(self._base[name])
        for content in (self._languages.contents.get(language), self._task):
            if content is not None:
                add_sparse(self.model, content)

    def tune(self, request: Request, file: Path, header: SparseHeader | None, train: Train, teacher: TaskTeacher | None) -> Tuned:
        """Fine-tune it; with --sparse in two phases, whose difference goes into `file`."""
        if request.sparse is None or header is None:
            return train(request.tuning, "", None, None)
        sparse, loss = request.sparse, teacher.loss if teacher else None
        epochs = {"full": sparse.full_epochs, "sparse": request.tuning.epochs}

        def phase(name: str, hook: Hook) -> Tuned:
            return train(replace(request.tuning, epochs=epochs[name]), f", {name} phase", loss, hook)

        found: SparseTuned[Tuned] = sparse_tune(self.model, sparse.share, phase, freeze_norms=sparse.freeze_norms)
        self._task = SparseFile(
            header=replace(header, k=found.k, parameters=found.parameters, eps=EPS),
            indices=found.indices,
            values=found.values,
            shapes=found.shapes,
            dense=found.dense,
        )
        write_sparse(file, self._task)
        return replace(
            found.sparse,
            steps=found.full.steps + found.sparse.steps,
            best_step=found.full.steps + found.sparse.best_step,
            seconds=found.full.seconds + found.sparse.seconds,
            peak_mb=max(found.full.peak_mb, found.sparse.peak_mb),
        )


def task_header(request: Request, model: Judged, language: str, labels: tuple[str, ...]) -> SparseHeader | None:
    """The header of the file that a sparse fine-tuning of this model writes; its counts follow from the training."""
    if request.sparse is None:
        return None
    if model.tokens not in (None, "union"):
        raise InputError(
            f"--tokens {model.tokens}: found with --sparse, whose file belongs to the tokenizer in {model.folder}; expected --tokens union"
        )
    weights, tokenizer = base_fingerprints(model.folder)
    return SparseHeader(
        kind="task",
        base=model.name,
        base_weights=weights,
        base_tokenizer=tokenizer,
        k=0,
        parameters=1,
        eps=EPS,
        language=language,
        task=request.task.name,
        labels=labels,
        head=request.task.auto_class,
    )


def task_teacher(request: Request, model: Judged, opened: Any, labels: tuple[str, ...]) -> TaskTeacher | None:
    """The teacher of phase 2 for a student that is open; None without --distil-from."""
    if request.sparse is None or request.sparse.teacher is None:
        return None
    if model.tokens is not None:
        raise InputError(
            f"{model.name}: is a student over a union vocabulary, and a teacher of --distil-from has other pieces; expected a model "
            "that was trimmed or distilled from the teacher's base"
        )
    if weights_fingerprint(model.folder) == weights_fingerprint(request.sparse.teacher):
        raise InputError(f"--distil-from {request.sparse.teacher}: is {model.name} itself; expected another model")
    return TaskTeacher(request.sparse.teacher, opened, model.folder, request.task, labels)
