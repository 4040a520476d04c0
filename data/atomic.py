"""The way in which this project makes files and folders visible: complete, or not at all."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pyarrow import NativeFile, fs

from data.storage import OBJECT_STORES, TEMPORARY_SUFFIX, join, list_files, resolve, split
from data.storage_faults import storage_fault
from vocab.errors import InputError


def write_atomically(location: str | Path, write: Callable[[NativeFile], None], check: Callable[[str], None] | None = None) -> None:
    """Write a file that is either complete or not there at all, even if the process or the machine dies.

    write  writes the bytes to a temporary file
    check  called with the location of the temporary file; raises if the content is wrong

    On disks the temporary file is flushed (fsync) and renamed. On object stores the file is uploaded in one step: an object is visible
    only when its upload is complete. A failure removes the temporary file. Raises InputError if the storage is full, read-only, gone,
    or does not answer.
    """
    try:
        (_upload if resolve(location)[0].type_name in OBJECT_STORES else _rename)(str(location), write, check)
    except OSError as error:
        raise storage_fault(location, error, local=True) or error from None


def clear_partial(location: str | Path) -> None:
    """Remove what killed processes left of this file. Only call it where no other process writes the file."""
    folder, name = split(str(location))
    for file in list_files(folder):
        if file.base_name.startswith(f".{name}.") and file.base_name.endswith(TEMPORARY_SUFFIX):
            with suppress(FileNotFoundError):
                resolve(folder)[0].delete_file(file.path)


def _rename(location: str, write: Callable[[NativeFile], None], check: Callable[[str], None] | None) -> None:
    filesystem, path = resolve(location)
    folder, name = path.rsplit("/", 1)
    filesystem.create_dir(folder, recursive=True)
    beside = f".{name}.{uuid.uuid4().hex[:8]}{TEMPORARY_SUFFIX}"
    temporary = f"{folder}/{beside}"
    try:
        with filesystem.open_output_stream(temporary, compression=None) as out:
            write(out)
        local = isinstance(filesystem, fs.LocalFileSystem)
        if local:
            sync(temporary)
        if check is not None:
            check(join(split(location)[0], beside) if "://" in location else temporary)
        filesystem.move(temporary, path)
        if local:
            sync(folder)
    except BaseException:
        with suppress(OSError):
            filesystem.delete_file(temporary)
        raise


def _upload(location: str, write: Callable[[NativeFile], None], check: Callable[[str], None] | None) -> None:
    filesystem, path = resolve(location)
    with tempfile.TemporaryDirectory(prefix="mergedistill-") as folder:
        staged = os.path.join(folder, path.rpartition("/")[2])
        try:
            with pa.OSFile(staged, "wb") as out:
                write(out)
        except OSError as error:
            raise storage_fault(staged, error, local=True) or error from None
        if check is not None:
            check(staged)
        with pa.OSFile(staged) as source:
            content = source.read_buffer()

    def send() -> None:
        # No `with` block: it would complete an upload that failed. compression=None: a name that ends in .bz2 would be compressed.
        out = filesystem.open_output_stream(path, compression=None)
        out.write(content)
        out.close()

    with ThreadPoolExecutor(1) as pool:  # an interrupt (Ctrl-C) never reaches another thread, so none comes between write and close
        pool.submit(send).result()


def write_text(location: str | Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(location, lambda out: out.write(text.encode()))


def sync(path: str | Path) -> None:
    """Flush a local file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_new_folder(out: Path) -> None:
    """Raise InputError unless nothing, or an empty folder, is there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out}: already holds something; expected no folder there, or an empty one: choose another --out or remove it"
        )


def replace_folder(path: str | Path, fill: Callable[[Path], None]) -> None:
    """Fill a new local folder and put it in the place of `path`. A failure leaves the existing folder unchanged.

    The old folder is renamed, then the new one. After a kill between the two renames the folder is missing, and the old one has the
    name `.NAME.old`; the next call puts it back.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_fault(target, error, local=True) or error from None
    old = target.with_name(f".{target.name}.old")
    if old.exists() and not target.exists():
        old.rename(target)
    for leftover in target.parent.glob(f".{target.name}.*{TEMPORARY_SUFFIX}"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{TEMPORARY_SUFFIX}")
    fresh.mkdir()
    try:
        fill(fresh)
        for file in fresh.rglob("*"):
            if file.is_file():
                sync(file)
        if old.exists():
            shutil.rmtree(old)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        sync(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        raise
