"""A teacher's layers in the student: every parameter that is not of the vocabulary, and every k-th layer of a deeper teacher."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vocab.errors import InputError

# Sizes in the names of transformers. Heads divide the same matrices in another way, so shapes alone do not show them.
SHAPE = ("hidden_size", "num_attention_heads", "intermediate_size")
_ADVICE = 'choose the teacher\'s in [student], or student.initialise = "teachers", which takes rows of the vocabulary only'


def chosen_layer(layer: int, teacher_layers: int, student_layers: int) -> int:
    """The teacher's layer for a layer of the student, both counted from 0: the last one of each group of k, so the last one is kept."""
    every = teacher_layers // student_layers
    return layer * every + every - 1


def refuse_other_shape(student: Any, teacher: Any, name: str) -> None:
    """Raise InputError unless the layers of a student with one configuration can be those of a teacher with another."""
    if student.model_type != teacher.model_type:
        raise InputError(
            f"student.initialise: found the architecture '{student.model_type}', teacher '{name}' is a '{teacher.model_type}'; expected "
            f"the same: {_ADVICE}"
        )
    for field in SHAPE:
        mine, theirs = getattr(student, field, None), getattr(teacher, field, None)
        if mine != theirs:
            raise InputError(
                f"student.initialise: found {field} {mine}, teacher '{name}' has {theirs}; expected the same: {_ADVICE}"
            )
    deep, shallow = teacher.num_hidden_layers, student.num_hidden_layers
    if deep % shallow:
        raise InputError(
            f"student.initialise: found {shallow} layers, teacher '{name}' has {deep}; expected a number that divides it: {_ADVICE}"
        )


@torch.no_grad()
def copy_layers(student: Any, teacher: Any, name: str, layers: Sequence[int] | None = None) -> int:
    """Copy a teacher's parameters into a student of the same architecture, except those of the vocabulary; the number of layers.

    layers: the teacher's layer for each of the student's; by default `chosen_layer`.

    Tables of positions may differ in length: the rows that both have are copied. Raises InputError for other architectures or shapes,
    if the depth of the student does not divide the teacher's, and if the layers would do other work than in the teacher (as layers
    with a local window in the place of layers that see everything).
    """
    refuse_other_shape(student.config, teacher.config, name)
    shallow, deep = student.config.num_hidden_layers, teacher.config.num_hidden_layers
    own, source = _layers(student, shallow), _layers(teacher, deep)
    vocabulary, state = vocabulary_parameters(student), teacher.state_dict()
    left = {key for key in state if key not in vocabulary_parameters(teacher)}
    if own and source:
        chosen = [chosen_layer(index, deep, shallow) for index in range(shallow)] if layers is None else [*layers]
        _refuse_other_kinds(student.config, teacher.config, chosen, name)
        left -= {key for key in left if key.startswith(source) and int(key.removeprefix(source).partition(".")[0]) not in chosen}
    for key, parameter in student.state_dict().items():
        if key in vocabulary:
            continue
        place = key
        if own and source and key.startswith(own):
            index, _, rest = key.removeprefix(own).partition(".")
            place = f"{source}{chosen[int(index)]}.{rest}"
        if place not in state:
            raise InputError(f"student.initialise: teacher '{name}' has no weights {place}: its layers are others: {_ADVICE}")
        left.discard(place)
        _copy(parameter, state[place], place, name)
    if left:
        raise InputError(f"student.initialise: a student of this depth has no place for teacher '{name}''s {min(left)}: {_ADVICE}")
    return int(shallow)


def vocabulary_parameters(model: Any) -> set[str]:
    """The names of the parameters that have a row for each piece: the embeddings, and the weight and bias of the head."""
    modules = (model.get_input_embeddings(), model.get_output_embeddings())
    held = {id(parameter) for module in modules for parameter in module.parameters()}
    return {key for key, parameter in model.named_parameters(remove_duplicate=False) if id(parameter) in held}


def _layers(model: Any, count: int) -> str:
    """The prefix of the parameters of layer 0, 1, … without its number; "" if all layers share their parameters."""
    names = (name for name, module in model.named_modules() if isinstance(module, nn.ModuleList) and len(module) == count)
    first = next(names, "")
    return f"{first}." if first else ""


def _refuse_other_kinds(student: Any, teacher: Any, chosen: list[int], name: str) -> None:
    mine, theirs = getattr(student, "layer_types", None), getattr(teacher, "layer_types", None)
    if mine and theirs and list(mine) != [theirs[index] for index in chosen]:
        raise InputError(
            f"student.initialise: teacher '{name}' has layers of several kinds; expected as many layers in the student "
            f"({len(theirs)}): {_ADVICE}"
        )


def _copy(target: Tensor, source: Tensor, key: str, name: str) -> None:
    if target.shape == source.shape:
        target.copy_(source)
    elif target.ndim == 2 and target.shape[1] == source.shape[1] and "position" in key:
        rows = min(len(target), len(source))
        target[:rows].copy_(source[:rows])
    else:
        raise InputError(
            f"student.initialise: teacher '{name}' has {key} of the shape {[*source.shape]}; expected {[*target.shape]}: {_ADVICE}"
        )
