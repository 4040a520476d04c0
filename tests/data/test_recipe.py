"""The recipe: defaults, overrides, and every way to get it wrong."""

import pickle
import tomllib
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import jsonschema  # type: ignore[import-untyped]
import pytest

from data.recipe import Recipe, Vocabulary
from data.recipe_file import load_recipe, parse_recipe, save_recipe
from data.run import Run
from vocab.errors import InputError

GOOD = """
name = "two"
[[teachers]]
name = "bert-en"
model = "teachers/en"
languages = ["en"]
[corpora]
en = "corpora/en/*.parquet"
"""

# A second teacher that labels nothing: the union has its pieces.
PIECES_TOO = GOOD.replace("[corpora]", '[[teachers]]\nname = "muril"\nmodel = "teachers/muril"\nlanguages = []\n[corpora]')


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_defaults_and_overrides(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD), ["train.labels=gold", "predict.top_k=4", "train.learning_rate=2e-3"])
    assert (recipe.predict.top_k, recipe.train.labels, recipe.train.learning_rate) == (4, "gold", 2e-3)
    assert recipe.locate(recipe.corpora["en"]) == str(tmp_path / "corpora/en/*.parquet")
    assert recipe.locate("s3://bucket/x") == "s3://bucket/x"


def test_a_teacher_can_give_only_its_vocabulary(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, PIECES_TOO))
    assert [teacher.name for teacher in recipe.labellers] == ["bert-en"]
    assert recipe.chosen_labellers([]) == recipe.chosen_labellers(["bert-en", "bert-en"]) == ["bert-en"]
    with pytest.raises(InputError, match=r"teacher 'muril' labels nothing .*expected one of bert-en"):
        recipe.chosen_labellers(["muril"])
    save_recipe(recipe, tmp_path / "elsewhere/recipe.toml")
    assert load_recipe(tmp_path / "elsewhere/recipe.toml").teachers[1].languages == []


def test_saved_recipe_means_the_same_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "teachers/en").mkdir(parents=True)
    recipe = load_recipe(write(tmp_path, GOOD))
    save_recipe(recipe, tmp_path / "elsewhere/recipe.toml")
    again = load_recipe(tmp_path / "elsewhere/recipe.toml")
    assert again.locate(again.corpora["en"]) == recipe.locate(recipe.corpora["en"])
    assert again.locate(again.teachers[0].model) == str(tmp_path / "teachers/en")
    assert again.model_dump(exclude={"corpora", "teachers"}) == recipe.model_dump(exclude={"corpora", "teachers"})


@pytest.mark.parametrize("store", ["shards", "s3://bucket/shards"])
def test_a_saved_recipe_finds_the_store_of_its_shards(store: str, tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD + f'[predict]\nstore = "{store}"'))
    save_recipe(recipe, tmp_path / "elsewhere/recipe.toml")
    again = load_recipe(tmp_path / "elsewhere/recipe.toml")
    assert Run(recipe=again, folder=tmp_path).predictions == Run(recipe=recipe, folder=tmp_path).predictions


def test_vocabulary_and_a_tokenizer_of_its_own_are_saved_as_they_mean(tmp_path: Path) -> None:
    """A local tokenizer, file or folder, is found from anywhere; a Hub id stays what it is; what is not given is not written."""
    (tmp_path / "teachers").mkdir()
    (tmp_path / "teachers/vocab.txt").write_text("[PAD]")
    for given, meant in [("teachers/vocab.txt", str(tmp_path / "teachers/vocab.txt")), ("teachers", str(tmp_path / "teachers"))]:
        text = GOOD.replace("[corpora]", f'tokenizer = "{given}"\n[corpora]')
        recipe = load_recipe(write(tmp_path, text + '[vocabulary]\nmethod = "budget"\nsize = 300\nmin_probability = 1e-5'))
        save_recipe(recipe, tmp_path / "elsewhere/recipe.toml")
        again = load_recipe(tmp_path / "elsewhere/recipe.toml")
        assert again.teachers[0].tokenizer == meant
        assert again.vocabulary == recipe.vocabulary
    save_recipe(load_recipe(write(tmp_path, GOOD.replace("[corpora]", 'tokenizer = "me/mine"\n[corpora]'))), tmp_path / "hub.toml")
    assert load_recipe(tmp_path / "hub.toml").teachers[0].tokenizer == "me/mine"
    save_recipe(load_recipe(write(tmp_path, GOOD)), tmp_path / "plain.toml")
    assert "tokenizer" not in (tmp_path / "plain.toml").read_text()
    assert load_recipe(tmp_path / "plain.toml").vocabulary == Vocabulary()


