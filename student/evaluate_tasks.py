"""`evaluate TASK`: fine-tunes students and teachers on one of the paper's tasks, scores them, and says how far they are apart (RDT)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from data.atomic import clear_partial
from data.identity import file_fingerprint, weights_fingerprint
from data.lock import exclusive
from data.recipe import Precision
from data.storage import require_files
from student.hardware import open_accelerator, use_bfloat16
from student.tasks.fine_tune import answers, fine_tune, new_model
from student.tasks.judged import Judged, judged_models
from student.tasks.pairing import PairTask
from student.tasks.questioning import QuestionTask
from student.tasks.reading import Reader, Tokens
from student.tasks.results import Evaluation, RunResult, read_run, write_run
from student.tasks.tagging import EntityTask, PartOfSpeechTask
from student.tasks.task import Encoded, FineTuning, Score, Task
from vocab.errors import InputError

Protocol: TypeAlias = Literal["in-language", "zero-shot"]
TASKS = ("ner", "udpos", "xnli", "pawsx", "qa")
_SCORERS = {
    "ner": "F1 of entities as seqeval 1.2.2, lenient",
    "udpos": "accuracy of words",
    "xnli": "accuracy of pairs",
    "pawsx": "accuracy of pairs",
    "qa": "F1 of answers",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The files of one language: a data set, and the labels beside it, if they are in a file of their own."""

    data: tuple[Path, ...]
    labels: Path | None = None

    def fingerprint(self) -> str:
        """sha256 of the bytes."""
        return file_fingerprint(*self.data, *([self.labels] if self.labels else []))


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

    Raises InputError for patterns that match no file.
    """
    task, detail = task_of(name, words=options.get("words"), scorer=options.get("scorer"))
    labels = dict(options.get("label_file", ()))
    parts = {
        part: {
            language: Files(
                data=tuple(Path(file) for pattern in patterns for file in require_files(pattern, f"--{part} {language}")),
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
    return Request(
        task=task,
        models=options["models"],
        teachers=options["teachers"],
        **parts,
        protocol=options["protocol"],
        tokens=options["tokens"],
        route=dict(options["route"]),
        seeds=options["seeds"],
        tuning=replace(task.defaults, **given),
        precision=options["precision"],
        out=options["out"],
        detail=detail,
    )


def by_language(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of each language, in order."""
    found: dict[str, list[str]] = {}
    for language, value in pairs:
        found.setdefault(language, []).append(value)
    return found


def evaluate(request: Request) -> Evaluation:
    """Fine-tune and score every model, in each language and with each seed. Runs that are there already are taken as they are.

    Raises InputError for anything wrong with files, models and settings, before the first model is trained.
    """
    _check(request)
    models = judged_models(request.models, request.teachers, [*request.test], request.tokens, request.route)
    task = request.task
    train, dev, test = (
        {language: task.read(files.data, files.labels, train=name == "train") for language, files in part.items()}
        for name, part in (("train", request.train), ("dev", request.dev), ("test", request.test))
    )
    trained_on = {file_fingerprint(file): file for files in request.train.values() for file in files.data}
    for language, files in request.test.items():
        for file in files.data:
            if same := trained_on.get(file_fingerprint(file)):
                raise InputError(f"--test {language}: {file} is the training file {same}; expected other text")
    labels = task.label_set([*train.values(), *dev.values(), *test.values()])
    work = [
        (model, language, seed)
        for model in models
        for language in _train_languages(request, model)
        for seed in range(request.seeds)
    ]
    for model, language, _ in work:  # a language that a model cannot read is found before anything is trained
        for other in {language, *_tested(request, model, language)}:
            model.reader(other)
    with exclusive(request.out, "evaluates into this folder"):
        (request.out / "runs").mkdir(parents=True, exist_ok=True)
        clear_partial(request.out / f"{task.name}.json")
        data = _Data(train=train, dev=dev, test=test, labels=labels)
        runs = [_run(request, data, model, language, seed) for model, language, seed in work]
        detail = "".join(f", {value}" for value in request.detail.values())
        found = Evaluation(
            task=task.name,
            scorer=f"{_SCORERS[task.name]}{detail}",
            headline=task.headline,
            settings=_settings(request),
            runs=runs,
            file=request.out / f"{task.name}.json",
        )
        found.write()
    return found


@dataclass(frozen=True, kw_only=True)
class _Data:
    train: Mapping[str, list[Any]]
    dev: Mapping[str, list[Any]]
    test: Mapping[str, list[Any]]
    labels: tuple[str, ...]
    encoded: dict[tuple[str, str, str], Encoded] = field(default_factory=dict)  # by part, model and language


