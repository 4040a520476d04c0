"""A masked LM with fewer rows of vocabulary: the rows of the kept ids, and every other weight as it was.

What depends on the vocabulary is not searched by name. A new model is made from the same configuration with a smaller vocab_size. Where its
weights have another shape, the vocabulary is the dimension that differs. So factored embeddings, biases that are there twice and heads
of any name are found, tied weights are tied as before, and the padding's row is where the new configuration says.

Legend: V ids of the old model, V' kept ids, B windows, T tokens.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from data.window_check import windows_for
from vocab.errors import InputError, first_line
from vocab.roles import Roles

# Where configurations name ids. XLM and FlauBERT have the second form.
_SPECIAL_IDS = [f"{role}_{end}" for role in ("pad", "bos", "eos", "unk", "cls", "sep", "mask") for end in ("token_id", "index")]
TOLERANCE = 1e-5  # of the largest absolute logit, or absolute where logits are below 1: rounding of float32 is less


def configured_ids(config: Any) -> list[int]:
    """The ids that a model's configuration names, as far as they are rows of its vocabulary."""
    found = [getattr(config, name, None) for name in _SPECIAL_IDS]
    flat = [index for entry in found for index in (entry if isinstance(entry, list) else [entry])]
    return sorted({index for index in flat if isinstance(index, int) and 0 <= index < config.vocab_size})


def trim_model(model: Any, kept_ids: NDArray[np.int64]) -> Any:
    """A new masked LM in float32 on the CPU with the vocabulary rows kept_ids [V'] of `model`, which is not changed.

    Its logits of the kept ids are those of `model`. Ids that its configuration names become new ids.

    Raises InputError for an architecture whose rows of the vocabulary cannot be found.
    """
    config = _trimmed_config(model, kept_ids)
    kind = config.model_type
    try:
        trimmed = AutoModelForMaskedLM.from_config(config).float().eval()
    except Exception as error:  # each architecture fails in its own way
        raise InputError(
            f"a masked LM of the type '{kind}' cannot be made with {len(kept_ids):,} tokens ({first_line(error)}); expected an "
            "architecture whose config.vocab_size is the size of its vocabulary"
        ) from None
    old, new = model.state_dict(), trimmed.state_dict()
    if extra := [name for name in old if name not in new]:
        raise InputError(
            f"a masked LM of the type '{kind}' has weights that a trimmed model has no place for: {extra[0]}, …; expected those that its "
            "configuration makes"
        )
    rows = torch.from_numpy(kept_ids)
    shift = _shift_of_positions(model.config, config)
    weights = {name: _cut(name, old.get(name), part, model.config.vocab_size, rows, shift, kind) for name, part in new.items()}
    if len(kept_ids) < model.config.vocab_size and all(weights[name].shape == old[name].shape for name in new):
        raise InputError(f"a masked LM of the type '{kind}' has no rows of a vocabulary of config.vocab_size; expected some")
    trimmed.load_state_dict(weights)
    return trimmed


def _trimmed_config(model: Any, kept_ids: NDArray[np.int64]) -> Any:
    new_ids = {old: new for new, old in enumerate(kept_ids.tolist())}
    config = copy.deepcopy(model.config)
    config.vocab_size = len(kept_ids)
    for name in _SPECIAL_IDS:
        found = getattr(model.config, name, None)
        if isinstance(found, list):
            setattr(config, name, [new_ids[index] for index in found if index in new_ids])
        elif isinstance(found, int) and 0 <= found < model.config.vocab_size:
            setattr(config, name, new_ids.get(found))
    if (shift := _positions_behind_padding(model) * _shift_of_positions(model.config, config)) > 0:
        config.max_position_embeddings -= shift
    if (inner := model.get_input_embeddings()) is not None and (outer := model.get_output_embeddings()) is not None:
        same_shape = getattr(outer, "weight", inner.weight).shape == inner.weight.shape
        if same_shape and getattr(outer, "weight", None) is not inner.weight:
            config.tie_word_embeddings = False  # whatever it says: the model has two tables
    return config


