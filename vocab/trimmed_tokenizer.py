"""A tokenizer with fewer ids: the pieces that are kept, renumbered without gaps, in the order of their old ids."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocab.errors import InputError
from vocab.merges import merge_pairs

_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
# What a tokenizer declares beside its state (tokenizer.json), and what does not depend on ids.
_DECLARED = ("model_max_length", "padding_side", "truncation_side", "model_input_names", "clean_up_tokenization_spaces")


def trimmed_tokenizer(tokenizer: Any, kept_ids: NDArray[np.int64], name: str) -> Any:
    """A fast tokenizer (PreTrainedTokenizerFast) with the pieces of kept_ids [V'], the old id of each new id, increasing.

    It has the same normaliser, roles, additional special tokens, length and sides. `name` is the owner, for messages.

    Raises InputError if the tokenizer's own rules give one of the tokens another id.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    backend = tokenizer.backend_tokenizer
    new_ids = {old: new for new, old in enumerate(kept_ids.tolist())}
    expected = {token: new_ids[old] for token, old in backend.get_vocab(with_added_tokens=True).items() if old in new_ids}
    state = trimmed_state(json.loads(backend.to_str()), new_ids)
    trimmed = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state, ensure_ascii=False)),
        **{f"{role}_token": token for role in _ROLES if (token := getattr(tokenizer, f"{role}_token")) is not None},
        **{key: getattr(tokenizer, key) for key in _DECLARED if getattr(tokenizer, key, None) is not None},
        extra_special_tokens=[str(token) for token in tokenizer.extra_special_tokens],
    )
    found = trimmed.backend_tokenizer.get_vocab(with_added_tokens=True)
    if found != expected:
        wrong = sorted({*expected, *found}, key=lambda token: expected.get(token, -1))
        token = next(token for token in wrong if found.get(token) != expected.get(token))
        raise InputError(
            f"teacher '{name}': the trimmed tokenizer gives '{token}' the id {found.get(token)}; expected {expected.get(token)}: an added "
            "token has an id before the vocabulary's last; save the tokenizer with the added tokens at its end"
        )
    return trimmed


def trimmed_state(state: dict[str, Any], new_ids: dict[int, int]) -> dict[str, Any]:
    """A tokenizer's state (the content of tokenizer.json) with only the ids of new_ids (old → new). The old state is not changed."""
    model = dict(state["model"])
    if model["type"] == "Unigram":
        model["vocab"] = [entry for index, entry in enumerate(model["vocab"]) if index in new_ids]
        model["unk_id"] = None if model["unk_id"] is None else new_ids[model["unk_id"]]
    else:
        kept = sorted((old, token) for token, old in model["vocab"].items() if old in new_ids)
        model["vocab"] = {token: new_ids[old] for old, token in kept}
    if model["type"] == "BPE":
        vocabulary = model["vocab"]
        model["merges"] = [
            [left, right]
            for left, right in merge_pairs(state["model"])
            if left in vocabulary and right in vocabulary and left + right in vocabulary
        ]
    return state | {
        "model": model,
        "added_tokens": [entry | {"id": new_ids[entry["id"]]} for entry in state["added_tokens"]],
        "post_processor": _post_processor(state["post_processor"], new_ids),
    }


def named_ids(state: dict[str, Any]) -> set[int]:
    """The ids that a tokenizer's state names beside its pieces: added tokens, the unknown token, those of the post-processor."""
    model, found = state["model"], {entry["id"] for entry in state["added_tokens"]}
    if model.get("unk_id") is not None:
        found.add(model["unk_id"])
    elif model.get("unk_token") in model["vocab"]:
        found.add(model["vocab"][model["unk_token"]])
    processors = [state["post_processor"] or {}]
    for processor in processors:
        processors += processor.get("processors", [])
        found |= {index for token in processor.get("special_tokens", {}).values() for index in token["ids"]}
        found |= {processor[key][1] for key in ("sep", "cls") if key in processor}
    return found


def _post_processor(processor: dict[str, Any] | None, new_ids: dict[int, int]) -> dict[str, Any] | None:
    """The post-processor with new ids of its special tokens."""
    if processor is None:
        return None
    if processor["type"] == "Sequence":
        return processor | {"processors": [_post_processor(part, new_ids) for part in processor["processors"]]}
    if processor["type"] == "TemplateProcessing":
        tokens = processor["special_tokens"].items()
        return processor | {
            "special_tokens": {key: token | {"ids": [new_ids[old] for old in token["ids"]]} for key, token in tokens}
        }
    pairs = {
        key: [processor[key][0], new_ids[processor[key][1]]] for key in ("sep", "cls") if key in processor
    }  # BERT's, RoBERTa's
    return processor | pairs