def _check(request: Request) -> None:
    if not request.models:
        raise InputError("found no model; expected one: --model FOLDER")
    if not request.test:
        raise InputError("found no test set; expected one: --test LANG=FILE")
    if request.protocol == "zero-shot" and len(request.train) != 1:
        raise InputError(
            f"zero-shot: found training files in {len(request.train)} languages ({', '.join(request.train)}); expected one"
        )
    if request.protocol == "in-language" and (missing := [language for language in request.test if language not in request.train]):
        raise InputError(
            f"in-language: found no --train {missing[0]}=…; expected files to train on in each test language, or --protocol zero-shot"
        )
    if request.tuning.keep == "best" and (missing := [language for language in _trained(request) if language not in request.dev]):
        raise InputError(f"found no --dev {missing[0]}=…; expected files to choose the best weights by, or --keep last")


def _trained(request: Request) -> list[str]:
    """The languages that models are trained in."""
    return [*request.train] if request.protocol == "zero-shot" else [*request.test]


def _train_languages(request: Request, model: Judged) -> list[str]:
    """The languages that one model is trained in, one after the other."""
    return [*request.train] if request.protocol == "zero-shot" else [*model.languages]


def _tested(request: Request, model: Judged, language: str) -> list[str]:
    return [*model.languages] if request.protocol == "zero-shot" else [language]


def _settings(request: Request) -> dict[str, Any]:
    return {"protocol": request.protocol, "tokens": request.tokens or "union", **request.detail, **asdict(request.tuning)}


def _run(request: Request, data: _Data, model: Judged, language: str, seed: int) -> RunResult:
    """One fine-tuning and its scores, or the result that is there already."""
    task, tuning = request.task, request.tuning
    device = open_accelerator().device
    identity = {
        "task": task.name,
        **_settings(request),
        "tokens": model.tokens or "own",
        "precision": "bfloat16" if use_bfloat16(request.precision, device) else "float32",
        "seed": seed,
        "labels": list(data.labels),
        "train language": language,
        "model": weights_fingerprint(model.folder),
        "tokenizer": model.reader(language).identity,
        "train": request.train[language].fingerprint(),
        "dev": request.dev[language].fingerprint() if language in request.dev else None,
    }
    tests = {
        other: {"test": request.test[other].fingerprint(), "tokenizer": model.reader(other).identity}
        for other in _tested(request, model, language)
    }
    file = request.out / "runs" / f"{task.name}.{model.slug}.{language}.seed{seed}.json"
    clear_partial(file)
    if done := read_run(file, identity, tests):
        return done
    what = f"{task.name}, {model.name}, {language}, seed {seed}"
    reader = model.reader(language)
    examples = _encode(request, data, model, "train", language)
    trained = new_model(model.folder, task, data.labels, tuning.max_length, seed).to(device)

    def score(part: str, other: str) -> dict[str, float]:
        encoded, own = _encode(request, data, model, part, other), getattr(data, part)[other]
        said = answers(trained, task, encoded.examples, reader.roles, request.precision)
        return task.score(own, task.predict(own, encoded, said, data.labels, tuning), other)

    tuned = fine_tune(
        trained,
        task,
        examples.examples,
        tuning,
        reader.roles,
        seed=seed,
        precision=request.precision,
        dev=(lambda: score("dev", language)[task.headline]) if language in request.dev else None,
        what=what,
    )
    scores = {}
    for other in tests:
        encoded = _encode(request, data, model, "test", other)
        metrics = score("test", other)
        if isinstance(task, QuestionTask):
            metrics |= task.ceiling(data.test[other], encoded, other, tuning)
        counters = dict(encoded.counters)
        count = next((counters[name] for name in ("words", "pairs", "questions") if name in counters), len(data.test[other]))
        scores[other] = Score(metrics=metrics, count=count, counters=counters)
    result = RunResult(
        model=model.name,
        teacher=model.teacher,
        train_language=language,
        seed=seed,
        identity=identity,
        tests=tests,
        scores=scores,
        steps=tuned.steps,
        best_step=tuned.best_step,
        dev=tuned.dev,
        seconds=tuned.seconds,
        peak_mb=tuned.peak_mb,
        train_counters=dict(examples.counters),
    )
    write_run(file, result)
    return result


def _encode(request: Request, data: _Data, model: Judged, part: str, language: str) -> Encoded:
    """A data set as a model reads it; made once."""
    key = part, model.name, language
    if key not in data.encoded:
        reader: Reader = model.reader(language)
        own = getattr(data, part)[language]
        data.encoded[key] = request.task.encode(own, reader, data.labels, request.tuning, train=part == "train")
    return data.encoded[key]
