"""A call of `evaluate TASK`: its files, models and settings, complete and without contradictions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from data.identity import fingerprint
from data.recipe import Precision
from data.storage import require_files
from student.bilingual.sparse_model import base_fingerprints
from student.tasks.pairing import PairTask
from student.tasks.questioning import QuestionTask
from student.tasks.reading import Tokens
from student.tasks.tagging import EntityTask, PartOfSpeechTask
from student.tasks.task import FineTuning, Task
from student.tasks.text_file import content_hash
from vocab.errors import InputError
from vocab.model_source import model_folder

Protocol: TypeAlias = Literal["in-language", "zero-shot"]
TASKS = ("ner", "udpos", "xnli", "pawsx", "qa")


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The files of one language: a data set, and the labels beside it, if they are in a file of their own."""

    data: tuple[Path, ...]
    labels: Path | None = None

    def fingerprint(self) -> str:
        """sha256 of the content, in the order of the files. Neither a file's name nor its compression changes it."""
        return fingerprint([content_hash(file) for file in (*self.data, *([self.labels] if self.labels else []))])


@dataclass(frozen=True, kw_only=True, slots=True)
class SparseTuning:
    """How `--sparse` fine-tunes: LT-SFT in two phases. The defaults of full_epochs are those of BiStil's scripts."""

    share: float  # of the encoder's parameters that may change
    full_epochs: float  # of the full phase; the sparse phase has tuning.epochs
    freeze_norms: bool = True
    languages: Mapping[str, Path] = field(default_factory=dict)  # language → the sparse fine-tuning that is added while it is read
    teacher: Path | None = None  # a model with the task's head, from which the labels come instead of the training files

    def identity(self) -> dict[str, Any]:
        """What the weights depend on, but for the languages' files."""
        found = {"sparse": self.share, "full_epochs": self.full_epochs, "freeze_norms": self.freeze_norms}
        return found | ({"distil_from": [*base_fingerprints(self.teacher)]} if self.teacher else {})


_FULL_EPOCHS = {"ner": 3.0, "udpos": 3.0, "xnli": 5.0, "pawsx": 5.0, "qa": 2.0}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of `evaluate`."""

    task: Task
    models: Sequence[str]
    teachers: Sequence[tuple[str, str]]  # (language, folder or Hub id)
    train: Mapping[str, Files]
    dev: Mapping[str, Files]
    test: Mapping[str, Files]
    protocol: Protocol
    tokens: Tokens | None
    route: Mapping[str, str]
    seeds: int
    tuning: FineTuning
    precision: Precision
    out: Path
    sparse: SparseTuning | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)  # choices of the task, as {"words": "fused"}


def task_of(name: str, *, words: Any = "fused", scorer: Any = "squad") -> tuple[Task, dict[str, Any]]:
    """A task by its name, and the choices that its scores depend on."""
    if name == "ner":
        return EntityTask(), {}
    if name == "udpos":
        return PartOfSpeechTask(words), {"words": words}
    if name == "qa":
        return QuestionTask(scorer), {"scorer": scorer}
    return PairTask(name), {}


def request_of(name: str, options: Mapping[str, Any]) -> Request:
    """A call of the command `evaluate NAME`, from its options. Options that are None have the task's default.

    Raises InputError for patterns that match no file, files that are named twice, and options that would change nothing.
    """
    task, detail = task_of(name, words=options.get("words"), scorer=options.get("scorer"))
    pairs = options.get("label_file", ())
    labels = {language: _only(f"--label-file {language}", found) for language, found in by_language(pairs).items()}
    parts = {
        part: {
            language: Files(
                data=_files(patterns, f"--{part} {language}"),
                labels=Path(labels[language]) if part == "test" and language in labels else None,
            )
            for language, patterns in by_language(options[part]).items()
        }
        for part in ("train", "dev", "test")
    }
    if unknown := [language for language in labels if language not in parts["test"]]:
        raise InputError(f"--label-file {unknown[0]}=…: found no --test {unknown[0]}=…; expected the pairs of these labels")
    given = {key: value for key in asdict(task.defaults) if (value := options.get(key)) is not None}
    size = given.get("batch_size", task.defaults.batch_size)
    given["micro_batch"] = min(size, given.get("micro_batch", size))
    sparse = _sparse(name, options)
    if sparse and given.setdefault("weight_decay", 0.0):
        raise InputError(f"--weight-decay {given['weight_decay']:g}: would change all parameters; expected 0 with --sparse")
    tuning = replace(task.defaults, **given)
    if tuning.keep == "last" and (parts["dev"] or "eval_steps" in given):
        raise InputError("--dev and --eval-steps: are not used with --keep last; expected neither, or --keep best")
    return Request(
        task=task,
        models=options["models"],
        teachers=options["teachers"],
        **parts,
        protocol=options["protocol"],
        tokens=options["tokens"],
        route={language: _only(f"--route {language}", found) for language, found in by_language(options["route"]).items()},
        seeds=options["seeds"],
        tuning=tuning,
        precision=options["precision"],
        out=options["out"],
        sparse=sparse,
        detail=detail,
    )


def _sparse(task: str, options: Mapping[str, Any]) -> SparseTuning | None:
    """The settings of --sparse. Raises InputError for options that change nothing without it."""
    given = {name: options.get(name) for name in ("full_epochs", "train_norms", "language_sparse", "distil_from")}
    if options.get("sparse") is None:
        if unused := [name for name, value in given.items() if value]:
            raise InputError(f"--{unused[0].replace('_', '-')}: is only used with --sparse; expected both, or none")
        return None
    teacher = given["distil_from"] and model_folder(given["distil_from"], base=Path(), name=None, weights=True)
    files = by_language(given["language_sparse"] or ())
    return SparseTuning(
        share=options["sparse"],
        full_epochs=given["full_epochs"] or _FULL_EPOCHS[task],
        freeze_norms=not given["train_norms"],
        languages={language: Path(_only(f"--language-sparse {language}", found)) for language, found in files.items()},
        teacher=teacher or None,
    )


def _files(patterns: Sequence[str], what: str) -> tuple[Path, ...]:
    """The files of patterns; a file's own name is no pattern."""
    found = [Path(file) for one in patterns for file in ([one] if Path(one).is_file() else require_files(one, what))]
    if len({file.resolve() for file in found}) < len(found):
        raise InputError(f"{what}: found a file that is named twice among {', '.join(map(str, found))}; expected each once")
    return tuple(found)


