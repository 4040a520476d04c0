"""`mergedistill validate`: walk a folder of predictions and hold every row of every shard to the contract.

The rules, by what they need: `row_rules` and `label_rules` one row, `window_rules` the windows of many rows, `footer_rules` a file's
schema and footer, `shard_rules` one shard, `folder_rules` all shards of a folder.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed

import pyarrow as pa
from pyarrow import fs

from data.contract import ShardPath, parse_path
from data.manifest import MANIFEST
from data.shards import open_shard
from data.storage import TEMPORARY_SUFFIX, join, resolve
from data.validation.folder_rules import UnionFacts, check_folder, missing_units
from data.validation.report import Fault, Report, Totals, render
from data.validation.shard_rules import ShardCheck, check_shard
from vocab.errors import first_line

__all__ = ["Report", "UnionFacts", "render", "validate"]

Progress = Callable[[int, int, str], None]  # files done, files in all, the file just done (below the folder)

# Masked positions show the mask token 8 times in 10. Far from that over many positions, something is odd, but no rule is broken.
_SHOWN, _SHOWN_MARGIN, _SHOWN_FROM = 0.8, 0.05, 10_000


def validate(
    predictions: str,
    *,
    vocabulary: UnionFacts | None = None,
    on_file: Progress | None = None,
    workers: int | None = None,
    sample: int | None = None,
) -> Report:
    """Check every rule of the contract on every row of every shard below a folder (a path or URI).

    vocabulary  the union that the shards' ids should be of; None: ids are not held to its size, and a note says so
    on_file     called in this thread after each file
    workers     threads, one file each; as many as there are processors unless given (several each, where files lie behind a URI and
                are waited for). A thread holds one row group
    sample      a quick look: read so many row groups alone, spread over the files and the same ones each time, but every footer. The
                rules that need all rows (the counts in the footer, the maskings of a window) are left out; the report says so

    Nothing that a file holds raises: whatever cannot be read is a fault, and a folder without shards a report whose `error` is set.
    """
    report = Report(predictions=str(predictions))
    try:
        names = _files(predictions)
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
    with ThreadPoolExecutor(workers) as pool:
        chosen = None if sample is None else _sample(predictions, [name for name in paths if paths[name]], sample, pool)
        checks = _check_all(predictions, shards, paths, vocabulary, on_file, chosen, pool)
    report.row_groups, report.row_groups_read = (sum(getattr(c, key) for c in checks) for key in ("row_groups", "row_groups_read"))
    faults = [fault for check in checks for fault in check.faults]
    faults += [_misplaced(name) for name, path in paths.items() if path is None]
    faults += check_folder(checks, vocabulary)
    report.faults = sorted(faults, key=lambda fault: (fault.file, fault.rule, fault.row or 0, fault.column or ""))
    for check in checks:
        totals = report.languages.setdefault(check.path.language, {}).setdefault(check.path.teacher, Totals())
        totals.files += 1
        totals.rows += check.rows
        totals.masked_positions += check.masked_positions
        totals.bytes += check.bytes
    report.notes = [*_notes(names, checks, vocabulary), *_lost(predictions, set(shards))]
    return report


def _files(predictions: str) -> dict[str, int]:
    """The bytes of every file below the folder, by its path below it, sorted."""
    filesystem, root = resolve(predictions)
    root = root.rstrip("/") or "/"
    infos = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    files = {info.path[len(root) :].lstrip("/"): info.size for info in infos if info.type == fs.FileType.File}
    return dict(sorted(files.items()))


def _path(name: str) -> ShardPath | None:
    """The partition keys of a file below the folder; None unless it lies two folders down, where every reader looks."""
    return parse_path(name) if name.count("/") == 2 and not name.startswith("/") else None


def _sample(predictions: str, names: Sequence[str], size: int, pool: Executor) -> dict[str, set[int]] | None:
    """The row groups to read of each file; None if `size` takes in all. Each file's first pick comes before any one's second."""

    def draws(name: str) -> list[tuple[int, bytes, str, int]]:
        try:
            groups = open_shard(join(predictions, name)).metadata.num_row_groups
        except Exception:  # the check of the file will say what is wrong
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
    on_file: Progress | None,
    chosen: dict[str, set[int]] | None,
    pool: Executor,
) -> list[ShardCheck]:
    """The checks of all shards, in the order of their names."""
    links = vocabulary.links if vocabulary is not None else {}

    def check(name: str, path: ShardPath) -> ShardCheck:
        groups = None if chosen is None else chosen[name]
        return check_shard(join(predictions, name), name, path, shards[name], links.get(path.teacher, (None,))[0], groups)

    waiting = {pool.submit(check, name, path): name for name, path in paths.items() if path is not None}
    for done, future in enumerate(as_completed(waiting), start=1):
        future.result()  # a bug of ours ends the run here
        if on_file is not None:
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
        yield "no vocabulary given: ids were not held to the union's size, nor shards to its fingerprint"
    for name in names:
        if name.endswith(TEMPORARY_SUFFIX):
            yield f"{name}: left by a job that died, or being written now; no reader looks at it: remove it if no job runs"
    empty = [check.name for check in checks if check.empty and not check.faults]
    if empty:
        listed = f"{', '.join(empty[:3])}{', …' if len(empty) > 3 else ''}"
        yield f"shards that hold no row, for their articles gave no window: {len(empty):,} ({listed})"
    yield from missing_units(checks)
    shown, masked = sum(check.masks_shown for check in checks), sum(check.masked_positions for check in checks)
    if masked >= _SHOWN_FROM and abs(shown / masked - _SHOWN) > _SHOWN_MARGIN:
        yield f"{shown / masked:.0%} of the masked positions show the mask token; masking as BERT does gives {_SHOWN:.0%}"


def _lost(predictions: str, shards: set[str]) -> Iterator[str]:
    """A note on shards that the folder's manifest lists and that are not there."""
    filesystem, path = resolve(join(predictions, MANIFEST))
    if filesystem.get_file_info(path).type != fs.FileType.File:
        return
    try:
        with filesystem.open_input_file(path) as file:
            listed = {unit["path"] for unit in json.loads(file.read())["units"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        yield f"{MANIFEST}: cannot be read ({first_line(error)}); `mergedistill predict` writes it again"
        return
    lost = sorted(name for name in listed - shards)
    if lost:
        shown = f"{', '.join(lost[:3])}{', …' if len(lost) > 3 else ''}"
        yield f"{MANIFEST} lists shards that are not there: {len(lost):,} ({shown}); `mergedistill predict` computes what is missing"
