"""Rows of finished shards, drawn at random and computed again from their articles up to the teacher's inputs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.articles import read_articles
from data.examples import Example, make_examples
from data.recipe import Recipe
from data.shards import open_shard
from data.storage_faults import storage_fault
from pipeline.teacher.loaded import LoadedTeacher
from pipeline.teacher.plan import Unit
from vocab.errors import InputError, first_line


@dataclass(frozen=True, kw_only=True, slots=True)
class RemadeRow:
    """A row of a shard, and the example that its article gives, in the teacher's ids; None if the article has no such window."""

    shard: str
    stored: dict[str, Any]
    example: Example | None


def draw_rows(sizes: Sequence[int], splits: Sequence[object], rows: int, seed: int) -> list[NDArray[np.int64]]:
    """Draw `rows` different rows from shards of these sizes: the numbers of the rows for each shard, increasing.

    Every split gets one row first, as far as there are rows to draw. The others are drawn from all shards.
    """
    generator = np.random.default_rng(seed)
    size_S, ends_S = np.array(sizes), np.cumsum(sizes)
    first: list[int] = []
    for split in dict.fromkeys(splits):
        own_S = size_S * np.array([other == split for other in splits])
        if own_S.any():
            shard = generator.choice(len(sizes), p=own_S / own_S.sum())
            first.append(int(ends_S[shard] - generator.integers(size_S[shard]) - 1))
    others = generator.choice(ends_S[-1], size=min(rows + len(first), int(ends_S[-1])), replace=False)
    chosen = [*generator.permutation(first), *others[~np.isin(others, first)]][:rows]
    places = np.sort(np.array(chosen, dtype=np.int64))
    return [places[(places >= end - size) & (places < end)] - (end - size) for size, end in zip(size_S, ends_S, strict=True)]


def remake_rows(unit: Unit, numbers: NDArray[np.int64], teacher: LoadedTeacher, recipe: Recipe) -> Iterator[RemadeRow]:
    """The rows with these numbers in the unit's shard, each with the example that its article gives now."""
    try:
        rows = open_shard(unit.output).read().take(pa.array(numbers)).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        reason = first_line(error)
        raise storage_fault(unit.output, error) or InputError(
            f"{unit.output}: is damaged ({reason}); remove it and run `mergedistill predict` again"
        ) from None
    wanted = {row["doc_id"] for row in rows}
    groups = range(unit.first_row_group, unit.first_row_group + unit.row_groups)
    articles = (article for article in read_articles(unit.corpus, groups) if article[0] in wanted)
    tokenizer = teacher.vocabulary.tokenizer
    examples = make_examples(articles, tokenizer, teacher.alphabet, recipe.examples, recipe.seed, Counter())
    found = {(example.doc_id, example.window): example for example in examples}
    for row in rows:
        yield RemadeRow(shard=unit.output, stored=row, example=found.get((row["doc_id"], row["window"])))


def same_inputs(row: dict[str, Any], example: Example, k: int) -> bool:
    """Whether a row has the inputs of an example (in union ids), and a label for each of its masks."""
    masked = len(example.mask_positions)
    lengths = (len(row["label_logits"]), len(row["topk_ids"]), len(row["topk_logits"]))
    fields = ("input_ids", "mask_positions", "label_ids")
    return lengths == (masked, masked * k, masked * k) and all(
        np.array_equal(row[field], getattr(example, field)) for field in fields
    )
