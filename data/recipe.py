"""The recipe: one TOML file that says everything a run depends on. Parsed once, at the edge; every unknown key is refused."""

import difflib
import glob
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError, model_validator

from data.storage import write_text
from vocab.errors import InputError

# Teacher names and languages become partition keys of paths ("language=de/teacher=gbert"), so they must be plain.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}([_-][A-Za-z0-9]+)*$")]
Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A table of the recipe: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Teacher(Section):
    """A teacher: any masked LM that transformers loads."""

    name: Name
    model: Annotated[str, Field(min_length=1)]  # a local folder (relative to the recipe) or a Hub id
    revision: str = "main"  # of a Hub id
    # A tokenizer of its own: a folder, tokenizer.json, vocab.txt, SentencePiece .model, or Hub id; the model's own unless given.
    tokenizer: Annotated[str, Field(min_length=1)] | None = None
    languages: Annotated[list[Language], Field(min_length=1)]


class Vocabulary(Section):
    """Which of the teachers' pieces the student's vocabulary takes."""

    method: Literal["union", "trimmed", "budget"] = "union"  # all; all but the rare; those that carry most of the corpora's tokens
    size: Positive | None = None  # pieces in all, special tokens included; for "budget" alone
    min_probability: Annotated[float, Field(gt=0, lt=1)] = 1e-6  # "trimmed" drops pieces below it in every corpus of their teacher
    articles: Annotated[int, Field(ge=0)] = 0  # of each corpus that are counted, spread evenly; 0: all
    min_count: Positive = 1  # the restricted tokenizer keeps pieces that training showed at least so often

    @model_validator(mode="after")
    def _size_belongs_to_budget(self) -> "Vocabulary":
        if self.method == "budget" and self.size is None:
            raise ValueError('method "budget" needs a size: give the number of pieces, special tokens included')
        if self.method != "budget" and self.size is not None:
            raise ValueError(f'size {self.size} has no meaning with method "{self.method}": remove it, or choose method = "budget"')
        return self


class Examples(Section):
    """How articles become masked examples (windows). Part of every shard's identity, with the seed."""

    max_length: Annotated[int, Field(ge=8, le=65535)] = 128  # tokens, special tokens included
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15  # share of a window's tokens that are masked positions
    masking: Literal["token", "whole-word"] = "token"
    maskings: Annotated[int, Field(ge=1, le=1000)] = 1  # differently masked copies of each window


class Predict(Section):
    """Stage 1."""

    top_k: Annotated[int, Field(ge=1, le=1024)] = 8  # teacher logits kept a masked position
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # of the teacher; auto: bfloat16 where the hardware has it
    unit_articles: Positive = 1000  # articles a unit of work, rounded up to whole row groups
    tokens_per_batch: Positive = 4096  # padding included


class Student(Section):
    """The student's shape: any masked LM architecture of transformers."""

    architecture: str = "bert"  # a transformers model_type, as "bert" or "roformer"
    layers: Positive = 12
    hidden_size: Positive = 768
    heads: Positive = 12
    intermediate_size: Positive | None = None  # of the feed-forward block; 4 x hidden_size unless given
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of hidden states and attention

    @model_validator(mode="after")
    def _heads_divide(self) -> "Student":
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        return self


class Train(Section):
    """Stage 2."""

    steps: Positive = 100_000  # optimizer steps
    tokens_per_batch: Positive = 65_536  # a step, over all devices, padding included
    tokens_per_microbatch: Positive = 16_384  # a forward pass on one device; gradients accumulate over a step
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4  # the peak; linear warm-up, then linear decay to 0
    warmup_steps: Annotated[int, Field(ge=0)] = 5000
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0  # global norm
    labels: Literal["gold+teacher", "gold"] = "gold+teacher"
    tail: Literal["renormalise", "ghost", "gold"] = "renormalise"  # what becomes of the teacher's mass outside the top k
    sampling_alpha: Annotated[float, Field(ge=0, le=1)] = 0.7  # languages are drawn with p ∝ n^alpha
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of matrix products; auto: bfloat16 where the hardware has it
    log_steps: Positive = 50  # a row of metrics.jsonl each
    checkpoint_steps: Positive = 1000