def test_the_schema_knows_the_vocabulary() -> None:
    schema = Recipe.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    good = tomllib.loads(GOOD + '[vocabulary]\nmethod = "trimmed"\narticles = 1000\nmin_count = 3')
    jsonschema.validate(good, schema)
    for wrong in ({"method": "best"}, {"size": 0}, {"min_probability": 1}, {"articles": -1}, {"min_count": 0}, {"sise": 3}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(good | {"vocabulary": wrong}, schema)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "[train]\nstep = 3", "unknown key 'train.step'; did you mean 'steps'?"),
        (GOOD + "[trian]\nsteps = 3", "unknown key 'trian'; did you mean 'train'?"),
        (GOOD.replace('languages = ["en"]', 'languages = ["en"]\nlayers = 3'), "unknown key 'teachers.0.layers'"),
        (GOOD + "[predict]\ntop_k = 0", "predict.top_k: found 0; expected greater than or equal to 1"),
        (GOOD + '[train]\nlabels = "golden"', "train.labels: found 'golden'; expected 'gold+teacher' or 'gold'"),
        (GOOD + "[student]\nhidden_size = 100\nheads = 3", "hidden_size 100 is not a multiple of heads 3"),
        (GOOD.replace('["en"]', '["en", "de"]'), "names the language 'de', which has no corpus: add it to [corpora]"),
        (GOOD + 'de = "x"', "corpora.de: no teacher names this language"),
        (GOOD.replace('"bert-en"', '"bert/en"'), "teachers.0.name: found 'bert/en'"),
        (GOOD.replace('name = "two"', ""), "key 'name' is missing"),
        (GOOD + '[vocabulary]\nmethod = "all"', "vocabulary.method: found 'all'; expected 'union', 'trimmed' or 'budget'"),
        (GOOD + '[vocabulary]\nmethod = "budget"', 'method "budget" needs a size: give the number of pieces'),
        (GOOD + "[vocabulary]\nsize = 9", 'size 9 has no meaning with method "union"'),
        (GOOD + "[vocabulary]\nmin_probability = 1.0", "vocabulary.min_probability: found 1.0; expected less than 1"),
        (GOOD.replace("[corpora]", 'tokeniser = "x"\n[corpora]'), "did you mean 'tokenizer'?"),
        (GOOD.replace("[corpora]", "[corpora"), "not TOML"),
        # A key that takes several kinds of values is one mistake, not one for each kind.
        (
            GOOD + "[examples]\nmaskings = [0.3, 2]",
            "examples.maskings: found [0.3, 2]; expected a valid integer, or less than 1 at place 1",
        ),
        (GOOD + '[train]\ntokens_per_microbatch = "all"', "string as an integer, or 'auto'"),
        (GOOD + '[student]\ninitialise = "bert-en"', 'student.initialise: found \'bert-en\'; expected "random", "teachers"'),
        (GOOD + '[student]\ninitialise = "teacher:bert-fr"', "student.initialise: no teacher is called 'bert-fr'"),
        (
            GOOD.replace("[corpora]", GOOD[GOOD.index("[[") :].split("[corpora]")[0] + "[corpora]"),
            "the name 'bert-en' is there twice",
        ),
        (GOOD.replace('["en"]', "[]"), "teachers: none names a language, so nothing is labelled"),
        (
            PIECES_TOO + '[vocabulary]\nmethod = "trimmed"',
            "vocabulary.method: found \"trimmed\", which counts a teacher's pieces in its corpora, and teacher 'muril' has none",
        ),
        (PIECES_TOO + '[vocabulary]\nmethod = "budget"\nsize = 9', 'vocabulary.method: found "budget"'),
        (
            PIECES_TOO + '[student]\ninitialise = "teacher:muril"',
            "student.initialise: teacher 'muril' gives only its vocabulary (languages = [])",
        ),
    ],
)
def test_a_wrong_recipe_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_recipe(write(tmp_path, text))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_recipe_and_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(InputError, match="expected KEY=VALUE"):
        load_recipe(write(tmp_path, GOOD), ["train"])
    with pytest.raises(InputError, match=r"unknown key 'train\.lables'; did you mean 'labels'"):
        load_recipe(write(tmp_path, GOOD), ["train.lables=gold"])


@pytest.mark.parametrize("store", ["", "s3://", "s3:///"])
def test_a_store_names_a_place(tmp_path: Path, store: str) -> None:
    with pytest.raises(InputError, match=r"predict\.store: .*names no bucket or folder: give one, as s3://bucket/folder"):
        load_recipe(write(tmp_path, GOOD), [f'predict.store="{store}"'])


@pytest.mark.parametrize("name", ["emoji 😀", 'quote "x"', "backslash \\n", "line\u2028end", "plain"])
def test_a_saved_recipe_keeps_any_path(tmp_path: Path, name: str) -> None:
    content = {"name": "r", "teachers": [{"name": "t", "model": "m", "languages": ["de"]}], "corpora": {"de": f"{name}/*.parquet"}}
    recipe = parse_recipe(content, folder=tmp_path)
    save_recipe(recipe, tmp_path / "saved.toml")
    assert load_recipe(tmp_path / "saved.toml").corpora["de"] == str(tmp_path / name / "*.parquet")


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_a_pickled_recipe_keeps_its_folder(tmp_path: Path, pickler: Any) -> None:
    """Beam pickles the recipe for its workers."""
    content = {"name": "r", "teachers": [{"name": "t", "model": "m", "languages": ["de"]}], "corpora": {"de": "a.parquet"}}
    run = Run(recipe=parse_recipe(content, folder=tmp_path), folder=tmp_path / "run")
    copy = pickle.loads(pickler.dumps(run))
    assert copy == run
    assert copy.recipe.folder == tmp_path
    assert copy.recipe.locate("m") == str(tmp_path / "m")
