"""Progress of a Beam job, on any runner: the launcher counts finished files against the plan."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from pyarrow import fs
from tqdm import tqdm

from data.storage import resolve

POLL_SECONDS = 1.0
LOG_SECONDS = 15.0  # where stderr is a log and not a terminal


@contextmanager
def watch_files(outputs: Sequence[str], *, description: str, show: bool = True) -> Iterator[None]:
    """While the block runs, a bar on stderr that counts which of `outputs` exist, with the rate and the time left."""
    stop = threading.Event()
    remaining = set(outputs)

    def update(bar: "tqdm[None]") -> None:
        found = set(existing(remaining))
        remaining.difference_update(found)
        bar.update(len(found))

    def watch() -> None:
        with tqdm(total=len(outputs), desc=description, unit="unit", disable=not show, mininterval=0) as bar:
            while not stop.wait(POLL_SECONDS if sys.stderr.isatty() else LOG_SECONDS):
                update(bar)
                bar.refresh()
            update(bar)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def existing(outputs: set[str]) -> Iterator[str]:
    """Those of `outputs` that are files now: one listing a folder."""
    for folder, group in groupby(sorted(outputs), key=lambda location: location.rsplit("/", 1)[0]):
        filesystem, path = resolve(folder)
        listing = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        names = {info.base_name for info in listing if info.type == fs.FileType.File}
        yield from (location for location in group if location.rsplit("/", 1)[1] in names)
