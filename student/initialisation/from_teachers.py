"""A student begins from its teachers: student.initialise of the recipe, carried out on a model.

"teachers"      each row of the vocabulary from the teachers that have its piece; the layers stay random
"teacher:NAME"  the same, in the space of teacher NAME, and NAME's layers
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data.identity import weights_fingerprint
from data.recipe import Recipe
from data.run import Run
from data.teacher_files import teacher_folder, teacher_vocabulary
from student.hf_folder import load_model
from student.initialisation.layers import copy_layers
from student.initialisation.rows import Counts, TeacherRows, average, collect_rows, draw_missing, project
from vocab.errors import InputError
from vocab.folder import load_map
from vocab.roles import UNION_ROLES
from vocab.union import Union


def sound_folder(recipe: Recipe, name: str, weights: Mapping[str, str]) -> Path:
    """The folder of a teacher, whose weights must be those that made the predictions.

    weights: their fingerprint by teacher, from the shards; a teacher without shards is not compared.
    """
    folder = teacher_folder(recipe, name, weights=True)
    found, expected = weights_fingerprint(folder), weights.get(name)
    if expected and found != expected:
        raise InputError(
            f"student.initialise: the weights of teacher '{name}' in {folder} are not those that made the predictions (found "
            f'{found[:12]}…, expected {expected[:12]}…): fetch that version of the teacher, or set student.initialise = "random"'
        )
    return folder


def initialise(model: Any, run: Run, union: Union, weights: Mapping[str, str]) -> str:
    """Put what the teachers know into a new student; a line that says what was taken. Nothing is done for "random".

    Teachers are loaded one after the other. Raises InputError for weights that did not make the predictions (see `sound_folder`), and for
    layers that do not fit.
    """
    recipe, leader = run.recipe, run.recipe.student.teacher_of_layers
    if recipe.student.initialise == "random":
        return ""
    names = [teacher.name for teacher in recipe.labellers]  # no shard proves the weights of the others: they are not read
    tables: dict[str, list[TeacherRows]] = {"input": [], "head": [], "bias": []}
    layers = 0
    for name in sorted(names, key=lambda name: name != leader):  # the leader first
        folder = sound_folder(recipe, name, weights)
        teacher = load_model(folder)
        if name == leader:
            layers = copy_layers(model, teacher, name)
        _collect(tables, name, teacher, run, folder)
    generator = torch.Generator().manual_seed(recipe.student_seed)
    rows = model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    counts = fill(rows, tables["input"], union, generator)
    if head.weight is not rows:
        fill(head.weight, tables["head"], union, generator)
    if head.bias is not None and tables["bias"]:
        fill(head.bias[:, None], _same_mean(tables["bias"]), union, generator, turn=False)
    text = (
        f"{counts.copied:,} rows of the vocabulary are copied, {counts.averaged:,} averaged over the teachers that have the piece"
    )
    if counts.projected:
        text += f", {counts.projected:,} of these from teachers of another width"
    if counts.drawn:
        text += f", {counts.drawn:,} drawn, since no teacher has the piece"
    if counts.drawn and len(names) < len(recipe.teachers):
        text += f" among those that label ({', '.join(t.name for t in recipe.teachers if not t.languages)} gives no rows: languages = [])"
    return f"student.initialise: {text}" + (f"; {layers} layers are those of '{leader}'" if leader else "; the layers are random")


@torch.no_grad()
def fill(target_VH: Tensor, parts: list[TeacherRows], union: Union, generator: torch.Generator, *, turn: bool = True) -> Counts:
    """Write the rows of the union into a table of the student. The first part with the student's width gives the space of all.

    turn: whether the rows of the other parts are turned into it. Biases are not: a number has no direction.
    """
    width = target_VH.shape[1]
    reference = next((part for part in parts if part.rows.shape[1] == width), None)
    if reference is None:
        reference = project(parts[0], TeacherRows(teacher="", ids=parts[0].ids[:0], rows=torch.zeros(0, width)))
    turned = [reference if part.teacher == reference.teacher else project(part, reference) for part in parts] if turn else parts
    rows_VH, count_V = average(turned, union.size)
    present_V = count_V > 0
    target_VH.copy_(draw_missing(rows_VH, present_V, union.pieces, generator))
    other_width = torch.zeros(union.size, dtype=torch.bool)
    for part in parts:
        other_width[part.ids] |= part.rows.shape[1] != width
    return Counts(
        copied=int((count_V == 1).sum()),
        averaged=int((count_V > 1).sum()),
        projected=int(other_width.sum()),
        drawn=int((~present_V).sum()),
    )


def _collect(tables: dict[str, list[TeacherRows]], name: str, teacher: Any, run: Run, folder: Path) -> None:
    """A teacher's rows by union id: of the pieces that it predicts, and of its special tokens by their roles."""
    teacher_map = load_map(run.vocabulary, name)
    ids_R = torch.from_numpy(teacher_map.union_ids.astype("int64"))
    used_R = torch.from_numpy(teacher_map.predictable.copy())
    for own, shared in zip(teacher_vocabulary(run.recipe, name, folder).roles, UNION_ROLES, strict=True):
        ids_R[own], used_R[own] = shared, True
    head = teacher.get_output_embeddings()
    with torch.no_grad():
        tables["input"].append(collect_rows(name, teacher.get_input_embeddings().weight, ids_R, used_R))
        tables["head"].append(collect_rows(name, head.weight, ids_R, used_R))
        if head.bias is not None:
            tables["bias"].append(collect_rows(name, head.bias[:, None], ids_R, used_R))


def _same_mean(parts: list[TeacherRows]) -> list[TeacherRows]:
    """Biases with the mean of the first teacher's: a softmax does not see a constant, so each teacher has another one."""
    first = parts[0].rows.mean()
    return [TeacherRows(teacher=part.teacher, ids=part.ids, rows=part.rows - part.rows.mean() + first) for part in parts]
