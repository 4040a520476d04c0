"""The steps of all studies: names of their own, files that exist, commands that the program has."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cli
from data.recipe_file import load_recipe
from student.studies.catalogue import LANGUAGES, TASKS, task_file
from student.studies.plan import Plan, Variant, recipe_file
from student.studies.step import Step, before
from student.study import STUDIES
from vocab.errors import InputError

# The files that the patterns of tasks name, empty: plans read only their content.
FILES = (
    "ud/ar_pud-ud-test.conllu",
    "ud/de_gsd-ud-dev.conllu",
    "ud/de_lit-ud-test.conllu",
    "ud/de_gsd-ud-test.conllu",
    "ud/en_ewt-ud-train.conllu",
    "ud/en_ewt-ud-test.conllu",
    "ud/zh_gsdsimp-ud-dev.conllu",
    "ud/zh_gsdsimp-ud-test.conllu",
    *(f"ner/panx/{part}-{language}.tsv" for part in ("train", "dev") for language in LANGUAGES),
    "ner/wikiann-labelled-test/de.test.conllu",
    "ner/wikiann-labelled-test/en.test.conllu",
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("plan")
    for name in (
        *(f"tasks/{name}" for name in FILES),
        *(f"text/{language}/{place}.txt" for language in LANGUAGES for place in range(3)),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    return Plan(text=folder / "text", tasks=folder / "tasks")


def all_steps(plan: Plan) -> Iterator[Step]:
    for module in STUDIES.values():
        for cell in module.cells(plan):
            yield from before(cell.step)


@pytest.mark.parametrize("name", STUDIES)
def test_cells_have_names_and_files_of_their_own(plan: Plan, name: str) -> None:
    cells = STUDIES[name].cells(plan)
    assert len({cell.name for cell in cells}) == len({cell.file(Path()) for cell in cells}) == len(cells)


def test_a_name_is_one_step_in_all_studies(plan: Plan) -> None:
    found: dict[str, str] = {}
    outputs: dict[str, str] = {}
    for step in all_steps(plan):
        assert found.setdefault(step.name, step.identity) == step.identity
        assert outputs.setdefault(step.slug, step.name) == step.name


def test_the_program_has_the_commands_and_their_options(plan: Plan) -> None:
    """Every command is parsed as the program would, without being run."""
    for step in all_steps(plan):
        for arguments in (*step.commands, *step.checks):
            name, rest = arguments[0], [*arguments[1:]]
            command: click.Command = cli.main.commands[name]
            if isinstance(command, click.Group):
                name, rest = rest[0], rest[1:]
                command = command.commands[name]
            command.make_context(name, rest, resilient_parsing=False)


def test_recipes_of_all_steps_accept_their_settings(plan: Plan, tmp_path: Path) -> None:
    for step in all_steps(plan):
        for name, text in step.files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
    for step in all_steps(plan):
        for command in step.commands:
            if command[0] in ("vocab", "predict", "train"):
                load_recipe(tmp_path / command[1], [command[place + 1] for place, part in enumerate(command) if part == "--set"])


def test_a_cache_is_validated_whole(plan: Plan) -> None:
    for step in all_steps(plan):
        if step.name.startswith("cache "):
            of = {command[1].rpartition("/")[2] for command in (*step.commands, *step.checks) if command[0] == "validate"}
            assert of == {"predictions", "heldout"}


def test_one_launch_at_a_time_writes_a_shared_store(plan: Plan) -> None:
    caches = {step.name: step for step in all_steps(plan) if step.name.startswith("cache ")}
    shared = {name for name, step in caches.items() if step.holds == "predictions-overlap"}
    assert shared == {f"cache {name}-small" for name in ("both-all", "both-best", "mbert", "muril", "sm1", "sm2", "sm3")}
    assert caches["cache similar-small"].holds == ""
    for name in shared - {"cache both-all-small"}:
        assert caches["cache both-all-small"] in before(caches[name])


def test_text_is_cut_in_two(plan: Plan) -> None:
    teachers, students = plan.corpus("de").commands
    assert teachers[1:3] == ("text/de/0.txt", "text/de/1.txt")
    assert students[1:3] == ("text/de/2.txt", "--language")


def test_recipes_and_their_variants() -> None:
    name, text = recipe_file("similar-small", Variant(teachers=30, text=10))
    content = tomllib.loads(text)
    assert name == "similar-small-teachers30-text10"
    assert [teacher["model"] for teacher in content["teachers"]] == ["teachers/en-30", "teachers/de-30"]
    assert content["corpora"]["en"] == "corpora/en/students-10/heldout/*.parquet"
    assert content["heldout"] == tomllib.loads(recipe_file("similar-small", Variant())[1])["heldout"]


def test_scale(plan: Plan) -> None:
    large = Plan(text=plan.text, tasks=plan.tasks, scale=4)
    assert (plan.width, large.width) == (128, 256)
    assert (plan.scaled(100), large.scaled(100)) == (100, 400)
    assert "student.hidden_size=256" in large.student("similar-small", "similar-small", "student").commands[0]
    assert large.teacher("de").identity != plan.teacher("de").identity


def test_missing_files_are_named(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de/only.txt").touch()
    with pytest.raises(InputError, match=r"de: found 1 files; expected two or more"):
        Plan(text=tmp_path, tasks=plan.tasks).corpus("de")
    with pytest.raises(InputError, match=r"task files \(see --tasks\)"):
        STUDIES["students"].cells(Plan(text=plan.text, tasks=tmp_path))
    with pytest.raises(InputError, match=r"this study needs --tasks FOLDER, with ner/panx/"):
        STUDIES["students"].cells(Plan(text=plan.text, tasks=None))
    (tmp_path / "ner/panx").mkdir(parents=True)
    for name in ("train-de.tsv", "train-de.tsv.gz"):
        (tmp_path / "ner/panx" / name).touch()
    with pytest.raises(InputError, match=r"train-de.\*: found 2 files \(.*; expected one"):
        task_file(tmp_path, TASKS["ner"]["de"].train[0])
