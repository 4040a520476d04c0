"""What a `prepare` job read, skipped and wrote. Workers report on parts; the launcher adds the reports and checks each input."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby

from pyarrow import NativeFile

from data.atomic import write_atomically, write_text
from data.manifest import QUARANTINE
from data.storage import join, resolve
from data.table import Column, Table, Value
from pipeline.corpus.mediawiki import UNPARSEABLE, QuarantinedPage
from pipeline.corpus.read import no_article

_HUGE = 1_000_000  # characters; the longest articles of Wikipedia have less
_FEW_PAGES = 10  # this many pages of an input may be unparseable, even in a small file where their share is high


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What one corpus file, or a part of one, gave."""

    input: str
    bytes: int  # of the file on disk, compressed or not
    articles: int  # without those held out
    heldout_articles: int
    characters: int  # Unicode code points, held-out articles included
    skipped: dict[str, int]
    shards: list[str]  # below the output folder
    longest: int = 0  # characters of the longest article
    # Of wikitext:
    sentences: int = 0  # that stayed
    sentences_taken_out: int = 0  # because a template or a formula in them could not be rendered
    templates_rendered: int = 0
    templates_that_cost: dict[str, int] = field(default_factory=dict)  # by name, the sentences
    declared: str = ""  # the language that a dump names


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What a job read, skipped and wrote. `_prepare.json` next to the shards holds the same."""

    language: str
    articles: int  # in the shards, without those held out
    heldout_articles: int
    characters: int  # Unicode code points, held-out articles included
    skipped: dict[str, int]  # records that are not articles, by reason
    shards: list[str]  # below the output folder
    inputs: list[FileReport]
    sentences: int = 0
    sentences_taken_out: int = 0
    templates_rendered: int = 0
    templates_that_cost: dict[str, int] = field(default_factory=dict)  # by name, the costliest first

    def table(self, out: str) -> Table:
        """A row for each input file. `out` is the folder of the shards."""
        headings = (Column("articles", ",d"), Column("held out", ",d"), Column("characters", ",d"), Column("skipped", ",d"))
        rows: list[list[Value]] = [
            [row.input, row.articles, row.heldout_articles, row.characters, sum(row.skipped.values()), len(row.shards)]
            for row in self.inputs
        ]
        skipped = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.skipped.items())) or "none"
        return Table(
            title="Article shards",
            columns=[Column("input"), *headings, Column("shards", ",d")],
            rows=rows if len(rows) > 1 else [],
            notes=self._notes(),
            result=(
                f"{out}: {self.articles:,} articles and {self.heldout_articles:,} held out, in {len(self.shards)} shards "
                f"(skipped: {skipped})"
            ),
            facts={
                "folder": out,
                "articles": self.articles,
                "heldout_articles": self.heldout_articles,
                **{f"skipped {reason}".replace(" ", "_"): count for reason, count in self.skipped.items()},
            },
        )

    def _notes(self) -> list[str]:
        """What a user should know of the text."""
        notes = []
        if self.sentences_taken_out:
            share = self.sentences_taken_out / (self.sentences + self.sentences_taken_out)
            costly = ", ".join(f"{name} ({count:,})" for name, count in [*self.templates_that_cost.items()][:3])
            notes.append(
                f"{share:.1%} of the sentences are left out: they hold a template that is in no table, most often {costly}; "
                "--templates FILE adds to the table"
            )
        for row in self.inputs:
            if row.articles + row.heldout_articles == 1 and row.longest > _HUGE:
                notes.append(
                    f"{row.input}: found one article of {row.longest:,} characters; if each line is an article, use --articles lines"
                )
            if row.declared and not _same_language(row.declared, self.language):
                notes.append(f"{row.input}: declares the language '{row.declared}', --language is '{self.language}'")
        return notes


@dataclass(frozen=True, kw_only=True)
class StagedPart:
    """What a worker wrote to the staging folder for one part."""

    report: FileReport
    attempt: str  # the folder within the staging folder that holds its shards and the pages that it could not parse


def write_staged(staging: str, name: str, report: FileReport, attempt: str, quarantined: Sequence[QuarantinedPage]) -> None:
    """Write a part's unparseable pages, if there are any, and then `<name>.json`, which marks the part as done."""
    if quarantined:
        lines = (json.dumps({"input": report.input, **asdict(page)}, ensure_ascii=False) + "\n" for page in quarantined)
        write_text(join(staging, attempt, QUARANTINE), "".join(lines))
    write_text(join(staging, f"{name}.json"), json.dumps({"report": asdict(report), "attempt": attempt}))


