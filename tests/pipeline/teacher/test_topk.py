"""Top-k at masked positions against a sort in float64, and a teacher against the plain forward pass."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from data.examples import Example
from pipeline.teacher import topk
from pipeline.teacher.cpu_tuning import onednn_is_faster, pack_linears
from pipeline.teacher.model import TeacherModel, load_masked_lm
from pipeline.teacher.topk import Remap
from pipeline.teacher.windows import length_batches
from tests.support.architectures import save_masked_lm
from tests.support.factories import SPECIAL, TEXTS, save_teacher, word_pieces
from vocab.errors import InputError
from vocab.union import TeacherMap

# Architectures that are known to end in layers of attention and a feed-forward block.
KNOWN = (
    "bert",
    "roformer",
    "roberta",
    "xlm-roberta",
    "camembert",
    "electra",
)


def teacher_map(union_ids: list[int], predictable: list[bool], dropped: Sequence[int] = ()) -> TeacherMap:
    """A map of rows that are predictable, dropped from the union (they count in the softmax), or nothing at all."""
    allowed = np.array(predictable, dtype=np.bool_)
    real = allowed.copy()
    real[list(dropped)] = True
    ids = np.array(union_ids, dtype=np.uint32)
    lengths = np.ones(len(ids), dtype=np.int64)
    return TeacherMap(teacher="t", union_ids=ids, predictable=allowed, real=real, lengths=lengths, spelled=ids)


def reference(logits: np.ndarray, gold: int, table: TeacherMap, k: int) -> tuple[float, list[int], list[float]]:
    """The obvious slow version: a dict of probabilities by union id, sorted. Dropped rows are in the total alone."""
    mass: dict[int, float] = {}
    for row in np.flatnonzero(table.predictable):
        mass[int(table.union_ids[row])] = mass.get(int(table.union_ids[row]), 0.0) + float(np.exp(logits[row]))
    total = sum(float(np.exp(logits[row])) for row in np.flatnonzero(table.real))
    best = sorted(mass, key=lambda union_id: (-np.float16(np.log(mass[union_id] / total)), union_id))[:k]
    return float(np.log(mass[int(table.union_ids[gold])] / total)), best, [float(np.log(mass[i] / total)) for i in best]


@pytest.mark.parametrize("dropping", [False, True])
@pytest.mark.parametrize("merged", [False, True])
def test_topk_against_a_sort(merged: bool, dropping: bool) -> None:
    generator = np.random.default_rng(0)
    rows, k = 50, 8
    union_ids = generator.permutation(np.arange(5, 5 + rows)).tolist()
    if merged:  # two pairs and a triple of rows fall together
        union_ids[3], union_ids[9], union_ids[10], union_ids[11] = union_ids[2], union_ids[8], union_ids[12], union_ids[12]
    predictable = [index not in (0, 7, 49) for index in range(rows)]
    dropped = [1, 20, 33] if dropping else []
    for row in dropped:
        union_ids[row], predictable[row] = 1, False  # all of them unk: they must not merge
    table = teacher_map(union_ids, predictable, dropped)
    logits = generator.normal(scale=3, size=(200, rows)).astype(np.float32)
    logits[:, 7] = 50  # an invalid row must take no mass
    if dropping:
        logits[:100, 20] = 9  # a dropped row that the teacher is sure of
    gold = generator.choice(np.flatnonzero(predictable), 200)
    found = Remap(table, torch.device("cpu"))(torch.from_numpy(logits), torch.from_numpy(gold), k)
    for row in range(200):
        gold_logit, ids, values = reference(logits[row].astype(np.float64), gold[row], table, k)
        assert found.ids_MK[row].tolist() == ids
        assert found.logits_MK[row] == pytest.approx(values, abs=5e-3)
        assert found.gold_logits_M[row] == pytest.approx(gold_logit, rel=2e-3, abs=5e-3)


def test_a_dropped_row_takes_mass_and_gives_none_away() -> None:
    """Dropping rows changes no other row's normalised logit by a bit, and the mass outside the top k grows by theirs."""
    generator = np.random.default_rng(1)
    logits = torch.from_numpy(generator.normal(scale=2, size=(50, 30)).astype(np.float32))
    whole = Remap(teacher_map(list(range(5, 35)), [True] * 30), torch.device("cpu"))(logits.clone(), torch.zeros(50).long(), 30)
    kept = [index not in (3, 4, 5) for index in range(30)]
    union_ids = [index + 5 if kept[index] else 1 for index in range(30)]
    found = Remap(teacher_map(union_ids, kept, (3, 4, 5)), torch.device("cpu"))(logits.clone(), torch.zeros(50).long(), 27)
    assert np.array_equal(found.gold_logits_M, whole.gold_logits_M)
    for row in range(50):
        before = dict(zip(whole.ids_MK[row].tolist(), whole.logits_MK[row].tolist(), strict=True))
        after = dict(zip(found.ids_MK[row].tolist(), found.logits_MK[row].tolist(), strict=True))
        assert after == {union_id: logit for union_id, logit in before.items() if union_id not in (8, 9, 10)}
        lost = sum(np.exp(before[union_id]) for union_id in (8, 9, 10))
        assert 1 - sum(map(np.exp, after.values())) == pytest.approx(lost, abs=5e-3)


