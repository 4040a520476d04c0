"""Masked examples: windows, masks from identity alone, corruption in BERT's proportions."""

from collections import Counter
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.examples import Alphabet, Example, cut_windows, make_examples
from data.masking import corrupt, select_tokens, select_words
from data.recipe import Examples
from tests.support.factories import SPECIAL, TEXTS, articles, save_tokenizer, word_pieces
from vocab.roles import read_roles


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"), [*SPECIAL, *word_pieces(TEXTS["en"])])


FIXED_MASKS = [[6], [1, 14], [1], [9, 13]]  # of the first windows of article_pairs, seed 0


def examples_of(
    tokenizer: Any, texts: list[tuple[str, str]], seed: int = 0, **settings: Any
) -> tuple[list[Example], Counter[str], Alphabet]:
    roles = read_roles(tokenizer, "t")
    maskable = np.ones(len(tokenizer), dtype=np.bool_)
    maskable[list(roles)] = False
    alphabet = Alphabet(roles=roles, maskable=maskable)
    counters: Counter[str] = Counter()
    made = [*make_examples(texts, tokenizer.backend_tokenizer, alphabet, Examples(**settings), seed, counters)]
    return made, counters, alphabet


def article_pairs(count: int) -> list[tuple[str, str]]:
    return [(f"doc{index}", text) for index, text in enumerate(articles("en", count))]


def same(left: Example, right: Example) -> bool:
    return (left.doc_id, left.window) == (right.doc_id, right.window) and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in ("input_ids", "mask_positions", "label_ids")
    )


def test_windows_cover_the_article_and_labels_are_the_tokens(tokenizer: Any) -> None:
    made, counters, alphabet = examples_of(tokenizer, article_pairs(50), max_length=16)
    roles = alphabet.roles
    restored: dict[str, list[int]] = {}
    for example in made:
        tokens = example.input_ids.copy()
        tokens[example.mask_positions] = example.label_ids
        assert len(tokens) <= 16
        assert (tokens[0], tokens[-1]) == (roles.cls, roles.sep)
        assert (np.diff(example.mask_positions.astype(int)) > 0).all()
        assert alphabet.maskable[example.label_ids].all()
        restored.setdefault(example.doc_id, []).extend(tokens[1:-1].tolist())
    for doc_id, text in article_pairs(50):
        assert restored[doc_id] == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert counters["articles"] == 50
    assert counters["windows"] == len(made)
    assert counters["masked_positions"] == sum(len(example.mask_positions) for example in made)


def test_masks_depend_on_identity_alone(tokenizer: Any) -> None:
    """Not on order, not on what else is in the call: but on seed, article and masking."""
    pairs = article_pairs(30)
    made, _, _ = examples_of(tokenizer, pairs, max_length=16)
    backwards, _, _ = examples_of(tokenizer, pairs[::-1], max_length=16)
    by_place = {(example.doc_id, example.window): example for example in backwards}
    assert all(same(example, by_place[example.doc_id, example.window]) for example in made)
    other_seed, _, _ = examples_of(tokenizer, pairs, seed=1, max_length=16)
    assert not all(same(left, right) for left, right in zip(made, other_seed, strict=True))
    # A fixed value: the masks of a given identity may never change, or caches made before would not match those made after.
    assert [example.mask_positions.tolist() for example in made[:4]] == FIXED_MASKS


def test_several_maskings_differ(tokenizer: Any) -> None:
    made, counters, _ = examples_of(tokenizer, article_pairs(20), max_length=16, maskings=3)
    assert len(made) == 3 * counters["windows"]
    assert [example.window % 3 for example in made[:6]] == [0, 1, 2, 0, 1, 2]
    masks = {tuple(example.mask_positions) for example in made if example.doc_id == "doc4" and example.window < 3}
    assert len(masks) > 1


def test_whole_words_are_masked_whole(tokenizer: Any) -> None:
    text = " ".join(["riverbank", "cityriver", "the"] * 12)  # words that fall into several pieces
    made, _, _ = examples_of(tokenizer, [("d", text)], masking="whole-word", max_length=400)
    words = [None, *tokenizer(text).word_ids(), None]  # the window adds cls and sep
    chosen = set(made[0].mask_positions.tolist())
    assert any(words.count(words[position]) > 1 for position in chosen)
    for position in chosen:
        assert {index for index, word in enumerate(words) if word == words[position]} <= chosen


