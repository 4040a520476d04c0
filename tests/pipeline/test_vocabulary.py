"""RUN/vocab and its report: teachers of every family in one union, one that joins later, restricted and routed tokenizers, agreement."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tokenizers import normalizers
from transformers import AutoTokenizer

from data.articles import read_articles
from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.run import Run
from data.shards import list_shards, read_shards
from pipeline.predict import predict
from pipeline.vocabulary import make_vocabulary
from pipeline.vocabulary_report import report_vocabulary
from student.train_student import train_student
from tests.support.factories import SPECIAL, TEXTS, save_tokenizer, two_language_recipe, word_pieces
from tests.support.families import save_family_teacher
from vocab.agreement import WORD, hf_segmenter, measure_agreement, words_of
from vocab.errors import InputError
from vocab.folder import load_map, load_normaliser, load_union
from vocab.pictures import overlaps, script_of, scripts
from vocab.roles import UNION_ROLES
from vocab.routed import Segmentation, load_routed
from vocab.student_tokenizer import student_tokenizer

KINDS = {"uni": "unigram", "bpe": "bpe", "byte": "byte-level"}


def five_teachers(folder: Path, count: int = 5, **overrides: Any) -> Recipe:
    """Two WordPiece teachers, and one of each other family that reads German, too; the first `count` of them."""
    base = two_language_recipe(folder, **overrides)
    for name, kind in KINDS.items():
        if not (folder / f"teachers/{name}").exists():
            save_family_teacher(folder / f"teachers/{name}", kind, [*TEXTS["de"], *TEXTS["en"]] * 3, seed=3)
    content = base.model_dump(exclude_none=True)
    content["teachers"] += [{"name": name, "model": f"teachers/{name}", "languages": ["de"]} for name in KINDS]
    content["teachers"] = content["teachers"][:count]
    return parse_recipe(content, folder=folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A finished cache of five teachers: four first, the fifth later."""
    folder = tmp_path_factory.mktemp("five")
    four, five = five_teachers(folder, 4), five_teachers(folder, 5)
    before = make_vocabulary(Run(recipe=four, folder=folder / "run"), show_progress=False).union
    predict(Run(recipe=four, folder=folder / "run"), show_progress=False)
    reports = {shard.location: shard.report for shard in read_shards(list_shards(str(folder / "run/predictions")))}
    after = make_vocabulary(Run(recipe=five, folder=folder / "run"), show_progress=False).union
    assert after.pieces[: before.size] == before.pieces
    assert after.begins_with(before)
    assert after.size > before.size
    result = predict(Run(recipe=five, folder=folder / "run"), show_progress=False)
    assert (len(reports), result.computed, result.units) == (result.units - result.computed, 4, 20)
    now = {shard.location: shard.report for shard in read_shards(list_shards(str(folder / "run/predictions")))}
    assert {location: now[location] for location in reports} == reports  # nothing was computed again, to the computation's own id
    return five, folder / "run"


def test_the_student_learns_from_a_cache_that_a_fifth_teacher_joined(run: tuple[Recipe, Path]) -> None:
    recipe, folder = run
    report_vocabulary(Run(recipe=recipe, folder=folder), show_progress=False)
    result = train_student(Run(recipe=recipe, folder=folder), "five", progress=False)
    assert result.steps == 4
    shards = read_shards(list_shards(str(folder / "predictions")))
    assert {shard.path.teacher for shard in shards} == {"bert-en", "bert-de", *KINDS}
    restricted = AutoTokenizer.from_pretrained(folder / "five/restricted")
    assert len(restricted) == load_union(folder / "vocab").size


