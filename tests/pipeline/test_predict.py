"""Stage 1 with real Beam runners, real teachers, real files: what is written, resumed, refused, and survives a kill."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from data.articles import group_row_groups
from data.examples import Example
from data.manifest import listed_shards
from data.recipe import Recipe
from data.recipe_file import parse_recipe, save_recipe
from data.run import Run
from data.shards import leaf, list_shards, open_shard, read_shards
from data.validation.validate import UnionFacts, validate
from pipeline.predict import predict
from pipeline.teacher.files import teacher_folder
from pipeline.teacher.to_union import Spelling, to_union
from pipeline.token_counts import count_tokens
from tests.support.factories import TEXTS, article_shard, articles, save_teacher, two_language_recipe, word_pieces
from tests.support.runs import MULTI_PROCESSING, Choose, build_union, changed, columns, computations, launch, load_vocab
from vocab.errors import InputError
from vocab.folder import load_map, load_union
from vocab.roles import UNION_ROLES
from vocab.selection import choose_pieces
from vocab.teacher_vocabulary import TeacherVocabulary, read_teacher
from vocab.union import TeacherMap, Union


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return two_language_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def undisturbed(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed")
    assert launch(recipe, run).computed == 8
    return run


def test_rows_decode_to_the_articles(recipe: Recipe, undisturbed: Path) -> None:
    """Union ids → pieces give back the teacher's own tokens; masks sit where they say; labels are those of the text."""
    union = load_union(undisturbed / "vocab")
    for teacher in recipe.teachers:
        tokenizer = read_teacher(teacher_folder(recipe, teacher.name, weights=False), teacher.name).tokenizer
        language = teacher.languages[0]
        restored: dict[str, list[str]] = {}
        for location in list_shards(str(undisturbed / "predictions")):
            if f"teacher={teacher.name}/" not in location:
                continue
            for row in open_shard(location).read().to_pylist():
                tokens = np.array(row["input_ids"])
                tokens[row["mask_positions"]] = row["label_ids"]
                restored.setdefault(row["doc_id"], []).extend(union.pieces[token] for token in tokens[1:-1])
        texts = articles(language, 40)
        for index in range(40):
            doc_id = f"part{index // 20}-{index % 20}"
            assert restored[doc_id] == tokenizer.encode(texts[index], add_special_tokens=False).tokens


def test_invalid_ids_are_never_predicted(recipe: Recipe, undisturbed: Path) -> None:
    """The German teacher's head has more rows than its vocabulary has tokens, and a placeholder: none of them is in any top k."""
    allowed = load_map(undisturbed / "vocab", "bert-de")
    possible = set(allowed.union_ids[allowed.predictable].tolist())
    for location in list_shards(str(undisturbed / "predictions")):
        if "teacher=bert-de" in location:
            ids, _ = leaf(open_shard(location).read()["topk_ids"])
            assert set(ids.tolist()) <= possible


def test_the_manifest_tells_the_shards(undisturbed: Path) -> None:
    manifest = json.loads((undisturbed / "predictions/_manifest.json").read_text())
    assert manifest["totals"]["articles"] == 80
    assert manifest["totals"]["rows"] == sum(table.num_rows for table in columns(undisturbed).values())
    assert [unit["path"] for unit in manifest["units"]] == [name.removeprefix("/predictions/") for name in columns(undisturbed)]


