"""Which pieces the union takes, against slow obvious versions; and how dropped pieces are spelled."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vocab.errors import InputError
from vocab.normaliser import Normaliser
from vocab.roles import Roles
from vocab.selection import choose_pieces
from vocab.spelling import spell_with
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import Union, merge

PLAIN = Normaliser(lowercase=False, strip_accents=False, split_chinese=False, clean_text=False)
ROLES = Roles(pad=0, unk=1, cls=2, sep=3, mask=4)


def teacher(name: str, pieces: Sequence[str | None]) -> TeacherVocabulary:
    """A teacher whose first five ids are its special tokens."""
    return TeacherVocabulary(
        name=name, pieces=[None] * 5 + list(pieces), roles=ROLES, normaliser=PLAIN, tokenizer_fingerprint=f"of {name}"
    )


def counts_of(numbers: Sequence[int]) -> np.ndarray:
    return np.array([0, 2, 0, 0, 0, *numbers], dtype=np.int64)  # two unknown tokens, which are tokens, too


def choose(
    teachers: Sequence[TeacherVocabulary],
    counts: Mapping[tuple[str, str], np.ndarray],
    method: str,
    *,
    standing: Union | None = None,
    min_probability: float = 1e-6,
    size: int | None = None,
    alpha: float = 0.7,
    scales: Mapping[str, float] | None = None,
) -> list[set[str]]:
    """The pieces that each teacher's new ones are taken of."""
    keep = choose_pieces(
        teachers,
        standing or Union(),
        counts,
        method=method,
        min_probability=min_probability,
        size=size,
        sampling_alpha=alpha,
        scales=scales,
    )
    assert all(len(mask) == len(one.pieces) and mask.dtype == np.bool_ for one, mask in zip(teachers, keep, strict=True))
    assert not any(mask[index] for one, mask in zip(teachers, keep, strict=True) for index in range(5))
    return [
        {str(piece) for piece, kept in zip(one.pieces, mask, strict=True) if kept} for one, mask in zip(teachers, keep, strict=True)
    ]


def test_union_takes_everything_and_needs_no_counts() -> None:
    assert choose([teacher("a", ["x", None, "##y"])], {}, "union") == [{"x", "##y"}]


def test_trimmed_asks_every_corpus_of_the_teacher() -> None:
    teachers = [teacher("a", ["x", "y", "z", "x"]), teacher("b", ["y", "z"])]
    counts = {("a", "en"): counts_of([50, 9, 0, 50]), ("a", "de"): counts_of([0, 98, 0, 0]), ("b", "de"): counts_of([0, 98])}
    assert choose(teachers, counts, "trimmed", min_probability=0.5) == [{"x", "y"}, {"z"}]  # x: two ids of one piece
    assert choose(teachers, counts, "trimmed", min_probability=0.99) == [set(), set()]
    assert choose(teachers, {key: counts_of([0] * (len(value) - 5)) * 0 for key, value in counts.items()}, "trimmed") == [set()] * 2


def test_budget_gives_every_language_its_share() -> None:
    """A language with a hundredth of the text gets pieces by its smoothed share: with alpha 0 as many as the other."""
    teachers = [teacher("big", [f"b{index}" for index in range(8)]), teacher("small", [f"s{index}" for index in range(8)])]
    falling = np.array([128, 64, 32, 16, 8, 4, 2, 1])
    counts = {("big", "en"): counts_of(falling * 100), ("small", "de"): counts_of(falling)}  # type: ignore[arg-type]
    even = choose(teachers, counts, "budget", size=5 + 8, alpha=0.0)
    assert [len(pieces) for pieces in even] == [4, 4]
    proportional = choose(teachers, counts, "budget", size=5 + 8, alpha=1.0)
    assert [len(pieces) for pieces in proportional] == [7, 1]
    scaled = choose(teachers, counts, "budget", size=5 + 8, alpha=1.0, scales={"de": 200.0})
    assert len(scaled[1]) > len(scaled[0]) - 1


def test_budget_breaks_ties_by_recipe_order_then_id_and_counts_what_stands() -> None:
    teachers = [teacher("a", ["x", "y", "z"]), teacher("b", ["v", "x", "w"])]
    counts = {("a", "en"): counts_of([1, 1, 1]), ("b", "en"): counts_of([1, 1, 1])}
    assert choose(teachers, counts, "budget", size=7) == [{"x", "y"}, {"x"}]
    assert choose(teachers, counts, "budget", size=9) == [{"x", "y", "z"}, {"x", "v"}]
    standing, _ = merge(Union(), teacher("old", ["x", "old"]))
    assert choose(teachers, counts, "budget", size=8, standing=standing) == [{"y"}, set()]
    with pytest.raises(InputError, match=r"vocabulary\.size: found 7; 7 pieces are there already .* expected at least 8"):
        choose(teachers, counts, "budget", size=7, standing=standing)
    assert choose([], {}, "budget", size=7, standing=standing) == []


WORDS = [*"abcdefg", *("##" + letter for letter in "abcd")]
PIECES = st.lists(st.none() | st.sampled_from(WORDS), max_size=12)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[TeacherVocabulary], dict[tuple[str, str], np.ndarray], Union]:
    teachers = [teacher(name, draw(PIECES)) for name in ("a", "b", "c")[: draw(st.integers(1, 3))]]
    counts = {
        (one.name, language): np.array(
            [0, draw(st.integers(0, 3)), 0, 0, 0, *(draw(st.integers(0, 40)) for _ in one.pieces[5:])], dtype=np.int64
        )
        for one in teachers
        for language in draw(st.lists(st.sampled_from(["de", "en", "tr"]), min_size=1, unique=True))
    }
    standing, _ = merge(Union(), teacher("old", draw(st.lists(st.sampled_from(WORDS), max_size=3, unique=True))))
    return teachers, counts, standing


