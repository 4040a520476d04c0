"""Progress of a Beam job, on any runner: the launcher looks for the files that workers have written."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from pyarrow import fs

from data.progress import LOG_SECONDS, progress_bar
from data.storage import existing_files, resolve
from pipeline.beam.running_unit import NOTE_SECONDS, Note, notes_of
from vocab.errors import InputError

POLL_SECONDS = 0.5  # for a terminal; a log is written seldom


@contextmanager
def polled_bar(
    total: int, look: Callable[[], tuple[float, str]], *, description: str, unit: str, show: bool = True, scale: bool = False
) -> Iterator[None]:
    """Show progress on stderr, with the rate and the time left, while the block runs.

    look  returns (how much is done, a short text for the end of the line)
    """
    stop = threading.Event()
    seconds = POLL_SECONDS if sys.stderr.isatty() else LOG_SECONDS / 3
    with progress_bar(total, description, unit, show=show, scale=scale) as bar:

        def update() -> None:
            try:
                done, word = look()
            except (OSError, InputError):  # a file is being replaced, or the storage does not answer now: look again later
                return
            bar.set_postfix_str(word, refresh=False)
            bar.update(max(done - bar.n, 0))

        def watch() -> None:
            while not stop.wait(seconds):
                update()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            update()


def watch_files(outputs: Sequence[str], *, description: str, unit: str, show: bool = True) -> AbstractContextManager[None]:
    """The progress of a job that writes a file for each of its parts: it counts the files."""
    remaining = set(outputs)

    def look() -> tuple[float, str]:
        remaining.difference_update([*existing_files(remaining)])
        return len(outputs) - len(remaining), ""

    return polled_bar(len(outputs), look, description=description, unit=unit, show=show)


def watch_units(outputs: Sequence[str], *, show: bool = True) -> AbstractContextManager[None]:
    """The progress of `predict`: it counts the files of finished units, and adds what is done of the units that run."""
    remaining, notes, read = set(outputs), list[Note](), 0.0

    def look() -> tuple[float, str]:
        nonlocal notes, read
        remaining.difference_update([*existing_files(remaining)])
        if time.monotonic() - read > NOTE_SECONDS:
            notes, read = notes_of(remaining), time.monotonic()
        done = len(outputs) - len(remaining)
        if not notes or not remaining:
            return done, ""
        share, positions = sum(note.share for note in notes), sum(note.positions for note in notes)
        return done + share, f"{len(notes)} running, {share / len(notes):.0%} done, {positions:,} masked positions in them"

    return polled_bar(len(outputs), look, description="predict", unit="units", show=show)


def watch_staging(staging: str, sizes: Mapping[str, int], *, show: bool = True) -> AbstractContextManager[None]:
    """The progress of `prepare`: bytes of input that were read, of the parts {name: bytes}."""

    def look() -> tuple[float, str]:
        position, parts = bytes_read(staging, sizes)
        return position, f"{parts}/{len(sizes)} parts"

    return polled_bar(sum(sizes.values()), look, description="prepare", unit="B", show=show, scale=True)


def bytes_read(staging: str, sizes: Mapping[str, int]) -> tuple[int, int]:
    """(bytes of input that were read so far, number of finished parts) of the parts {name: bytes}."""
    filesystem, path = resolve(staging)
    infos = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
    present = {info.base_name for info in infos}
    done = {name for name in sizes if f"{name}.json" in present}
    total = sum(sizes[name] for name in done)
    for name in sizes.keys() - done:
        if f"{name}.bytes" in present:
            with filesystem.open_input_stream(f"{path}/{name}.bytes") as file:
                total += int(file.read())
    return total, len(done)