def test_equal_logits_are_sorted_by_id() -> None:
    table = teacher_map([30, 20, 10, 25, 15], [True] * 5)
    logits = torch.zeros(1, 5)
    found = Remap(table, torch.device("cpu"))(logits, torch.tensor([0]), 3)
    assert found.ids_MK.tolist() == [[10, 15, 20]]
    assert found.logits_MK[0] == pytest.approx([np.log(1 / 5)] * 3, abs=2e-3)


@pytest.mark.parametrize("architecture", KNOWN)
def test_the_last_feed_forward_block_runs_at_masked_positions(architecture: str, tmp_path: Path) -> None:
    save_masked_lm(architecture, tmp_path, 40, 20)
    teacher = TeacherModel(tmp_path, "t", teacher_map(list(range(40)), [True] * 40), "float32")
    shown: list[torch.Size] = []
    teacher.model.base_model.encoder.layer[-1].intermediate.register_forward_hook(
        lambda _, inputs, __: shown.append(inputs[0].shape)
    )
    masks = np.array([3, 4, 18], dtype=np.uint16)
    ids = np.arange(5, 25, dtype=np.uint32)
    examples = [
        Example(doc_id="d", window=row, input_ids=ids, mask_positions=masks[: row + 1], label_ids=ids[masks[: row + 1]])
        for row in range(3)
    ]
    teacher.label(examples, 0, 4, 4096)
    assert shown == [(1, 6, 32)]


def test_batches_respect_the_budget_and_cover_everything() -> None:
    lengths = [5, 128, 64, 3, 128, 7, 90]
    batches = length_batches(lengths, 256)
    assert sorted(np.concatenate(batches).tolist()) == list(range(7))
    assert all(len(batch) * max(lengths[index] for index in batch) <= 256 for batch in batches)
    assert [batch.tolist() for batch in length_batches([300], 256)] == [[0]]
    assert length_batches([], 256) == []


def test_a_checkpoint_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    folder = save_teacher(tmp_path / "t", [*SPECIAL, *word_pieces(TEXTS["en"])])
    model = AutoModelForMaskedLM.from_pretrained(folder)
    model.bert.save_pretrained(folder)  # the encoder alone
    with pytest.raises(InputError, match=r"lacks \d+ weights of a masked LM"):
        load_masked_lm(folder, "t")


