"""One writer at a time: a second launch that would write the same folder is refused."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data.storage_faults import storage_fault
from vocab.errors import InputError


@contextmanager
def exclusive(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a local folder that this process is about to write (the file .NAME.lock beside it, as long as it is held).

    doing  what the other launch does, as "trains this student"

    Raises InputError if another process holds the lock. A process that dies releases it.
    """
    folder = folder if folder.name else folder.resolve()  # "." has no name
    lock, parent_is_new = folder.with_name(f".{folder.name}.lock"), not folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        held = _acquire(lock)
    except BlockingIOError:
        raise InputError(f"{folder}: another process {doing}; wait for it, or choose another folder") from None
    except OSError as error:
        raise storage_fault(folder, error, local=True) or error from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while the lock is held: see _acquire
        os.close(held)
        if parent_is_new:
            with suppress(OSError):
                folder.parent.rmdir()  # if nothing was written


def _acquire(lock: Path) -> int:
    """The open file. One that was removed after it was opened is the lock of nobody: then the new one is opened."""
    while True:
        opened = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(lock), os.fstat(opened)):
                    return opened
        except BaseException:
            os.close(opened)
            raise
        os.close(opened)
