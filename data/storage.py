"""Locations of files, local paths or URIs, through pyarrow.fs. data/atomic.py writes them.

A URI has the form that the tools of object stores use: its path is not %-encoded, and a "?" begins the options of the storage
("s3://bucket/folder?endpoint_override=127.0.0.1:9000&scheme=http"). The options stay at the end when a path is joined to the URI.
"""

import fnmatch
import functools
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from data.storage_faults import storage_fault
from vocab.errors import InputError, first_line

TEMPORARY_SUFFIX = ".partial"  # never ".parquet", so that no reader finds a file that is being written
OBJECT_STORES = ("s3", "gcs", "abfs")  # an upload is visible when it is complete; a rename would be a copy and a removal
_FEW = 4  # files that are looked up one by one; a listing costs a request for every thousand files of the folder
_REQUESTS = 32  # requests at the same time, where each waits for a network

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
            f"{text}: {first_line(error)}; expected a path, or a URI that pyarrow.fs knows, as s3://…"
        ) from None
    return filesystem, root.rstrip("/") + slash + path


@functools.lru_cache(maxsize=64)  # cached: making one can cost a request for the region of a bucket
def _file_system(root: str, options: str) -> tuple[fs.FileSystem, str]:
    if root.startswith("s3:") and "allow_delayed_open" not in options:  # a small file is then uploaded in one request, not in three
        options = f"{options}{'&' if options else '?'}allow_delayed_open=true"
    filesystem, path = fs.FileSystem.from_uri(root + options)
    return filesystem, str(path)


def join(location: str | Path, *parts: str) -> str:
    """A path below a local path or URI."""
    place, mark, options = _options(location)
    return "/".join([place.rstrip("/"), *parts]) + mark + options


def split(location: str) -> tuple[str, str]:
    """The folder of a file, and its name: the reverse of `join`."""
    place, mark, options = _options(location)
    folder, _, name = place.rpartition("/")
    return folder + mark + options, name


def relative(location: str, folder: str) -> str:
    """The path of a location relative to `folder`, to which it was joined."""
    return without_options(location).removeprefix(without_options(join(folder, "")))


def without_options(location: str | Path) -> str:
    """A location without the options of its storage, for people. It may not be possible to open it."""
    return _options(location)[0]


def _options(location: str | Path) -> tuple[str, str, str]:
    text = str(location)
    return text.partition("?") if "://" in text else (text, "", "")


def expand(pattern: str | Path) -> list[str]:
    """The files that a path, glob or URI names, sorted. A folder means the Parquet files in it. Empty if there are none.

    A wildcard never matches a "/". Raises InputError if the storage does not answer, or has no such bucket.
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
    """The files in a folder, from one listing; with `recursive` also the files below it. Empty if there is no such folder."""
    filesystem, path = resolve(folder)
    try:
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=recursive, allow_not_found=True))
        if not infos and filesystem.type_name in OBJECT_STORES:  # a missing bucket looks like an empty folder
            bucket = path.partition("/")[0]
            if filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
                raise InputError(f"{folder}: found no bucket '{bucket}'; expected one: correct the URI, or create the bucket")
    except OSError as error:
        raise storage_fault(folder, error, local=True) or error from None
    return [info for info in infos if info.type == fs.FileType.File]


def existing_files(locations: set[str]) -> Iterator[str]:
    """Those of the locations that exist as files now. Lists each folder once, or looks up a few files by name."""
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
    """The results of `function` for each file, in order. Files behind a network are read at the same time.

    Files on a local disk are read one after the other: threads that parse footers would only wait for the interpreter's lock.
    """
    if not locations or isinstance(resolve(locations[0])[0], fs.LocalFileSystem):
        return [function(location) for location in locations]
    with ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(function, locations))


def require_files(pattern: str | Path, what: str) -> list[str]:
    """The files of `expand`, or an InputError if there are none. `what` says what they are for."""
    files = expand(pattern)
    if not files:
        raise InputError(f"{what}: no file matches '{pattern}'; expected at least one: check the path, or run what makes it first")
    return files
