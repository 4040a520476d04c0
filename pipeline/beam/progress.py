"""Progress of a Beam job, on any runner: the launcher looks for the files that workers have written."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from pyarrow import fs
from tqdm import tqdm

from data.storage import existing_files, resolve
from vocab.errors import InputError

POLL_SECONDS = 0.5
LOG_SECONDS = 15.0  # if stderr is a log and not a terminal


@contextmanager
def polled_bar(
    total: int, look: Callable[[], tuple[int, str]], *, description: str, unit: str, show: bool = True
) -> Iterator[None]:
    """Show a bar on stderr, with the rate and the time left, while the block runs.

    look  returns (how much is done, a short text for the end of the bar)
    """
    stop = threading.Event()
    seconds = POLL_SECONDS if sys.stderr.isatty() else LOG_SECONDS
    with tqdm(total=total, desc=description, unit=unit, unit_scale=True, disable=not show, mininterval=seconds) as bar:

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
    """The bar of a job that writes a file for each of its parts: it counts the files."""
    remaining = set(outputs)

    def look() -> tuple[int, str]:
        remaining.difference_update([*existing_files(remaining)])
        return len(outputs) - len(remaining), ""

    return polled_bar(len(outputs), look, description=description, unit=unit, show=show)


def watch_staging(staging: str, sizes: Mapping[str, int], *, show: bool = True) -> AbstractContextManager[None]:
    """The bar of `prepare`: bytes of input that were read, of the parts {name: bytes}."""

    def look() -> tuple[int, str]:
        position, parts = bytes_read(staging, sizes)
        return position, f"{parts}/{len(sizes)} parts"

    return polled_bar(sum(sizes.values()), look, description="prepare", unit="B", show=show)


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
