"""Staging folders hold the shards of a job until all of it succeeded. Then `publish` makes the shards visible."""

import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from pyarrow import fs

from data.atomic import clear_partial, write_text
from data.manifest import QUARANTINE
from data.storage import join, resolve
from vocab.errors import InputError, first_line

REPORT = "_prepare.json"  # readers of folders ignore names that begin with "_"
_STAGING = ".staging-"
_PLAN = "publish.json"  # in the staging folder: the list of shards that are being moved


@contextmanager
def lock_folder(out: str) -> Iterator[None]:
    """Create `out` and lock it against other jobs (on a local disk). A folder that was created here and is empty at the end is removed.

    The lock is on the folder itself (flock): a lock file would keep the folder from being empty, and would stay after a kill.
    """
    filesystem, path = resolve(out)
    kind = filesystem.get_file_info(path).type
    if kind == fs.FileType.File:
        raise InputError(f"{out}: is a file; expected a folder to write shards to: choose another --out")
    try:
        filesystem.create_dir(path, recursive=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be created ({_reason(error)}); choose another --out") from None
    if not isinstance(filesystem, fs.LocalFileSystem):
        yield
        return
    if not os.access(path, os.W_OK):
        raise InputError(f"{out}: permission denied; expected a folder that can be written to: choose another --out")
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel releases the lock when the process ends
        except BlockingIOError:
            raise InputError(f"{out}: another prepare is writing here; wait for it, or choose another --out") from None
        yield
    finally:
        os.close(handle)
        if kind == fs.FileType.NotFound:
            with suppress(OSError):
                os.rmdir(path)


def staging_folder(out: str) -> str:
    """Create a staging folder in `out`; returns its location."""
    staging = join(out, _STAGING + uuid.uuid4().hex)
    filesystem, path = resolve(staging)
    filesystem.create_dir(path)
    return staging


def remove_staging(staging: str) -> None:
    """Remove a staging folder and all in it."""
    filesystem, path = resolve(staging)
    for _ in range(3):  # a worker may still create files before it learns that the job failed
        with suppress(OSError):
            filesystem.delete_dir(path)
        if filesystem.get_file_info(path).type == fs.FileType.NotFound:
            return


def recover(out: str) -> None:
    """Remove what a killed job left: its staging folder, and the shards of an unfinished `publish`."""
    for file in (REPORT, QUARANTINE):
        clear_partial(join(out, file))
    filesystem, path = resolve(out)
    for info in filesystem.get_file_info(fs.FileSelector(path)):
        if info.type == fs.FileType.Directory and info.base_name.startswith(_STAGING):
            plan = f"{info.path}/{_PLAN}"
            finished = filesystem.get_file_info(f"{path}/{REPORT}").type == fs.FileType.File
            if not finished and filesystem.get_file_info(plan).type == fs.FileType.File:
                with filesystem.open_input_stream(plan) as file:
                    _delete(out, json.loads(file.read()))
            filesystem.delete_dir(info.path)


def publish(staging: str, out: str, shards: Mapping[str, str], report: str) -> None:
    """Move the shards {name in `out`: name in `staging`}, then write the report. If this fails, moved shards are removed again."""
    filesystem, target = resolve(out)
    source = resolve(staging)[1]
    write_text(join(staging, _PLAN), json.dumps(list(shards)))
    try:
        for folder in sorted({f"{target}/{name}".rpartition("/")[0] for name in shards}):
            filesystem.create_dir(folder, recursive=True)
        for name, staged in shards.items():
            filesystem.move(f"{source}/{staged}", f"{target}/{name}")
        write_text(join(out, REPORT), report)
    except BaseException:
        _delete(out, shards)
        raise


def _delete(out: str, names: Iterable[str]) -> None:
    filesystem, target = resolve(out)
    folders = set()
    for name in names:
        folders.add(name.rpartition("/")[0])
        if filesystem.get_file_info(f"{target}/{name}").type == fs.FileType.File:
            filesystem.delete_file(f"{target}/{name}")
    for folder in folders - {""}:
        if filesystem.get_file_info(f"{target}/{folder}").type == fs.FileType.Directory and not filesystem.get_file_info(
            fs.FileSelector(f"{target}/{folder}")
        ):
            filesystem.delete_dir(f"{target}/{folder}")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else first_line(error)
