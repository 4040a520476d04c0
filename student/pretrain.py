"""Pretraining of a small teacher: a masked LM from text, on gold labels, with the student's trainer. For one machine.

All work happens in a hidden folder `.NAME.work` next to the model's folder: the tokenizer, masked shards without teacher labels,
checkpoints. A resumed call continues from it. At the end the finished model appears in its folder, and the hidden folder is removed.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from data.atomic import replace_folder, require_new_folder
from data.identity import fingerprint
from data.lock import exclusive
from data.recipe import Examples, Section, Student, Train
from data.shards import list_shards, read_shards
from data.storage import require_files
from data.table import Table
from student.model import new_student, shape_identity, student_config
from student.pretraining.text_source import GivenVocabulary, NewVocabulary, TextSource, prepare_text
from student.training.checkpoint import list_checkpoints
from student.training.metrics import FILE as METRICS
from student.training.teacher_choice import Choice
from student.training.train import TrainResult, train
from vocab.errors import InputError
from vocab.roles import UNION_ROLES, Roles, read_roles

VOCAB_SIZE = 8000

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainSettings:
    """What a small teacher is: its vocabulary, its shape, its training."""

    # A new vocabulary, trained from the text. None and {}: not set, which a given tokenizer demands.
    family: str | None = None  # "wordpiece" (the default), "unigram", "bpe" or "byte-level"
    vocab_size: int | None = None  # largest number of tokens, special tokens included; default VOCAB_SIZE
    lowercase: bool = False  # the vocabulary lower-cases and strips accents
    special_token_ids: Mapping[str, int] = field(default_factory=dict)  # role → id; see train_wordpiece
    # Or a given tokenizer: an HF folder, a tokenizer.json, a vocab.txt or a SentencePiece .model. Missing roles get new last ids.
    tokenizer: Path | None = None
    # The shape of the model.
    architecture: str = "roformer"  # a transformers model_type
    layers: int = 2
    hidden_size: int = 256
    heads: int = 4
    dropout: float = 0.0
    # The examples.
    max_length: int = 128  # tokens of a window, special tokens included
    maskings: int = 4  # differently masked copies of each window; masks repeat if there are more passes than copies
    # The training.
    steps: int | None = None  # optimizer steps; None: `epochs` passes over the text
    epochs: float = 3.0
    tokens_per_batch: int = 4096  # of an optimizer step, padding included
    learning_rate: float = 2e-3  # the peak
    precision: str = "auto"  # see data.recipe.Train
    log_steps: int = 50  # optimizer steps between two rows of metrics
    checkpoint_steps: int = 500  # optimizer steps between two checkpoints
    seed: int = 0

    def shape(self) -> Student:
        """The model's shape."""
        names = ("architecture", "layers", "hidden_size", "heads", "dropout")
        return _checked(Student, **{name: getattr(self, name) for name in names})

    def vocabulary(self, language: str) -> NewVocabulary | GivenVocabulary:
        """The vocabulary to train, or the given one."""
        if self.tokenizer is None:
            return NewVocabulary(
                family=self.family or "wordpiece",
                size=VOCAB_SIZE if self.vocab_size is None else self.vocab_size,
                lowercase=self.lowercase,
                special_token_ids=dict(self.special_token_ids),
            )
        for name in ("family", "vocab_size", "lowercase", "special_token_ids"):
            value = getattr(self, name)
            if value is not None and value is not False and value != {}:
                raise InputError(
                    f"{name}: found {value} and a tokenizer; a given tokenizer is used as it is: leave out {name}, or the tokenizer"
                )
        return GivenVocabulary(Path(self.tokenizer), language, self.max_length)

    def training(self, steps: int) -> Train:
        """The settings of the trainer for a number of optimizer steps."""
        names = ("tokens_per_batch", "learning_rate", "precision", "log_steps", "checkpoint_steps")
        return _checked(
            Train,
            steps=steps,
            warmup_steps=min(steps // 10, 1000),
            labels="gold",
            sampling_alpha=1.0,
            **{name: getattr(self, name) for name in names},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainResult:
    """What pretraining made."""

    out: Path  # an HF folder
    loss: float  # nats a masked position, over the last log interval, on training text
    accuracy: float  # share of masked positions that are right, over the same interval
    steps: int
    vocab_size: int
    tokens: int  # seen in training, without padding
    articles: int

    def table(self) -> Table:
        """The result as one line."""
        return Table(
            title="Teacher",
            result=(
                f"{self.out}: a teacher of {self.vocab_size:,} tokens, loss {self.loss:.3f} after {self.steps:,} steps. "
                "Next: name it in a recipe"
            ),
            facts=asdict(self) | {"out": str(self.out)},
        )


def pretrain(
    corpora: Sequence[str],
    language: str,
    out: Path,
    settings: PretrainSettings | None = None,
    *,
    resume: bool = False,
    progress: bool = True,
) -> PretrainResult:
    """Train a masked LM on article shards (paths, globs or URIs) and leave it in `out`.

    resume  continue from the newest checkpoint of an interrupted call with the same arguments and the same tokenizer

    Raises InputError for a folder that is not empty, a corpus without an article, impossible settings, a tokenizer that cannot be read
    or merged, and for a given tokenizer together with settings of a new vocabulary.
    """
    with exclusive(Path(out), "pretrains this teacher"):
        return _pretrain(corpora, language, Path(out), settings or PretrainSettings(), resume, progress)


def _pretrain(
    corpora: Sequence[str], language: str, out: Path, settings: PretrainSettings, resume: bool, progress: bool
) -> PretrainResult:
    """`pretrain`, where no other process makes this teacher."""
    require_new_folder(out)
    files = [location for pattern in corpora for location in require_files(pattern, "corpus")]
    shape, vocabulary = settings.shape(), settings.vocabulary(language)
    # What can be wrong with the settings is found here, before the work.
    student_config(shape, vocab_size=vocabulary.size, max_length=settings.max_length, roles=UNION_ROLES)
    source = TextSource(
        corpora=tuple(files),
        language=language,
        vocabulary=vocabulary,
        examples=_checked(Examples, max_length=settings.max_length, maskings=settings.maskings),
        seed=settings.seed,
    )
    settings.training(1 if settings.steps is None else settings.steps)
    work = out.with_name(f".{out.name}.work")
    if not resume:
        if list_checkpoints(work / "model"):
            raise InputError(f"{work}: holds an interrupted run; continue with --resume, or remove it")
        shutil.rmtree(work, ignore_errors=True)
    counters = prepare_text(work, source, progress=progress)
    result = _train(work, source, shape, settings, counters, resume=resume, progress=progress)
    _publish(result, out)
    shutil.rmtree(work, ignore_errors=True)
    return PretrainResult(
        out=out,
        loss=result.metrics["loss"],
        accuracy=result.metrics["accuracy"],
        steps=result.steps,
        vocab_size=counters["vocab_size"],
        tokens=result.metrics["tokens"],
        articles=counters["articles"],
    )


def _train(
    work: Path,
    source: TextSource,
    shape: Student,
    settings: PretrainSettings,
    counters: Mapping[str, int],
    *,
    resume: bool,
    progress: bool,
) -> TrainResult:
    """Train on the masked shards in the working folder."""
    tokens = counters["tokens"] / settings.maskings  # of one pass over the text
    steps = settings.steps or max(1, math.ceil(settings.epochs * tokens / settings.tokens_per_batch))
    model = new_student(
        shape, vocab_size=counters["vocab_size"], max_length=settings.max_length, roles=_roles(work), seed=settings.seed
    )
    return train(
        model,
        Choice(shards=tuple(read_shards(list_shards(str(work))))),
        settings.training(steps),
        work / "model",
        tokenizer=work / "tokenizer",
        max_length=settings.max_length,
        seed=settings.seed,
        identity={
            **shape_identity(shape),
            "corpus": fingerprint(source.to_json()),
        },
        resume=resume and (work / "model").exists(),
        progress=progress,
    )


def parse_special_tokens(settings: Sequence[str]) -> dict[str, int]:
    """role → id, from settings such as "mask=0"."""
    try:
        return {role: int(place) for role, place in (setting.split("=") for setting in settings)}
    except ValueError:
        raise InputError(f"--special-token: found {', '.join(settings)}; expected ROLE=ID, as mask=0") from None


def _checked(section: type[S], **content: Any) -> S:
    """A section of the recipe. A value that it refuses is an InputError."""
    try:
        return section.model_validate(content)
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, part['loc']))}: {part['msg']}".removeprefix(": ") for part in error.errors()]
        raise InputError("; ".join(reasons)) from None


def _roles(work: Path) -> Roles:
    return read_roles(PreTrainedTokenizerFast.from_pretrained(work / "tokenizer"), "pretrained")


def _publish(result: TrainResult, out: Path) -> None:
    """Put the model, the tokenizer and the metrics into their folder, which appears complete."""

    def fill(fresh: Path) -> None:
        for file in result.out.iterdir():
            if file.is_file() and file.name != "student.json":
                shutil.copyfile(file, fresh / file.name)
        assert (fresh / METRICS).exists()

    replace_folder(out, fill)
