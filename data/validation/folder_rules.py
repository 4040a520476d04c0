"""The contract's rules for shards of one folder: units, identities, and articles that several shards have."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.validation.report import Fault
from data.validation.shard_check import ShardCheck
from data.validation.window_rules import Articles, check_across
from vocab.folder import load_complete, load_union

OWN_FIELDS = ("union", "teacher.tokenizer", "teacher.weights")  # the fields of an identity in which teachers can differ


@dataclass(frozen=True, kw_only=True, slots=True)
class UnionFacts:
    """What the rules need to know about the union vocabulary."""

    size: int  # number of ids of the complete union
    links: Mapping[str, tuple[int, str]]  # teacher → (number of ids, fingerprint) of the union up to and including this teacher
    complete: frozenset[str] = frozenset()  # the teachers all of whose pieces are in the union


def check_folder(checks: Sequence[ShardCheck], vocabulary: UnionFacts | None) -> Iterator[Fault]:
    """Check every rule that needs several shards, or the vocabulary."""
    yield from _check_identities(checks)
    if vocabulary is not None:
        yield from _check_links(checks, vocabulary)
    yield from _check_units(checks)
    for same in _groups(checks, lambda check: (check.path.teacher, check.path.language)):
        files = [Articles(location=check.location, name=check.name, hashes=check.articles) for check in same if len(check.articles)]
        for file, found, names in check_across(files):
            for row, text, (doc_id, window) in zip(found.rows, found.found, names, strict=True):
                yield Fault(
                    rule=found.rule,
                    file=file,
                    row=row,
                    doc_id=doc_id,
                    window=window,
                    found=text,
                    expected=found.expected,
                    count=found.count,
                )


def missing_units(checks: Sequence[ShardCheck]) -> Iterator[str]:
    """A note for each gap between the units of an input shard."""
    for same in _by_corpus(checks):
        end = 0
        for _, unit in same:
            if unit["first_row_group"] > end:
                name = f"language={unit['language']}/teacher={unit['teacher']}"
                gap = f"row groups {end} to {unit['first_row_group'] - 1} of {unit['corpus']}"
                yield f"{name}: no shard holds {gap}; `mergedistill predict` computes what is missing"
            end = max(end, unit["first_row_group"] + unit["row_groups"])


def unjudged(checks: Sequence[ShardCheck], vocabulary: UnionFacts) -> Iterator[str]:
    """A note on the shards of teachers that the vocabulary lacks: their ids were not compared with its size."""
    counts = Counter(check.path.teacher for check in checks if check.path.teacher not in vocabulary.links)
    if counts:
        yield (
            f"the vocabulary has no teacher {', '.join(sorted(counts))}: the ids and the union of {counts.total():,} shards were not "
            "compared with it; give --vocab of a run with all teachers to compare them"
        )


def _check_identities(checks: Sequence[ShardCheck]) -> Iterator[Fault]:
    """A teacher has one identity, and all teachers agree in the fields that are not their own. The most frequent value is expected."""
    whole = [check for check in checks if check.identity is not None]
    fields = {name for check in whole for name in check.identity or () if name not in OWN_FIELDS}
    for name in sorted(fields):
        yield from _differing("identity.folder", f"identity.{name}", whole, name, "most shards of the folder")
    for same in _groups(whole, lambda check: check.path.teacher):
        for name in OWN_FIELDS:
            yield from _differing("identity.teacher", f"identity.{name}", same, name, "most shards of this teacher")


def _differing(rule: str, column: str, checks: Sequence[ShardCheck], field: str, whose: str) -> Iterator[Fault]:
    values = [(check, (check.identity or {}).get(field)) for check in checks]
    usual = Counter(repr(value) for _, value in values).most_common(1)[0][0]
    for check, value in values:
        if repr(value) != usual:
            yield Fault(rule=rule, file=check.name, column=column, found=repr(value), expected=f"{usual}, as {whose} have")


def _check_links(checks: Sequence[ShardCheck], vocabulary: UnionFacts) -> Iterator[Fault]:
    """The union of each shard is the union of the run, up to the shard's teacher.

    A store that several recipes share can hold shards of teachers that this vocabulary lacks; `unjudged` says so. Only if it has none of
    the teachers, it is the vocabulary of something else.
    """
    strange = not any(check.path.teacher in vocabulary.links for check in checks)
    for check in checks:
        link = vocabulary.links.get(check.path.teacher)
        if link is None and not strange:
            continue
        if link is None:
            found, expected = f"the teacher '{check.path.teacher}'", f"one of the vocabulary's: {', '.join(vocabulary.links)}"
            yield Fault(rule="identity.union", file=check.name, column="teacher", found=found, expected=expected)
        elif check.identity is not None and check.identity["union"] != link[1]:
            found = f"{check.identity['union']!r}"
            expected = f"{link[1]!r}, the vocabulary's up to this teacher"
            yield Fault(rule="identity.union", file=check.name, column="identity.union", found=found, expected=expected)


def _check_units(checks: Sequence[ShardCheck]) -> Iterator[Fault]:
    """Shards of one teacher and language never share a row group of an input shard, and all have the same version of it."""
    for same in _by_corpus(checks):
        states = Counter(unit["corpus_fingerprint"] for _, unit in same).most_common()
        widest: tuple[str, int] | None = None  # the shard with the last row group so far, and its end
        for check, unit in same:
            first, end = unit["first_row_group"], unit["first_row_group"] + unit["row_groups"]
            if unit["corpus_fingerprint"] != states[0][0]:
                found, expected = repr(unit["corpus_fingerprint"]), f"{states[0][0]!r}, as other shards of {unit['corpus']}"
                yield Fault(rule="unit.corpus", file=check.name, column="unit.corpus_fingerprint", found=found, expected=expected)
            if widest is not None and first < widest[1]:
                found = f"row groups {first} to {end - 1} of {unit['corpus']}; {widest[0]} reaches to {widest[1] - 1}"
                expected = "each row group in one shard of a teacher and language"
                yield Fault(rule="unit.overlap", file=check.name, column="unit.first_row_group", found=found, expected=expected)
            if widest is None or end > widest[1]:
                widest = (check.name, end)


def _by_corpus(checks: Sequence[ShardCheck]) -> Iterator[list[tuple[ShardCheck, dict[str, Any]]]]:
    """The shards with their units, for each teacher, language and input shard, in the order of row groups."""
    whole = [check for check in checks if check.unit is not None]
    for same in _groups(whole, lambda check: (check.path.teacher, check.path.language, (check.unit or {})["corpus"])):
        units = [(check, check.unit) for check in same if check.unit is not None]
        yield sorted(units, key=lambda pair: (pair[1]["first_row_group"], pair[0].name))


def _groups(checks: Iterable[ShardCheck], key: Callable[[ShardCheck], Hashable]) -> Iterator[list[ShardCheck]]:
    groups: defaultdict[Hashable, list[ShardCheck]] = defaultdict(list)
    for check in checks:
        groups[key(check)].append(check)
    yield from groups.values()


def union_facts(vocabulary: Path) -> UnionFacts | None:
    """What the rules need to know about the union vocabulary in a folder, or None if there is none."""
    if not (vocabulary / "union.json").exists():
        return None
    union = load_union(vocabulary)
    return UnionFacts(
        size=union.size,
        links={link.teacher: (link.size, link.fingerprint) for link in union.links},
        complete=load_complete(vocabulary),
    )
