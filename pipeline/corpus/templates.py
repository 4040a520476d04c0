"""What a template shows, from a table of names: templates.toml beside this file, and a user's own."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.corpus.template_forms import FORMS, Value
from vocab.errors import InputError

_TABLE = Path(__file__).with_name("templates.toml")
_REFERENCE = re.compile(r"\$(\$|\*-?|-?\d+|\w+)")


@dataclass(frozen=True)
class Templates:
    """The text of templates by their names, in lower case."""

    names: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()

    def get(self, name: str) -> str | None:
        """The form of a template; None for one that no table has."""
        key = _key(name)
        found = self.names.get(key)
        return found if found is not None else next((form for pattern, form in self.patterns if pattern.fullmatch(key)), None)

    def over(self, other: "Templates") -> "Templates":
        """These, and those of `other` that these do not have."""
        return Templates({**other.names, **self.names}, self.patterns + other.patterns)


@cache
def own_templates(language: str = "") -> Templates:
    """The table that belongs to the program, for a language."""
    return read_templates(str(_TABLE), language)


def read_templates(path: str, language: str = "") -> Templates:
    """A table from a TOML file: sections by language, each with names and forms. Raises InputError for another content.

    The language's own section comes first, then [any], then the other languages, as far as these do not disagree.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--templates {path}: {error.strerror}; expected a file like pipeline/corpus/templates.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"--templates {path}: is not TOML ({error}): correct it") from None
    names: dict[str, str] = {}
    others: dict[str, set[str]] = {}
    patterns: list[tuple[re.Pattern[str], str]] = []
    own = [key for key in (language, language.partition("-")[0], "any") if key in content]
    for language, table in sorted(content.items(), key=lambda item: own.index(item[0]) if item[0] in own else len(own)):
        if not isinstance(table, dict):
            raise InputError(
                f"--templates {path}: found the key {language!r} outside of a section; expected [any] or a language, as [de]"
            )
        for name, form in table.items():
            if not isinstance(form, str):
                raise InputError(f'--templates {path}: [{language}] {name}: found {form!r}; expected a text such as "$1"')
            if len(name) > 2 and name.startswith("/") and name.endswith("/"):
                try:
                    patterns.append((re.compile(name[1:-1]), form))
                except re.error as error:
                    raise InputError(f"--templates {path}: [{language}] {name}: is not a regular expression ({error})") from None
            else:
                key = _key(name)
                if language in own:
                    names.setdefault(key, form)
                else:
                    others.setdefault(key, set()).add(form)
    names = {**{key: next(iter(forms)) for key, forms in others.items() if len(forms) == 1}, **names}
    return Templates(names, tuple(patterns))


def _key(name: str) -> str:
    """A name as MediaWiki compares it, but for the case of all its letters."""
    return " ".join(name.replace("_", " ").split()).casefold()


def fill(form: str, name: str, value: Value, count: int) -> str:
    """The text of a template: its form with the values of its parameters. `count`: of parameters without a name."""
    for choice in form.split("|") if "|" in form and form.count("$") > 1 else [form]:
        text, known = _fill(choice, name, value, count)
        if known:
            return text
    return ""


def _fill(form: str, name: str, value: Value, count: int) -> tuple[str, bool]:
    """(the text, whether a parameter of the form is there, or the form has none)."""
    found: list[str] = []

    def put(match: re.Match[str]) -> str:
        key = match[1]
        if key == "$":
            return "$"
        if key == "0":
            text = name
        elif key in FORMS:
            text = FORMS[key](value)
        elif key in ("*", "*-"):
            text = ("-" if key == "*-" else ", ").join(filter(None, (value(str(index)) for index in range(1, count + 1))))
        else:
            text = value(str(count) if key == "-1" else key)
        found.append(text)
        return text

    text = _REFERENCE.sub(put, form)
    return text, not found or any(found)
