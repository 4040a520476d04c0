"""Predictions with a union that drops pieces: their mass, their spelling, their places."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from data.examples import Example
from data.recipe import Recipe
from data.shards import list_shards, open_shard
from data.validation.validate import UnionFacts, validate
from pipeline.teacher.to_union import Spelling, to_union
from pipeline.token_counts import count_tokens
from tests.support.factories import articles
from tests.support.runs import Choose, changed, launch
from vocab.folder import load_map, load_union
from vocab.roles import UNION_ROLES
from vocab.selection import choose_pieces
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import TeacherMap, Union


def trimmed(recipe: Recipe) -> Choose:
    """Pieces that no article of the corpora holds are dropped: here the letters, which the teachers predict all the same."""

    def choose(teachers: Sequence[TeacherVocabulary], standing: Union) -> list[np.ndarray]:
        counts = count_tokens(recipe, teachers, articles=0, show_progress=False)
        return choose_pieces(teachers, standing, counts, method="trimmed", min_probability=1e-6, size=None, sampling_alpha=0.7)

    return choose


def without(*words: str) -> Choose:
    """Words are dropped, and the letters that spell them stay."""
    return lambda teachers, _: [np.array([piece not in (None, *words) for piece in one.pieces]) for one in teachers]


def rows_of(run: Path, teacher: str) -> dict[tuple[str, int], dict[str, Any]]:
    """Every row of a teacher, by article and window; ids as pieces."""
    union, rows = load_union(run / "vocab"), {}
    for location in list_shards(str(run / "predictions")):
        if f"teacher={teacher}/" in location:
            for row in open_shard(location).read().to_pylist():
                for name in ("input_ids", "label_ids", "topk_ids"):
                    row[name] = [union.pieces[token] for token in row[name]]
                rows[row["doc_id"], row["window"]] = row
    return rows


def assert_sound(run: Path) -> None:
    union = load_union(run / "vocab")
    facts = UnionFacts(size=union.size, links={link.teacher: (link.size, link.fingerprint) for link in union.links})
    report = validate(str(run / "predictions"), vocabulary=facts, workers=1)
    assert (report.exit_code, report.faults) == (0, [])


def test_the_mass_of_dropped_pieces_goes_to_no_other(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    """Where both caches have the same input, a kept piece has the same probability, and the mass outside the top k grew."""
    assert launch(recipe, tmp_path, choose=trimmed(recipe)).computed == 8
    assert_sound(tmp_path)
    k, compared, gone = recipe.predict.top_k, 0, 0
    for teacher in ("bert-en", "bert-de"):
        table = load_map(tmp_path / "vocab", teacher)
        dropped = int(np.count_nonzero(table.real & ~table.predictable))
        assert dropped > 20
        assert (table.lengths == 1).all()  # no letters, no spelling
        kept = set(load_union(tmp_path / "vocab").pieces)
        before, after = rows_of(undisturbed, teacher), rows_of(tmp_path, teacher)
        assert before.keys() == after.keys()
        for key, old in before.items():
            new = after[key]
            assert set(new["label_ids"]) | set(new["topk_ids"]) <= kept
            if new["input_ids"] != old["input_ids"]:
                continue  # a random replacement was drawn of other pieces
            assert (new["mask_positions"], new["label_ids"]) == (old["mask_positions"], old["label_ids"])
            assert new["label_logits"] == pytest.approx(old["label_logits"], abs=4e-3)
            for start in range(0, len(old["topk_ids"]), k):
                mine = dict(zip(new["topk_ids"][start : start + k], new["topk_logits"][start : start + k], strict=True))
                theirs = dict(zip(old["topk_ids"][start : start + k], old["topk_logits"][start : start + k], strict=True))
                lost = [piece for piece in theirs if piece not in kept]
                assert {piece: mine[piece] for piece in theirs if piece in kept} == pytest.approx(
                    {piece: logit for piece, logit in theirs.items() if piece in kept}, abs=4e-3
                )
                if lost:
                    outside = [1 - sum(np.exp(float(logit)) for logit in entries.values()) for entries in (mine, theirs)]
                    assert outside[0] > outside[1] - 4e-3
                    gone += len(lost)
                compared += 1
    assert compared > 50
    assert gone > 50


def test_dropped_words_are_spelled_out_in_the_input(recipe: Recipe, tmp_path: Path) -> None:
    """Windows keep to max_length in union ids; nothing of the text is lost; a dropped piece is no label and no prediction."""
    words = ("river", "longer", "Fluss", "Stadt")
    assert launch(recipe, tmp_path, choose=without(*words)).computed == 8
    assert_sound(tmp_path)
    pieces = load_union(tmp_path / "vocab").pieces
    assert not set(words) & set(pieces)
    for teacher in ("bert-en", "bert-de"):
        assert load_map(tmp_path / "vocab", teacher).lengths.max() >= 5
        restored: dict[str, str] = {}
        longest = 0
        for (doc_id, _), row in sorted(rows_of(tmp_path, teacher).items()):
            tokens = row["input_ids"]
            longest = max(longest, len(tokens))
            for position, label in zip(row["mask_positions"], row["label_ids"], strict=True):
                tokens[position] = label
            restored[doc_id] = restored.get(doc_id, "") + "".join(
                token.removeprefix("##") if token.startswith("##") else " " + token for token in tokens[1:-1]
            )
        assert 20 < longest <= recipe.examples.max_length
        for index, text in enumerate(articles(recipe.teacher(teacher).languages[0], 40)):
            assert restored[f"part{index // 20}-{index % 20}"].split() == text.split()


def test_a_word_too_long_for_any_window_is_unknown(recipe: Recipe, tmp_path: Path) -> None:
    small = changed(recipe, examples={"max_length": 8})
    assert launch(small, tmp_path, choose=without("river", "through")).computed == 8  # of six places, five and seven
    assert_sound(tmp_path)
    found = [token for row in rows_of(tmp_path, "bert-en").values() for token in row["input_ids"]]
    assert "r" in found
    assert "t" not in found
    assert "[UNK]" in found


@limits(deadline=None)
@given(
    st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=4), min_size=3, max_size=8),
    st.lists(st.integers(0, 7), min_size=1, max_size=30),
    st.sampled_from([2, 3, 4]),
)
def test_expansion_against_a_plain_loop(parts: list[list[int]], tokens: list[int], longest: int) -> None:
    """Ids 0 and 1 stand for maskable ones of one place; the others are spelled as drawn."""
    parts = [parts[0][:1], parts[1][:1], *parts[2:]]
    tokens = [token % len(parts) for token in tokens]
    table = TeacherMap(
        teacher="t",
        union_ids=np.array([part[0] for part in parts], dtype=np.uint32),
        predictable=np.array([len(part) == 1 for part in parts]),
        real=np.ones(len(parts), dtype=np.bool_),
        lengths=np.array([len(part) for part in parts], dtype=np.int64),
        spelled=np.array([union_id for part in parts for union_id in part], dtype=np.uint32),
    )
    masked = [place for place, token in enumerate(tokens) if token < 2]
    example = Example(
        doc_id="d",
        window=0,
        input_ids=np.array(tokens, dtype=np.uint32),
        mask_positions=np.array(masked, dtype=np.uint16),
        label_ids=np.array([tokens[place] for place in masked], dtype=np.uint32),
    )
    wanted: list[int] = []
    positions = []
    for place, token in enumerate(tokens):
        if place in masked:
            positions.append(len(wanted))
        wanted += parts[token] if len(parts[token]) <= longest else [UNION_ROLES.unk]
    found = to_union(example, table, Spelling.of(table, longest))
    assert found.input_ids.tolist() == wanted
    assert found.mask_positions.tolist() == positions
    assert found.label_ids.tolist() == [parts[tokens[place]][0] for place in masked]
    assert (found.input_ids.dtype, found.mask_positions.dtype, found.label_ids.dtype) == (np.uint32, np.uint16, np.uint32)  # type: ignore[comparison-overlap]