def test_threads_share_a_teacher(tmp_path: Path) -> None:
    """Runners may label on several threads of one process: each must see its own masks."""
    pieces = [*SPECIAL, *word_pieces(TEXTS["en"])]
    everything = teacher_map(list(range(len(pieces))), [index > 4 for index in range(len(pieces))])
    teacher = TeacherModel(save_teacher(tmp_path / "t", pieces), "t", everything, "float32")
    generator = np.random.default_rng(0)

    def example(index: int) -> Example:
        ids = generator.integers(5, len(pieces), 60).astype(np.uint32)
        positions = np.sort(generator.permutation(np.arange(1, 59))[:9]).astype(np.uint16)
        return Example(doc_id="d", window=index, input_ids=ids, mask_positions=positions, label_ids=ids[positions])

    parts = [[example(index) for index in range(16)] for _ in range(24)]
    alone = [teacher.label(part, 0, 4, 256).gold_logits_M for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = [*pool.map(lambda part: teacher.label(part, 0, 4, 256).gold_logits_M, parts)]
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("dropped", [(), tuple(range(70, 64 * 79, 128))])
def test_two_passes_find_the_best_of_a_wide_head(dropped: tuple[int, ...]) -> None:
    """Wider than the blocks of the first pass, with many equal logits, as bfloat16 gives them: as torch.topk over everything."""
    rows = 64 * 80 - 9  # the last block is not full
    logits = torch.randn(64, rows, generator=torch.Generator().manual_seed(0)).bfloat16()
    logits[:16, 100:140] = 9.0  # in one block more than can be chosen
    logits[7, :] = 1.0
    logits[8:24, -1] = 12.0
    logits[:, list(dropped)] = 11.0  # the largest of every other block
    predictable = [row not in dropped for row in range(rows)]
    ids = [row + 5 if predictable[row] else 1 for row in range(rows)]
    found = Remap(teacher_map(ids, predictable, dropped), torch.device("cpu"))(logits, torch.zeros(64).long(), 8)
    plain = torch.log_softmax(logits.float(), dim=1)
    plain[:, list(dropped)] = -torch.inf
    assert found.logits_MK == pytest.approx(plain.topk(8).values.numpy(), abs=4e-3)
    assert found.logits_MK == pytest.approx(plain.gather(1, torch.from_numpy(found.ids_MK.astype(np.int64) - 5)).numpy(), abs=4e-3)
    assert all(len(set(row.tolist())) == 8 for row in found.ids_MK)


def test_a_dropped_row_may_hold_all_the_mass() -> None:
    """So far above all others that their probabilities are zero in float32: labels of no use, but not those of a teacher that failed."""
    logits = torch.randn(2, 30)
    logits[0, 20] = 200.0
    kept = [row != 20 for row in range(30)]
    found = Remap(teacher_map([row + 5 if kept[row] else 1 for row in range(30)], kept, (20,)), torch.device("cpu"))(
        logits, torch.zeros(2).long(), 4
    )
    assert found.finite_M.tolist() == [True, True]
    assert found.dropped_M[0] == pytest.approx(1.0)
    assert found.logits_MK[0] == pytest.approx(
        (torch.where(torch.tensor(kept), logits[0], -1e9).topk(4).values - 200).numpy(), rel=2e-3
    )


def test_blocks_of_positions_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    table = teacher_map([*range(5, 4000), 9, 9, 3000], [True] * 3998, dropped=())
    logits = torch.from_numpy(generator.normal(scale=3, size=(50, 3998)).astype(np.float32))
    gold = torch.from_numpy(generator.integers(0, 3998, 50))
    remap = Remap(table, torch.device("cpu"))
    whole = remap(logits, gold, 8)
    monkeypatch.setitem(topk._WORKSPACE, "cpu", 7 * 4 * 3998)  # seven positions at a time
    parts = remap(logits, gold, 8)
    assert all(np.array_equal(getattr(whole, field.name), getattr(parts, field.name)) for field in fields(whole))
    assert torch.equal(logits, torch.from_numpy(np.random.default_rng(4).normal(scale=3, size=(50, 3998)).astype(np.float32)))


def test_the_mass_that_drops_and_merges() -> None:
    """Against sums of the softmax: what dropped rows hold, and what joins a likelier form of its piece."""
    generator = np.random.default_rng(5)
    logits = generator.normal(scale=2, size=(20, 12)).astype(np.float32)
    table = teacher_map([5, 6, 7, 7, 7, 8, 8, 9, 1, 1, 10, 11], [index not in (8, 9) for index in range(12)], dropped=(8, 9))
    found = Remap(table, torch.device("cpu"))(torch.from_numpy(logits), torch.zeros(20).long(), 4)
    softmax = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum(axis=1, keepdims=True)
    assert found.dropped_M == pytest.approx(softmax[:, 8:10].sum(axis=1), abs=1e-6)
    merged = sum(softmax[:, group].sum(axis=1) - softmax[:, group].max(axis=1) for group in ([2, 3, 4], [5, 6]))
    assert found.merged_M == pytest.approx(merged, abs=1e-6)
    assert found.finite_M.all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_labels_that_are_not_finite_are_told(value: float) -> None:
    logits = torch.randn(4, 30)
    logits[2, 11] = value
    found = Remap(teacher_map(list(range(5, 35)), [True] * 30), torch.device("cpu"))(logits, torch.zeros(4).long(), 3)
    assert found.finite_M.tolist() == [True, True, False, True]


def test_packed_linear_layers_multiply_right() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(96, 160), torch.nn.Linear(160, 70, bias=False), torch.nn.LayerNorm(70)).bfloat16()
    inputs = [torch.randn(2, 33, 96).bfloat16(), torch.randn(1, 96).bfloat16()]
    with torch.inference_mode():
        before = [model(x) for x in inputs]
        assert pack_linears(model, 4096) == (2 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else 0)
        assert all(torch.allclose(model(x), y, atol=0.02) for x, y in zip(inputs, before, strict=True))


@pytest.mark.parametrize("faster", [True, False])
def test_float32_layers_are_packed_where_onednn_is_faster(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert onednn_is_faster() in (True, False)
    monkeypatch.setattr("pipeline.teacher.cpu_tuning.onednn_is_faster", lambda: faster)
    model = torch.nn.Sequential(torch.nn.Linear(96, 160), torch.nn.Linear(160, 70, bias=False))
    with torch.inference_mode():
        x = torch.randn(2, 33, 96)
        before = model(x)
        assert pack_linears(model, 4096) == (2 if faster else 0)
        assert torch.allclose(model(x), before, atol=1e-5)


def test_a_piece_that_is_impossible_merges_without_a_trace() -> None:
    logits = torch.randn(3, 8)
    logits[:, 3:5] = -torch.inf  # both forms of one piece
    found = Remap(teacher_map([5, 6, 7, 8, 8, 9, 10, 11], [True] * 8), torch.device("cpu"))(logits, torch.zeros(3).long(), 4)
    assert found.finite_M.all()
    assert found.merged_M.tolist() == [0, 0, 0]
    assert 8 not in found.ids_MK