def _shift_of_positions(old: Any, new: Any) -> int:
    """By how many ids the padding moves down."""
    before, after = getattr(old, "pad_token_id", None), getattr(new, "pad_token_id", None)
    return before - after if isinstance(before, int) and isinstance(after, int) and before >= 0 else 0


def _positions_behind_padding(model: Any) -> bool:
    """Whether positions are counted from the padding's id, as in RoBERTa: the row of the first position is behind the padding's."""
    pad = getattr(model.config, "pad_token_id", None)
    tables = [module for name, module in model.named_modules() if name.endswith("position_embeddings")]
    return pad is not None and any(isinstance(table, nn.Embedding) and table.padding_idx == pad for table in tables)


def _cut(name: str, old: Tensor | None, new: Tensor, size: int, rows: Tensor, shift: int, kind: str) -> Tensor:
    """The weight of the new model: the old one, with the kept rows in the dimension that differs."""
    if old is not None and old.shape == new.shape:
        return old
    if old is not None and old.dim() == new.dim():
        differing = [place for place in range(old.dim()) if old.shape[place] != new.shape[place]]
        if len(differing) == 1:
            place = differing[0]
            if (old.shape[place], new.shape[place]) == (size, len(rows)):
                return old.index_select(place, rows.to(old.device))
            if shift > 0 and old.shape[place] - new.shape[place] == shift:
                return old.narrow(place, shift, new.shape[place])  # positions, which begin behind the padding's id
    found = "nothing" if old is None else f"the shape {tuple(old.shape)}"
    raise InputError(
        f"a masked LM of the type '{kind}' has weights that cannot be trimmed: {name}: found {found}, and the trimmed model needs "
        f"{tuple(new.shape)}; expected a dimension of {size:,} rows for the vocabulary"
    )


def windows_of(kept_ids: NDArray[np.int64], roles: Roles, max_length: int) -> list[NDArray[np.int64]]:
    """A few windows of old ids for `window_logits`: random kept ids, some masked. max_length: tokens of the longest."""
    usable_V = np.zeros(int(kept_ids.max()) + 1, dtype=np.bool_)
    usable_V[kept_ids] = True
    ordinary_V = usable_V.copy()
    ordinary_V[[*roles]] = False
    return windows_for(roles, ordinary_V if ordinary_V.any() else usable_V, max_length)


@torch.no_grad()
def window_logits(model: Any, windows: Sequence[NDArray[np.int64]], pad: int) -> list[Tensor]:
    """The logits [T, V] of each window: first of each alone, then of all in one padded batch."""
    model.eval()
    found = [model(input_ids=torch.from_numpy(window)[None]).logits[0].float() for window in windows]
    width = max(map(len, windows))
    input_ids_BT = torch.full((len(windows), width), pad)
    for row, window in zip(input_ids_BT, windows, strict=True):
        row[: len(window)] = torch.from_numpy(window)
    attention_BT = (torch.arange(width) < torch.tensor([[len(window)] for window in windows])).long()
    logits_BTV = model(input_ids=input_ids_BT, attention_mask=attention_BT).logits.float()
    return found + [logits_TV[: len(window)] for logits_TV, window in zip(logits_BTV, windows, strict=True)]


def check_logits(expected: Sequence[Tensor], found: Sequence[Tensor], kind: str) -> float:
    """The largest difference of the logits [T, V'] of kept ids before and after.

    Raises InputError if it is more than rounding. kind: the model's type, for the message
    """
    if any(one.shape != other.shape for one, other in zip(expected, found, strict=True)):
        raise InputError(
            f"a masked LM of the type '{kind}' gives {found[0].shape[-1]:,} logits; expected {expected[0].shape[-1]:,}"
        )
    worst = max(float((one - other).abs().max()) for one, other in zip(expected, found, strict=True))
    largest = max(1.0, *(float(one.abs().max()) for one in expected))
    if not worst <= TOLERANCE * largest:
        raise InputError(
            f"the logits of the trimmed model differ by up to {worst:.2g} from those of the model ('{kind}'); expected the same: this "
            "architecture uses ids in a way that trimming does not know"
        )
    return worst