def test_two_worker_processes_give_the_same_bytes(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    assert launch(recipe, tmp_path, MULTI_PROCESSING).computed == 8
    ours, theirs = columns(tmp_path), columns(undisturbed)
    assert list(ours) == list(theirs)
    assert all(ours[name].equals(theirs[name]) for name in ours)


def test_a_second_launch_computes_only_what_is_missing(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    before = computations(run)
    lost = list_shards(str(run / "predictions"))[3]
    Path(lost).unlink()
    leftover = Path(lost).with_name(".half.parquet.1234.partial")
    leftover.write_bytes(b"half")
    assert launch(recipe, run).computed == 1
    after = computations(run)
    assert {name for name in before if after[name] != before[name]} == {lost}
    assert not leftover.exists()
    assert columns(run).keys() == columns(undisturbed).keys()
    leftover.write_bytes(b"half")  # of a worker that was killed when its unit had been done again elsewhere
    assert launch(recipe, run).computed == 0
    assert not leftover.exists()


def test_a_new_teacher_never_makes_the_old_ones_run_again(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    before = computations(run)
    save_teacher(tmp_path / "tr", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *word_pieces(TEXTS["en"])[:9]], seed=5)
    content = recipe.model_dump()
    content["teachers"] = [*content["teachers"], {"name": "third", "model": str(tmp_path / "tr"), "languages": ["en"]}]
    grown = parse_recipe(content, folder=recipe.folder)
    result = launch(grown, run)
    assert (result.units, result.computed) == (12, 4)
    assert before.items() <= computations(run).items()


def test_kill_minus_9_loses_only_units_in_flight(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    """Launched and killed at random moments until it is done: the rows of an undisturbed run, and no finished unit computed again."""
    run = tmp_path / "run"
    build_union(recipe, run)
    save_recipe(recipe, tmp_path / "recipe.toml")
    program = (
        "import sys; from pathlib import Path; import time; import pipeline.teacher.label_unit as stage;"
        "from data.recipe_file import load_recipe;"
        "from pipeline.predict import predict; from data.run import Run; label = stage.label_unit;\n"
        "def slow(*arguments):\n    time.sleep(0.2); return label(*arguments)\n"  # so that a kill falls between units
        "stage.label_unit = slow; predict(Run(recipe=load_recipe(sys.argv[1]), folder=Path(sys.argv[2])), show_progress=False)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "recipe.toml"), str(run)]
    finished: dict[str, str] = {}
    generator, kills = random.Random(0), 0
    while True:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
        target = len(finished) + generator.choice([1, 2])
        while process.poll() is None and len(list_shards(str(run / "predictions"))) < target:
            time.sleep(0.02)
        time.sleep(generator.random() * 0.2)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        standing = computations(run)
        assert finished.items() <= standing.items()
        finished = standing
    assert process.returncode == 0
    assert kills >= 3
    assert finished.items() <= computations(run).items()
    ours, theirs = columns(run), columns(undisturbed)
    assert list(ours) == list(theirs)
    assert all(ours[name].equals(theirs[name]) for name in ours)


def test_row_groups_are_grouped_whole() -> None:
    assert group_row_groups([1000, 1000, 300], 1000) == [(0, 1), (1, 1), (2, 1)]
    assert group_row_groups([100] * 5, 250) == [(0, 3), (3, 2)]
    assert group_row_groups([], 10) == []


def contents(run: Path) -> dict[Path, bytes]:
    """Every file of a run but the empty ones that launches lock."""
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.suffix != ".lock"}


def refused(recipe: Recipe, run: Path, message: str) -> None:
    """The launch is refused with one line, and nothing that stood is touched."""
    before = contents(run)
    with pytest.raises(InputError) as error:
        launch(recipe, run)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("predict", {"top_k": 5, "dtype": "float32", "unit_articles": 10}, "top_k: found 4, expected 5"),
        ("examples", {"max_length": 24, "mask_rate": 0.2}, "examples.mask_rate: found 0.15, expected 0.2"),
        ("seed", 1, "seed: found 0, expected 1"),
        ("predict", {"top_k": 4, "dtype": "float32", "unit_articles": 20}, "of no unit of this recipe"),
    ],
)
def test_a_run_folder_of_another_recipe_is_refused(
    recipe: Recipe, undisturbed: Path, section: str, value: object, message: str
) -> None:
    refused(changed(recipe, **{section: value}), undisturbed, message)


def test_teachers_in_another_order_are_refused(recipe: Recipe, undisturbed: Path) -> None:
    refused(changed(recipe, teachers=recipe.model_dump()["teachers"][::-1]), undisturbed, "made by another recipe")


def test_changed_articles_and_changed_weights_are_refused(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path, articles_each=20)
    run = tmp_path / "run"
    launch(recipe, run)
    kept = (tmp_path / "corpora/en/part0.parquet").read_bytes()
    article_shard(tmp_path / "corpora/en/part0.parquet", ["Other articles entirely ."] * 10, rows_per_group=10)
    refused(recipe, run, "made from other articles")
    (tmp_path / "corpora/en/part0.parquet").write_bytes(kept)
    pieces = [token for token, _ in sorted(load_vocab(tmp_path / "teachers/en").items(), key=lambda item: item[1])]
    save_teacher(tmp_path / "teachers/en", pieces, seed=77)
    refused(recipe, run, "teacher.weights: found")


def test_bad_corpora(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path, articles_each=20)
    run = tmp_path / "run"
    build_union(recipe, run)
    shard = tmp_path / "corpora/en/part0.parquet"
    good = shard.read_bytes()
    for bad, message in [
        (pa.table({"title": ["x"]}), "found columns title; expected a column 'text'"),
        (pa.table({"text": [3]}), "column 'text' is int64; expected string"),
        (pa.table({"text": ["a", None]}), "column 'text' is null in 1 rows"),
    ]:
        pq.write_table(bad, shard)
        with pytest.raises(InputError) as error:
            predict(Run(recipe=recipe, folder=run), show_progress=False)
        assert message in str(error.value)
        assert not [location for location in list_shards(str(run / "predictions")) if "part0" in location and "=en" in location]
    shard.write_bytes(good[:200])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        predict(Run(recipe=recipe, folder=run), show_progress=False)
    refused(changed(recipe, corpora={"en": "nothing/*.parquet", "de": "corpora/de/*"}), run, "no file matches")


def test_odd_articles_become_sound_shards(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path, articles_each=20)
    article_shard(tmp_path / "corpora/en/part0.parquet", ["T", "😀", "", "The river " * 3000], rows_per_group=10)
    result = launch(recipe, tmp_path / "run")
    rows = open_shard(str(tmp_path / "run/predictions/language=en/teacher=bert-en/part0-00000.parquet")).read().to_pylist()
    assert result.computed == 4
    assert {row["doc_id"] for row in rows} == {"part0-0", "part0-3"}


def test_settings_a_teacher_cannot_meet_are_refused_before_it_is_paid(recipe: Recipe, tmp_path: Path) -> None:
    build_union(recipe, tmp_path)
    for settings, message in [
        ({"predict": {"top_k": 66, "dtype": "float32"}}, "teacher 'bert-en' can predict 59 pieces"),
        ({"examples": {"max_length": 65}}, "teacher 'bert-en' takes at most 64 tokens"),
    ]:
        with pytest.raises(InputError, match=message):
            predict(Run(recipe=changed(recipe, **settings), folder=tmp_path), show_progress=False)
    assert not (tmp_path / "predictions").exists()


def test_heldout_articles_that_are_trained_on_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    build_union(recipe, tmp_path)
    refused(changed(recipe, heldout={"en": "corpora/en/part0.parquet"}), tmp_path, "is held out and trained on")


def test_a_second_launch_at_once_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    build_union(recipe, tmp_path)
    with (tmp_path / ".predict-bert-de.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another predict runs for teacher 'bert-de'"):
            predict(Run(recipe=recipe, folder=tmp_path), show_progress=False)


def test_auto_dtype_goes_on_with_what_the_cache_has(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    Path(list_shards(str(run / "predictions"))[0]).unlink()
    auto = changed(recipe, predict=recipe.predict.model_dump() | {"dtype": "auto"})
    assert launch(auto, run).computed == 1
    assert {shard.identity["dtype"] for shard in read_shards(list_shards(str(run / "predictions")))} == {"float32"}


def test_a_run_folder_with_wildcard_signs_in_its_name(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path / "a[1]*", articles_each=20)
    assert launch(recipe, tmp_path / "a[1]*/run").computed == 4
    assert launch(recipe, tmp_path / "a[1]*/run").computed == 0


def test_a_manifest_lists_only_teachers_that_are_whole(recipe: Recipe, undisturbed: Path, tmp_path: Path) -> None:
    """One launch a teacher: while the other's is under way, its shards are in no manifest, and training refuses them."""
    build_union(recipe, tmp_path)
    half = list_shards(str(undisturbed / "predictions"))[0].removeprefix(str(undisturbed))
    (tmp_path / half[1:]).parent.mkdir(parents=True)
    shutil.copy(f"{undisturbed}{half}", f"{tmp_path}{half}")
    assert predict(Run(recipe=recipe, folder=tmp_path), teachers=["bert-en", "bert-en"], show_progress=False).computed == 4
    listed = listed_shards(str(tmp_path / "predictions"))
    assert listed == {location for location in list_shards(str(tmp_path / "predictions")) if "teacher=bert-en" in location}
    assert predict(Run(recipe=recipe, folder=tmp_path), teachers=["bert-de"], show_progress=False).computed == 3
    assert listed_shards(str(tmp_path / "predictions")) == set(list_shards(str(tmp_path / "predictions")))


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
    assert (found.input_ids.dtype, found.mask_positions.dtype, found.label_ids.dtype) == (np.uint32, np.uint16, np.uint32)
