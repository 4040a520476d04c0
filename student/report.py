"""`report`: one HTML file that shows a run, or several side by side: recipe, scores, tasks, training, vocabulary, cache, studies."""

from collections.abc import Sequence
from pathlib import Path

from data.atomic import write_text
from data.table import Table
from student.pages.page import render
from student.pages.run_files import labels, read_run_files
from vocab.errors import InputError

FILE = "report.html"


def report(runs: Sequence[Path], *, out: Path | None = None, studies: Path | None = None) -> Table:
    """Write the page of the runs to `out`, by default report.html in the first of them. The same files give the same bytes.

    studies  a folder of studies that the page shows too

    Raises InputError for a folder that is no run, a damaged file in one, and a place where no file can be written. Nothing is written then.
    """
    target = runs[0] / FILE if out is None else out
    _check_target(target, given=out is not None)
    found = [read_run_files(folder, label) for folder, label in zip(runs, labels(runs), strict=True)]
    write_text(target, render(found, studies))
    return Table(title="Report", result=f"report: {target}", facts={"report": str(target), "runs": len(runs)})


def _check_target(target: Path, *, given: bool) -> None:
    """Refuse a place that cannot hold the page, or a file that a slip of the pen would replace."""
    if not given:
        return
    if target.is_dir():
        raise InputError(f"--out {target}: found a folder; expected a file, as {target / FILE}")
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {target}: expected a name that ends in .html: choose another one")
    if not target.parent.is_dir():
        raise InputError(f"--out {target}: found no folder {target.parent}; expected one: make it, or choose another place")
