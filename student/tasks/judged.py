"""The models that an evaluation judges, and how each of them reads a language."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from student.tasks.reading import Reader, Tokens, own_reader, run_of, student_reader
from vocab.errors import InputError
from vocab.model_source import model_folder


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A model, with the languages in which it is judged: all of the test sets, or those in which it is a teacher."""

    name: str  # in tables, as "mine/student"
    folder: Path
    languages: tuple[str, ...]
    teacher: bool
    tokens: Tokens | None  # how a student reads; None for another model, which has one way
    route: Mapping[str, str] = field(default_factory=dict)  # language → the teacher that reads it
    _readers: dict[str, Reader] = field(default_factory=dict, repr=False)

    def reader(self, language: str) -> Reader:
        """How the model reads a language; made once."""
        key = language if self.tokens == "routed" else ""
        if key not in self._readers:
            if self.tokens is None:
                self._readers[key] = own_reader(self.folder, self.name)
            else:
                self._readers[key] = student_reader(self.folder, self.tokens, language, self.route.get(language))
        return self._readers[key]

    @property
    def slug(self) -> str:
        """The name for files."""
        return re.sub(r"[^\w.-]+", "-", self.name)


def judged_models(
    models: Sequence[str],
    teachers: Sequence[tuple[str, str]],
    languages: Sequence[str],
    tokens: Tokens | None,
    route: Mapping[str, str],
) -> list[Judged]:
    """The models of a call, and the teachers, one of several languages only once.

    models    folders or Hub ids
    teachers  (language, folder or Hub id)
    tokens    how students read; None: "union"

    Raises InputError for a model that is nowhere, and for `tokens` without a student.
    """
    found = []
    for source in dict.fromkeys(models):
        folder = model_folder(source, base=Path(), name=None, weights=True)
        student = run_of(folder) is not None
        found.append(
            Judged(
                name=_name(folder, source),
                folder=folder,
                languages=tuple(languages),
                teacher=False,
                tokens=(tokens or "union") if student else None,
                route=route,
            )
        )
    if tokens not in (None, "union") and not any(model.tokens for model in found):
        raise InputError(
            f"--tokens {tokens}: found no student of a run among {', '.join(models)}; expected one (RUN/student): other models read with "
            "their own tokenizers"
        )
    of_source: dict[str, list[str]] = {}
    for language, source in teachers:
        if language not in languages:
            raise InputError(f"--teacher {language}={source}: found no --test {language}=…; expected the files to judge it on")
        of_source.setdefault(source, []).append(language)
    for source, own in of_source.items():
        folder = model_folder(source, base=Path(), name=None, weights=True)
        found.append(
            Judged(name=_name(folder, source), folder=folder, languages=tuple(dict.fromkeys(own)), teacher=True, tokens=None)
        )
    names = [model.name for model in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"found two models with the name '{min(twice)}'; expected one of each: a student is not its own teacher")
    return found


def _name(folder: Path, source: str) -> str:
    """The last two parts of a folder's path; a Hub id as it is."""
    if not Path(source).expanduser().is_dir():
        return source
    path = folder.resolve()
    return f"{path.parent.name}/{path.name}".lstrip("/")
