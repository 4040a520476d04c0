"""Recipes as TOML files. Unknown keys are refused when a recipe is read. A recipe is written with absolute paths."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from data.atomic import write_text
from data.bilingual_recipe import BilingualRecipe
from data.recipe import Recipe, RecipeFile, Teacher
from vocab.errors import InputError

# How pydantic names the alternatives of a key in the place of an error.
_KIND = re.compile(r"constrained-\w+|int|float|str|list\[.*\]|literal\[.*\]")
_EXPECTED = re.compile(r"^(Value error, |Input should be )")


R = TypeVar("R", bound=RecipeFile)


def load_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe. `settings` are overrides such as "train.labels=gold"; their values are TOML, and a bare word is a string.

    Raises InputError with the key, what was found, and what to do.
    """
    return parse_recipe(_read(path, settings), folder=Path(path).resolve().parent, source=f"recipe {path}")


def load_bilingual_recipe(path: str | Path, settings: Sequence[str] = ()) -> BilingualRecipe:
    """Read the recipe of a bilingual student, as `load_recipe`."""
    return _parse(BilingualRecipe, _read(path, settings), folder=Path(path).resolve().parent, source=f"recipe {path}")


def load_any_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe | BilingualRecipe:
    """Read a recipe of either kind. That of a bilingual student has one [teacher], the other one [[teachers]]."""
    content = _read(path, settings)
    place: dict[str, Any] = {"folder": Path(path).resolve().parent, "source": f"recipe {path}"}
    bilingual = "teacher" in content and "teachers" not in content
    return _parse(BilingualRecipe, content, **place) if bilingual else _parse(Recipe, content, **place)


def _read(path: str | Path, settings: Sequence[str]) -> dict[str, Any]:
    """The content of a TOML file with overrides."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        if text.startswith("\ufeff"):
            raise InputError(f"recipe {path}: begins with a byte order mark; expected UTF-8 without one: save it so")
        content = tomllib.loads(text)
    except FileNotFoundError:
        raise InputError(f"recipe {path}: no such file; expected a TOML file: see `mergedistill recipe --help`") from None
    except IsADirectoryError:
        raise InputError(f"recipe {path}: found a folder; expected a TOML file") from None
    except RecursionError:
        raise InputError(f"recipe {path}: is nested too deep; expected TOML as in `mergedistill recipe --help`") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path}: not TOML: {error}") from None
    for setting in settings:
        _override(content, setting)
    return content


def parse_recipe(content: dict[str, Any], *, folder: Path, source: str = "recipe") -> Recipe:
    """A recipe from its parsed TOML. Relative paths are relative to `folder`."""
    return _parse(Recipe, content, folder=folder, source=source)


def _parse(kind: type[R], content: dict[str, Any], *, folder: Path, source: str) -> R:
    try:
        recipe = kind.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{source}: " + "; ".join(_explain_all(error, kind))) from None
    recipe._folder = folder
    return recipe


def save_recipe(recipe: Recipe, path: str | Path) -> None:
    """Write a recipe as TOML with absolute paths, so that it has the same meaning in any folder."""
    content = recipe.model_dump(exclude_none=True)
    for section in ("corpora", "heldout"):
        content[section] = {language: recipe.locate_files(pattern) for language, pattern in content[section].items()}
    if recipe.predict.store is not None:
        content["predict"]["store"] = recipe.locate(recipe.predict.store)
    for teacher in content["teachers"]:
        if Path(recipe.locate(teacher["model"])).is_dir():
            teacher["model"] = recipe.locate(teacher["model"])
        if "tokenizer" in teacher and Path(recipe.locate(teacher["tokenizer"])).exists():
            teacher["tokenizer"] = recipe.locate(teacher["tokenizer"])
    write_text(path, tomli_w.dumps({key: value for key, value in content.items() if value != {}}))


def save_bilingual_recipe(recipe: BilingualRecipe, path: str | Path) -> None:
    """Write the recipe of a bilingual student as TOML with absolute paths."""
    content = recipe.model_dump(exclude_none=True)
    content["corpora"] = {language: recipe.locate_files(pattern) for language, pattern in content["corpora"].items()}
    teacher = content["teacher"]
    teacher["sparse"] = {language: recipe.locate(file) for language, file in teacher["sparse"].items()}
    if Path(recipe.locate(teacher["model"])).is_dir():
        teacher["model"] = recipe.locate(teacher["model"])
    write_text(path, tomli_w.dumps(content))


def _override(content: dict[str, Any], setting: str) -> None:
    """Put one override "section.key=value" into the recipe's content."""
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
            raise InputError(f"setting '{setting}': '{table}' is not a table of the recipe")
    content[last] = parsed


def _explain_all(errors: ValidationError, kind: type[RecipeFile]) -> Iterator[str]:
    """Each wrong key, once: pydantic has an error for each alternative of a key that takes several kinds of values."""
    alternatives: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for entry in errors.errors():
        error: dict[str, Any] = dict(entry)
        cut = next((index for index, part in enumerate(error["loc"]) if _KIND.fullmatch(str(part))), None)
        alternatives.setdefault(error["loc"][:cut], []).append(error | {"inside": error["loc"][cut + 1 :] if cut else ()})
    for location, group in alternatives.items():
        if len(group) == 1:
            yield _explain(group[0] | {"loc": location}, kind)
            continue
        expected = [_EXPECTED.sub("", error["msg"]) + "".join(f" at place {place}" for place in error["inside"]) for error in group]
        shown = next((error["input"] for error in group if not error["inside"]), group[0]["input"])
        yield f"{'.'.join(map(str, location))}: found {shown!r}; expected {', or '.join(dict.fromkeys(expected))}"


def _explain(error: dict[str, Any], kind: type[RecipeFile]) -> str:
    """A pydantic error as one line: the key, what was found, what was expected."""
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        known = sorted(_known_keys(error["loc"][:-1], kind))
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"unknown key '{where}'; {hint}"
    if error["type"] == "missing":
        return f"key '{where}' is missing; it has no default"
    message = _EXPECTED.sub(lambda m: "expected " if m[0].startswith("Input") else "", error["msg"])
    found = "" if isinstance(error["input"], dict) else f"found {error['input']!r}; "
    return f"{where}: {found}{message}" if where else message


def _known_keys(location: tuple[Any, ...], kind: type[RecipeFile]) -> set[str]:
    model: Any = kind
    for part in location:
        if isinstance(part, str):
            model = Teacher if part == "teachers" else model.model_fields[part].annotation
    return set(model.model_fields)
