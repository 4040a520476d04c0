"""What studies are made of: corpora, teachers, caches of predictions, students, scores; each as a step with the steps that it needs.

Sizes are those of two CPU cores; `scale` multiplies steps, and the width of models by its root.
"""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from data.storage import require_files
from student.studies.step import Step
from vocab.errors import InputError

LANGUAGES = ("ar", "de", "en", "zh")
HELDOUT = 5  # percent of the students' articles
Settings: TypeAlias = Mapping[str, str | int | float]  # keys of the recipe


@dataclass(frozen=True, kw_only=True)
class TeacherKind:
    """A teacher of the studies: RoFormer, WordPiece, gold labels."""

    languages: tuple[str, ...]
    vocab_size: int
    layers: int
    steps: int  # of TOKENS tokens


TOKENS = 4096  # of an optimizer step, padding included
WIDTH = 128
# Four teachers of one language; a broad one of all languages with few pieces for each, as mBERT; a specialist of two, as MuRIL.
TEACHERS = {
    **{language: TeacherKind(languages=(language,), vocab_size=8000, layers=2, steps=3800) for language in LANGUAGES},
    "broad": TeacherKind(languages=LANGUAGES, vocab_size=8000, layers=4, steps=5000),
    "specialist": TeacherKind(languages=("ar", "zh"), vocab_size=12_000, layers=2, steps=4600),
}


@dataclass(frozen=True, kw_only=True)
class TaskFiles:
    """The files of one task in one language, as patterns below the folder of tasks."""

    train: tuple[str, ...]  # none: only for zero-shot
    test: tuple[str, ...]
    epochs: float