def read_staged(staging: str, name: str) -> StagedPart:
    """Read what `write_staged` wrote."""
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
    """The report of the job, with one entry for each input. `parts` are in the order of the inputs.

    An input may have no article: it is counted. Raises InputError if none has one.
    """
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
            longest=max(report.longest for report in reports),
            sentences=sum(report.sentences for report in reports),
            sentences_taken_out=sum(report.sentences_taken_out for report in reports),
            templates_rendered=sum(report.templates_rendered for report in reports),
            templates_that_cost=_costliest(reports),
            declared=next((report.declared for report in reports if report.declared), ""),
        )
        inputs.append(row)
    if inputs and not any(row.articles + row.heldout_articles or UNPARSEABLE in row.skipped for row in inputs):
        raise no_article(inputs[0].input, inputs[0].skipped)
    return PrepareReport(
        language=language,
        articles=sum(row.articles for row in inputs),
        heldout_articles=sum(row.heldout_articles for row in inputs),
        characters=sum(row.characters for row in inputs),
        skipped=_sum_counts(row.skipped for row in inputs),
        shards=[shard for row in inputs for shard in row.shards],
        inputs=inputs,
        sentences=sum(row.sentences for row in inputs),
        sentences_taken_out=sum(row.sentences_taken_out for row in inputs),
        templates_rendered=sum(row.templates_rendered for row in inputs),
        templates_that_cost=_costliest(inputs),
    )


def write_quarantine(folder: str, staging: str, parts: Iterable[StagedPart]) -> None:
    """Write the unparseable pages of all parts, in the order of the inputs, to `_quarantine.jsonl` in `folder`."""
    filesystem, path = resolve(staging)

    def copy(out: NativeFile) -> None:
        for part in parts:
            if UNPARSEABLE in part.report.skipped:
                with filesystem.open_input_stream(f"{path}/{part.attempt}/{QUARANTINE}") as lines:
                    shutil.copyfileobj(lines, out)

    write_atomically(join(folder, QUARANTINE), copy)


def too_many_unparseable(inputs: Iterable[FileReport], most: float) -> str | None:
    """A message about the first input with too many unparseable pages, or None.

    Too many: more than _FEW_PAGES and more than the share `most` (0 to 1) of the input's articles, or all of them.
    """
    for row in inputs:
        count = row.skipped.get(UNPARSEABLE, 0)
        articles = row.articles + row.heldout_articles + count
        if count > max(_FEW_PAGES, most * articles) or (count and count == articles):
            return f"{row.input}: {count:,} of {articles:,} articles ({count / articles:.1%}) cannot be parsed; expected {most:.1%} at most"
    return None


def _costliest(reports: Sequence[FileReport]) -> dict[str, int]:
    total = sum((Counter(report.templates_that_cost) for report in reports), Counter[str]())
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _same_language(declared: str, language: str) -> bool:
    """Whether two codes name one language: "pt-BR" is "pt". Simple English declares "en"."""
    one, other = (code.lower().replace("_", "-").partition("-")[0] for code in (declared, language))
    return one == other or (one, other) == ("en", "simple")


def _sum_counts(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    return dict(sorted(sum((Counter(count) for count in counts), Counter[str]()).items()))
