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

from student.studies.catalogue import (
    FINE_TUNING_RATE,
    TASKS,
    TEACHERS,
    TOKENS,
    WIDTH,
    named_teacher,
    task_file,
    teacher_folder,
    text_files,
)
from student.studies.step import Step

HELDOUT = 5  # percent of the students' articles
Settings: TypeAlias = Mapping[str, str | int | float]  # keys of the recipe


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
    tasks: Path | None  # patterns of TASKS below it; None: only for studies without tasks
    scale: float = 1.0

    @cached_property
    def _made(self) -> dict[str, Step]:
        """The steps by name: one object for each, so that an identity is computed once."""
        return {}

    def step(self, name: str, *commands: Sequence[str], **rest: object) -> Step:
        """A step of this name, made once."""
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
        return self.step(
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
        return self.step(
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
        return self.step(
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
        shards = store or f"runs/{run}"
        return self.step(
            f"cache {run}",
            ("vocab", *common),
            ("predict", *common),
            ("validate", f"{shards}/predictions", "--vocab", f"runs/{run}/vocab"),
            ("vocab", *common, "--report"),
            checks=(("validate", f"{shards}/heldout", "--vocab", f"runs/{run}/vocab"),),
            needs=(
                *(self.teacher(*named_teacher(teacher["model"])) for teacher in content["teachers"]),
                *(self.corpus(language) for language in content["corpora"]),
                *(self.part(language, percent) for language in content["corpora"] if percent != 100),
                *first,
            ),
            files={f"{name}.toml": text},
            holds="" if store is None else str(store),  # a second launch of predict is refused, even if it finds nothing to do
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
        return self.step(
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
        route: Mapping[str, str] | None = None,
        seeds: int,
        after: Step,
        sparse: Sequence[str] = (),
        more: str = "",
        needs: Sequence[Step] = (),
    ) -> Step:
        """A model's scores after fine-tuning in one language, tested in it, or zero-shot in `test`.

        tokens, route  how a student reads; language → the teacher whose tokenizer reads it
        sparse         options of a sparse fine-tuning, which `more` names; `needs`: what they need besides the model
        """
        found = TASKS[task]
        tested = [*test] or [language]
        inputs: dict[str, Path] = {}
        options: list[str] = []
        for part, languages in (("train", [language]), ("test", tested)):
            for one in languages:
                for pattern in getattr(found[one], part):
                    file = task_file(self.tasks, pattern)
                    place = f"tasks/{Path(pattern).parent}/{file.name}"
                    inputs[place] = file
                    options += [f"--{part}", f"{one}={place}"]
        routes = [part for one, teacher in (route or {}).items() if one in tested for part in ("--route", f"{one}={teacher}")]
        words = [
            task,
            model,
            language,
            *(["zero-shot"] if test else []),
            *([tokens] if tokens else []),
            *([more] if more else []),
            f"{seeds}x",
        ]
        name = " ".join(words)
        return self.step(
            name,
            (
                *("evaluate", task, "--model", model, *options, "--protocol", "zero-shot" if test else "in-language"),
                *(("--tokens", tokens, *routes) if tokens else ()),
                *("--seeds", str(seeds), "--learning-rate", FINE_TUNING_RATE, "--epochs", f"{found[language].epochs:g}"),
                *("--keep", "last", *sparse, "--out", f"scores/{name.replace(' ', '_').replace('/', '_')}", "--json"),
            ),
            needs=(after, *needs),
            inputs=inputs,
        )


def sets(settings: Settings) -> list[str]:
    """Settings as options."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


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
