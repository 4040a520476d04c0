"""How a model reads words and texts: with its own tokenizer, or a student in one of three ways.

union       the tokenizer of the student's folder
restricted  the tokenizer in its folder restricted/, of only the pieces that training showed
routed      the tokenizer of the language's own teacher, whose ids are mapped into the union
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from data.identity import fingerprint
from data.recipe_file import load_recipe
from student.tasks.word_windows import WordIds
from vocab.errors import InputError
from vocab.folder import load_map
from vocab.roles import UNION_ROLES, Roles, read_roles
from vocab.routed import Segmentation, load_routed
from vocab.tokenizer_source import open_tokenizer

Tokens: TypeAlias = Literal["union", "restricted", "routed"]
TextIds: TypeAlias = Callable[[Sequence[str]], list[Segmentation]]

# Two words in several scripts, so that a tokenizer knows at least one of them.
_PROBES = (("a", "b"), ("а", "б"), ("ا", "ب"), ("क", "ख"), ("α", "β"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """How a model reads one language. Texts are read as they are: a quoted "[MASK]" is text."""

    texts: TextIds
    words: WordIds  # each word alone, as within a sentence
    roles: Roles
    separators: int  # sep tokens between two texts: BERT has one, RoBERTa two
    largest_id: int  # that it can give
    identity: str  # sha256 of what it depends on


def own_reader(folder: Path, name: str, roles: Roles | None = None) -> Reader:
    """A model's own tokenizer. Raises InputError for one that cannot be loaded, or that lacks a role."""
    tokenizer = open_tokenizer(folder, name)
    backend = tokenizer.backend_tokenizer

    def texts(found: Sequence[str]) -> list[Segmentation]:
        backend.encode_special_tokens = True
        return [Segmentation.of(encoding) for encoding in backend.encode_batch([*found], add_special_tokens=False)]

    roles = roles or read_roles(tokenizer, name)
    pair = backend.encode("a", "b").ids
    identity = fingerprint([backend.to_str(), list(roles)])
    return Reader(
        texts=texts,
        words=word_ids(texts),
        roles=roles,
        separators=max(1, pair.count(roles.sep) - 1),
        largest_id=max(backend.get_vocab(with_added_tokens=True).values(), default=0),
        identity=identity,
    )


def student_reader(student: Path, tokens: Tokens, language: str, route: str | None = None) -> Reader:
    """A student's way to read a language. `route`: the teacher whose tokenizer reads it, instead of the recipe's first of the language.

    Raises InputError for a tokenizer that is not there, and for a language without a teacher if `tokens` is "routed".
    """
    if tokens == "union":
        return own_reader(student, student.name, UNION_ROLES)
    run = run_of(student)
    if run is None:
        raise InputError(f"{student}: is no student of a run (no recipe.toml, or no vocab/ beside it); expected RUN/student")
    if tokens == "restricted":
        folder = next((path / "restricted" for path in (student, student.parent) if (path / "restricted").is_dir()), None)
        if folder is None:
            raise InputError(
                f"{student / 'restricted'}: no such folder: run `mergedistill vocab --report`, then train again, or use --tokens union"
            )
        return own_reader(folder, student.name, UNION_ROLES)
    teacher = route or _teacher_of(run, student, language)
    routed = load_routed(run / "vocab", teacher)
    teacher_map = load_map(run / "vocab", teacher)
    tables = (teacher_map.union_ids, teacher_map.lengths, teacher_map.spelled)
    tokenizer = (run / f"vocab/teachers/{teacher}.json").read_text(encoding="utf-8")
    return Reader(
        texts=routed,
        words=word_ids(routed),
        roles=UNION_ROLES,
        separators=1,
        largest_id=max((int(table.max()) for table in (teacher_map.union_ids, teacher_map.spelled) if len(table)), default=0),
        identity=fingerprint([tokenizer, *(table.tolist() for table in tables)]),
    )


def run_of(folder: Path) -> Path | None:
    """The run of a student's folder, or of a folder in it, such as best/; None for another model."""
    for student in (folder, folder.parent):
        if (student / "recipe.toml").is_file() and (student.parent / "vocab").is_dir():
            return student.parent
    return None


def _teacher_of(run: Path, student: Path, language: str) -> str:
    """The recipe's first teacher of a language."""
    recipe = load_recipe(next(path / "recipe.toml" for path in (student, student.parent) if (path / "recipe.toml").is_file()))
    found = [teacher.name for teacher in recipe.teachers if language in teacher.languages]
    if not found:
        known = ", ".join(sorted({known for teacher in recipe.teachers for known in teacher.languages}))
        raise InputError(
            f"{student}: no teacher of the recipe reads '{language}' (they read {known}), so nothing can be routed: name one with "
            "--route LANG=TEACHER, or use --tokens union"
        )
    return found[0]


def word_ids(texts: TextIds) -> WordIds:
    """How single words are read: each as within a sentence.

    Byte-level BPE and some SentencePiece tokenizers tell the beginning of a word from its middle by the space before it. For those the
    space is given.
    """
    prefix = " " if _needs_space(texts) else ""

    def ids_of(words: Sequence[str]) -> list[list[int]]:
        return [segmentation.ids.tolist() for segmentation in texts([prefix + word for word in words])]

    return ids_of


def _needs_space(texts: TextIds) -> bool:
    for first, second in _PROBES:
        both, one, other, spaced = (
            segmentation.ids.tolist() for segmentation in texts([f"{first} {second}", first, second, f" {second}"])
        )
        behind = both[len(one) :]
        if behind != other and behind == spaced:
            return True
    return False
