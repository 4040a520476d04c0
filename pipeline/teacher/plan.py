"""The plan: the units of work of a recipe, and those that are finished already."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import pyarrow.parquet as pq

from data.articles import group_row_groups, open_article_shard
from data.contract import ShardPath, parse_path
from data.identity import Identity, differences, split_identity
from data.recipe import Recipe
from data.run import Run
from data.shards import Shard, check_identity, list_shards, read_shard
from data.storage import map_files, require_files, resolve, split
from vocab.errors import InputError

_TAIL = 1 << 16  # bytes at the end of a file that nearly always include its footer: one request is enough

Footer: TypeAlias = tuple[str, list[int]]  # of an input shard: its fingerprint, and the number of rows in each row group


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One unit of work: a teacher, and a run of row groups of one input shard. It becomes one file."""

    teacher: str
    language: str
    corpus: str  # location of the input shard
    corpus_fingerprint: str
    first_row_group: int
    row_groups: int
    articles: int  # in these row groups
    output: str  # location of the shard it becomes
    heldout: bool = False

    def facts(self) -> dict[str, Any]:
        """The unit in the footer of its shard. Nothing in it depends on the folders of the files."""
        facts = asdict(self)
        del facts["output"], facts["heldout"]
        facts["corpus"] = split(self.corpus)[1]
        return facts


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All units of a recipe (of some or all teachers), and those that have no file yet."""

    units: tuple[Unit, ...]
    missing: tuple[Unit, ...]
    finished_shards: tuple[Shard, ...]  # the finished units: their footers were read, their identities checked

    @property
    def finished(self) -> int:
        return len(self.units) - len(self.missing)


def make_plan(run: Run, identities: Mapping[str, Identity]) -> Plan:
    """Plan the teachers that `identities` names. Nothing is written.

    Raises InputError for a finished shard of another identity, of other articles, or of a unit that the recipe does not have: such
    a shard is never overwritten, and never used.
    """
    recipe = run.recipe
    footers: dict[str, Footer] = {}  # several teachers may read one corpus
    trained = _units(recipe, run.predictions, recipe.corpora, identities, footers, heldout=False)
    heldout = _units(recipe, run.heldout, recipe.heldout, identities, footers, heldout=True)
    _refuse_trained_heldout(trained, heldout)
    missing: list[Unit] = []
    finished: list[Shard] = []
    for folder, units in ((run.predictions, trained), (run.heldout, heldout)):
        planned = {unit.output: unit for unit in units}
        listed = list_shards(folder)
        _refuse_strangers(listed, planned)
        _refuse_other_settings(run, listed, planned, identities, heldout=folder == run.heldout)
        found = [location for location in listed if location in planned]
        present = set(found)
        missing += [unit for unit in units if unit.output not in present]
        shards = map_files(read_shard, found)
        for shard in shards:
            planned_unit, identity = planned[shard.location], identities[shard.path.teacher]
            check_identity(shard, split_identity(identity, recipe, heldout=planned_unit.heldout))
            wrong = differences(shard.unit, planned_unit.facts())
            if wrong:
                raise InputError(
                    f"{shard.location}: made from other articles, or with another predict.unit_articles: {'; '.join(wrong)}. "
                    "Remove the file to compute the unit again, or predict into another run folder"
                )
        finished += shards
    return Plan(units=(*trained, *heldout), missing=tuple(missing), finished_shards=tuple(finished))


def _units(
    recipe: Recipe,
    predictions: str,
    corpora: Mapping[str, str],
    teachers: Iterable[str],
    footers: dict[str, Footer],
    *,
    heldout: bool,
) -> list[Unit]:
    """The units of all teachers for training corpora or for held-out corpora. `footers` caches the footers of input shards."""
    units = []
    for teacher in teachers:
        for language in recipe.teacher(teacher).languages:
            if language not in corpora:
                continue
            files = require_files(recipe.locate_files(corpora[language]), f"corpus of '{language}'")
            fresh = [location for location in files if location not in footers]
            footers |= zip(fresh, map_files(_footer, fresh), strict=True)
            for stem, location in _by_name(files, language).items():
                fingerprint, rows = footers[location]
                for first, count in group_row_groups(rows, recipe.predict.unit_articles):
                    path = ShardPath(language=language, teacher=teacher, name=f"{stem}-{first:05d}")
                    units.append(
                        Unit(
                            teacher=teacher,
                            language=language,
                            corpus=location,
                            corpus_fingerprint=fingerprint,
                            first_row_group=first,
                            row_groups=count,
                            articles=sum(rows[first : first + count]),
                            heldout=heldout,
                            output=path.below(predictions),
                        )
                    )
    return units


def _by_name(files: list[str], language: str) -> dict[str, str]:
    """Input shards by the name with which the files of their units begin."""
    named: dict[str, str] = {}
    for location in files:
        stem = split(location)[1].removesuffix(".parquet")
        if stem in named:
            raise InputError(
                f"corpus of '{language}': {named[stem]} and {location} have the same name; expected each input shard to have a name "
                "of its own, since predictions are named after it: rename one"
            )
        named[stem] = location
    return named


def _footer(location: str) -> Footer:
    """The fingerprint and rows of an input shard, from only its footer.

    The footer has sizes, offsets and statistics of every column, and in shards of `mergedistill prepare` a sha256 of the articles. In
    other Parquet files, a change that keeps all compressed sizes and statistics is not noticed: a plan does not read the files.
    """
    metadata = open_article_shard(location).metadata
    _refuse_nulls(metadata, location)
    filesystem, path = resolve(location)
    with filesystem.open_input_file(path) as file:
        size = file.size()
        tail = file.read_at(min(size, _TAIL), max(size - _TAIL, 0))
        length = int.from_bytes(tail[-8:-4], "little")
        footer = tail[-8 - length : -8] if length + 8 <= len(tail) else file.read_at(length, size - 8 - length)
    digest = hashlib.sha256(f"{size}\0".encode() + footer).hexdigest()
    return digest, [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def _refuse_trained_heldout(trained: Iterable[Unit], heldout: Iterable[Unit]) -> None:
    """Refuse held-out articles that are also trained on: the student would be scored on what it has seen."""
    seen = {unit.corpus_fingerprint: unit.corpus for unit in trained}
    for unit in heldout:
        if unit.corpus_fingerprint in seen:
            raise InputError(
                f"{unit.corpus}: is held out and trained on (as {seen[unit.corpus_fingerprint]}); expected [heldout] articles that are "
                "in no corpus: correct the recipe's globs"
            )


def _refuse_nulls(metadata: pq.FileMetaData, location: str) -> None:
    """Refuse null articles before anything is computed, if the footer has statistics. Else reading refuses them."""
    for group in range(metadata.num_row_groups):
        columns = (metadata.row_group(group).column(index) for index in range(metadata.num_columns))
        counts = [
            c.statistics.null_count for c in columns if c.path_in_schema == "text" and c.statistics and c.statistics.has_null_count
        ]
        if any(counts):
            raise InputError(
                f"{location}: row group {group}: column 'text' is null in {counts[0]:,} rows; expected strings: run "
                "`mergedistill prepare` on the file, which skips such rows and counts them"
            )


def _refuse_other_settings(
    run: Run, listed: Iterable[str], units: Mapping[str, Unit], identities: Mapping[str, Identity], *, heldout: bool
) -> None:
    """Refuse a store in which another recipe ran the same teacher with other settings, on languages that this one does not plan.

    A teacher has one identity in a folder. One footer of each partition is read.
    """
    partitions = {split(location)[0] for location in units}
    first: dict[str, str] = {}
    for location in listed:
        path = parse_path(location)
        if path and path.teacher in identities and split(location)[0] not in partitions:
            first.setdefault(split(location)[0], location)
    for shard in map_files(read_shard, [*first.values()]):
        check_identity(shard, split_identity(identities[shard.path.teacher], run.recipe, heldout=heldout))


def _refuse_strangers(listed: list[str], units: Mapping[str, Unit]) -> None:
    """Refuse shards in the planned partitions that are not units of the plan."""
    partitions = {split(location)[0] for location in units}
    strangers = [location for location in listed if location not in units and split(location)[0] in partitions]
    if strangers:
        raise InputError(
            f"{strangers[0]}{f' and {len(strangers) - 1} more' if len(strangers) > 1 else ''}: of no unit of this recipe (corpus, "
            "or predict.unit_articles changed); use the recipe that made it, remove what is stale, or predict into another run folder"
        )
