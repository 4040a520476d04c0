"""A student of a teacher's width with every f-th of its layers (BiStil, section 3.2: initialisation)."""

import copy
from typing import Any, Literal, TypeAlias

import torch
from transformers import AutoModelForMaskedLM

from student.initialisation.layers import chosen_layer, copy_layers, vocabulary_parameters
from student.model import DROPOUTS
from vocab.errors import InputError

Choice: TypeAlias = Literal["regular", "bottom"]


def shallow_student(teacher: Any, reduction: int, choice: Choice = "regular") -> Any:
    """A masked LM with 1 / `reduction` of the teacher's layers, without dropout, whose weights are all copies of the teacher's.

    Layer j of the student is layer j · f + f − 1 of the teacher ("regular"), or layer j ("bottom"), counted from 0. The vocabulary's
    rows, the embeddings, their normalisation and the masked-LM head are the teacher's.

    Raises InputError if f does not divide the teacher's layers, and for layers of several kinds that would change places.
    """
    deep = int(teacher.config.num_hidden_layers)
    if deep % reduction:
        raise InputError(
            f"student.reduction: found {reduction}; the teacher has {deep} layers: expected a number that divides them "
            f"({', '.join(str(n) for n in range(1, deep + 1) if deep % n == 0)})"
        )
    shallow = deep // reduction
    layers = [chosen_layer(layer, deep, shallow) if choice == "regular" else layer for layer in range(shallow)]
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers = shallow
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    if kinds := getattr(config, "layer_types", None):
        config.layer_types = [kinds[layer] for layer in layers]
    try:
        student = AutoModelForMaskedLM.from_config(
            config, attn_implementation="eager"
        ).float()  # whatever type the teacher is saved in
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"student.reduction: the teacher's architecture cannot be built with {shallow} layers: {error}") from None
    try:
        copy_layers(student, teacher, "teacher", layers)
    except InputError as error:
        reason = str(error).removeprefix("student.initialise: ").partition(": choose")[0]
        raise InputError(
            f"a {config.model_type} cannot lose layers ({reason}); expected a model such as BERT or RoFormer"
        ) from None
    source, own = teacher.state_dict(), student.state_dict()
    with torch.no_grad():
        for name in vocabulary_parameters(student):
            own[name].copy_(source[name])
    return student
