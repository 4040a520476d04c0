"""`mergedistill validate`: check every rule of the contract on every row of every shard in a folder of predictions.

The rules are in files by what they need: row_rules.py and label_rules.py a row, window_rules.py the windows of many rows,
footer_rules.py the schema and the footer, shard_rules.py one shard, folder_rules.py all shards of a folder.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed

import pyarrow as pa
from pyarrow import fs

from data.contract import ShardPath, parse_path
from data.progress import progress_bar
from data.shards import open_shard
from data.storage import TEMPORARY_SUFFIX, join, resolve
from data.validation.folder_rules import UnionFacts, check_folder, missing_units, unjudged
from data.validation.manifest_rules import check_manifest
from data.validation.report import Fault, Report, Totals, render
from data.validation.shard_check import ShardCheck
from data.validation.shard_rules import check_shard
from vocab.errors import InputError, first_line

__all__ = ["Report", "UnionFacts", "render", "validate"]

Progress = Callable[[int, int, str], None]  # called with: files done, number of files, path of the file just done


def validate(
    predictions: str,
    *,
    vocabulary: UnionFacts | None = None,
    on_file: Progress | None = None,
    workers: int | None = None,
    sample: int | None = None,
    manifest: bool = True,
    show_progress: bool = False,
) -> Report:
    """Check every rule of the contract on every row of every shard in a folder (a path or URI).

    vocabulary  the union of the shards' ids; None: ids are not compared with its size, and a note says so
    on_file     called in this thread after each file
    workers     number of threads, one file each; by default the number of processors, and four times as many for a URI, where
                threads wait for the network. A thread holds one row group in memory
    sample      read only this number of row groups, spread over the files and the same ones each time, and every footer. The rules
                that need all rows (the counts in the footer, the maskings of a window) are skipped; the report says so

    manifest    check the manifest too: a folder where predict has not finished is not sound

    The content of a file never raises: what cannot be read is a fault. For a folder without shards the report's `error` is set.
    """
    report = Report(predictions=str(predictions))
    try:
        names = _files(predictions)
    except UnicodeDecodeError as error:
        report.error = f"{predictions}: holds a file whose name is not UTF-8 ({error.object!r}): rename it, or remove it"
        return report
    except (OSError, pa.ArrowException) as error:
        report.error = f"{predictions}: {first_line(error)}; expected a folder of predictions, as `mergedistill predict` writes it"
        return report
    shards = {name: size for name, size in names.items() if name.endswith(".parquet")}
    paths = {name: _path(name) for name in shards}
    if not any(paths.values()):
        report.error = _no_shards(predictions, len(shards))
        return report
    report.files, report.bytes = len(shards), sum(shards.values())
    workers = workers or (os.cpu_count() or 1) * (4 if "://" in str(predictions) else 1)
    with (
        ThreadPoolExecutor(workers) as pool,
        progress_bar(len(shards), "validate", "files", show=show_progress, long=False) as bar,
    ):
        chosen = None if sample is None else _sample(predictions, [name for name in paths if paths[name]], sample, pool)

        def done(count: int, total: int, name: str) -> None:
            bar.update(count - bar.n)
            if on_file is not None:
                on_file(count, total, name)

        checks = _check_all(predictions, shards, paths, vocabulary, done, chosen, pool)
    report.row_groups, report.row_groups_read = (sum(getattr(c, key) for c in checks) for key in ("row_groups", "row_groups_read"))
    faults = [fault for check in checks for fault in check.faults]
    faults += [_misplaced(name) for name, path in paths.items() if path is None]
    faults += check_folder(checks, vocabulary)
    if manifest:
        whole = {check.name: check.shard for check in checks if check.shard is not None}
        faults += check_manifest(predictions, whole, [name for name, path in paths.items() if path is not None])
    report.faults = sorted(faults, key=lambda fault: (fault.file, fault.rule, fault.row or 0, fault.column or ""))
    for check in checks:
        totals = report.languages.setdefault(check.path.language, {}).setdefault(check.path.teacher, Totals())
        totals.files += 1
        totals.rows += check.rows
        totals.masked_positions += check.masked_positions
        totals.bytes += check.bytes
    report.notes = [*_notes(names, checks, vocabulary)]
    return report


def _files(predictions: str) -> dict[str, int]:
    """The size of every file in the folder, by its path relative to the folder, sorted."""
    filesystem, root = resolve(predictions)
    root = root.rstrip("/") or "/"
    infos = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    files = {info.path[len(root) :].lstrip("/"): info.size for info in infos if info.type == fs.FileType.File}
    return dict(sorted(files.items()))


def _path(name: str) -> ShardPath | None:
    """The partition keys of a file; None if it is not two folders down, where readers look."""
    return parse_path(name) if name.count("/") == 2 and not name.startswith("/") else None


def _sample(predictions: str, names: Sequence[str], size: int, pool: Executor) -> dict[str, set[int]] | None:
    """The row groups to read in each file, or None if `size` includes all. Every file gets a first one before any gets a second."""

    def draws(name: str) -> list[tuple[int, bytes, str, int]]:
        try:
            groups = open_shard(join(predictions, name)).metadata.num_row_groups
        except Exception:  # the check of the file reports what is wrong
            return []
        keyed = sorted((hashlib.sha256(f"{name}\0{group}".encode()).digest(), group) for group in range(groups))
        return [(pick, key, name, group) for pick, (key, group) in enumerate(keyed)]

    every = sorted(draw for of_file in pool.map(draws, names) for draw in of_file)
    chosen: dict[str, set[int]] = {name: set() for name in names}
    for _, _, name, group in every[:size]:
        chosen[name].add(group)
    return chosen if size < len(every) else None


def _check_all(
    predictions: str,
    shards: dict[str, int],
    paths: dict[str, ShardPath | None],
    vocabulary: UnionFacts | None,
    on_file: Progress,
    chosen: dict[str, set[int]] | None,
    pool: Executor,
) -> list[ShardCheck]:
    """Check all shards; the results are in the order of their names."""
    links = vocabulary.links if vocabulary is not None else {}

    def check(name: str, path: ShardPath) -> ShardCheck:
        groups = None if chosen is None else chosen[name]
        location, size = join(predictions, name), shards[name]
        try:
            complete = vocabulary is not None and path.teacher in vocabulary.complete
            return check_shard(location, name, path, size, links.get(path.teacher, (None,))[0], groups, complete=complete)
        except InputError:
            raise  # the storage does not answer
        except Exception as error:  # what the rules did not foresee must neither pass nor end the check of the other files
            broken = ShardCheck(location=location, name=name, path=path, bytes=size)
            broken.fault(
                "file.unreadable", None, f"content that cannot be judged ({first_line(error)})", "a shard as predict writes it"
            )
            return broken

    waiting = {pool.submit(check, name, path): name for name, path in paths.items() if path is not None}
    for done, future in enumerate(as_completed(waiting), start=1):
        future.result()
        on_file(done, len(waiting), waiting[future])
    return [future.result() for future in waiting]


def _no_shards(predictions: str, others: int) -> str:
    found = f"{others:,} Parquet files, but none" if others else "no Parquet file"
    return (
        f"{predictions}: found {found} at language=…/teacher=…/<name>.parquet below it; expected a folder of predictions: give "
        "the one that holds the language=… folders, as RUN/predictions, or run `mergedistill predict` first"
    )


def _misplaced(name: str) -> Fault:
    expected = "language=…/teacher=…/<name>.parquet: readers miss it elsewhere"
    return Fault(rule="file.path", file=name, found="this path", expected=expected)


def _notes(names: dict[str, int], checks: list[ShardCheck], vocabulary: UnionFacts | None) -> Iterator[str]:
    if vocabulary is None:
        yield "no vocabulary given: ids were not compared with the size of the union, nor shards with its fingerprint"
    else:
        yield from unjudged(checks, vocabulary)
    for name in names:
        if name.endswith(TEMPORARY_SUFFIX):
            yield f"{name}: left by a job that died, or being written now. Readers ignore it; remove it if no job runs"
    empty = [check.name for check in checks if check.empty and not check.faults]
    if empty:
        listed = f"{', '.join(empty[:3])}{', …' if len(empty) > 3 else ''}"
        yield f"shards without rows, because their articles gave no window: {len(empty):,} ({listed})"
    yield from missing_units(checks)
