"""Files by path or URI, through pyarrow.fs, and the one way in which this project makes a file visible: whole or not at all."""

import fnmatch
import glob
import itertools
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import NativeFile, fs

from vocab.errors import InputError

TEMPORARY_SUFFIX = ".partial"  # never ".parquet", so that no reader's glob finds a file that is being written


def resolve(location: str | Path) -> tuple[fs.FileSystem, str]:
    """The file system of a local path or URI ("s3://…", "gs://…", "hdfs://…"), and the path within it."""
    text = str(location)
    if "://" in text:
        try:
            filesystem, path = fs.FileSystem.from_uri(text)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                f"{text}: {str(error).splitlines()[0]}; expected a path, or a URI that pyarrow.fs knows, as s3://…"
            ) from None
        return filesystem, str(path)
    return fs.LocalFileSystem(), os.path.abspath(text)


def join(location: str | Path, *parts: str) -> str:
    """A path below a local path or URI."""
    return "/".join([str(location).rstrip("/"), *parts])


def expand(pattern: str | Path) -> list[str]:
    """The files that a path, glob or URI names, sorted; a folder stands for the Parquet files in it. Empty if there are none."""
    text = str(pattern)
    if "://" not in text:
        if os.path.isdir(text):
            text = os.path.join(glob.escape(text), "*.parquet")
        return sorted(name for name in glob.glob(text, recursive=True) if os.path.isfile(name))
    base, mark, query = text.partition("?")  # in a URI, "?" begins the options of the storage
    whole = base if base.endswith(".parquet") or _has_magic(base) else join(base, "*.parquet")
    folder = "/".join(itertools.takewhile(lambda part: not _has_magic(part), whole.split("/")[:-1]))
    filesystem, path = resolve(folder + mark + query)
    prefix = folder.removesuffix(path)  # the scheme, and the host where the scheme has one
    wanted = whole.removeprefix(prefix).split("/")
    selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
    files = [info.path for info in filesystem.get_file_info(selector) if info.type == fs.FileType.File]
    return sorted(prefix + name + mark + query for name in files if _matches(name.split("/"), wanted))


def _has_magic(part: str) -> bool:
    return any(sign in part for sign in "*[")


def _matches(parts: list[str], wanted: list[str]) -> bool:
    """Whether a path matches a pattern part by part, as a shell has it: no wildcard crosses a folder."""
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(part, sign) for part, sign in zip(parts, wanted, strict=True))


def write_whole(location: str | Path, write: Callable[[NativeFile], None], check: Callable[[str], None] | None = None) -> None:
    """Write a file so that it is either there whole or not there at all, even if the process or machine dies.

    The bytes go to a temporary name in the same folder, to the disk (fsync), through `check` (given the temporary location,
    raises if what was written is not sound), and only then to their name, by rename. A failure removes the temporary file.
    """
    filesystem, path = resolve(location)
    folder, _, name = path.rpartition("/")
    filesystem.create_dir(folder, recursive=True)
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}{TEMPORARY_SUFFIX}"
    try:
        with filesystem.open_output_stream(temporary) as out:
            write(out)
        if isinstance(filesystem, fs.LocalFileSystem):
            sync(temporary)
        if check is not None:
            check(str(location).removesuffix(path) + temporary if "://" in str(location) else temporary)
        filesystem.move(temporary, path)
        if isinstance(filesystem, fs.LocalFileSystem):
            sync(folder)
    except BaseException:
        if filesystem.get_file_info(temporary).type == fs.FileType.File:
            filesystem.delete_file(temporary)
        raise


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
