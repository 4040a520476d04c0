"""`prepare`: corpus files of any format → Parquet article shards. A Beam job whose result appears completely or not at all."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePosixPath

import apache_beam as beam

from data.article_ids import require_unique_ids
from data.manifest import QUARANTINE
from data.recipe import check_language
from data.storage import expand, join, without_options
from pipeline.beam.job_errors import users_mistake
from pipeline.beam.launch import run_pipeline
from pipeline.beam.progress import watch_staging
from pipeline.beam.staging import lock_folder, publish, recover, remove_staging, staging_folder
from pipeline.corpus.corpus_file import corpus_files, stem
from pipeline.corpus.dump_parts import Part, parts_of
from pipeline.corpus.read import ArticlesBy
from pipeline.corpus.report import PrepareReport, StagedPart, read_staged, sum_parts, too_many_unparseable, write_quarantine
from pipeline.corpus.stage_part import Staging, stage_part
from pipeline.corpus.templates import own_templates, read_templates
from vocab.errors import InputError

PART_BYTES = 16 << 20  # of a compressed bz2 dump: some thousand articles, about one shard, less than a minute of work


class StagePart(beam.DoFn):
    """Part → its article shards in the staging folder. If Beam runs a bundle twice, both results are equal and one is used."""

    def __init__(self, staging: Staging) -> None:
        self.staging = staging

    def process(self, part: Part) -> None:
        stage_part(part, self.staging)


def prepare(
    inputs: Sequence[str],
    language: str,
    out: str,
    *,
    heldout_percent: float = 0,
    shard_articles: int = 10_000,
    part_bytes: int = PART_BYTES,
    max_unparseable: float = 0.01,
    templates: str | None = None,
    articles_by: ArticlesBy = "blank-lines",
    id_prefix: str = "",
    beam_args: Sequence[str] = (),
    show_progress: bool = True,
) -> PrepareReport:
    """Turn corpus files into article shards in `out` (a folder or URI). Held-out articles go to `out/heldout`.

    inputs           files, folders, globs or URIs
    heldout_percent  0 to 100: share of the articles that are held out, chosen by language and id
    shard_articles   largest number of articles in a shard
    part_bytes       a bz2 dump of many streams is divided among the workers in parts of about this size
    templates        a TOML file that adds to the table of what templates show, see pipeline/corpus/templates.toml
    articles_by      what separates the articles of plain text
    id_prefix        put before each article's id; "{input}" in it is the input's name. Two articles with one id are refused
    max_unparseable  0 to 1: the job fails if more than ten articles of an input, and more than this share, cannot be parsed

    The shards are the same, byte for byte, on any runner and with any number of workers. They appear when all of the job succeeded,
    and then `_prepare.json`. A job that fails leaves nothing, except `out/_quarantine.jsonl` if too many pages could not be parsed.
    Raises InputError for a wrong input or option, too many unparseable pages, shards that exist already in `out`, and a full disk.
    """
    if not out.strip():
        raise InputError("--out is empty; expected a folder or URI for the article shards")
    if not language.strip():
        raise InputError("--language is empty; expected a language code such as 'de'")
    if not 0 <= heldout_percent < 100:
        raise InputError(f"found {heldout_percent} held-out percent; expected at least 0 and less than 100")
    if shard_articles < 1:
        raise InputError(f"found {shard_articles} articles a shard; expected at least 1")
    if part_bytes < 1:
        raise InputError(f"found {part_bytes} bytes a part; expected at least 1")
    if not 0 <= max_unparseable <= 1:
        raise InputError(f"found {max_unparseable} as the share of unparseable pages; expected 0 to 1")
    check_language(language)
    table = own_templates(language)
    if templates is not None:
        table = read_templates(templates, language).over(table)
    files = corpus_files(inputs)
    with lock_folder(out):
        recover(out)
        for folder in (out, join(out, "heldout")):
            if shards := expand(folder):
                raise InputError(
                    f"{folder}: already holds {len(shards):,} shards; expected none: choose another --out or remove them"
                )
        staging = staging_folder(out)
        try:
            parts = [part for file, name in shard_names(files).items() for part in parts_of(file, name, part_bytes)]
            sizes = {part.name: part.end - part.start for part in parts}
            if len(sizes) < len(parts):
                raise InputError("an input has the name of a part of another input, as 'x-part00000' and 'x'; rename one of them")
            stage = StagePart(
                Staging(
                    folder=staging,
                    language=language,
                    heldout_percent=heldout_percent,
                    shard_articles=shard_articles,
                    templates=table,
                    articles_by=articles_by,
                    id_prefix=id_prefix,
                )
            )
            with watch_staging(staging, sizes, show=show_progress):
                run_pipeline(lambda pipeline: _build(pipeline, parts, stage), beam_args)
            staged = [read_staged(staging, part.name) for part in parts]
            report = sum_parts(language, staged)
            if fault := too_many_unparseable(report.inputs, max_unparseable):
                write_quarantine(out, staging, staged)
                raise InputError(
                    f"{fault}: look at {join(out, QUARANTINE)}, raise --max-unparseable if it is right; no shard was written"
                )
            _require_unique(staging, staged)
            write_quarantine(staging, staging, staged)
            moves = {shard: join(part.attempt, shard) for part in staged for shard in part.report.shards}
            text = json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"
            publish(staging, out, {**moves, QUARANTINE: QUARANTINE}, text)
            return report
        except OSError as error:
            raise users_mistake(error) or error from None
        finally:
            remove_staging(staging)


def _require_unique(staging: str, staged: Sequence[StagedPart]) -> None:
    places = {join(staging, part.attempt, shard): (part.report.input, shard) for part in staged for shard in part.report.shards}
    advice = (
        'was an input given twice? Different articles: give --id-prefix "{input}-", which puts the input\'s name before each id'
    )
    require_unique_ids([*places], "the inputs", advice, lambda file: f"{places[file][1]}, of {places[file][0]}")


def shard_names(files: Sequence[str]) -> dict[str, str]:
    """A name for the shards of each file: the file's name without endings, after as many parent folders as make the names different."""
    parts = {file: PurePosixPath(without_options(file)).parts for file in files}
    for depth in range(max(len(path) for path in parts.values())):
        for last in (stem, lambda file: parts[file][-1]):
            names = {file: "-".join([*parts[file][-1 - depth : -1], last(file)]).replace("/", "") for file in files}
            if len(set(names.values())) == len(files):
                return names
    raise InputError(f"{len(files)} inputs have the same name; rename one of them")


def _build(pipeline: beam.Pipeline, parts: list[Part], stage: StagePart) -> None:
    _ = pipeline | "Parts" >> beam.Create(parts, reshuffle=False) | beam.Reshuffle() | "StagePart" >> beam.ParDo(stage)
