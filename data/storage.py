"""Files by path or URI, through pyarrow.fs, and the one way in which this project makes a file visible: whole or not at all.

A URI is written as object stores' own tools write it: its path stands as it is, without %-signs, and a "?" begins the options of the
storage ("s3://bucket/folder?endpoint_override=127.0.0.1:9000&scheme=http"), which stay behind the path whatever is joined to it.
"""

import fnmatch
import functools
import glob
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import NativeFile, fs

from data.storage_faults import storage_fault
from vocab.errors import InputError

TEMPORARY_SUFFIX = ".partial"  # never ".parquet", so that no reader's glob finds a file that is being written
_OBJECT_STORES = ("s3", "gcs", "abfs")  # an upload is seen when it is complete; a rename would be a copy and a removal
_FEW = 4  # files that are looked up one by one; a listing costs a request for every thousand files of the folder
_REQUESTS = 32  # under way at once, where each waits for a network

_Result = TypeVar("_Result")


def resolve(location: str | Path) -> tuple[fs.FileSystem, str]:
    """The file system of a local path or URI ("s3://…", "gs://…", "hdfs://…"), and the path within it."""
    text = str(location)
    if "://" not in text:
        return fs.LocalFileSystem(), os.path.abspath(text)
    place, mark, options = text.partition("?")
    scheme, _, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    try:
        filesystem, root = _file_system(f"{scheme}://{host}/", mark + options)
    except (pa.ArrowInvalid, OSError) as error:
        raise storage_fault(text, error) or InputError(
            f"{text}: {str(error).splitlines()[0]}; expected a path, or a URI that pyarrow.fs knows, as s3://…"
        ) from None
    return filesystem, root.rstrip("/") + slash + path


@functools.lru_cache(maxsize=64)  # to make one may take a request: which region a bucket lies in
def _file_system(root: str, options: str) -> tuple[fs.FileSystem, str]:
    if root.startswith("s3:") and "allow_delayed_open" not in options:  # with it a small file goes up in one request, not in three
        options = f"{options}{'&' if options else '?'}allow_delayed_open=true"
    filesystem, path = fs.FileSystem.from_uri(root + options)
    return filesystem, str(path)


def join(location: str | Path, *parts: str) -> str:
    """A path below a local path or URI."""
    place, mark, options = _options(location)
    return "/".join([place.rstrip("/"), *parts]) + mark + options


def split(location: str) -> tuple[str, str]:
    """The folder that a file lies in, and the file's name: what `join` puts together."""
    place, mark, options = _options(location)
    folder, _, name = place.rpartition("/")
    return folder + mark + options, name


def relative(location: str, folder: str) -> str:
    """The path below `folder` of a location that was joined to it."""
    return without_options(location).removeprefix(without_options(join(folder, "")))


def without_options(location: str | Path) -> str:
    """A location without the options of its storage: to look at, not to open."""
    return _options(location)[0]


def _options(location: str | Path) -> tuple[str, str, str]:
    text = str(location)
    return text.partition("?") if "://" in text else (text, "", "")


def expand(pattern: str | Path) -> list[str]:
    """The files that a path, glob or URI names, sorted; a folder stands for the Parquet files in it. Empty if there are none.

    No wildcard crosses a folder. Storage that does not answer, or has no such bucket, is an InputError.
    """
    text = str(pattern)
    if "://" not in text:
        if os.path.isdir(text):
            text = os.path.join(glob.escape(text), "*.parquet")
        return sorted(name for name in glob.glob(text, recursive=True) if os.path.isfile(name))
    place, mark, options = _options(text)
    parts = (place if place.endswith(".parquet") or _has_magic(place) else join(place, "*.parquet")).split("/")
    fixed = next((number for number, part in enumerate(parts) if _has_magic(part)), len(parts) - 1)
    folder, wanted = "/".join(parts[:fixed]) + mark + options, parts[fixed:]
    path, found = resolve(folder)[1], []
    for info in list_files(folder, recursive=len(wanted) > 1):
        name = info.path[len(path) :].lstrip("/")
        parts = name.split("/")
        if len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted)):
            found.append(join(folder, name))
    return sorted(found)


