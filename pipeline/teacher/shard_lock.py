"""Locks that keep two launches away from the same shards, and the removal of files that a killed launch left half-written."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pyarrow import fs

from data.contract import HELDOUT, PREDICTIONS
from data.run import Run
from data.storage import TEMPORARY_SUFFIX, list_files, resolve
from data.storage_faults import storage_fault
from vocab.errors import InputError


@contextmanager
def lock_teachers(run: Run, teachers: Sequence[str]) -> Iterator[None]:
    """Refuse to run while another launch computes shards of these teachers. A process that dies releases its locks.

    The lock files are where the shards are, because several runs may share a store. An object store has no locks: there, only
    launches of the same run exclude each other. Two runs that share an object store may compute the same rows twice; the file that
    is written last is kept, and a launch that finds files of other settings at its end refuses them.
    """
    folder = _lock_folder(run)
    with ExitStack() as stack:
        for name in teachers:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(folder / f".predict-{name}.lock", timeout=0))
            except Timeout:
                raise InputError(
                    f"{folder}: another predict runs for teacher '{name}'; wait for it, or name other teachers"
                ) from None
            except OSError as error:
                raise storage_fault(folder, error, local=True) or error from None
        yield


@contextmanager
def lock_manifest(run: Run) -> Iterator[None]:
    """Wait until no other launch reads or writes the manifest."""
    with FileLock(_lock_folder(run) / ".manifest.lock"):
        yield


def _lock_folder(run: Run) -> Path:
    filesystem, path = resolve(run.predictions)
    return Path(path).parent if isinstance(filesystem, fs.LocalFileSystem) else run.folder


def clear_partial_files(run: Run, teachers: Sequence[str]) -> None:
    """Remove the half-written files of these teachers. Only call this under the lock: finished shards have other names."""
    for split in (PREDICTIONS, HELDOUT):
        location = run.shards(split)
        for file in list_files(location, recursive=True):
            if file.path.endswith(TEMPORARY_SUFFIX) and any(f"/teacher={name}/" in file.path for name in teachers):
                try:
                    resolve(location)[0].delete_file(file.path)
                except FileNotFoundError:
                    pass  # a worker that outlived its launch has just finished this file
                except OSError as error:
                    raise storage_fault(location, error, local=True) or error from None
