"""The vocabulary of a run on disk: RUN/vocab/ with the union, the teacher maps, the student's tokenizer and the overlap report."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vocab.errors import InputError
from vocab.normaliser import Normaliser, student_normaliser
from vocab.student_tokenizer import save_tokenizer, student_tokenizer
from vocab.teacher_vocabulary import Accounting, TeacherVocabulary
from vocab.union import Link, TeacherMap, Union, chain, map_into, merge

MAP_FIELDS = ("union_ids", "predictable", "real", "lengths", "spelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherRow:
    """What the union took from one teacher. The rows of the teacher's head are pieces + special + placeholders + surplus."""

    teacher: str
    family: str
    normaliser: Normaliser
    accounting: Accounting
    new: int  # pieces that no earlier teacher has
    dropped: int  # rows whose piece is not in the union
    loses: tuple[str, ...]  # what the student sees and this teacher never sees


def build_vocabulary(
    teachers: Sequence[TeacherVocabulary],
    folder: Path,
    max_length: int,
    publish: Callable[[Path, Callable[[Path], None]], None],
    *,
    method: Mapping[str, Any] | None = None,
    choose: Callable[[Sequence[TeacherVocabulary], Union], Sequence[NDArray[np.bool_]]] | None = None,
) -> tuple[Union, list[TeacherRow]]:
    """Merge the teachers and write the folder.

    publish  publish(folder, fill) fills a new folder and puts it in place in one step
    method   the settings that chose the pieces; they are kept with the union
    choose   (new teachers, the union before them) → the pieces that each of them may add; all by default

    An existing folder must hold the first of the teachers, with pieces chosen by the same method. The other teachers are added, and
    no id changes. Raises InputError for any other folder, because shards made with it would lose their meaning.
    """
    method = dict(method or {"method": "union"})
    union = load_union(folder) if (folder / "union.json").exists() else Union()
    given = [(teacher.name, teacher.tokenizer_fingerprint) for teacher in teachers]
    if [(link.teacher, link.tokenizer) for link in union.links] != given[: len(union.links)]:
        raise InputError(
            f"{folder} was made by another recipe: found the teachers {_names(union)} with union {union.fingerprint[:12]}…, "
            f"expected the first of {', '.join(teacher.name for teacher in teachers)}, each with its own tokenizer: "
            f"{order_advice(union, [teacher.name for teacher in teachers])}"
        )
    new = teachers[len(union.links) :]
    free = {"size"} if new else set()  # the size of a budget may grow for a new teacher
    existing = load_method(folder) if union.links else method
    if {key: value for key, value in existing.items() if key not in free} != {
        key: value for key, value in method.items() if key not in free
    }:
        raise InputError(
            f"{folder} was made with [vocabulary] {_settings(existing)}, the recipe has {_settings(method)}; expected the same: give this "
            "recipe another --out, or remove the run folder"
        )
    maps = [map_into(union, teacher) for teacher in teachers[: len(union.links)]]
    for teacher, keep in zip(new, choose(new, union) if choose else [None] * len(new), strict=True):
        union, teacher_map = merge(union, teacher, keep)
        maps.append(teacher_map)
    normaliser = student_normaliser([teacher.normaliser for teacher in teachers])
    rows = _rows(union, teachers, maps, normaliser)
    tokenizer = student_tokenizer(union, normaliser, max_length)

    def fill(target: Path) -> None:
        save_tokenizer(tokenizer, target / "tokenizer")
        for part in ("report", "restricted"):  # valid until a teacher is added
            if not new and (folder / part).is_dir():
                shutil.copytree(folder / part, target / part)
        (target / "maps").mkdir()
        (target / "teachers").mkdir()
        for teacher, teacher_map in zip(teachers, maps, strict=True):
            arrays = {field: getattr(teacher_map, field) for field in MAP_FIELDS}
            np.savez(target / "maps" / f"{teacher.name}.npz", **arrays)
            if teacher.tokenizer is not None:
                teacher.tokenizer.save(str(target / "teachers" / f"{teacher.name}.json"))
        (target / "pieces.txt").write_text("".join(piece + "\n" for piece in union.pieces), encoding="utf-8", newline="\n")
        content = {
            "version": 2,
            "vocabulary": method,
            "normaliser": asdict(normaliser),
            "links": [asdict(link) for link in union.links],
            "teachers": [asdict(row) for row in rows],
        }
        (target / "union.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    publish(folder, fill)
    return union, rows


def order_advice(union: Union, names: Sequence[str]) -> str:
    """What to do with a recipe whose teachers `names` are not those of a union, or in another order."""
    known = [link.teacher for link in union.links]
    new = [name for name in names if name not in known]
    if names[: len(known)] == known and new:
        return "run `mergedistill vocab` with this recipe: it adds the new teachers"
    if set(known) <= set(names) and [*names] != known:
        return (
            f"write the recipe's teachers in the order {', '.join([*known, *new])}: a new teacher comes after those that are there"
        )
    return "give this recipe another --out, or remove the run folder"


def load_method(folder: Path) -> dict[str, Any]:
    """The settings that chose the pieces of a run's union."""
    return dict(_content(folder).get("vocabulary", {"method": "union"}))


def load_complete(folder: Path) -> frozenset[str]:
    """The teachers of a run's union all of whose pieces are in it. A teacher of which this is not known is left out."""
    rows = _content(folder).get("teachers", [])
    return frozenset(str(row["teacher"]) for row in rows if isinstance(row, dict) and row.get("dropped") == 0)


def load_normaliser(folder: Path) -> Normaliser:
    """The student's normaliser."""
    try:
        return Normaliser(**_content(folder)["normaliser"])
    except (KeyError, TypeError):
        raise InputError(f"{folder / 'union.json'}: has no normaliser; run `mergedistill vocab` again") from None


def _content(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "union.json").read_text(encoding="utf-8")))


