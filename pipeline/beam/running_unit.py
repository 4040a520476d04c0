"""How far a worker is in the unit that it computes: a note beside the unit's file, which the launcher reads for its progress.

A unit takes minutes, and its file appears at once at its end. The note is a temporary file, so nobody takes it for a shard, and what a
killed worker leaves is removed by the next launch. A note that cannot be written or read changes nothing but the progress.
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import pyarrow as pa

from data.storage import TEMPORARY_SUFFIX, existing_files, join, resolve, split
from pipeline.teacher.plan import Unit
from vocab.errors import InputError

NOTE_SECONDS = 10.0  # between two notes; a shorter unit writes none


class Note(NamedTuple):
    """What is done of a unit."""

    share: float  # of the unit's articles
    positions: int  # masked positions that have labels


class RunningUnit:
    """Writes the notes of one unit. Its instances are called after each block of windows."""

    def __init__(self, unit: Unit):
        self._unit, self._place, self._written = unit, _note_of(unit.output), time.monotonic()

    def __call__(self, articles: int, positions: int) -> None:
        """Note that this number of the unit's articles was read, and that this number of masked positions has labels."""
        if time.monotonic() - self._written < NOTE_SECONDS:
            return
        note = Note(min(articles / max(self._unit.articles, 1), 1.0), positions)
        with suppress(OSError, InputError, pa.ArrowException):
            filesystem, path = resolve(self._place)
            filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            with filesystem.open_output_stream(path, compression=None) as out:
                out.write(json.dumps(note._asdict()).encode())
        self._written = time.monotonic()

    def end(self) -> None:
        """Remove the note."""
        with suppress(OSError, InputError, pa.ArrowException):
            filesystem, path = resolve(self._place)
            filesystem.delete_file(path)


def notes_of(outputs: Iterable[str]) -> list[Note]:
    """The notes of those units, by their outputs, that are being computed."""
    notes = []
    for place in existing_files({_note_of(output) for output in outputs}):
        with suppress(OSError, InputError, ValueError, TypeError, pa.ArrowException):  # it is being written
            filesystem, path = resolve(place)
            with filesystem.open_input_stream(path, compression=None) as file:
                notes.append(Note(**json.loads(file.read())))
    return notes


def _note_of(output: str) -> str:
    folder, name = split(output)
    return join(folder, f".{name}.running{TEMPORARY_SUFFIX}")
