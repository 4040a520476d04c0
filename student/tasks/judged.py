"""The models that an evaluation judges, and how each of them reads a language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

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
        """The name for files; other names have other ones."""
        return quote(self.name, safe="")


def judged_models(
    models: Sequence[str],
    teachers: Sequence[tuple[str, str]],
    languages: Sequence[str],
    tokens: Tokens | None,
    route: Mapping[str, str],
    *,
    option: str = "--test",
) -> list[Judged]:
    """The models of a call, and the teachers, one of several languages only once.

    models     folders or Hub ids
    teachers   (language, folder or Hub id)
    languages  those that are judged, by the files of `option`
    tokens     how students read; None: "union"

    Raises InputError for a model that is nowhere, or given twice, and for tokens and routes that no student uses.
    """
    sources = [*models, *(source for _, source in teachers)]
    folders = {source: model_folder(source, base=Path(), name=None, weights=True) for source in dict.fromkeys(sources)}
    names = _names(folders)
    found = []
    for source in dict.fromkeys(models):
        student = run_of(folders[source]) is not None
        found.append(
            Judged(
                name=names[source],
                folder=folders[source],
                languages=tuple(languages),
                teacher=False,
                tokens=(tokens or "union") if student else None,
                route=route,
            )
        )
    _check_ways(found, languages, tokens, route, option)
    of_source: dict[str, list[str]] = {}
    for language, source in teachers:
        if language not in languages:
            raise InputError(f"--teacher {language}={source}: found no {option} {language}=…; expected the files to judge it on")
        of_source.setdefault(source, []).append(language)
    for source, own in of_source.items():
        languages_of = tuple(dict.fromkeys(own))
        found.append(Judged(name=names[source], folder=folders[source], languages=languages_of, teacher=True, tokens=None))
    places = [model.folder.resolve() for model in found]
    if twice := [model.folder for model, place in zip(found, places, strict=True) if places.count(place) > 1]:
        raise InputError(f"{twice[0]}: is given twice; expected each model once: a student is not its own teacher")
    return found


def _check_ways(
    models: Sequence[Judged], languages: Sequence[str], tokens: Tokens | None, route: Mapping[str, str], option: str
) -> None:
    """Raise InputError for tokens and routes that change nothing."""
    if tokens not in (None, "union") and not any(model.tokens for model in models):
        raise InputError(
            f"--tokens {tokens}: found no student of a run among {', '.join(model.name for model in models)}; expected one (RUN/student): "
            "other models read with their own tokenizers"
        )
    if route and tokens != "routed":
        raise InputError("--route: is only used with --tokens routed; expected both")
    if unknown := [language for language in route if language not in languages]:
        raise InputError(
            f"--route {unknown[0]}={route[unknown[0]]}: found no {option} {unknown[0]}=…; expected a language that is judged"
        )


def _names(folders: Mapping[str, Path]) -> dict[str, str]:
    """The name of each source: the last two parts of its folder's path, or more if two of them end in the same way; a Hub id as it is."""
    local = {source: folder.resolve().parts for source, folder in folders.items() if Path(source).expanduser().is_dir()}
    names = {source: source for source in folders}
    for source, parts in local.items():
        others = [other for other in local.values() if other != parts]
        count = 2
        while count < len(parts) and any(other[-count:] == parts[-count:] for other in others):
            count += 1
        names[source] = "/".join(parts[-count:]).lstrip("/")
    return names
