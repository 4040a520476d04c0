"""`evaluate TASK`: fine-tunes students and teachers on one of the paper's tasks, scores them, and says how far they are apart (RDT)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from data.atomic import clear_partial
from data.identity import weights_fingerprint
from data.lock import exclusive
from student.hardware import open_accelerator, use_bfloat16
from student.tasks.fine_tune import answers, fine_tune
from student.tasks.judged import Judged, judged_models
from student.tasks.models import check_reading, new_model
from student.tasks.request import Request, check_request, settings_of
from student.tasks.results import Evaluation, RunResult, read_run, write_run
from student.tasks.task import Encoded, Score
from vocab.notices import say_once

_Data: TypeAlias = Mapping[str, Mapping[str, list[Any]]]  # part → language → sentences, pairs or questions
_Encode: TypeAlias = Callable[[str, str, tuple[str, ...]], Encoded]
_SCORERS = {
    "ner": "F1 of entities as seqeval 1.2.2, lenient",
    "udpos": "accuracy of words",
    "xnli": "accuracy of pairs",
    "pawsx": "accuracy of pairs",
    "qa": "F1 of answers",
}


def evaluate(request: Request) -> Evaluation:
    """Fine-tune and score every model, in each language and with each seed. Runs that are there already are taken as they are.

    Raises InputError for anything wrong with files, models and settings, before the first model is trained.
    """
    check_request(request)
    models = judged_models(request.models, request.teachers, [*request.test], request.tokens, request.route)
    task = request.task
    data = {
        part: {language: task.read(files.data, files.labels, train=part == "train") for language, files in found.items()}
        for part, found in (("train", request.train), ("dev", request.dev), ("test", request.test))
    }
    with exclusive(request.out / task.name, "evaluates this task into this folder"):
        (request.out / "runs").mkdir(parents=True, exist_ok=True)
        clear_partial(request.out / f"{task.name}.json")
        for model in models:
            _check_model(request, data, model)
        runs = [result for model in models for result in _runs(request, data, model)]
        found = Evaluation(
            task=task.name,
            scorer=", ".join([_SCORERS[task.name], *map(str, request.detail.values())]),
            headline=task.headline,
            settings=settings_of(request),
            runs=runs,
            file=request.out / f"{task.name}.json",
        )
        found.write()
    return found


def _train_languages(request: Request, model: Judged) -> list[str]:
    """The languages that one model is trained in, one after the other."""
    return [*request.train] if request.protocol == "zero-shot" else [*model.languages]


def _tested(request: Request, model: Judged, language: str) -> list[str]:
    return [*model.languages] if request.protocol == "zero-shot" else [language]


def _check_model(request: Request, data: _Data, model: Judged) -> None:
    """Open a model once, so that what is wrong with it is found before another is trained."""
    task, size = request.task, request.tuning.max_length
    for language in _train_languages(request, model):
        labels = task.label_set([data["train"][language]])
        opened = new_model(model.folder, task, labels, size, seed=0)
        for other in {language, *_tested(request, model, language)}:
            check_reading(model.folder, opened, model.reader(other), size)
            task.encode(data["test"].get(other, [])[:1], model.reader(other), labels, request.tuning)


def _runs(request: Request, data: _Data, model: Judged) -> Iterator[RunResult]:
    """The runs of one model. Its weights are hashed, and its data sets encoded, once."""
    weights = weights_fingerprint(model.folder)
    encoded: dict[tuple[str, str, tuple[str, ...]], Encoded] = {}

    def encode(part: str, language: str, labels: tuple[str, ...]) -> Encoded:
        key = part, language, labels
        if key not in encoded:
            encoded[key] = request.task.encode(data[part][language], model.reader(language), labels, request.tuning)
        return encoded[key]

    for language in _train_languages(request, model):
        for seed in range(request.seeds):
            yield _run(request, data, model, weights, language, seed, encode)


def _run(request: Request, data: _Data, model: Judged, weights: str, language: str, seed: int, encode: _Encode) -> RunResult:
    """One fine-tuning and its scores, or the result that is there already."""
    task, tuning, device = request.task, request.tuning, open_accelerator().device
    labels = task.label_set([data["train"][language]])
    bfloat16 = use_bfloat16(request.precision, device)
    identity = {
        "task": task.name,
        **settings_of(request),
        "tokens": model.tokens or "own",
        "precision": "bfloat16" if bfloat16 else ("tf32" if request.precision == "tf32" else "float32"),
        "seed": seed,
        "labels": list(labels),
        "train language": language,
        "model": weights,
        "tokenizer": model.reader(language).identity,
        "train": request.train[language].fingerprint(),
        **({"dev": request.dev[language].fingerprint()} if tuning.keep == "best" else {}),
    }
    tests = {
        other: {"test": request.test[other].fingerprint(), "tokenizer": model.reader(other).identity}
        for other in _tested(request, model, language)
    }
    file = request.out / "runs" / f"{task.name}.{model.slug}.{language}.seed{seed}.json"
    clear_partial(file)
    what = f"{task.name}, {model.name}, {language}, seed {seed}"
    before = read_run(file, identity)
    named: dict[str, Any] = {"model": model.name, "teacher": model.teacher, "train_language": language, "seed": seed}
    if before is not None:
        new = [other for other in tests if before.tests.get(other) != tests[other]]
        if not new:
            scores = {other: before.scores[other] for other in tests}
            return replace(before, **named, tests=tests, scores=scores)
        say_once(f"{what}: is trained again, since it was not tested on these files of {', '.join(new)}")
    roles, examples = model.reader(language).roles, encode("train", language, labels)
    trained = new_model(model.folder, task, labels, tuning.max_length, seed).to(device)

    def score(part: str, other: str) -> dict[str, float]:
        encoded, own = encode(part, other, labels), data[part][other]
        said = answers(trained, task, encoded.examples, roles, request.precision, tuning.micro_batch)
        return task.score(own, task.predict(own, encoded, said, labels, tuning), other)

    tuned = fine_tune(
        trained,
        task,
        examples.examples,
        tuning,
        roles,
        seed=seed,
        precision=request.precision,
        dev=(lambda: score("dev", language)[task.headline]) if tuning.keep == "best" else None,
        what=what,
    )
    scores = {}
    for other in tests:
        encoded = encode("test", other, labels)
        metrics = score("test", other) | task.ceiling(data["test"][other], encoded, other, tuning)
        scores[other] = Score(metrics=metrics, count=task.count(encoded), counters=dict(encoded.counters))
    result = RunResult(
        **named,
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
    earlier = before or result
    write_run(file, replace(result, tests={**earlier.tests, **tests}, scores={**earlier.scores, **scores}))
    return result