def test_what_training_shows_is_what_the_teachers_tokenize(run: tuple[Recipe, Path]) -> None:
    recipe, folder = run
    report = report_vocabulary(Run(recipe=recipe, folder=folder), show_progress=False)
    assert report.counted == "predictions"
    union = load_union(folder / "vocab")
    files = {language: sorted((folder.parent / f"corpora/{language}").glob("*.parquet")) for language in recipe.corpora}
    texts = {language: [text for path in paths for _, text in read_articles(str(path))] for language, paths in files.items()}
    seen = np.zeros(union.size, dtype=np.int64)
    with np.load(folder / "vocab/report/piece_counts.npz") as counts:
        for teacher in recipe.teachers:
            language = teacher.languages[0]
            expected = np.zeros(union.size, dtype=np.int64)
            for segmentation in load_routed(folder / "vocab", teacher.name)(texts[language]):
                np.add.at(expected, segmentation.ids, 1)
            np.testing.assert_array_equal(counts[f"{language}/{teacher.name}"], expected)
            seen += expected
    assert report.trained == np.count_nonzero(seen)
    restricted = AutoTokenizer.from_pretrained(folder / "vocab/restricted")
    whole = AutoTokenizer.from_pretrained(folder / "vocab/tokenizer")
    for piece, index in restricted.get_vocab().items():
        assert piece == union.pieces[index] if seen[index] or index < 5 else piece == f"[unused {index}]"
    assert set(whole.get_vocab()) == set(union.pieces)
    assert [getattr(restricted, f"{role}_token_id") for role in ("pad", "unk", "cls", "sep", "mask")] == list(UNION_ROLES)
    assert "[unused 7]" not in restricted.tokenize("[unused 7]")
    report_of = {row.teacher: row for row in report.agreement}
    assert report_of["bert-en"].restricted_as_routed == 1.0
    assert report_of["uni"].union_as_routed < 1.0  # of one tokenizer for all, the largest vocabulary's pieces win
    assert all(row.never_trained <= row.never_here for row in report.agreement)


def test_vocab_says_what_the_student_reads_otherwise(tmp_path: Path) -> None:
    """Before anything is paid: the share of a language's words, and the corpora that could not be read for it."""
    recipe = two_language_recipe(tmp_path)
    uncased = save_tokenizer(tmp_path / "teachers/de", [*SPECIAL, *dict.fromkeys(map(str.lower, word_pieces(TEXTS["de"])))])
    uncased.backend_tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    uncased.save_pretrained(tmp_path / "teachers/de")
    result = make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    same, found = result.readings
    assert (same.language, same.otherwise, same.unknown) == ("en", 0, 0)
    assert same.describe() not in result.table().text()
    texts = [text for part in sorted((tmp_path / "corpora/de").glob("*")) for _, text in read_articles(str(part))]
    words = [word for text in texts for word in WORD.findall(text)]
    assert found.words == len(words)
    changed = [word for word in words if word.lower() != word or set("äöü") & set(word)]
    assert found.otherwise == len(changed) / len(words) > 0
    assert found.describe() in result.table().text()
    for part in (tmp_path / "corpora/de").glob("*"):
        part.unlink()
    again = make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    assert [reading.language for reading in again.readings] == ["en"]
    assert "not compared with the student's tokenizer: corpus of 'de': no file matches" in again.table().text()


def test_the_reports_pictures_are_svg(run: tuple[Recipe, Path]) -> None:
    recipe, folder = run
    report_vocabulary(Run(recipe=recipe, folder=folder), show_progress=False)
    for name in ("overlap", "scripts"):
        root = ElementTree.parse(folder / f"vocab/report/{name}.svg").getroot()
        assert root.tag.endswith("svg")
    assert json.loads((folder / "vocab/report/report.json").read_text())["pieces"] == load_union(folder / "vocab").size
    union, maps = load_union(folder / "vocab"), [load_map(folder / "vocab", teacher.name) for teacher in recipe.teachers]
    shares = overlaps(union, maps)
    owned = [{union.pieces[index] for index in teacher_map.union_ids[teacher_map.predictable]} for teacher_map in maps]
    expected = [[len(one & other) / len(one) for other in owned] for one in owned]
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    assert sum(sum(counter.values()) for counter in scripts(union)) == union.size - 5
    assert [script_of(piece) for piece in ("Haus", "##дом", "7", "中", "<bytes E4>")] == [
        "Latin",
        "Cyrillic",
        "digits and signs",
        "Han",
        "bytes and spaces",
    ]


def test_routed_tokenization_is_the_teachers_with_its_offsets(run: tuple[Recipe, Path]) -> None:
    recipe, folder = run
    text = "Der Fluss, [MASK] die Städte ."
    for teacher in recipe.teachers:
        own = AutoTokenizer.from_pretrained(recipe.locate(teacher.model)).backend_tokenizer
        own.encode_special_tokens = True
        encoding = own.encode(text, add_special_tokens=False)
        routed = load_routed(folder / "vocab", teacher.name)([text, ""])
        assert [tuple(span) for span in routed[0].offsets.tolist()] == encoding.offsets
        assert routed[0].word_ids.tolist() == encoding.word_ids
        teacher_map = load_map(folder / "vocab", teacher.name)
        np.testing.assert_array_equal(routed[0].ids, teacher_map.union_ids[encoding.ids])
        assert UNION_ROLES.mask not in routed[0].ids.tolist()  # the text's own words
        assert routed[1].with_special_tokens().tolist() == [UNION_ROLES.cls, UNION_ROLES.sep]


