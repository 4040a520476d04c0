"""A new student: a masked LM architecture of transformers in the recipe's shape, with random weights from the seed."""

import difflib
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from data.recipe import Student
from data.window_check import WindowsDiffer, check_windows, windows_for
from student.training.masked_head import decoder, hidden_at_masks
from vocab.errors import InputError, first_line
from vocab.roles import Roles

POSITIONS = 512  # at least as many as BERT, so that a student trained on short windows can be fine-tuned on longer ones

# Names of sizes that transformers' attribute_map does not translate.
_OTHER_NAMES = {"intermediate_size": ("hidden_dim", "ffn_dim")}
DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)


def new_student(student: Student, *, vocab_size: int, max_length: int, roles: Roles, seed: int, like: Any = None) -> Any:
    """A masked LM of the recipe's shape over `vocab_size` ids, for windows of `max_length` tokens (512 positions at least).

    like: the configuration of a teacher whose layers the student will take; see `student_config`.

    The weights depend only on the arguments. The masked-head path is compared with the plain model once, on a few windows. So an
    architecture whose head works in another way, or that looks at padding, is an InputError here, and not a wrong loss later.
    """
    config = student_config(student, vocab_size=vocab_size, max_length=max_length, roles=roles, like=like)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForMaskedLM.from_config(config)
    _check_head(model, student.architecture, max_length, roles)
    return model


def student_config(student: Student, *, vocab_size: int, max_length: int, roles: Roles, like: Any = None) -> Any:
    """The configuration of the architecture with the recipe's sizes.

    like: a configuration of the same architecture, from which all else is taken (such as the activation), instead of the defaults.

    Raises InputError for an unknown architecture, with similar names, and for a shape that cannot be built or that no memory here holds.
    """
    default = _default_config(student.architecture)
    if default.is_encoder_decoder:
        raise InputError(
            f"student.architecture: '{student.architecture}' is an encoder-decoder; expected an encoder as 'bert' or 'roformer'"
        )
    sizes = {
        "hidden_size": student.hidden_size,
        "num_hidden_layers": student.layers,
        "num_attention_heads": student.heads,
        "intermediate_size": student.intermediate_size or 4 * student.hidden_size,
        "vocab_size": vocab_size,
    }
    settings: dict[str, int | float] = {_attribute(default, name, student.architecture): size for name, size in sizes.items()}
    optional: dict[str, int | float] = {
        # BERT's 0.02 is meant for a width of 768. With it a narrower model starts with almost constant logits and learns slowly at first.
        "initializer_range": 0.02 * (768 / student.hidden_size) ** 0.5,
        "max_position_embeddings": max(max_length, POSITIONS),
        "embedding_size": student.hidden_size,
        "pad_token_id": roles.pad,
        "bos_token_id": roles.cls,
        "eos_token_id": roles.sep,
        "cls_token_id": roles.cls,
        "sep_token_id": roles.sep,
        "mask_token_id": roles.mask,
        **dict.fromkeys(DROPOUTS, student.dropout),
    }
    settings |= {name: value for name, value in optional.items() if hasattr(default, name)}
    try:
        config = AutoConfig.for_model(student.architecture, **(_other_settings(like, default) | settings))
        with torch.device("meta"):
            skeleton = AutoModelForMaskedLM.from_config(config)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        reason = first_line(error)
        raise InputError(f"student: '{student.architecture}' cannot be built in this shape: {reason}") from None
    config.max_position_embeddings = max(max_length, POSITIONS) + _first_position(skeleton)
    weights, memory = 4 * count_parameters(skeleton), psutil.virtual_memory().total
    if weights > memory:
        raise InputError(
            f"student: '{student.architecture}' has {weights / 1e9:,.0f} GB of weights in this shape; this machine has "
            f"{memory / 1e9:,.0f} GB of memory: lower hidden_size, layers, intermediate_size or the size of the vocabulary"
        )
    return config


def shape_identity(student: Student) -> dict[str, Any]:
    """The part of a student's identity that its shape gives. Checkpoints from before there was `initialise` stay valid."""
    return {
        f"student.{key}": value for key, value in student.model_dump().items() if not (key == "initialise" and value == "random")
    }


def count_parameters(model: nn.Module) -> int:
    """Parameters, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _default_config(architecture: str) -> Any:
    known = sorted(MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, n=3, cutoff=0.4) or ["bert", "roformer", "roberta"]
        raise InputError(
            f"student.architecture: found '{architecture}'; expected a masked LM of transformers, such as {', '.join(near)}"
        )
    return AutoConfig.for_model(architecture)


def _other_settings(like: Any, default: Any) -> dict[str, Any]:
    """What a configuration says of its architecture, and not of one model: nothing of its files, and no list with an entry a layer."""
    if like is None or like.model_type != default.model_type:
        return {}
    names = {*default.to_dict()} - {"model_type", "architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path"}
    return {name: value for name, value in like.to_dict().items() if name in names and not isinstance(value, list)}


def _attribute(config: Any, name: str, architecture: str) -> str:
    """What the architecture calls a size."""
    for candidate in (config.attribute_map.get(name, name), *_OTHER_NAMES.get(name, ())):
        if hasattr(config, candidate):
            return str(candidate)
    raise InputError(f"student.architecture: '{architecture}' has no {name}; expected an encoder such as 'bert' or 'roformer'")


def _first_position(skeleton: nn.Module) -> int:
    """The row of the position table for the first token. In RoBERTa and similar models it comes after the row of the padding."""
    for name, module in skeleton.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return int(module.padding_idx) + 1
    return 0


def _check_head(model: Any, architecture: str, max_length: int, roles: Roles) -> None:
    """Refuse an architecture whose logits depend on more than the window, or differ between the masked-head path and the plain model."""

    def plain(input_ids_BT: NDArray[np.int64], attention_BT: NDArray[np.int64] | None, places_M: NDArray[np.int64]) -> Any:
        mask = None if attention_BT is None else torch.from_numpy(attention_BT)
        logits = model(input_ids=torch.from_numpy(input_ids_BT), attention_mask=mask).logits
        return logits.flatten(0, 1)[torch.from_numpy(places_M)].numpy()

    def ours(input_ids_BT: NDArray[np.int64], attention_BT: NDArray[np.int64] | None, places_M: NDArray[np.int64]) -> Any:
        mask = None if attention_BT is None else torch.from_numpy(attention_BT)
        hidden_MH = hidden_at_masks(model, torch.from_numpy(input_ids_BT), mask, torch.from_numpy(places_M))
        linear = decoder(model)
        return nn.functional.linear(hidden_MH, linear.weight, linear.bias).numpy()

    usable = np.ones(model.config.vocab_size, dtype=np.bool_)
    usable[list(roles)] = False
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            verdict = check_windows(plain, ours, windows_for(roles, usable, max_length), roles.pad, model)
        reason = verdict.reason
    except WindowsDiffer as error:
        reason = str(error)
    finally:
        model.train(was_training)
    if reason:
        raise InputError(f"student.architecture: '{architecture}': {reason}; try 'bert' or 'roformer'")
