"""A recipe's student that begins from its teachers: what is in its rows, what is refused, and that it learns and resumes."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM

from data.recipe import Recipe
from data.run import Run
from pipeline.predict import predict
from student.hf_folder import load_config
from student.initialisation.from_teachers import initialise
from student.model import new_student
from student.predictions import student_shards
from student.train_student import train_student
from student.training.metrics import read_rows
from tests.support.factories import two_language_recipe
from tests.support.runs import build_union, changed
from vocab.errors import InputError
from vocab.folder import load_map, load_union
from vocab.roles import UNION_ROLES
from vocab.teacher_vocabulary import read_teacher

SHAPE = {"architecture": "bert", "layers": 1, "hidden_size": 32, "heads": 2, "intermediate_size": 64, "dropout": 0.0}


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    folder = tmp_path_factory.mktemp("teachers")
    recipe = two_language_recipe(folder, student=SHAPE)
    run = folder / "run"
    build_union(recipe, run)
    predict(Run(recipe=recipe, folder=run), show_progress=False)
    return recipe, run


def begun(recipe: Recipe, folder: Path, how: str, **shape: Any) -> tuple[Any, str]:
    run = Run(recipe=changed(recipe, student=SHAPE | shape | {"initialise": how}), folder=folder)
    union = load_union(run.vocabulary)
    leader = run.recipe.student.teacher_of_layers
    like = load_config(recipe.folder / recipe.teacher(leader).model) if leader else None
    model = new_student(run.recipe.student, vocab_size=union.size, max_length=24, roles=UNION_ROLES, seed=0, like=like)
    return model, initialise(model, run, union, {})


def only_english(recipe: Recipe) -> Recipe:
    """A recipe of fewer teachers than its union has."""
    return changed(recipe, teachers=recipe.model_dump()["teachers"][:1], corpora={"en": recipe.corpora["en"]})


def test_rows_are_those_of_the_only_teacher_that_has_the_piece(predicted: tuple[Recipe, Path]) -> None:
    recipe, folder = predicted
    model, said = begun(recipe, folder, "teacher:bert-en")
    rows = model.get_input_embeddings().weight
    teacher = AutoModelForMaskedLM.from_pretrained(recipe.folder / "teachers/en")
    maps = {name: load_map(folder / "vocab", name) for name in ("bert-en", "bert-de")}
    others = set(maps["bert-de"].union_ids[maps["bert-de"].predictable].tolist())
    own = 0
    for row, piece in enumerate(maps["bert-en"].union_ids.tolist()):
        if maps["bert-en"].predictable[row] and piece not in others:
            torch.testing.assert_close(rows[piece], teacher.get_input_embeddings().weight[row])
            own += 1
    assert own
    counted = [int(number.replace(",", "")) for number in said.replace(":", " ").split() if number.replace(",", "").isdigit()]
    assert sum(counted[:2]) == len(rows)
    assert said.endswith("1 layers are those of 'bert-en'")
    torch.testing.assert_close(model.bert.encoder.layer[0].output.dense.weight, teacher.bert.encoder.layer[0].output.dense.weight)


def test_biases_are_averaged_and_not_turned(predicted: tuple[Recipe, Path]) -> None:
    """A softmax does not see a constant: before the mean, each teacher's biases get the mean of the leader's."""
    recipe, folder = predicted
    model, _ = begun(recipe, folder, "teacher:bert-de")
    expected: dict[int, list[float]] = {}
    leader = None
    for name, place in (("bert-de", "teachers/de"), ("bert-en", "teachers/en")):
        teacher = AutoModelForMaskedLM.from_pretrained(recipe.folder / place)
        bias = torch.arange(len(teacher.cls.predictions.bias)) / 10.0 - (3.0 if name == "bert-en" else 0.0)
        teacher.cls.predictions.decoder.bias.data.copy_(bias)
        teacher.save_pretrained(folder / "biased" / place)
        found = load_map(folder / "vocab", name)
        roles = read_teacher(recipe.folder / place, name).roles
        ids = {int(row): int(found.union_ids[row]) for row in found.predictable.nonzero()[0]} | dict(
            zip(roles, UNION_ROLES, strict=True)
        )
        by_piece: dict[int, list[float]] = {}
        for row, piece in ids.items():
            by_piece.setdefault(piece, []).append(float(bias[row]))
        means = {piece: sum(values) / len(values) for piece, values in by_piece.items()}
        middle = sum(means.values()) / len(means)
        leader = middle if leader is None else leader
        for piece, value in means.items():
            expected.setdefault(piece, []).append(value - middle + leader)
    biased = changed(
        recipe,
        teachers=[
            one | {"model": f"{folder}/biased/{one['model']}", "tokenizer": one["model"]} for one in recipe.model_dump()["teachers"]
        ],
    )
    model, _ = begun(biased, folder, "teacher:bert-de")
    for piece, values in expected.items():
        assert model.get_output_embeddings().bias[piece].item() == pytest.approx(sum(values) / len(values), abs=1e-4)


def test_special_tokens_by_role(predicted: tuple[Recipe, Path]) -> None:
    """The mask token has id 4 in one teacher and 0 in the other. The student's is between both, and not another token's."""
    recipe, folder = predicted
    alone = Recipe.model_validate(
        recipe.model_dump() | {"teachers": recipe.model_dump()["teachers"][:1], "corpora": {"en": recipe.corpora["en"]}}
    )
    alone._folder = recipe.folder
    model, _ = begun(alone, folder, "teachers")
    teacher = AutoModelForMaskedLM.from_pretrained(recipe.folder / "teachers/en").get_input_embeddings().weight
    torch.testing.assert_close(model.get_input_embeddings().weight[list(UNION_ROLES)], teacher[:5])


def test_pieces_without_a_teacher_are_drawn(predicted: tuple[Recipe, Path]) -> None:
    """A recipe of fewer teachers than its union has."""
    recipe, folder = predicted
    alone = Recipe.model_validate(
        recipe.model_dump() | {"teachers": recipe.model_dump()["teachers"][:1], "corpora": {"en": recipe.corpora["en"]}}
    )
    alone._folder = recipe.folder
    model, said = begun(alone, folder, "teachers")
    assert "drawn, since no teacher has the piece" in said
    assert model.get_input_embeddings().weight.isfinite().all()


def test_another_width(predicted: tuple[Recipe, Path]) -> None:
    recipe, folder = predicted
    model, said = begun(recipe, folder, "teachers", hidden_size=48, intermediate_size=None)
    assert "from teachers of another width" in said
    assert model.get_input_embeddings().weight.shape[1] == 48
    with pytest.raises(InputError, match="found hidden_size 48, teacher 'bert-en' has 32"):
        begun(recipe, folder, "teacher:bert-en", hidden_size=48, intermediate_size=None)


def test_an_untied_head_has_rows_of_its_own(predicted: tuple[Recipe, Path]) -> None:
    recipe, folder = predicted
    model, _ = begun(recipe, folder, "teachers", architecture="rembert")
    assert model.get_output_embeddings().weight is not model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight[:, :32].std() > 0.1  # the teachers' rows are far from a new head's


def test_an_unknown_teacher_is_refused(predicted: tuple[Recipe, Path]) -> None:
    with pytest.raises(InputError, match="no teacher is called 'bert-fr'; the recipe has bert-en, bert-de"):
        changed(predicted[0], student=SHAPE | {"initialise": "teacher:bert-fr"})
    with pytest.raises(InputError, match='expected "random", "teachers", or "teacher:NAME"'):
        changed(predicted[0], student=SHAPE | {"initialise": "teacher"})


def test_training_begins_lower_and_resumes_without_its_teachers_weights(predicted: tuple[Recipe, Path]) -> None:
    recipe, folder = only_english(predicted[0]), predicted[1]
    settings = recipe.model_dump()["train"] | {"checkpoint_steps": 2}
    losses = {}
    for how in ("random", "teacher:bert-en"):
        one = changed(recipe, student=SHAPE | {"initialise": how}, train=settings)
        name = how.replace(":", "-")
        train_student(Run(recipe=one, folder=folder), name, progress=False)
        losses[how] = read_rows(folder / name)[0]["teacher_loss"]
    assert losses["teacher:bert-en"] < losses["random"] - 0.2
    student = folder / "teacher-bert-en"
    finished = read_rows(student)
    (student / "model.safetensors").unlink()  # as if it had been killed after the checkpoint of step 2
    shutil.rmtree(student / "checkpoints/step-00000004", ignore_errors=True)
    resumed = train_student(Run(recipe=one, folder=folder), "teacher-bert-en", resume=True, progress=False)
    assert resumed.resumed_from == 2
    assert read_rows(student)[-1]["loss"] == pytest.approx(finished[-1]["loss"], abs=1e-5)


def test_other_weights_than_those_that_made_the_predictions_are_refused(predicted: tuple[Recipe, Path]) -> None:
    recipe, folder = predicted
    run = Run(recipe=changed(recipe, student=SHAPE | {"initialise": "teachers"}), folder=folder)
    union = load_union(run.vocabulary)
    shards = student_shards(run, "predictions", union)
    weights = {shard.path.teacher: shard.identity["teacher.weights"] for shard in shards}
    weights["bert-de"] = "0" * 64
    model = new_student(run.recipe.student, vocab_size=union.size, max_length=24, roles=UNION_ROLES, seed=0)
    with pytest.raises(InputError, match=r"the weights of teacher 'bert-de' in .* are not those that made the predictions"):
        initialise(model, run, union, weights)
