"""The progress bar of `prepare`: bytes of input read, seen from what the workers leave in the staging folder, so on any runner."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyarrow import fs
from tqdm import tqdm

from data.storage import resolve

_SECONDS = 0.5  # between two looks


def bytes_read(staging: str, sizes: Mapping[str, int]) -> tuple[int, int]:
    """(bytes of input read so far, files done) of the files {name: bytes} that are being staged."""
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


@contextmanager
def progress_bar(staging: str, sizes: Mapping[str, int], *, show: bool = True) -> Iterator[None]:
    """A bar on stderr while the block runs."""
    stop = threading.Event()
    with tqdm(total=sum(sizes.values()), unit="B", unit_scale=True, desc="prepare", disable=not show) as bar:

        def look() -> None:
            try:
                position, files = bytes_read(staging, sizes)
            except OSError:  # a file that is being replaced, or storage that does not answer now: look again later
                return
            bar.set_postfix_str(f"{files}/{len(sizes)} files", refresh=False)
            bar.update(max(position - bar.n, 0))

        def watch() -> None:
            while not stop.wait(_SECONDS):
                look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            look()