# Universal Dependencies for udpos; PAN-X and WikiANN for ner. Small training sets have more epochs.
TASKS: Mapping[str, Mapping[str, TaskFiles]] = {
    "udpos": {
        "ar": TaskFiles(train=(), test=("ud/ar_pud-ud-test*",), epochs=0),
        "de": TaskFiles(train=("ud/de_gsd-ud-dev*", "ud/de_lit-ud-test*"), test=("ud/de_gsd-ud-test*",), epochs=4),
        "en": TaskFiles(train=("ud/en_ewt-ud-train*",), test=("ud/en_ewt-ud-test*",), epochs=2),
        "zh": TaskFiles(train=("ud/zh_gsdsimp-ud-dev*",), test=("ud/zh_gsdsimp-ud-test*",), epochs=12),
    },
    "ner": {
        "ar": TaskFiles(train=("ner/panx/train-ar*",), test=("ner/panx/dev-ar*",), epochs=0.5),
        "de": TaskFiles(train=("ner/panx/train-de*",), test=("ner/wikiann-labelled-test/de.test*",), epochs=0.5),
        "en": TaskFiles(train=("ner/panx/train-en*",), test=("ner/wikiann-labelled-test/en.test*",), epochs=0.5),
        "zh": TaskFiles(train=("ner/panx/train-zh*",), test=("ner/panx/dev-zh*",), epochs=0.5),
    },
}
FINE_TUNING_RATE = "1e-3"  # XTREME's 2e-5 is for models of 100 million parameters


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a study changes in a ready recipe that is no single key."""

    teachers: int = 100  # percent of the steps of its teachers
    text: int = 100  # percent of the articles that students train on


SHARED = "both-all-small"  # the run whose predictions hold those of all recipes that share a store


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps over one text and one set of tasks."""

    text: Path  # FOLDER/LANG/*: dumps, WikiExtractor output, or what else `prepare` reads
    tasks: Path  # patterns of TASKS below it
    scale: float = 1.0

    @cached_property
    def _made(self) -> dict[str, Step]:
        """The steps by name: one object for each, so that an identity is computed once."""
        return {}

    def _step(self, name: str, *commands: Sequence[str], **rest: object) -> Step:
        step = Step(name=name, commands=tuple(tuple(command) for command in commands), **rest)  # type: ignore[arg-type]
        known = self._made.setdefault(name, step)
        assert known.commands == step.commands, f"two steps are called {name}"
        return known

    def scaled(self, steps: float) -> int:
        """A number of optimizer steps at this scale."""
        return max(1, round(steps * self.scale))

    @property
    def width(self) -> int:
        """The hidden size of teachers and students: a multiple of 64."""
        return max(1, round(WIDTH * math.sqrt(self.scale) / 64)) * 64

    def corpus(self, language: str) -> Step:
        """Article shards: two thirds of the files for teachers, the others for students, with held-out articles."""
        found = text_files(self.text, language)
        cut = max(1, 2 * len(found) // 3)
        links = {f"text/{language}/{file.name}": file for file in found}
        names = [*links]
        common = ("--language", language, "--id-prefix", "{input}-")
        return self._step(
            f"corpus {language}",
            ("prepare", *names[:cut], *common, "--out", f"corpora/{language}/teachers"),
            ("prepare", *names[cut:], *common, "--out", f"corpora/{language}/students", "--heldout", str(HELDOUT)),
            inputs=links,
        )

    def teacher(self, name: str, percent: int = 100) -> Step:
        """A teacher in teachers/NAME; with a share of its steps, in teachers/NAME-PERCENT."""
        kind = TEACHERS[name]
        language = kind.languages[0] if len(kind.languages) == 1 else "mul"  # the ISO code of several languages
        folder = teacher_folder(name, percent)
        return self._step(
            f"teacher {Path(folder).name}",
            (
                "pretrain",
                *(f"corpora/{one}/teachers/*.parquet" for one in kind.languages),
                *("--language", language, "--out", folder, "--vocab-size", str(kind.vocab_size)),
                *("--layers", str(kind.layers), "--hidden-size", str(self.width), "--heads", "4"),
                *("--tokens-per-batch", str(TOKENS), "--steps", str(self.scaled(kind.steps * percent / 100)), "--json"),
            ),
            needs=tuple(self.corpus(one) for one in kind.languages),
        )

    def part(self, language: str, percent: int) -> Step:
        """A share of the students' articles of a language, in corpora/LANG/students-PERCENT/heldout."""
        return self._step(
            f"part {language} {percent}",
            (
                *("prepare", f"corpora/{language}/students/*.parquet", "--language", language, "--id-prefix", f"{percent}-"),
                *("--out", f"corpora/{language}/students-{percent}", "--heldout", str(percent)),
            ),
            needs=(self.corpus(language),),
        )

    def cache(self, run: str, recipe: str, settings: Settings | None = None, *, variant: Variant | None = None) -> Step:
        """The predictions of a ready recipe, or a variant of it, in runs/RUN; validated, and its vocabulary reported."""
        name, text = recipe_file(recipe, variant or Variant())
        content = tomllib.loads(text)
        common = self._common(run, name, settings)
        own = content.get("predict", {}).get("store")
        store = (settings or {}).get("predict.store", own)
        shared = store is not None and store == own and run != SHARED
        first = (self.cache(SHARED, SHARED),) if shared else ()  # it computes all of them: two launches must not write one store
        percent = (variant or Variant()).text
        return self._step(
            f"cache {run}",
            ("vocab", *common),
            ("predict", *common),
            ("validate", f"{store or f'runs/{run}'}/predictions", "--vocab", f"runs/{run}/vocab"),
            ("vocab", *common, "--report"),
            needs=(
                *(self.teacher(*_named_teacher(Path(teacher["model"]).name)) for teacher in content["teachers"]),
                *(self.corpus(language) for language in content["corpora"]),
                *(self.part(language, percent) for language in content["corpora"] if percent != 100),
                *first,
            ),
            files={f"{name}.toml": text},
        )

    def _common(self, run: str, name: str, settings: Settings | None) -> list[str]:
        wide: Settings = {"student.hidden_size": self.width} if self.scale != 1 else {}
        return [f"{name}.toml", "--out", f"runs/{run}", *sets({**wide, **(settings or {})})]

    def student(
        self,
        run: str,
        recipe: str,
        name: str,
        settings: Settings | None = None,
        *,
        cached: Settings | None = None,
        variant: Variant | None = None,
    ) -> Step:
        """A student in runs/RUN/NAME. cached, variant: those of its cache, which is a step of its own."""
        own = dict(settings or {})
        steps = float(own.pop("train.steps", ready_recipe(recipe)["train"]["steps"]))
        file, _ = recipe_file(recipe, variant or Variant())
        settings = {"train.steps": self.scaled(steps), "train.warmup_steps": self.scaled(steps) // 10, **own}
        common = self._common(run, file, {**(cached or {}), **settings})
        return self._step(
            f"student {run}/{name}",
            ("train", *common, "--student", name, "--json"),
            needs=(self.cache(run, recipe, cached, variant=variant),),
        )

    def scores(
        self,
        model: str,
        task: str,
        language: str,
        *,
        test: Sequence[str] = (),
        tokens: str | None = None,
        seeds: int,
        after: Step,
    ) -> Step:
        """A model's scores after fine-tuning in one language, tested in it, or zero-shot in `test`."""
        found = TASKS[task]
        tested = [*test] or [language]
        inputs: dict[str, Path] = {}
        options: list[str] = []
        for part, languages in (("train", [language]), ("test", tested)):
            for one in languages:
                for pattern in getattr(found[one], part):
                    for file in task_files(self.tasks, pattern):
                        place = f"tasks/{file.relative_to(self.tasks)}"
                        inputs[place] = file
                        options += [f"--{part}", f"{one}={place}"]
        words = [task, model, language, *(["zero-shot"] if test else []), *([tokens] if tokens else []), f"{seeds}x"]
        name = " ".join(words)
        return self._step(
            name,
            (
                *("evaluate", task, "--model", model, *options, "--protocol", "zero-shot" if test else "in-language"),
                *(("--tokens", tokens) if tokens else ()),
                *("--seeds", str(seeds), "--learning-rate", FINE_TUNING_RATE, "--epochs", f"{found[language].epochs:g}"),
                *("--keep", "last", "--out", f"scores/{name.replace(' ', '_').replace('/', '_')}", "--json"),
            ),
            needs=(after,),
            inputs=inputs,
        )


def sets(settings: Settings) -> list[str]:
    """Settings as options."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def teacher_folder(name: str, percent: int = 100) -> str:
    """Where a teacher is, in the work folder."""
    return f"teachers/{name}" if percent == 100 else f"teachers/{name}-{percent}"


def text_files(text: Path, language: str) -> list[Path]:
    """The files of a language, in the order of their names. Raises InputError for fewer than two."""
    found = sorted(file for file in (text / language).glob("*") if file.is_file() and not file.name.startswith("."))
    if len(found) < 2:
        raise InputError(
            f"{text / language}: found {len(found)} files; expected two or more with the text of {language} (dumps, WikiExtractor "
            "output, Parquet), some for teachers and others for students: see --text"
        )
    return found


def task_files(tasks: Path, pattern: str) -> list[Path]:
    """The files of a pattern below the folder of tasks. Raises InputError if there is none."""
    return [Path(found) for found in require_files(str(tasks / pattern), "task files (see --tasks)")]


@cache
def ready_recipe(name: str) -> dict[str, Any]:
    """A ready recipe as it is written, without defaults."""
    return tomllib.loads(recipe_file(name, Variant())[1])


@cache
def recipe_file(name: str, variant: Variant) -> tuple[str, str]:
    """(name, text) of the file of a ready recipe, or of a variant of it."""
    text = (files("data") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    if variant.teachers != 100:
        name, text = f"{name}-teachers{variant.teachers}", re.sub(r'"(teachers/[\w-]+)"', rf'"\1-{variant.teachers}"', text)
    if variant.text != 100:
        name = f"{name}-text{variant.text}"
        text = re.sub(r'"corpora/(\w+)/students/\*', rf'"corpora/\1/students-{variant.text}/heldout/*', text)
    return name, text


def _named_teacher(folder: str) -> tuple[str, int]:
    """(name, percent of its steps) of a teacher's folder, as "en" or "en-50"."""
    name, _, percent = folder.partition("-")
    return name, int(percent or 100)
