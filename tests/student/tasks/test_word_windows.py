"""Words in windows: none is lost, whatever a tokenizer does to it, and each gets its own tag back."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.recipe_file import save_recipe
from student.tasks.reading import own_reader, student_reader
from student.tasks.word_windows import join_tags, make_windows
from tests.support.factories import two_language_recipe
from tests.support.runs import build_union
from vocab.errors import InputError
from vocab.folder import load_map
from vocab.roles import UNION_ROLES


def by_letters(words: Sequence[str]) -> list[list[int]]:
    """A piece a letter; digits have none."""
    return [[100 + ord(letter) for letter in word if not letter.isdigit()] for word in words]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.text("ab1", min_size=1, max_size=12), max_size=8), max_size=5), st.integers(3, 12))
def test_every_word_gets_its_tag_back(sentences: list[list[str]], max_length: int) -> None:
    counters: Counter[str] = Counter()
    windows = make_windows(sentences, by_letters, UNION_ROLES, max_length, counters)
    tags, number = [], 0
    for window in windows:
        assert 3 <= len(window.input_ids) <= max_length
        assert (window.input_ids[0], window.input_ids[-1]) == (UNION_ROLES.cls, UNION_ROLES.sep)
        assert list(window.heads) == sorted({*window.heads})
        tags.append([f"t{number + index}" for index in range(len(window.heads))])
        number += len(window.heads)
    joined = join_tags(windows, tags, len(sentences))
    assert [len(found) for found in joined] == [len(words) for words in sentences]
    assert [tag for found in joined for tag in found] == [f"t{index}" for index in range(number)]
    assert counters["words"] == number == sum(map(len, sentences))


def test_words_without_a_piece_and_words_that_fit_no_window() -> None:
    counters: Counter[str] = Counter()
    (first, second) = make_windows([["ab", "11", "aaaaaaa", "b"]], by_letters, UNION_ROLES, 6, counters)
    assert first.input_ids == (2, 197, 198, UNION_ROLES.unk, UNION_ROLES.unk, 3)
    assert first.heads == (1, 3, 4)
    assert second.input_ids == (2, 198, 3)
    assert counters == {"words": 4, "pieces": 5, "words_without_piece": 1, "words_too_long": 1, "split_sentences": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    recipe = two_language_recipe(folder)
    build_union(recipe, folder / "run")
    shutil.copytree(folder / "run/vocab/tokenizer", folder / "run/student")
    save_recipe(recipe, folder / "run/student/recipe.toml")
    return folder


def test_three_ways_to_read_a_word(run: Path) -> None:
    student = run / "run/student"
    words = ["Der", "Fluss", "[MASK]", "🙂", "Bach"]
    own = own_reader(run / "teachers/de", "bert-de").words(words)
    routed = student_reader(student, "routed", "de").words(words)
    union_ids = load_map(run / "run/vocab", "bert-de").union_ids
    for mine, mapped in zip(own, routed, strict=True):
        assert [UNION_ROLES.unk if shared < 5 else shared for shared in union_ids[mine].tolist()] == mapped
    union = student_reader(student, "union", "de").words(words)
    assert (union[0], union[1], union[4]) == (routed[0], routed[1], routed[4])
    assert UNION_ROLES.mask not in union[2]
    with pytest.raises(InputError, match=r"restricted: no such folder: run `mergedistill vocab --report`"):
        student_reader(student, "restricted", "de")
    with pytest.raises(InputError, match=r"no teacher of the recipe reads 'fi' \(they read de, en\).*--route LANG=TEACHER"):
        student_reader(student, "routed", "fi")
    assert student_reader(student, "routed", "fi", route="bert-de").words(words) == routed
    with pytest.raises(InputError, match="is no student of a run"):
        student_reader(run / "teachers/de", "routed", "de")