def list_files(folder: str, *, recursive: bool = False) -> list[fs.FileInfo]:
    """The files in a folder (with those below it, if recursive), by one listing; none where there is no such folder."""
    filesystem, path = resolve(folder)
    try:
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=recursive, allow_not_found=True))
        if not infos and filesystem.type_name in _OBJECT_STORES:  # a bucket that is not there looks like an empty folder
            bucket = path.partition("/")[0]
            if filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
                raise InputError(f"{folder}: found no bucket '{bucket}'; expected one: correct the URI, or create the bucket")
    except OSError as error:
        raise storage_fault(folder, error, local=True) or error from None
    return [info for info in infos if info.type == fs.FileType.File]


def existing_files(locations: set[str]) -> Iterator[str]:
    """Those of the locations that are files now: found by one listing of each folder, or by name where few are asked for."""
    for folder, group in groupby(sorted(locations), key=lambda location: split(location)[0]):
        wanted = {split(location)[1]: location for location in group}
        if len(wanted) > _FEW:
            infos = list_files(folder)
        else:
            filesystem, path = resolve(folder)
            try:
                infos = filesystem.get_file_info([f"{path}/{name}" for name in wanted])
            except OSError as error:
                raise storage_fault(folder, error) or error from None
        yield from (wanted[info.base_name] for info in infos if info.type == fs.FileType.File and info.base_name in wanted)


def _has_magic(part: str) -> bool:
    return any(sign in part for sign in "*[")


def map_files(function: Callable[[str], _Result], locations: Sequence[str]) -> list[_Result]:
    """`function` of each file, in order: side by side where they are reached over a network.

    On a local disk one after the other: threads that parse footers only wait for each other's turn in the interpreter.
    """
    if not locations or isinstance(resolve(locations[0])[0], fs.LocalFileSystem):
        return [function(location) for location in locations]
    with ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(function, locations))


def write_whole(location: str | Path, write: Callable[[NativeFile], None], check: Callable[[str], None] | None = None) -> None:
    """Write a file so that it is either there whole or not there at all, even if the process or machine dies.

    The bytes go to a temporary file, through `check` (given its location, raises if what was written is not sound), and only then to
    their name: by rename in the same folder, after fsync, or on object stores as one upload, which is seen when it is complete. A
    failure removes the temporary file. Storage that is full, read-only, gone or not reached is an InputError.
    """
    try:
        (_upload if resolve(location)[0].type_name in _OBJECT_STORES else _rename)(str(location), write, check)
    except OSError as error:
        raise storage_fault(location, error, local=True) or error from None


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
        # Closed by name, and not by `with`, which would complete an upload that failed. By default a name in .bz2 compresses.
        out = filesystem.open_output_stream(path, compression=None)
        out.write(content)
        out.close()

    with ThreadPoolExecutor(1) as pool:  # no interrupt (Ctrl-C) comes into another thread, so none between write and close
        pool.submit(send).result()


def write_text(location: str | Path, text: str) -> None:
    """Write a text file whole (UTF-8)."""
    write_whole(location, lambda out: out.write(text.encode()))


def sync(path: str | Path) -> None:
    """Flush a local file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_folder(path: str | Path, fill: Callable[[Path], None]) -> None:
    """Fill a new local folder and put it in place of `path` in one rename; a failure leaves what stood there as it was.

    Between the two renames (old aside, new in place) a kill can leave the folder missing for an instant's state on disk; the
    old one is then still beside it under a `.old` name, and the next call puts it back or clears it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
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


def require_files(pattern: str | Path, what: str) -> list[str]:
    """`expand`, or an error that says which pattern matched nothing."""
    files = expand(pattern)
    if not files:
        raise InputError(f"{what}: no file matches '{pattern}'; expected at least one: check the path, or run what makes it first")
    return files
