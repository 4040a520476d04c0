"""The lock of a launch on the shards that it makes, and what a launch that died under it has left."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyarrow import fs

from data.contract import HELDOUT, PREDICTIONS
from data.recipe import Recipe
from data.storage import TEMPORARY_SUFFIX, list_files, resolve
from data.storage_faults import storage_fault
from vocab.errors import InputError


@contextmanager
def lock_teachers(recipe: Recipe, run: Path, teachers: Sequence[str]) -> Iterator[None]:
    """Keep other launches off these teachers' shards. The kernel lets go of a lock however its process ends.

    The lock lies where the shards lie, since runs may share a store. No object store has such locks: there only launches of one run
    keep off each other. Two runs at once compute the same rows twice, and of each file the one written last stays; if their settings
    differ, the launch that ends finds the other's files and refuses them.
    """
    place = _place(recipe, run)
    with ExitStack() as stack:
        for name in teachers:
            try:
                place.mkdir(parents=True, exist_ok=True)
                handle = stack.enter_context((place / f".predict-{name}.lock").open("w"))
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{place}: another predict runs for teacher '{name}'; wait for it, or name other teachers"
                ) from None
            except OSError as error:
                raise storage_fault(place, error, local=True) or error from None
        yield


@contextmanager
def lock_manifest(recipe: Recipe, run: Path) -> Iterator[None]:
    """Wait for other launches that are at their end: they read the manifest, and write it."""
    with (_place(recipe, run) / ".manifest.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _place(recipe: Recipe, run: Path) -> Path:
    filesystem, path = resolve(recipe.shards_below(run, PREDICTIONS))
    return Path(path).parent if isinstance(filesystem, fs.LocalFileSystem) else run


def clear_partial_files(recipe: Recipe, run: Path, teachers: Sequence[str]) -> None:
    """Remove what a killed launch of these teachers left half-written; finished shards have other names."""
    for folder in (PREDICTIONS, HELDOUT):
        location = recipe.shards_below(run, folder)
        for file in list_files(location, recursive=True):
            if file.path.endswith(TEMPORARY_SUFFIX) and any(f"/teacher={name}/" in file.path for name in teachers):
                try:
                    resolve(location)[0].delete_file(file.path)
                except FileNotFoundError:
                    pass  # a worker that outlived its launch has just finished it
                except OSError as error:
                    raise storage_fault(location, error, local=True) or error from None
