"""What a `prepare` job read, skipped and wrote: workers report on parts, the launcher sums them and judges each input."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from pyarrow import NativeFile

from data.manifest import QUARANTINE
from data.storage import join, resolve, write_text, write_whole
from pipeline.corpus.mediawiki import UNPARSEABLE, QuarantinedPage
from pipeline.corpus.read import no_article

_FEW_PAGES = 10  # so many of an input may be unparseable, whatever their share: a few broken pages of a small file are no sign


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What one corpus file, or a part of one, gave."""

    input: str
    bytes: int  # of the file as it lies, compressed or not
    articles: int  # without those held out
    heldout_articles: int
    characters: int  # Unicode code points, held-out articles included
    skipped: dict[str, int]
    shards: list[str]  # below the output folder


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What a job read, skipped and wrote; `_prepare.json` beside the shards holds the same."""

    language: str
    articles: int  # in the shards, without those held out
    heldout_articles: int
    characters: int  # Unicode code points, held-out articles included
    skipped: dict[str, int]  # records that are no article, by reason
    shards: list[str]  # below the output folder
    inputs: list[FileReport]


@dataclass(frozen=True, kw_only=True)
class StagedPart:
    """What a worker has staged of a part."""

    report: FileReport
    attempt: str  # the folder in the staging folder that holds its shards, and the pages that it could not parse


def write_staged(staging: str, name: str, report: FileReport, attempt: str, quarantined: Sequence[QuarantinedPage]) -> None:
    """Write a part's unparseable pages, if any, and then `<name>.json`: the sign that the part is done."""
    if quarantined:
        lines = (json.dumps({"input": report.input, **asdict(page)}, ensure_ascii=False) + "\n" for page in quarantined)
        write_text(join(staging, attempt, QUARANTINE), "".join(lines))
    write_text(join(staging, f"{name}.json"), json.dumps({"report": asdict(report), "attempt": attempt}))


def read_staged(staging: str, name: str) -> StagedPart:
    """What `write_staged` wrote."""
    filesystem, path = resolve(join(staging, f"{name}.json"))
    try:
        with filesystem.open_input_stream(path) as file:
            fields = json.loads(file.read())
    except FileNotFoundError:
        raise RuntimeError(
            f"the Beam job ended well, but '{name}' is not in {staging}: do the workers see the same storage?"
        ) from None
    return StagedPart(report=FileReport(**fields["report"]), attempt=fields["attempt"])


def sum_parts(language: str, parts: Iterable[StagedPart]) -> PrepareReport:
    """The job's report, with one row an input. `parts` are in the order of the inputs. Raises InputError for one without articles."""
    inputs = []
    for location, group in groupby((part.report for part in parts), key=lambda report: report.input):
        reports = list(group)
        row = FileReport(
            input=location,
            bytes=sum(report.bytes for report in reports),
            articles=sum(report.articles for report in reports),
            heldout_articles=sum(report.heldout_articles for report in reports),
            characters=sum(report.characters for report in reports),
            skipped=_sum_counts(report.skipped for report in reports),
            shards=[shard for report in reports for shard in report.shards],
        )
        if not row.articles + row.heldout_articles and UNPARSEABLE not in row.skipped:
            raise no_article(location, row.skipped)
        inputs.append(row)
    return PrepareReport(
        language=language,
        articles=sum(row.articles for row in inputs),
        heldout_articles=sum(row.heldout_articles for row in inputs),
        characters=sum(row.characters for row in inputs),
        skipped=_sum_counts(row.skipped for row in inputs),
        shards=[shard for row in inputs for shard in row.shards],
        inputs=inputs,
    )


def write_quarantine(folder: str, staging: str, parts: Iterable[StagedPart]) -> None:
    """Write the unparseable pages of all parts, in the order of the inputs, to `_quarantine.jsonl` in `folder`."""
    filesystem, path = resolve(staging)

    def copy(out: NativeFile) -> None:
        for part in parts:
            if UNPARSEABLE in part.report.skipped:
                with filesystem.open_input_stream(f"{path}/{part.attempt}/{QUARANTINE}") as lines:
                    shutil.copyfileobj(lines, out)

    write_whole(join(folder, QUARANTINE), copy)


def too_many_unparseable(inputs: Iterable[FileReport], most: float) -> str | None:
    """Which input has nothing but unparseable pages, or more than a few and than the share `most` (0 to 1) of its articles. None: none."""
    for row in inputs:
        count = row.skipped.get(UNPARSEABLE, 0)
        articles = row.articles + row.heldout_articles + count
        if count > max(_FEW_PAGES, most * articles) or (count and count == articles):
            return f"{row.input}: {count:,} of {articles:,} articles ({count / articles:.1%}) cannot be parsed; expected {most:.1%} at most"
    return None


def _sum_counts(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    return dict(sorted(sum((Counter(count) for count in counts), Counter[str]()).items()))