def probability(one: TeacherVocabulary, count: np.ndarray, piece: str) -> float:
    tokens = count.sum()
    return sum(int(number) for own, number in zip(one.pieces, count, strict=True) if own == piece) / tokens if tokens else 0.0


@settings(max_examples=150, deadline=None)
@given(worlds(), st.sampled_from([0.01, 0.1, 0.3]))
def test_trimmed_against_the_definition(
    world: tuple[list[TeacherVocabulary], dict[tuple[str, str], np.ndarray], Union], least: float
) -> None:
    teachers, counts, standing = world
    found = choose(teachers, counts, "trimmed", standing=standing, min_probability=least)
    for one, taken in zip(teachers, found, strict=True):
        corpora = [count for (name, _), count in counts.items() if name == one.name]
        wanted = {piece for piece in one.pieces if piece and any(probability(one, count, piece) >= least for count in corpora)}
        assert taken == wanted


@settings(max_examples=150, deadline=None)
@given(worlds(), st.integers(1, 25), st.sampled_from([0.0, 0.7, 1.0]))
def test_budget_against_the_definition(
    world: tuple[list[TeacherVocabulary], dict[tuple[str, str], np.ndarray], Union], room: int, alpha: float
) -> None:
    teachers, counts, standing = world
    size = standing.size + room
    found = choose(teachers, counts, "budget", standing=standing, size=size, alpha=alpha)
    languages = {language for _, language in counts}
    readers = {language: [one for one in teachers if (one.name, language) in counts] for language in languages}
    tokens = {
        language: sum(int(counts[one.name, language].sum()) for one in readers[language]) / len(readers[language])
        for language in languages
    }
    powers = {language: tokens[language] ** alpha if tokens[language] else 0.0 for language in languages}
    order = [piece for one in teachers for piece in one.pieces if piece]
    new = [piece for place, piece in enumerate(order) if piece not in standing.pieces and piece not in order[:place]]
    weights = {
        piece: sum(
            powers[language]
            / (sum(powers.values()) or 1.0)
            * np.mean([probability(one, counts[one.name, language], piece) for one in readers[language]])
            for language in sorted(languages)
        )
        for piece in new
    }
    taken = set().union(*found)
    assert len(taken) == min(room, len(new))
    for lost in set(new) - taken:
        for kept in taken:
            equal = weights[kept] == pytest.approx(weights[lost], rel=1e-9, abs=1e-15)
            assert weights[kept] > weights[lost] or equal  # the order of equal ones: a test of its own, float sums aside
    for one, pieces in zip(teachers, found, strict=True):
        assert pieces == taken & set(one.pieces)
    union = standing
    keep = choose_pieces(teachers, standing, counts, method="budget", min_probability=1e-6, size=size, sampling_alpha=alpha)
    for one, mask in zip(teachers, keep, strict=True):
        union, _ = merge(union, one, mask)
    assert union.size == standing.size + len(taken) <= size


def test_what_one_teacher_drops_another_may_take_later() -> None:
    """The union is append-only: the first teacher's map does not change by what the second takes."""
    teachers = [teacher("a", ["ab", "a", "##b"]), teacher("b", ["ab"])]
    counts = {("a", "en"): counts_of([0, 5, 5]), ("b", "de"): counts_of([9])}
    keep = choose_pieces(teachers, Union(), counts, method="trimmed", min_probability=1e-6, size=None, sampling_alpha=1.0)
    first, map_a = merge(Union(), teachers[0], keep[0])
    second, map_b = merge(first, teachers[1], keep[1])
    assert second.pieces[5:] == ("a", "##b", "ab")
    assert (map_a.predictable[5:].tolist(), map_a.real[5:].tolist()) == ([False, True, True], [True] * 3)
    assert (map_a.lengths[5:].tolist(), map_a.spelled[5:].tolist()) == ([2, 1, 1], [5, 6, 5, 6])
    assert map_b.predictable[5]


def test_spelling_is_the_longest_match() -> None:
    ids = {piece: index for index, piece in enumerate(["h", "ha", "##u", "##us", "##s", "<bytes E4 B8>"], start=5)}
    assert spell_with("haus", ids) == [ids["ha"], ids["##us"]]
    assert spell_with("##us", ids) == [ids["##us"]]
    assert spell_with("##uu", ids) == [ids["##u"]] * 2
    assert spell_with("maus", ids) is None
    assert spell_with("hauz", ids) is None
    assert spell_with("<bytes E4 B9>", ids) is None
    assert spell_with("##<bytes E4 B8>", ids) is None
    assert spell_with("[MASK]s", {"[MASK]": 4, "##s": 5}) is None  # a text that looks like a special token is text


@settings(max_examples=200, deadline=None)
@given(st.text("ab", min_size=1, max_size=8), st.booleans(), st.sets(st.text("ab", min_size=1, max_size=3)))
def test_spelling_gives_back_the_text(text: str, begins: bool, parts: set[str]) -> None:
    names = [*sorted(parts), *("##" + part for part in sorted(parts))]
    ids = {name: index for index, name in enumerate(names, start=5)}
    found = spell_with(text if begins else "##" + text, ids)
    if found is not None:
        shown = [names[index - 5] for index in found]
        assert "".join(part.removeprefix("##") for part in shown) == text
        assert [part.startswith("##") for part in shown] == [not begins, *([True] * (len(shown) - 1))]
    elif {"a", "b"} <= parts:
        pytest.fail("letters spell everything")
