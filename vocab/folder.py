"""The vocabulary of a run on disk: RUN/vocab/ with the union, the teacher maps, the student's tokenizer and the overlap report."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from vocab.errors import InputError
from vocab.normaliser import student_normaliser
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.tokenizer import student_tokenizer
from vocab.union import Link, TeacherMap, Union, chain, merge_all

MAP_FIELDS = ("union_ids", "predictable", "real", "lengths", "spelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """How one teacher's vocabulary lies in the union. Counts of pieces; special tokens are counted nowhere."""

    teacher: str
    rows: int  # of the teacher's head
    pieces: int  # rows with a place in the union
    new: int  # of these, pieces that no teacher before it had


def build_vocabulary(
    teachers: Sequence[TeacherVocabulary], folder: Path, max_length: int, publish: Callable[[Path, Callable[[Path], None]], None]
) -> tuple[Union, list[Overlap]]:
    """Merge the teachers and write the folder. `publish(folder, fill)` puts a filled folder in place whole.

    A folder that stands there must hold a prefix of the new union (teachers were added at the end); any other is an InputError,
    since shards made under it would lose their meaning.
    """
    union, maps = merge_all(teachers)
    if (folder / "union.json").exists():
        standing = load_union(folder)
        if not union.begins_with(standing):
            raise InputError(
                f"{folder} was made by another recipe: found the teachers {_names(standing)} with union {standing.fingerprint[:12]}…, "
                f"expected a beginning of {_names(union)}: give this recipe another --out, or remove the run folder"
            )
    overlaps = measure_overlap(union, maps)
    tokenizer = student_tokenizer(union, student_normaliser([teacher.normaliser for teacher in teachers]), max_length)

    def fill(target: Path) -> None:
        tokenizer.save_pretrained(target / "tokenizer")
        (target / "maps").mkdir()
        for teacher_map in maps:
            arrays = {field: getattr(teacher_map, field) for field in MAP_FIELDS}
            np.savez(target / "maps" / f"{teacher_map.teacher}.npz", **arrays)
        (target / "pieces.txt").write_text("".join(piece + "\n" for piece in union.pieces), encoding="utf-8", newline="\n")
        content = {"version": 1, "links": [asdict(link) for link in union.links], "overlap": [asdict(row) for row in overlaps]}
        (target / "union.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    publish(folder, fill)
    return union, overlaps


def load_union(folder: Path) -> Union:
    """The union of a run, its chain of fingerprints computed again from its pieces. A missing or damaged one is an InputError."""
    if not (folder / "union.json").is_file():
        raise InputError(f"{folder / 'union.json'}: no such file; expected the union vocabulary: run `mergedistill vocab` first")
    try:
        content: dict[str, Any] = json.loads((folder / "union.json").read_text(encoding="utf-8"))
        pieces = tuple((folder / "pieces.txt").read_text(encoding="utf-8").split("\n")[:-1])
        union = Union(pieces=pieces, links=tuple(Link(**link) for link in content["links"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: is damaged ({error}); remove it and run `mergedistill vocab` again") from None
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


def load_map(folder: Path, teacher: str) -> TeacherMap:
    """One teacher's map into the union."""
    path = folder / "maps" / f"{teacher}.npz"
    if not path.exists():
        raise InputError(f"{path}: no such file; expected the map of teacher '{teacher}': run `mergedistill vocab` again")
    try:
        with np.load(path) as arrays:
            return TeacherMap(teacher=teacher, **{field: arrays[field] for field in MAP_FIELDS})
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(f"{path}: is damaged ({error}); remove {folder} and run `mergedistill vocab` again") from None


def measure_overlap(union: Union, maps: Sequence[TeacherMap]) -> list[Overlap]:
    """Per teacher, how many of its pieces are new to the union."""
    sizes = [Union().size, *(link.size for link in union.links)]
    return [
        Overlap(
            teacher=teacher_map.teacher,
            rows=len(teacher_map.union_ids),
            pieces=int(np.count_nonzero(teacher_map.predictable)),
            new=sizes[index + 1] - sizes[index],
        )
        for index, teacher_map in enumerate(maps)
    ]


def _names(union: Union) -> str:
    return ", ".join(link.teacher for link in union.links)
