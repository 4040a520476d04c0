"""The page: sections in their order, given to the template. All text is escaped there."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from student.pages.blocks import Section
from student.pages.cache import cache
from student.pages.distillation import distillation
from student.pages.head import head, lead
from student.pages.run_files import RunFiles
from student.pages.scores import scores
from student.pages.studies import studies
from student.pages.tasks import tasks
from student.pages.training import training
from student.pages.vocabulary import vocabulary


def sections(runs: Sequence[RunFiles], studies_folder: Path | None) -> list[Section]:
    """All sections of the runs, side by side; the studies only if a folder of them is given."""
    merged = [run for run in runs if run.bilingual is None]
    bilingual = [run for run in runs if run.bilingual is not None]
    found = [head(merged), scores(merged)] if merged else []
    found += [distillation(bilingual)] if bilingual else []
    found += [tasks(runs)]
    found += [training(merged), vocabulary(merged), cache(merged)] if merged else []
    return [*found, studies(studies_folder)] if studies_folder is not None else found


def render(runs: Sequence[RunFiles], studies_folder: Path | None = None) -> str:
    """The whole page as HTML: one file that needs no other one, no network and no program."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html").render(
        title=" and ".join(run.label for run in runs),
        leads=[(run.label, lead(run)) for run in runs],
        sections=sections(runs, studies_folder),
    )