def _settings(method: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in method.items())


def load_union(folder: Path) -> Union:
    """The union of a run. Its chain of fingerprints is computed again from its pieces: a damaged union is an InputError."""
    if not (folder / "union.json").is_file():
        raise InputError(f"{folder / 'union.json'}: no such file; expected the union vocabulary: run `mergedistill vocab` first")
    try:
        content: dict[str, Any] = json.loads((folder / "union.json").read_text(encoding="utf-8"))
        pieces = tuple((folder / "pieces.txt").read_text(encoding="utf-8").split("\n")[:-1])
        union = Union(pieces=pieces, links=tuple(Link(**link) for link in content["links"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unread(error) or InputError(
            f"{folder}: is damaged ({error}); remove it and run `mergedistill vocab` again"
        ) from None
    if len(pieces) != max([Union().size, *(link.size for link in union.links)]):
        raise InputError(
            f"{folder / 'pieces.txt'} is damaged: found {len(pieces):,} pieces; remove {folder} and run `mergedistill vocab`"
        )
    fingerprint, start = Union().fingerprint, Union().size
    for link in union.links:
        fingerprint = chain(fingerprint, pieces[start : link.size])
        start = link.size
        if fingerprint != link.fingerprint:
            raise InputError(
                f"{folder / 'pieces.txt'} is damaged: its pieces up to teacher '{link.teacher}' have fingerprint {fingerprint[:12]}…, "
                f"expected {link.fingerprint[:12]}…: remove {folder} and run `mergedistill vocab` again"
            )
    return union


def _unread(error: Exception) -> InputError | None:
    """An InputError for a file that could not be opened: nothing is known of its content, and nothing is to be removed."""
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(
            f"{error.filename}: {error.strerror}: expected a file that this user can read: change its access; keep it"
        )
    return None


def load_map(folder: Path, teacher: str) -> TeacherMap:
    """One teacher's map into the union."""
    path = folder / "maps" / f"{teacher}.npz"
    if not path.exists():
        raise InputError(f"{path}: no such file; expected the map of teacher '{teacher}': run `mergedistill vocab` again")
    try:
        with np.load(path) as arrays:
            return TeacherMap(teacher=teacher, **{field: arrays[field] for field in MAP_FIELDS})
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise _unread(error) or InputError(
            f"{path}: is damaged ({error}); remove {folder} and run `mergedistill vocab` again"
        ) from None


def _rows(union: Union, teachers: Sequence[TeacherVocabulary], maps: Sequence[TeacherMap], student: Normaliser) -> list[TeacherRow]:
    sizes = [Union().size, *(link.size for link in union.links)]
    return [
        TeacherRow(
            teacher=teacher.name,
            family=teacher.family,
            normaliser=teacher.normaliser,
            accounting=teacher.accounting,
            new=sizes[index + 1] - sizes[index],
            dropped=int(np.count_nonzero(teacher_map.real & ~teacher_map.predictable)),
            loses=tuple(teacher.normaliser.loses(student)),
        )
        for index, (teacher, teacher_map) in enumerate(zip(teachers, maps, strict=True))
    ]


def _names(union: Union) -> str:
    return ", ".join(link.teacher for link in union.links)