def test_a_quoted_special_token_is_an_unknown_word(run: tuple[Recipe, Path]) -> None:
    recipe, folder = run
    for teacher in recipe.teachers:
        (segmentation,) = load_routed(folder / "vocab", teacher.name)(["Das <mask> steht </s> in <s> und <pad> Stadt [SEP]"])
        assert segmentation.ids.min() >= UNION_ROLES.unk
        assert not set(segmentation.ids.tolist()) & {UNION_ROLES.cls, UNION_ROLES.sep, UNION_ROLES.mask}


def test_words_get_the_pieces_that_reach_into_them() -> None:
    segmentation = Segmentation(
        ids=np.array([10, 11, 12, 13], np.uint32),
        offsets=np.array([[0, 2], [2, 4], [4, 9], [9, 9]]),
        word_ids=np.zeros(4, np.int64),
    )
    assert words_of([(0, 4), (5, 6), (6, 9)], segmentation) == [(10, 11), (12,), (12,)]


def test_agreement_counts_words_and_untrained_pieces(run: tuple[Recipe, Path]) -> None:
    folder = run[1]
    union = load_union(folder / "vocab")
    routed = load_routed(folder / "vocab", "bert-en")
    whole = student_tokenizer(union, load_normaliser(folder / "vocab"), 64)
    river = union.pieces.index("river")
    keep = np.ones(union.size, np.bool_)
    keep[river] = False
    restricted = student_tokenizer(union, load_normaliser(folder / "vocab"), 64, keep=keep)
    row = measure_agreement(
        "en",
        "bert-en",
        ["The river flows , the river is"],
        routed=routed,
        union=hf_segmenter(whole),
        restricted=hf_segmenter(restricted),
        trained=keep,
        trained_here=keep,
    )
    assert row.words == 7
    assert row.union_as_routed >= row.restricted_as_routed
    assert row.union_as_restricted == 5 / 7
    known = [
        index for part in hf_segmenter(whole)(["The river flows , the river is"]) for index in part.ids if index != UNION_ROLES.unk
    ]
    assert row.never_trained == pytest.approx(known.count(river) / len(known))


def test_a_trimmed_union_grows_and_refuses_another_method(tmp_path: Path) -> None:
    recipe = five_teachers(tmp_path, 2, vocabulary={"method": "trimmed", "min_probability": 0.02})
    made = make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    union, rows = made.union, made.teachers
    assert all(row.dropped > 0 for row in rows)
    content = five_teachers(tmp_path, 3).model_dump(exclude_none=True)
    more = parse_recipe(content | {"vocabulary": recipe.vocabulary.model_dump(exclude_none=True)}, folder=tmp_path)
    grown = make_vocabulary(Run(recipe=more, folder=tmp_path / "run"), show_progress=False).union
    assert grown.begins_with(union)
    with pytest.raises(
        InputError, match=r"was made with \[vocabulary\] method = trimmed, min_probability = 0.02, the recipe has method = union"
    ):
        make_vocabulary(Run(recipe=five_teachers(tmp_path, 3), folder=tmp_path / "run"), show_progress=False)
    result = predict(Run(recipe=more, folder=tmp_path / "run"), show_progress=False)
    assert result.masked_positions > 0
    report = report_vocabulary(Run(recipe=more, folder=tmp_path / "run"), show_progress=False)
    assert report.pieces == grown.size


def test_a_report_before_predict_counts_the_corpora(tmp_path: Path) -> None:
    recipe = five_teachers(tmp_path, 3)
    make_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    before = report_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    predict(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    after = report_vocabulary(Run(recipe=recipe, folder=tmp_path / "run"), show_progress=False)
    assert (before.counted, after.counted) == ("corpora", "predictions")
    assert before.trained == after.trained
    assert before.agreement == after.agreement


def test_a_teacher_may_have_a_tokenizer_of_its_own(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path)
    pieces = [*SPECIAL, *word_pieces(TEXTS["en"])]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/vocab.txt").write_text("\n".join(pieces[:-1]) + "\n")
    content = recipe.model_dump(exclude_none=True)
    content["teachers"][0]["tokenizer"] = "other/vocab.txt"
    rows = make_vocabulary(
        Run(recipe=parse_recipe(content, folder=tmp_path), folder=tmp_path / "run"), show_progress=False
    ).teachers
    assert (rows[0].accounting.surplus, rows[0].accounting.pieces) == (1, len(pieces) - 6)
    result = predict(Run(recipe=parse_recipe(content, folder=tmp_path), folder=tmp_path / "run"), show_progress=False)
    assert result.computed == 8