def test_selection_reaches_the_rate() -> None:
    draws = np.random.default_rng(0).integers(0, 2**63, (2, 200)).astype(np.uint64)
    draws[1, 2:] = np.iinfo(np.uint64).max  # two candidates
    chosen_RC = select_tokens(np.array([200, 2]), 0.15, draws)
    assert chosen_RC.sum(axis=1).tolist() == [30, 1]
    assert np.flatnonzero(chosen_RC[0]).tolist() == sorted(np.argsort(draws[0])[:30].tolist())
    assert np.flatnonzero(chosen_RC[1]).tolist() == [int(np.argmin(draws[1, :2]))]
    assert 28 <= len(select_words(np.arange(200) // 2, 0.15, draws[0])) <= 30


def test_corruption_has_berts_proportions() -> None:
    count = 40_000
    tokens = np.full(count, 7, dtype=np.uint32)
    draws = np.random.default_rng(0).integers(0, 2**63, count).astype(np.uint64)
    corrupted = corrupt(tokens, np.arange(count), 4, np.arange(100, 200, dtype=np.uint32), draws)
    shares = [np.mean(corrupted == 4), np.mean(corrupted >= 100), np.mean(corrupted == 7)]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    assert len(set(corrupted[corrupted >= 100].tolist())) == 100
    assert (tokens == 7).all()


def test_odd_articles(tokenizer: Any) -> None:
    """One character; emoji that the vocabulary has not; nothing at all; 3 MB on one line."""
    made, counters, _ = examples_of(tokenizer, [("one", "T"), ("emoji", "😀😀 😀"), ("none", "")], max_length=16)
    assert [(example.doc_id, example.mask_positions.tolist()) for example in made] == [("one", [1])]
    assert counters["windows_without_maskable_token"] == 1
    line = "The river flows through the city . " * 100_000
    made, counters, _ = examples_of(tokenizer, [("long", line)], max_length=512)
    assert counters["tokens"] == 7 * 100_000 + 2 * len(made)


def test_a_quoted_special_token_is_text(tokenizer: Any) -> None:
    """An article about "[MASK]" must not put the mask token into its window."""
    made, _, alphabet = examples_of(tokenizer, [("d", "The [MASK] city [SEP] river [PAD] .")], max_length=64)
    tokens = made[0].input_ids.copy()
    tokens[made[0].mask_positions] = made[0].label_ids
    assert not set(tokens[1:-1].tolist()) & {alphabet.roles.mask, alphabet.roles.sep, alphabet.roles.pad}


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=60), st.lists(st.integers(1, 6), min_size=6, max_size=6), st.integers(6, 20))
def test_windows_are_cut_greedily(ids: list[int], lengths: list[int], body: int) -> None:
    """Against the obvious loop; and with lengths of one, the windows are those without lengths."""
    wanted: list[list[int]] = []
    held = body
    for token in ids:
        if held + lengths[token] > body:
            wanted.append([])
            held = 0
        wanted[-1].append(token)
        held += lengths[token]
    ids_T = np.array(ids, dtype=np.int64)
    assert [ids[start:stop] for start, stop in cut_windows(ids_T, body, np.array(lengths))] == wanted
    ones = [ids[start:stop] for start, stop in cut_windows(ids_T, body, np.ones(6, dtype=np.int64))]
    assert ones == [ids[start:stop] for start, stop in cut_windows(ids_T, body, None)]


@pytest.mark.parametrize("masking", ["token", "whole-word"])
def test_long_ids_make_shorter_windows(tokenizer: Any, masking: str) -> None:
    """Ids that take several places: no window takes more than it may, each takes as much as it can, and nothing is lost."""
    pairs = article_pairs(50)
    _, _, alphabet = examples_of(tokenizer, pairs, max_length=16)
    long = [tokenizer.convert_tokens_to_ids(word) for word in ("river", "city")]
    lengths = np.ones(len(tokenizer), dtype=np.int64)
    lengths[long] = 5
    maskable = alphabet.maskable.copy()
    maskable[long] = False
    shorter = Alphabet(roles=alphabet.roles, maskable=maskable, lengths=lengths)
    chosen = Examples(max_length=16, masking=masking)  # type: ignore[arg-type]
    made = [*make_examples(pairs, tokenizer.backend_tokenizer, shorter, chosen, 0, Counter())]
    restored: dict[str, list[list[int]]] = {}
    for example in made:
        tokens = example.input_ids.copy()
        tokens[example.mask_positions] = example.label_ids
        assert lengths[example.input_ids].sum() == lengths[tokens].sum() <= 16
        assert not set(example.label_ids.tolist()) & set(long)
        restored.setdefault(example.doc_id, []).append(tokens[1:-1].tolist())
    for doc_id, text in pairs:
        windows = restored[doc_id]
        assert [*chain.from_iterable(windows)] == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert all(lengths[left].sum() + lengths[right[0]] > 14 for left, right in pairwise(windows))
