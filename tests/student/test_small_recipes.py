"""The small twins of the paper's students, as they are in data/recipes, on tiny teachers: each trains, and the seven share one store."""

import shutil
from pathlib import Path

import pytest

from data.contract import HELDOUT, PREDICTIONS
from data.recipe_file import load_recipe
from data.run import Run
from data.validation.folder_rules import union_facts
from data.validation.validate import validate
from pipeline.predict import predict
from pipeline.vocabulary import make_vocabulary
from student.train_student import student_table, train_student
from tests.support.factories import SPECIAL, TEXTS, article_shard, save_teacher, word_pieces
from tests.support.paths import ROOT
from vocab.folder import load_union

TEXT = {
    "en": TEXTS["en"],
    "de": TEXTS["de"],
    "ar": ["يجري النهر عبر المدينة .", "تقع المدينة على النهر ."],
    "zh": ["河 流 经 城 市 。", "城 市 在 河 边 。"],
}
TEACHERS = {"ar": "ar", "de": "de", "en": "en", "zh": "zh", "broad": "ar de en zh", "specialist": "ar zh"}
SHORT = ["train.steps=3", "train.warmup_steps=1", "train.tokens_per_batch=512"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study: recipes, teachers and corpora."""
    folder = tmp_path_factory.mktemp("study")
    for recipe in (ROOT / "data/recipes").glob("*-small.toml"):
        shutil.copy(recipe, folder)
    for language, texts in TEXT.items():
        for split in ("students", "students/heldout"):
            own = [" ".join([*texts, split.split("/")[-1], str(index)]) for index in range(12)]
            article_shard(folder / f"corpora/{language}/{split}/part.parquet", own)
    for seed, (name, languages) in enumerate(TEACHERS.items()):
        texts = [text for language in languages.split() for text in TEXT[language]]
        own = ["##المدينة", "##城市"] if name == "specialist" else []  # pieces that no other teacher has
        save_teacher(folder / f"teachers/{name}", [*SPECIAL, *word_pieces(texts), *own], seed=seed, positions=128)
    return folder


def trained(folder: Path, name: str) -> tuple[Run, int]:
    """A recipe's run from its vocabulary to its scores, and the number of units that predict computed."""
    run = Run(recipe=load_recipe(folder / f"{name}.toml", SHORT), folder=folder / f"runs/{name}")
    make_vocabulary(run, show_progress=False)
    computed = predict(run, show_progress=False).computed
    for split in (PREDICTIONS, HELDOUT):
        assert validate(run.shards(split), vocabulary=union_facts(run.vocabulary)).faults == []
    table = student_table(run, train_student(run, progress=False))
    assert len(table.rows) == len(run.pairs(HELDOUT)) + 1
    return run, computed


def test_the_seven_share_one_store(folder: Path) -> None:
    runs = {}
    for name, units in [("muril", 8), ("both-all", 4), ("both-best", 0), ("mbert", 0), ("sm1", 0), ("sm2", 0), ("sm3", 0)]:
        runs[name], computed = trained(folder, f"{name}-small")
        assert computed == units
    unions = {name: load_union(run.vocabulary) for name, run in runs.items()}
    assert len({union.fingerprint for name, union in unions.items() if name != "sm1"}) == 1
    assert unions["muril"].begins_with(unions["sm1"])
    assert unions["sm1"].size + 2 == unions["mbert"].size


@pytest.mark.parametrize(("name", "units"), [("similar", 4), ("dissimilar", 6)])
def test_the_disjoint_ones_train(folder: Path, name: str, units: int) -> None:
    run, computed = trained(folder, f"{name}-small")
    assert computed == units
    assert run.predictions == str(run.folder / "predictions")
