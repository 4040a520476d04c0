"""The shards that a run's student reads: found, and every identity checked before anything is trained."""

from collections.abc import Sequence

from data.contract import HELDOUT, parse_path
from data.identity import shard_identity
from data.manifest import MANIFEST, listed_shards
from data.run import Run
from data.shards import Shard, check_identity, list_shards, read_shards, shards_of
from data.storage import join
from data.validation.manifest_rules import check_entries
from vocab.errors import InputError
from vocab.union import Union

_NAMED = 5  # languages that a line names


def student_shards(run: Run, split: str, union: Union) -> list[Shard]:
    """The shards of the recipe's teachers in their languages. Others, as a store that several recipes share has, are not opened.

    split  data.contract.PREDICTIONS or HELDOUT

    Every identity must be the one that the recipe and the union give. What the recipe does not say (weights, "auto" dtype) must be the
    same in all shards of a teacher. Anything else is an InputError, and so is a split that predict has not finished.
    """
    recipe, folder = run.recipe, run.shards(split)
    wanted = run.pairs(split)
    if not wanted:
        raise InputError(f"the recipe names no corpora for {folder}; expected a section [{split}] in it")
    found = read_shards(shards_of(list_shards(folder), wanted))
    links = {link.teacher: link for link in union.links}
    first: dict[str, Shard] = {}
    for shard in found:
        link = links.get(shard.path.teacher)
        if link is None:
            raise InputError(f"{shard.location}: its teacher is not in the union vocabulary; run `mergedistill vocab` again")
        sample = first.setdefault(shard.path.teacher, shard).identity
        dtype = sample.get("dtype", "") if recipe.predict.dtype == "auto" else recipe.predict.dtype
        weights = sample.get("teacher.weights", "")
        expected = shard_identity(
            recipe,
            dtype=dtype,
            union=link.fingerprint,
            tokenizer=link.tokenizer,
            weights=weights,
            heldout=split == HELDOUT,
        )
        check_identity(shard, expected)
    present = {(shard.path.teacher, shard.path.language) for shard in found}
    missing = [f"teacher '{teacher}' on '{language}'" for teacher, language in wanted if (teacher, language) not in present]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{folder}: found no predictions of {missing[0]}{more}; expected some: run `mergedistill predict` first")
    _require_complete(folder, found, wanted)
    _require_sound_footers(folder, found)
    return found


def left_out(run: Run, split: str) -> str:
    """A line that names what the folder of a split holds beyond the recipe, and that is not read; "" if it holds nothing else."""
    places = list_shards(run.shards(split))
    others = sorted({*places}.difference(shards_of(places, run.pairs(split))))
    languages: dict[str, list[str]] = {}
    for place in others:
        if (path := parse_path(place)) and path.language not in languages.setdefault(path.teacher, []):
            languages[path.teacher].append(path.language)
    if not languages:
        return ""
    named = "; ".join(f"{teacher} on {_shortened(found)}" for teacher, found in sorted(languages.items()))
    return f"{run.shards(split)}: not read: {len(others):,} shards that this recipe does not name ({named})"


def _shortened(languages: Sequence[str]) -> str:
    more = f" and {len(languages) - _NAMED} more languages" if len(languages) > _NAMED else ""
    return ", ".join(languages[:_NAMED]) + more


def _require_sound_footers(folder: str, shards: Sequence[Shard]) -> None:
    """Refuse what `validate` finds in footers and manifest: no row is read here. Each row is checked when it is decoded."""
    for fault in check_entries(folder, shards):
        raise InputError(f"{join(folder, fault.file)}: {fault.rule}: found {fault.found}; expected {fault.expected}")
    for shard in shards:
        rows = shard.report["counters"].get("windows", 0) * shard.identity["examples.maskings"]
        if rows != shard.rows:
            raise InputError(
                f"{shard.location}: report.windows: found {shard.rows:,} rows; expected the {rows:,} that its report counts"
            )
    reached: dict[tuple[str, str, str], tuple[int, str]] = {}
    for shard in sorted(shards, key=lambda one: (one.location.rpartition("/")[0], one.unit["corpus"], one.unit["first_row_group"])):
        key = (shard.path.teacher, shard.path.language, shard.unit["corpus"])
        end, earlier = reached.get(key, (0, ""))
        if shard.unit["first_row_group"] < end:
            raise InputError(
                f"{shard.location}: holds articles of {shard.unit['corpus']} that {earlier} holds too; expected each article once: "
                "`mergedistill validate` says which shards are wrong"
            )
        reached[key] = (shard.unit["first_row_group"] + shard.unit["row_groups"], shard.location)


def _require_complete(folder: str, found: Sequence[Shard], wanted: Sequence[tuple[str, str]]) -> None:
    """Refuse a cache that is not finished, or that lost a file: the student would learn from a part of it without a word."""
    listed = listed_shards(folder)
    if listed is None:
        raise InputError(
            f"{folder}: found no {MANIFEST}; expected the one that a finished `mergedistill predict` leaves: run it again, it "
            "computes only what is missing"
        )
    expected = {*shards_of(listed, wanted)}
    if {shard.location for shard in found} != expected:
        raise InputError(
            f"{folder}: found {len(found):,} shards of this recipe's teachers, its manifest lists {len(expected):,}; predict has not "
            "finished, or files were removed: run `mergedistill predict` again, it computes only what is missing"
        )