def _only(what: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise InputError(f"{what}: found {len(values)} values ({', '.join(values)}); expected one")
    return values[0]


def by_language(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of each language, in order."""
    found: dict[str, list[str]] = {}
    for language, value in pairs:
        found.setdefault(language, []).append(value)
    return found


def check_request(request: Request) -> None:
    """Raise InputError for files that are missing, unused, or in two roles."""
    if request.protocol == "zero-shot" and len(request.train) != 1:
        raise InputError(
            f"zero-shot: found training files in {len(request.train)} languages ({', '.join(request.train)}); expected one"
        )
    trained = [*request.train] if request.protocol == "zero-shot" else [*request.test]
    if missing := [language for language in trained if language not in request.train]:
        raise InputError(
            f"in-language: found no --train {missing[0]}=…; expected files to train on in each test language, or --protocol zero-shot"
        )
    if request.tuning.keep == "best" and (missing := [language for language in trained if language not in request.dev]):
        raise InputError(f"found no --dev {missing[0]}=…; expected files to choose the best weights by, or --keep last")
    for part in ("train", "dev"):
        if unused := [language for language in getattr(request, part) if language not in trained]:
            raise InputError(
                f"--{part} {unused[0]}=…: no model is trained in this language; expected a --test {unused[0]}=…, or no such files"
            )
    languages = {*request.train, *request.test}
    if request.sparse and (unknown := [language for language in request.sparse.languages if language not in languages]):
        raise InputError(
            f"--language-sparse {unknown[0]}=…: no model reads this language; expected one of {', '.join(sorted(languages))}"
        )
    seen: dict[str, str] = {}
    for part in ("train", "dev", "test"):
        for language, files in getattr(request, part).items():
            for file in files.data:
                here = f"--{part} {language}={file}"
                if (before := seen.setdefault(content_hash(file), here)) != here:
                    raise InputError(f"{here}: has the same content as {before}; expected other text to train, choose and test on")


def settings_of(request: Request) -> dict[str, Any]:
    """What results depend on, and what the scores are called by. How a batch is split, and unused settings, change nothing."""
    tuning = {name: value for name, value in asdict(request.tuning).items() if name != "micro_batch"}
    if request.tuning.keep == "last":
        del tuning["eval_steps"]
    sparse = request.sparse.identity() if request.sparse else {}
    return {"protocol": request.protocol, "tokens": request.tokens or "union", **request.detail, **tuning, **sparse}