class Recipe(Section):
    """Everything that a run depends on."""

    name: Name
    seed: Annotated[int, Field(ge=0)] = 0
    teachers: Annotated[list[Teacher], Field(min_length=1)]
    corpora: dict[Language, str]  # language → glob or URI of article shards
    heldout: dict[Language, str] = {}  # the same for held-out articles: predicted, never trained on
    vocabulary: Vocabulary = Vocabulary()
    examples: Examples = Examples()
    predict: Predict = Predict()
    student: Student = Student()
    train: Train = Train()
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        names = [teacher.name for teacher in self.teachers]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"teachers: the name '{twice}' stands twice; give each teacher a name of its own")
        taught = {language for teacher in self.teachers for language in teacher.languages}
        for teacher in self.teachers:
            if len(set(teacher.languages)) < len(teacher.languages):
                raise ValueError(f"teacher '{teacher.name}' names a language twice; name each once")
            for language in teacher.languages:
                if language not in self.corpora:
                    raise ValueError(
                        f"teacher '{teacher.name}' names the language '{language}', which has no corpus: add it to [corpora]"
                    )
        for section in ("corpora", "heldout"):
            for language in getattr(self, section):
                if language not in taught:
                    raise ValueError(f"{section}.{language}: no teacher names this language: add it to one, or remove the corpus")
        return self

    @property
    def folder(self) -> Path:
        """The folder that the recipe's relative paths are relative to."""
        return self._folder

    def locate(self, path: str) -> str:
        """A path of the recipe as an absolute path; a URI stays as it is."""
        return path if "://" in path else str(self._folder / Path(path).expanduser())

    def locate_files(self, pattern: str) -> str:
        """A glob of the recipe as an absolute one; signs in the recipe's own folder are no wildcards."""
        folder = Path(glob.escape(str(self._folder)))
        return pattern if "://" in pattern else str(folder / Path(pattern).expanduser())

    def teacher(self, name: str) -> Teacher:
        """The teacher of this name, or an InputError that lists those there are."""
        for teacher in self.teachers:
            if teacher.name == name:
                return teacher
        raise InputError(f"no teacher is called '{name}'; the recipe has {', '.join(t.name for t in self.teachers)}")


def load_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe; `settings` are overrides like "train.labels=gold", their values in TOML (a bare word is a string).

    Raises InputError with one line that names the key, what was found, and what to do.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"recipe {path}: no such file; expected a TOML file: see `mergedistill recipe --help`") from None
    except IsADirectoryError:
        raise InputError(f"recipe {path}: found a folder; expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path}: not TOML: {error}") from None
    for setting in settings:
        _override(content, setting)
    return parse_recipe(content, folder=Path(path).resolve().parent, source=f"recipe {path}")


def parse_recipe(content: dict[str, Any], *, folder: Path, source: str = "recipe") -> Recipe:
    """A recipe from its parsed TOML; relative paths are relative to `folder`."""
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{source}: " + "; ".join(_explain(dict(e)) for e in error.errors())) from None
    recipe._folder = folder
    return recipe


def save_recipe(recipe: Recipe, path: str | Path) -> None:
    """Write a recipe as TOML whose paths are absolute, so that it means the same from any folder."""
    content = recipe.model_dump(exclude_none=True)
    for section in ("corpora", "heldout"):
        content[section] = {language: recipe.locate_files(pattern) for language, pattern in content[section].items()}
    for teacher in content["teachers"]:
        if Path(recipe.locate(teacher["model"])).is_dir():
            teacher["model"] = recipe.locate(teacher["model"])
        if "tokenizer" in teacher and Path(recipe.locate(teacher["tokenizer"])).exists():
            teacher["tokenizer"] = recipe.locate(teacher["tokenizer"])
    lines = [f"{key} = {json.dumps(value)}" for key, value in content.items() if not isinstance(value, dict | list)]
    for teacher in content["teachers"]:
        lines += ["", "[[teachers]]", *(f"{key} = {json.dumps(value)}" for key, value in teacher.items())]
    for section, table in content.items():
        if isinstance(table, dict) and table:
            lines += ["", f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    write_text(path, "\n".join(lines) + "\n")


def _override(content: dict[str, Any], setting: str) -> None:
    """Put one "section.key=value" into the recipe's content."""
    key, equals, value = setting.partition("=")
    if not equals:
        raise InputError(f"setting '{setting}': expected KEY=VALUE, as train.labels=gold")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *tables, last = key.strip().split(".")
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise InputError(f"setting '{setting}': '{table}' is no table of the recipe")
    content[last] = parsed


def _explain(error: dict[str, Any]) -> str:
    """One pydantic error as: where, what was found, what was expected."""
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        known = sorted(_known_keys(error["loc"][:-1]))
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"unknown key '{where}'; {hint}"
    if error["type"] == "missing":
        return f"key '{where}' is missing; it has no default"
    message = re.sub(r"^(Value error, |Input should be )", lambda m: "expected " if m[0].startswith("Input") else "", error["msg"])
    found = "" if isinstance(error["input"], dict) else f"found {error['input']!r}; "
    return f"{where}: {found}{message}" if where else message


def _known_keys(location: tuple[Any, ...]) -> set[str]:
    model: Any = Recipe
    for part in location:
        if isinstance(part, str):
            model = Teacher if part == "teachers" else model.model_fields[part].annotation
    return set(model.model_fields)
