"""How often the teachers' tokens occur: the Beam job against a plain loop, on one process and on two."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.articles import SCHEMA, read_articles
from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.storage import expand
from data.teacher_files import teacher_folder
from pipeline.token_counts import corpus_scales, count_tokens, pick_articles
from tests.support.factories import TEXTS, article_shard, save_teacher, two_language_recipe, word_pieces
from vocab.errors import InputError
from vocab.teacher_vocabulary import TeacherVocabulary, read_teacher

MULTI_PROCESSING = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Three teachers, one of them of two languages; one article quotes special tokens."""
    folder = tmp_path_factory.mktemp("recipe")
    made = two_language_recipe(folder, articles_each=30, rows_per_group=4)
    save_teacher(folder / "both", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *word_pieces(TEXTS["en"] + TEXTS["de"])[:50]])
    article_shard(folder / "corpora/en/part9.parquet", ["The [MASK] city [UNK] [unused1] .", "", "😀"], rows_per_group=2)
    third = {"name": "both", "model": "both", "languages": ["en", "de"]}
    content = made.model_dump() | {"teachers": [*made.model_dump()["teachers"], third], "predict": {"unit_articles": 7}}
    return parse_recipe(content, folder=folder)


@pytest.fixture(scope="module")
def teachers(recipe: Recipe) -> list[TeacherVocabulary]:
    return [read_teacher(teacher_folder(recipe, one.name, weights=False), one.name) for one in recipe.teachers]


def plain_loop(recipe: Recipe, teachers: list[TeacherVocabulary], wanted: int) -> dict[tuple[str, str], np.ndarray]:
    counts = {}
    for teacher in teachers:
        teacher.tokenizer.encode_special_tokens = True
        for language in recipe.teacher(teacher.name).languages:
            texts = [text for file in expand(recipe.locate_files(recipe.corpora[language])) for _, text in read_articles(file)]
            total = np.zeros(len(teacher.pieces), dtype=np.int64)
            for place, text in enumerate(texts):
                if not wanted or (place + 1) * wanted // len(texts) > place * wanted // len(texts) or wanted >= len(texts):
                    for token in teacher.tokenizer.encode(text, add_special_tokens=False).ids:
                        total[token] += 1
            counts[teacher.name, language] = total
    return counts


def same(found: dict[tuple[str, str], np.ndarray], wanted: dict[tuple[str, str], np.ndarray]) -> bool:
    return found.keys() == wanted.keys() and all(np.array_equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("wanted", [0, 7, 1, 1000])
def test_counts_are_those_of_a_plain_loop(recipe: Recipe, teachers: list[TeacherVocabulary], tmp_path: Path, wanted: int) -> None:
    found = count_tokens(recipe, teachers, articles=wanted, show_progress=False, staging=str(tmp_path))
    assert same(found, plain_loop(recipe, teachers, wanted))
    assert {counts.dtype for counts in found.values()} == {np.dtype(np.int64)}
    assert not list(tmp_path.iterdir())
    roles = teachers[0].roles
    assert not found["bert-en", "en"][[roles.mask, roles.cls, roles.sep, roles.pad]].any()  # quoted ones are text


def test_two_worker_processes_count_the_same(recipe: Recipe, teachers: list[TeacherVocabulary]) -> None:
    for wanted in (0, 7):
        found = count_tokens(recipe, teachers, MULTI_PROCESSING, articles=wanted, show_progress=False)
        assert same(found, plain_loop(recipe, teachers, wanted))


def test_wrong_corpora(recipe: Recipe, teachers: list[TeacherVocabulary], tmp_path: Path) -> None:
    def counted(pattern: str) -> dict[tuple[str, str], np.ndarray]:
        content = recipe.model_dump() | {"corpora": recipe.corpora | {"de": pattern}}
        other = parse_recipe(content, folder=recipe.folder)
        return count_tokens(other, teachers, articles=0, show_progress=False, staging=str(tmp_path / "staging"))

    with pytest.raises(InputError, match="corpus of 'de': no file matches"):
        counted("nothing/*.parquet")
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "null.parquet")
    with pytest.raises(InputError, match="row 1: column 'text' is null"):
        counted(str(tmp_path / "null.parquet"))
    assert not list((tmp_path / "staging").iterdir())
    pq.write_table(SCHEMA.empty_table(), tmp_path / "empty.parquet")
    found = counted(str(tmp_path / "empty.parquet"))
    assert not found["bert-de", "de"].any()
    assert len(found["bert-de", "de"]) == 120
    assert found["bert-en", "en"].any()


def test_scales_tell_how_much_of_each_corpus_is_counted(recipe: Recipe) -> None:
    assert corpus_scales(recipe, 0) == {"en": 1.0, "de": 1.0}
    assert corpus_scales(recipe, 11) == {"en": 3.0, "de": pytest.approx(30 / 11)}
    assert corpus_scales(recipe, 33) == {"en": 1.0, "de": 1.0}


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 400), st.data())
def test_picked_articles_are_spread_evenly_however_the_corpus_is_cut(total: int, wanted: int, data: st.DataObject) -> None:
    picked, place = [], 0
    while place < total:
        count = data.draw(st.integers(1, total - place))
        picked += (place + pick_articles(place, count, total, wanted)).tolist()
        place += count
    assert len(picked) == min(wanted, total)
    assert picked == pick_articles(0, total, total, wanted).tolist()
    gaps = np.diff(picked)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_more_tokens_than_are_summed_at_once(
    recipe: Recipe, teachers: list[TeacherVocabulary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.token_counts._TOKENS_PER_SUM", 50)
    assert same(count_tokens(recipe, teachers, articles=0, show_progress=False), plain_loop(recipe, teachers, 0))
