"""Stage 1 with real Beam runners, real teachers and real files: what is written, what is computed again, and what a kill leaves."""

import json
import os
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from data.recipe import Recipe
from data.recipe_file import parse_recipe, save_recipe
from data.run import Run
from data.shards import leaf, list_shards, open_shard
from data.teacher_files import teacher_folder
from pipeline.vocabulary import make_vocabulary
from tests.support.factories import TEXTS, articles, save_teacher, word_pieces
from tests.support.paths import ROOT
from tests.support.runs import MULTI_PROCESSING, build_union, columns, computations, launch
from tests.support.stopping import kill_when
from vocab.folder import load_map, load_union
from vocab.teacher_vocabulary import read_teacher


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
    """Killed three times at random moments, then launched: the rows of an undisturbed run, and no unit computed twice."""
    run = tmp_path / "run"
    build_union(recipe, run)
    save_recipe(recipe, tmp_path / "recipe.toml")
    program = (
        "import sys; from pathlib import Path; import pipeline.beam.teacher_steps as stage; from data.recipe_file import load_recipe;"
        "from data.run import Run; from pipeline.predict import predict; from tests.support.stopping import stop_after\n"
        "stop_after(stage, 'label_unit', 2); predict(Run(recipe=load_recipe(sys.argv[1]), folder=Path(sys.argv[2])), show_progress=False)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "recipe.toml"), str(run)]
    finished: dict[str, str] = {}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    generator = random.Random(0)

    def grown(before: set[str]) -> bool:
        return not before.issuperset(list_shards(str(run / "predictions")))

    for _ in range(3):  # each begins two or three units of the eight
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        before = set(list_shards(str(run / "predictions")))
        kill_when(partial(grown, before), process, generator.random() * 0.3)
        standing = computations(run)
        assert finished.items() < standing.items()
        finished = standing
    left = [run / "predictions/._manifest.json.0a1b2c3d.partial", run / ".staging-0a1b"]
    left[0].write_text("{")
    left[1].mkdir()
    assert launch(recipe, run).computed == 8 - len(finished)
    make_vocabulary(Run(recipe=recipe, folder=run), show_progress=False)
    assert not any(path.exists() for path in left)
    assert finished.items() <= computations(run).items()
    ours, theirs = columns(run), columns(undisturbed)
    assert list(ours) == list(theirs)
    assert all(ours[name].equals(theirs[name]) for name in ours)
