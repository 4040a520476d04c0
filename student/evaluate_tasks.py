"""`evaluate TASK`: fine-tunes students and teachers on one of the paper's tasks, scores them, and says how far they are apart (RDT)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from data.atomic import clear_partial
from data.identity import weights_fingerprint
from data.lock import exclusive
from student.bilingual.sparse_tuning import Hook
from student.hardware import open_accelerator, use_bfloat16
from student.tasks.fine_tune import Loss, Tuned, answers, fine_tune
from student.tasks.judged import Judged, judged_models
from student.tasks.models import check_reading, new_model
from student.tasks.request import Request, check_request, settings_of
from student.tasks.results import Evaluation, RunResult, read_run, write_run
from student.tasks.task import Encoded, FineTuning, Score
from student.tasks.tuned_model import Languages, TunedModel, task_header, task_teacher
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
    Languages.of(request, model)
    for language in _train_languages(request, model):
        labels = task.label_set([data["train"][language]])
        maps = request.sparse is not None and request.sparse.teacher is not None
        opened = new_model(model.folder, task, labels, size, seed=0, maps=maps)
        task_teacher(request, model, opened, labels)
        for other in {language, *_tested(request, model, language)}:
            check_reading(model.folder, opened, model.reader(other), size)
            task.encode(data["test"].get(other, [])[:1], model.reader(other), labels, request.tuning)


def _runs(request: Request, data: _Data, model: Judged) -> Iterator[RunResult]:
    """The runs of one model. Its weights are hashed, and its data sets encoded, once."""
    weights, languages = weights_fingerprint(model.folder), Languages.of(request, model)
    encoded: dict[tuple[str, str, tuple[str, ...]], Encoded] = {}

    def encode(part: str, language: str, labels: tuple[str, ...]) -> Encoded:
        key = part, language, labels
        if key not in encoded:
            encoded[key] = request.task.encode(data[part][language], model.reader(language), labels, request.tuning)
        return encoded[key]

    for language in _train_languages(request, model):
        for seed in range(request.seeds):
            yield _run(request, data, model, weights, languages, language, seed, encode)


def _run(
    request: Request, data: _Data, model: Judged, weights: str, languages: Languages, language: str, seed: int, encode: _Encode
) -> RunResult:
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
        **languages.identity(language),
    }
    tests = {
        other: {"test": request.test[other].fingerprint(), "tokenizer": model.reader(other).identity, **languages.identity(other)}
        for other in _tested(request, model, language)
    }
    file = request.out / "runs" / f"{task.name}.{model.slug}.{language}.seed{seed}.json"
    sparse_file = request.out / "sparse" / f"{file.stem}.safetensors"
    for one in (file, sparse_file) if request.sparse else (file,):
        clear_partial(one)
    what = f"{task.name}, {model.name}, {language}, seed {seed}"
    before = read_run(file, identity)
    named: dict[str, Any] = {"model": model.name, "teacher": model.teacher, "train_language": language, "seed": seed}
    if before is not None and request.sparse and not sparse_file.is_file():
        say_once(f"{what}: is trained again, since {sparse_file} is gone")
    elif before is not None:
        new = [other for other in tests if before.tests.get(other) != tests[other]]
        if not new:
            scores = {other: before.scores[other] for other in tests}
            return replace(before, **named, tests=tests, scores=scores)
        say_once(f"{what}: is trained again, since it was not tested on these files of {', '.join(new)}")
    roles, examples = model.reader(language).roles, encode("train", language, labels)
    maps = request.sparse is not None and request.sparse.teacher is not None
    trained = new_model(model.folder, task, labels, tuning.max_length, seed, maps=maps).to(device)
    teacher = task_teacher(request, model, trained, labels)
    tuned_model = TunedModel(trained, languages, language)

    def score(part: str, other: str) -> dict[str, float]:
        encoded, own = encode(part, other, labels), data[part][other]
        tuned_model.read(other)
        said = answers(trained, task, encoded.examples, roles, request.precision, tuning.micro_batch)
        return task.score(own, task.predict(own, encoded, said, labels, tuning), other)

    def train(settings: FineTuning, phase: str, loss_of: Loss | None, after_backward: Hook | None) -> Tuned:
        return fine_tune(
            trained,
            task,
            examples.examples,
            settings,
            roles,
            seed=seed,
            precision=request.precision,
            dev=(lambda: score("dev", language)[task.headline]) if tuning.keep == "best" else None,
            what=what + phase,
            loss_of=loss_of,
            after_backward=after_backward,
        )

    header = task_header(request, model, language, labels)
    tuned = tuned_model.tune(request, sparse_file, header, train, teacher.to(device) if teacher else None)
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
