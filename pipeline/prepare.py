"""`prepare`: corpus files of any format → Parquet article shards, as a Beam job whose result is there whole or not at all."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

# isort: split
from pipeline.launch import run_pipeline, users_mistake  # first: it quiets the import of Beam

# isort: split
import apache_beam as beam
from pyarrow import fs

from data.storage import expand, join, resolve
from pipeline.article_shards import FileReport, stage_file
from pipeline.corpus_file import corpus_files, stem
from pipeline.progress import watch_staging
from pipeline.publish import exclusive, publish, recover, remove_staging, staging_folder
from vocab.errors import InputError


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


class StageFile(beam.DoFn):
    """(file, name) → its article shards in the staging folder. A bundle that is run twice stages its files twice, to no harm."""

    def __init__(self, staging: str, language: str, heldout_percent: float, shard_articles: int) -> None:
        self.staging, self.language = staging, language
        self.heldout_percent, self.shard_articles = heldout_percent, shard_articles

    def process(self, element: tuple[str, str]) -> None:
        location, name = element
        stage_file(
            location,
            name,
            self.staging,
            language=self.language,
            heldout_percent=self.heldout_percent,
            shard_articles=self.shard_articles,
        )


def prepare(
    inputs: Sequence[str],
    language: str,
    out: str,
    *,
    heldout_percent: float = 0,
    shard_articles: int = 10_000,
    beam_args: Sequence[str] = (),
    show_progress: bool = True,
) -> PrepareReport:
    """Turn corpus files into article shards in `out` (a folder or URI); articles held out for evaluation go to `out/heldout`.

    `inputs` are files, folders, globs or URIs; `heldout_percent` (0 to 100) of the articles are held out, chosen by language and
    id alone; a shard holds at most `shard_articles` articles. The shards are the same, byte for byte, on any runner. They appear
    when the whole job is good, and `_prepare.json` after them; a job that fails leaves nothing. Raises InputError for a wrong
    input or option, for an `out` that already holds article shards, and for a full disk.
    """
    if not language.strip():
        raise InputError("--language is empty; expected a language code such as 'de'")
    if not 0 <= heldout_percent < 100:
        raise InputError(f"found {heldout_percent} held-out percent; expected at least 0 and less than 100")
    if shard_articles < 1:
        raise InputError(f"found {shard_articles} articles a shard; expected at least 1")
    files = corpus_files(inputs)
    with exclusive(out):
        recover(out)
        for folder in (out, join(out, "heldout")):
            if shards := expand(folder):
                raise InputError(
                    f"{folder}: already holds {len(shards):,} shards; expected none: choose another --out or remove them"
                )
        staging = staging_folder(out)
        try:
            names = shard_names(files)
            with watch_staging(staging, {name: _size(file) for file, name in names.items()}, show=show_progress):
                run_pipeline(
                    lambda pipeline: _build(pipeline, names, StageFile(staging, language, heldout_percent, shard_articles)),
                    beam_args,
                )
            reports = [_staged_report(staging, name) for name in names.values()]
            report = PrepareReport(
                language=language,
                articles=sum(file.articles for file in reports),
                heldout_articles=sum(file.heldout_articles for file in reports),
                characters=sum(file.characters for file in reports),
                skipped=dict(sorted(sum((Counter(file.skipped) for file in reports), Counter[str]()).items())),
                shards=[shard for file in reports for shard in file.shards],
                inputs=reports,
            )
            publish(staging, out, {shard: join(file.attempt, shard) for file in reports for shard in file.shards}, _as_json(report))
            return report
        except OSError as error:
            raise users_mistake(error) or error from None
        finally:
            remove_staging(staging)


def shard_names(files: Sequence[str]) -> dict[str, str]:
    """A name for the shards of each file: its own without endings, with as many parent folders before it as tell the files apart."""
    parts = {file: PurePosixPath(file).parts for file in files}
    for depth in range(max(len(path) for path in parts.values())):
        for last in (stem, lambda file: PurePosixPath(file).name):
            names = {file: "-".join([*parts[file][-1 - depth : -1], last(file)]).replace("/", "") for file in files}
            if len(set(names.values())) == len(files):
                return names
    raise InputError(f"{len(files)} inputs cannot be told apart by their paths; rename one of them")


def _build(pipeline: beam.Pipeline, names: dict[str, str], stage: StageFile) -> None:
    _ = pipeline | "Files" >> beam.Create(list(names.items())) | beam.Reshuffle() | "StageFile" >> beam.ParDo(stage)


def _size(file: str) -> int:
    filesystem, path = resolve(file)
    return int(filesystem.get_file_info(path).size or 0)


def _staged_report(staging: str, name: str) -> FileReport:
    filesystem, path = resolve(join(staging, f"{name}.json"))
    if filesystem.get_file_info(path).type != fs.FileType.File:
        raise RuntimeError(f"the Beam job ended well, but '{name}' is not in {staging}: do the workers see the same storage?")
    with filesystem.open_input_stream(path) as file:
        return FileReport(**json.loads(file.read()))


def _as_json(report: PrepareReport) -> str:
    fields = asdict(report)
    for file in fields["inputs"]:
        del file["attempt"]
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
