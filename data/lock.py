"""One writer at a time: a second launch that would write the same folder is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from data.storage_faults import storage_fault
from vocab.errors import InputError


@contextmanager
def exclusive(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a local folder that this process is about to write (the file .NAME.lock beside it).

    doing  what the other launch does, as "trains this student"

    Raises InputError if another process holds the lock. A process that dies releases it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: another process {doing}; wait for it, or choose another folder") from None
    except OSError as error:
        raise storage_fault(folder, error, local=True) or error from None
    try:
        yield
    finally:
        lock.release()
