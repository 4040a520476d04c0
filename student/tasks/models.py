"""Models of an evaluation: opened with a new head for a task, or as masked LMs; what cannot give right scores is refused by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from data.window_check import WindowsDiffer, check_windows, longest_window, windows_for
from student.hf_folder import load_config, quiet
from student.tasks.reading import Reader
from student.tasks.task import Task
from vocab.errors import InputError
from vocab.model_source import NO_CODE, load_fault


def new_model(folder: Path, task: Task, labels: Sequence[str], max_length: int, seed: int, *, maps: bool = False) -> Any:
    """The model of a folder with a new head for the task, whose weights follow from the seed.

    labels: names of the head's outputs; none for questions, whose head has a first and a last place.
    maps: whether it computes attention in the way that gives the maps.

    Raises InputError for a folder that holds no masked LM, or one without such a head in transformers, or without room for `max_length`
    tokens.
    """
    torch.manual_seed(seed)
    named = {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: n for n, label in enumerate(labels)},
    }
    eager = {"attn_implementation": "eager"} if maps else {}
    model, missing = open_model(folder, task.auto_class, (named if labels else {"num_labels": 2}) | eager)
    # The head is new. So is BERT's pooler, which masked LMs do not have.
    prefix = f"{model.base_model_prefix}."
    refuse_missing(folder, [key for key in missing if key.startswith(prefix) and "pooler" not in key], "its encoder")
    check_room(folder, model, max_length)
    return model


def masked_lm(folder: Path, max_length: int) -> Any:
    """The masked LM of a folder, with every weight. Raises InputError for another model, and one without room for `max_length` tokens."""
    model, missing = open_model(folder, "AutoModelForMaskedLM", {})
    refuse_missing(folder, missing, "a masked LM")
    check_room(folder, model, max_length)
    return model


def check_reading(folder: Path, model: Any, reader: Reader, max_length: int) -> None:
    """Raise InputError if the tokenizer has ids that the model lacks, or if a text's result depends on the padding beside it."""
    size = model.config.vocab_size
    if reader.largest_id >= size:
        raise InputError(
            f"{folder}: its tokenizer has the id {reader.largest_id}, and the model {size} rows: they do not belong together"
        )

    def forward(input_ids_BT: NDArray[np.int64], attention_BT: NDArray[np.int64] | None, places_M: NDArray[np.int64]) -> Any:
        mask = None if attention_BT is None else torch.from_numpy(attention_BT)
        hidden = model.base_model(input_ids=torch.from_numpy(input_ids_BT), attention_mask=mask, return_dict=True)[0]
        return hidden.flatten(0, 1)[torch.from_numpy(places_M)].float().numpy()

    usable = np.ones(size, dtype=np.bool_)
    usable[list(reader.roles)] = False
    model.eval()
    try:
        with torch.no_grad():
            verdict = check_windows(forward, forward, windows_for(reader.roles, usable, max_length), reader.roles.pad, model)
        reason = verdict.reason
    except WindowsDiffer as error:
        reason = str(error)
    if reason:
        raise InputError(f"{folder}: {reason}; expected a model whose result for a text does not depend on the texts beside it")


def open_model(folder: Path, auto_class: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
    """The model in float32, and the names of the weights that the folder lacks."""
    try:
        config = load_config(folder)
        if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            with quiet():
                found = getattr(transformers, auto_class).from_pretrained(folder, output_loading_info=True, **options, **NO_CODE)
            return found[0].float(), sorted(found[1]["missing_keys"])
    except Exception as error:  # each architecture fails in its own way
        reason = load_fault(error)
        raise InputError(f"{folder}: cannot be opened as {auto_class} ({reason}); expected a masked LM of transformers") from None
    raise InputError(f"{folder}: holds a model of the type '{config.model_type}', which is no masked LM; expected one")


def refuse_missing(folder: Path, missing: Sequence[str], what: str) -> None:
    if missing:
        raise InputError(
            f"{folder}: lacks {len(missing)} weights of {what} ({missing[0]}, …), which would be random; expected all: save it again"
        )


def check_room(folder: Path, model: Any, max_length: int, option: str = "--max-length") -> None:
    """Raise InputError if the model has fewer positions than `max_length`, which `option` says."""
    room = longest_window(model)
    if room is not None and room < max_length:
        raise InputError(f"{folder}: has {room} positions, and {option} is {max_length}; expected as many: lower {option}")
