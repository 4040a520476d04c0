"""The stream: exact order, exact resumption, ranks, sampling, budgets, and what it refuses."""

import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.random_bits import choices, permutation, smoothed
from data.shards import Shard, leaf, open_shard
from student.training.batch import Batch, batch_bounds
from student.training.columns import Columns, Picked
from student.training.rows import Cursor, LanguageRows
from student.training.stream import Position, Step, Stream, StreamSettings, shards_fingerprint
from tests.support.student_shards import FIRST, V, make_shards
from vocab.errors import InputError

SETTINGS = StreamSettings(
    seed=5, alpha=0.7, with_teacher=True, tokens_per_batch=300, tokens_per_microbatch=120, max_length=24, vocab_size=V, pad=0
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Shard]:
    folder = tmp_path_factory.mktemp("shards") / "predictions"
    return make_shards(folder, {("de", "a"): [70, 41], ("de", "b"): [50], ("en", "a"): [33], ("fi", "c"): [400]})


def take(shards: list[Shard], count: int, *, start: Position | None = None, **changes: Any) -> list[Step]:
    with Stream(shards, replace(SETTINGS, **changes), start=start) as stream:
        return list(itertools.islice(stream, count))


def content(step: Step) -> list[bytes]:
    """Every byte of a step."""
    tensors = ("input_ids", "lengths", "places", "label_ids", "topk_ids", "topk_logits")
    return [
        getattr(batch, name).numpy().tobytes() for batch in step.batches for name in tensors if getattr(batch, name) is not None
    ]


def gathered(picked: Picked) -> Columns:
    return picked.gather(np.zeros(len(picked.row_R), np.int16))


def numbers(batch: Batch) -> list[int]:
    return (batch.input_ids[:, 1] - FIRST).tolist()


def test_a_resumed_stream_gives_the_same_bytes(shards: list[Shard]) -> None:
    whole = take(shards, 60)
    for stop in (1, 2, 7, 23, 41, 59):
        position = Position.from_json(json.loads(json.dumps(whole[stop - 1].after.to_json())))
        rest = take(shards, 60 - stop, start=position)
        assert [content(step) for step in rest] == [content(step) for step in whole[stop:]], f"after {stop} steps"
        assert [step.after for step in rest] == [step.after for step in whole[stop:]]
    assert whole[-1].after.pool > 1  # the steps crossed pools
    assert any(cursor.epoch > 1 for cursor in whole[-1].after.cursors.values())  # and epochs


def test_the_order_depends_on_the_seed_alone(shards: list[Shard]) -> None:
    first, again, shuffled = take(shards, 5), take(shards, 5), take(shards[::-1], 5)
    assert [content(step) for step in first] == [content(step) for step in again] == [content(step) for step in shuffled]
    assert [content(step) for step in first] != [content(step) for step in take(shards, 5, seed=6)]


