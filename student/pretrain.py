"""A small masked LM from text: its own vocabulary or a given tokenizer, gold labels only, the student's trainer. For one machine.

All work happens in a hidden folder beside the model's, `.NAME.work`: the tokenizer, gold-only masked shards, checkpoints. It is
what a resumed run goes on from; the model's folder appears at the end, whole, and the hidden one goes.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from data.identity import fingerprint
from data.recipe import Examples, Section, Student, Train
from data.shards import list_shards, read_shards
from data.storage import replace_folder, require_files
from student.model import new_student, student_config
from student.pretraining.text_source import GivenVocabulary, NewVocabulary, TextSource, prepare_text
from student.training.checkpoint import list_checkpoints
from student.training.loop import TrainResult, train
from student.training.metrics import FILE as METRICS
from vocab.errors import InputError
from vocab.roles import UNION_ROLES, Roles, read_roles

VOCAB_SIZE = 8000

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainResult:
    """What pretraining came to."""

    out: Path  # an HF folder
    loss: float  # nats a masked position, over the last log interval, on training text
    accuracy: float  # share of masked positions, likewise
    steps: int
    vocab_size: int
    tokens: int  # seen in training, without padding
    articles: int


def pretrain(
    corpora: Sequence[str],
    language: str,
    out: Path,
    *,
    architecture: str = "roformer",
    family: str | None = None,
    vocab_size: int | None = None,
    layers: int = 2,
    hidden_size: int = 256,
    heads: int = 4,
    steps: int | None = None,
    epochs: float = 3.0,
    max_length: int = 128,
    maskings: int = 4,
    tokens_per_batch: int = 4096,
    learning_rate: float = 2e-3,
    dropout: float = 0.0,
    lowercase: bool = False,
    special_token_ids: Mapping[str, int] | None = None,
    tokenizer: Path | None = None,
    precision: str = "auto",
    log_steps: int = 50,
    checkpoint_steps: int = 500,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
) -> PretrainResult:
    """Train a masked LM on article shards (paths, globs or URIs) and leave it in `out`.

    family             of the vocabulary that is trained: "wordpiece" (None means this), "unigram", "bpe" or "byte-level"
    vocab_size         tokens of that vocabulary at most, special tokens included; None: 8000
    lowercase          that vocabulary lower-cases and strips accents
    special_token_ids  role → id, to place special tokens where other published models have them (see train_wordpiece)
    tokenizer          a tokenizer that exists, used as it is, and none is trained: an HF folder, a tokenizer.json, a vocab.txt or a
                       SentencePiece .model. A role that it lacks gets a new token after its last id
    steps              optimizer steps; None: `epochs` passes over the text
    max_length         tokens of a window, special tokens included
    tokens_per_batch   of an optimizer step, padding included
    maskings           differently masked copies of each window, made once; with more passes than copies, masks repeat
    log_steps, checkpoint_steps  optimizer steps between two rows of metrics, and between two checkpoints
    resume             go on from the newest checkpoint of an interrupted call with the same arguments and the same tokenizer

    Raises InputError for a folder that holds anything, a corpus without an article, settings that cannot be, a tokenizer that cannot be
    read or merged, and, beside a tokenizer, any of family, vocab_size, lowercase and special_token_ids.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out}: already holds something; expected no folder there, or an empty one: choose another --out or remove it"
        )
    files = [location for pattern in corpora for location in require_files(pattern, "corpus")]
    shape = _checked(Student, architecture=architecture, layers=layers, hidden_size=hidden_size, heads=heads, dropout=dropout)
    vocabulary: NewVocabulary | GivenVocabulary
    if tokenizer is None:
        vocabulary = NewVocabulary(
            family="wordpiece" if family is None else family,
            size=VOCAB_SIZE if vocab_size is None else vocab_size,
            lowercase=lowercase,
            special_token_ids=dict(special_token_ids or {}),
        )
    else:
        _refuse_beside_tokenizer(
            family=family, vocab_size=vocab_size, lowercase=lowercase or None, special_token_ids=special_token_ids
        )
        vocabulary = GivenVocabulary(Path(tokenizer), language, max_length)
    student_config(shape, vocab_size=vocabulary.size, max_length=max_length, roles=UNION_ROLES)  # an error here, before the work
    source = TextSource(
        corpora=tuple(files),
        language=language,
        vocabulary=vocabulary,
        examples=_checked(Examples, max_length=max_length, maskings=maskings),
        seed=seed,
    )

    def settings_of(total: int) -> Train:
        return _checked(
            Train,
            steps=total,
            tokens_per_batch=tokens_per_batch,
            learning_rate=learning_rate,
            warmup_steps=min(total // 10, 1000),
            labels="gold",
            sampling_alpha=1.0,
            precision=precision,
            log_steps=log_steps,
            checkpoint_steps=checkpoint_steps,
        )

    settings_of(1 if steps is None else steps)
    work = out.with_name(f".{out.name}.work")
    if not resume:
        if list_checkpoints(work / "model"):
            raise InputError(f"{work}: holds an interrupted run; go on with --resume, or remove it")
        shutil.rmtree(work, ignore_errors=True)
    counters = prepare_text(work, source)
    shards = read_shards(list_shards(str(work)))
    passes = counters["tokens"] / maskings
    settings = settings_of(max(1, math.ceil(epochs * passes / tokens_per_batch)) if steps is None else steps)
    model = new_student(shape, vocab_size=counters["vocab_size"], max_length=max_length, roles=_roles(work), seed=seed)
    result = train(
        model,
        shards,
        settings,
        work / "model",
        tokenizer=work / "tokenizer",
        max_length=max_length,
        seed=seed,
        identity={
            **{f"student.{key}": value for key, value in shape.model_dump().items()},
            "corpus": fingerprint(source.to_json()),
        },
        resume=resume and (work / "model").exists(),
        progress=progress,
    )
    _publish(result, out)
    shutil.rmtree(work, ignore_errors=True)
    row = result.metrics
    return PretrainResult(
        out=out,
        loss=row["loss"],
        accuracy=row["accuracy"],
        steps=result.steps,
        vocab_size=counters["vocab_size"],
        tokens=row["tokens"],
        articles=counters["articles"],
    )


def _refuse_beside_tokenizer(**settings: object) -> None:
    """Settings that shape a vocabulary say nothing to a tokenizer that exists; None and {}: not set."""
    for name, value in settings.items():
        if value is not None and value != {}:
            raise InputError(
                f"{name}: found {value} beside a tokenizer; a given tokenizer is used as it is: leave out {name}, or the tokenizer"
            )


def _checked(section: type[S], **content: Any) -> S:
    """A section of the recipe from arguments; a value that it refuses is an InputError."""
    try:
        return section.model_validate(content)
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, part['loc']))}: {part['msg']}".removeprefix(": ") for part in error.errors()]
        raise InputError("; ".join(reasons)) from None


def _roles(work: Path) -> Roles:
    return read_roles(PreTrainedTokenizerFast.from_pretrained(work / "tokenizer"), "pretrained")


def _publish(result: TrainResult, out: Path) -> None:
    """The model, tokenizer and metrics at their place, in one rename."""

    def fill(fresh: Path) -> None:
        for file in result.out.iterdir():
            if file.is_file() and file.name != "student.json":
                shutil.copyfile(file, fresh / file.name)
        assert (fresh / METRICS).exists()

    replace_folder(out, fill)