def test_rows_are_what_the_files_hold(shards: list[Shard]) -> None:
    rows: dict[tuple[str, int], list[list[Any]]] = {}
    for shard in shards:
        columns = open_shard(shard.location).read()
        leaves = {
            name: leaf(columns.column(name)) for name in ("input_ids", "mask_positions", "label_ids", "topk_ids", "topk_logits")
        }
        for row in range(shard.rows):
            parts = [values[offsets[row] : offsets[row + 1]].tolist() for values, offsets in leaves.values()]
            rows[shard.path.language, parts[0][1] - FIRST] = parts
    languages = sorted({shard.path.language for shard in shards})
    for step in take(shards, 30):
        for batch in step.batches:
            width = batch.input_ids.shape[1]
            for index, number in enumerate(numbers(batch)):
                length = int(batch.lengths[index])
                mine = (batch.places // width) == index
                assert batch.topk_ids is not None
                assert batch.topk_logits is not None
                found = [
                    batch.input_ids[index, :length].tolist(),
                    (batch.places[mine] % width).tolist(),
                    batch.label_ids[mine].tolist(),
                    batch.topk_ids[mine].flatten().tolist(),
                    batch.topk_logits[mine].flatten().tolist(),
                ]
                assert found in [rows[language, number] for language in languages if (language, number) in rows]
                assert (batch.input_ids[index, length:] == 0).all()


@pytest.mark.parametrize("sizes", [[200, 90], [30], [3], [7, 1, 1]])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_each_epoch_covers_each_row_once_over_all_ranks(tmp_path: Path, sizes: list[int], world: int) -> None:
    shards = make_shards(tmp_path, {("de", "a"): sizes}, group_rows=8)
    total = sum(sizes)
    epochs: dict[int, Counter[int]] = {0: Counter(), 1: Counter()}
    orders = []
    for rank in range(world):
        rows = LanguageRows("de", shards, ["input_ids"], vocab_size=V, seed=1, rank=rank, world=world)
        cursor = Cursor()
        while cursor.epoch < 2:
            epoch = cursor.epoch
            picked, cursor = rows.take(1, cursor)
            if len(rows.chunks(epoch)) == cursor.chunk:  # step over the end of an epoch, as `take` does at its next call
                cursor = Cursor(epoch=epoch + 1)
            values, offsets = gathered(picked).leaves["input_ids"]
            epochs[epoch][int(values[offsets[0] + 1]) - FIRST] += 1
            orders.append(int(values[offsets[0] + 1]))
    assert epochs[0] == epochs[1] == Counter(range(total))
    if total > 20:
        assert orders != sorted(orders)


def test_rows_of_several_row_groups_mix(tmp_path: Path) -> None:
    shards = make_shards(tmp_path, {("de", "a"): [64, 64]}, group_rows=16)
    rows = LanguageRows("de", shards, ["input_ids"], vocab_size=V, seed=1, rank=0, world=1)
    picked, _ = rows.take(16, Cursor())
    values, offsets = gathered(picked).leaves["input_ids"]
    groups = {(int(number) - FIRST) // 16 for number in values[offsets[:-1] + 1]}
    assert len(groups) >= 3


def test_languages_are_drawn_by_alpha(shards: list[Shard]) -> None:
    sizes = {"de": 161, "en": 33, "fi": 400}
    for alpha in (0.0, 0.7, 1.0):
        steps = take(shards, 150, alpha=alpha)
        rows = np.sum([batch.languages for step in steps for batch in step.batches], axis=0)
        expected = np.array([size**alpha for size in sizes.values()])
        np.testing.assert_allclose(rows / rows.sum(), expected / expected.sum(), atol=0.03)


def test_budgets_hold_and_are_nearly_filled(shards: list[Shard]) -> None:
    steps = take(shards, 100)
    sizes = [sum(batch.input_ids.numel() for batch in step.batches) for step in steps]
    assert max(sizes) <= SETTINGS.tokens_per_batch
    assert np.mean(sizes) > 0.7 * SETTINGS.tokens_per_batch
    batches = [batch for step in steps for batch in step.batches]
    assert max(batch.input_ids.numel() for batch in batches) <= SETTINGS.tokens_per_microbatch
    padding = 1 - sum(batch.tokens for batch in batches) / sum(batch.input_ids.numel() for batch in batches)
    assert padding < 0.1


def test_ranks_share_a_step_and_differ(shards: list[Shard]) -> None:
    ranks = [take(shards, 20, rank=rank, world=2) for rank in range(2)]
    assert all(sum(batch.input_ids.numel() for batch in step.batches) <= 150 for steps in ranks for step in steps)
    assert content(ranks[0][0]) != content(ranks[1][0])


def test_gold_labels_do_not_read_the_teachers_columns(tmp_path: Path) -> None:
    shards = make_shards(tmp_path / "gold", {("de", "gold"): [40]}, gold_only=True)
    step = take(shards, 1, with_teacher=False)[0]
    assert step.batches[0].topk_ids is None
    assert step.batches[0].topk_logits is None
    with pytest.raises(InputError, match="gold labels only"):
        take(shards, 1)


def test_gold_and_teacher_streams_show_the_same_rows(shards: list[Shard]) -> None:
    for one, other in zip(take(shards, 10), take(shards, 10, with_teacher=False), strict=True):
        for left, right in zip(one.batches, other.batches, strict=True):
            assert torch.equal(left.input_ids, right.input_ids)
            assert torch.equal(left.label_ids, right.label_ids)


def test_a_row_longer_than_the_budget_stands_alone(shards: list[Shard]) -> None:
    steps = take(shards, 20, tokens_per_batch=10, tokens_per_microbatch=10)
    assert all(len(step.batches) == 1 for step in steps)
    assert any(step.batches[0].input_ids.numel() > 10 and step.batches[0].rows == 1 for step in steps)


def test_no_shard_is_refused() -> None:
    with pytest.raises(InputError, match="mergedistill predict"):
        Stream([], SETTINGS)


def test_fewer_rows_than_ranks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'de': found 1 rows for 2 processes"):
        take(make_shards(tmp_path, {("de", "a"): [1]}), 1, world=2)


def test_a_flipped_bit_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    shards = make_shards(tmp_path, {("de", "a"): [300]}, group_rows=300)
    path = Path(shards[0].location)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{path.name}.*damaged"):
        take(shards, 5)


def test_ids_of_another_vocabulary_are_refused(shards: list[Shard]) -> None:
    with pytest.raises(InputError, match="expected ids below 100"):
        take(shards, 1, vocab_size=100)


def test_the_thread_stops(shards: list[Shard]) -> None:
    stream = Stream(shards, SETTINGS)
    next(stream)
    stream.close()
    assert not stream._ahead._thread.is_alive()
    with pytest.raises(StopIteration):
        next(stream)


def test_the_fingerprint_of_shards_tells_sets_apart(shards: list[Shard], tmp_path: Path) -> None:
    assert shards_fingerprint(shards) == shards_fingerprint(shards[::-1])
    assert shards_fingerprint(shards) != shards_fingerprint(shards[1:])
    changed = replace(shards[0], identity={**shards[0].identity, "seed": 1})
    assert shards_fingerprint(shards) != shards_fingerprint([changed, *shards[1:]])
    moved = make_shards(tmp_path, {("de", "a"): [70, 41], ("de", "b"): [50], ("en", "a"): [33], ("fi", "c"): [400]})
    assert shards_fingerprint(shards) == shards_fingerprint(moved)


def test_batches_are_few_and_even() -> None:
    lengths_R = np.sort(np.random.default_rng(0).integers(5, 129, 500))[::-1].astype(np.int32)
    cuts = batch_bounds(lengths_R, 2048)
    sizes = [(end - begin) * int(lengths_R[begin]) for begin, end in itertools.pairwise(cuts)]
    assert cuts[0] == 0
    assert cuts[-1] == 500
    assert max(sizes) <= 2048
    assert min(sizes) > 0.8 * max(sizes)


def test_chance_follows_from_its_arguments() -> None:
    assert sorted(permutation(100, 1, "a")) == list(range(100))
    assert permutation(100, 1, "a").tolist() == permutation(100, 1, "a").tolist() != permutation(100, 1, "b").tolist()
    assert permutation(5, 0, "rows", "de", 3).tolist() == permutation(5, 0, "rows", "de", 3).tolist()
    drawn = choices(smoothed(np.array([1, 3]), 1.0), 10_000, 7)
    assert drawn.mean() == pytest.approx(0.75, abs=0.02)
