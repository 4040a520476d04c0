"""Reads a SentencePiece .model as the tokenizer of its family: each has its own ids before the model's, and its own normaliser.

XLM-R puts four tokens before the pieces and one behind them; CamemBERT puts five; ALBERT, BigBird, RemBERT and DeBERTa-v2 take the ids of
the file. ALBERT and RemBERT change quotes, accents and case before the model sees the text. The conversions are those of transformers
(`convert_slow_tokenizer`), which its own classes need the sentencepiece package for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from vocab.errors import InputError, first_line
from vocab.roles import SPECIAL_TOKENS

_ANGLES = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
_MIXED = {"pad": "<pad>", "unk": "<unk>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """How one class of transformers reads a .model."""

    converter: str  # of transformers.convert_slow_tokenizer
    roles: Mapping[str, str]
    options: Mapping[str, bool] = field(default_factory=dict)  # what its tokenizer_config.json can change, and the defaults
    order: tuple[str, ...] = ("unk", "sep", "pad", "cls", "mask")  # in which the roles that the model lacks get ids behind it


_CLS_FIRST = ("cls", "sep", "unk", "pad", "mask")
_XLMR = Family(converter="XLMRobertaConverter", roles=_ANGLES)
# By the name of the tokenizer's class without "Tokenizer", in lower case.
FAMILIES = {
    "xlmroberta": _XLMR,
    "xmod": _XLMR,
    "camembert": Family(converter="CamembertConverter", roles=_ANGLES),
    "mbart": Family(converter="MBartConverter", roles=_ANGLES),
    "albert": Family(
        converter="AlbertConverter",
        roles=_MIXED,
        options={"do_lower_case": True, "keep_accents": False, "remove_space": True},
        order=_CLS_FIRST,
    ),
    "fnet": Family(
        converter="AlbertConverter",
        roles=_MIXED,
        options={"do_lower_case": False, "keep_accents": True, "remove_space": True},
    ),
    "rembert": Family(
        converter="RemBertConverter",
        roles=_MIXED | {"unk": "[UNK]"},
        options={"do_lower_case": False, "keep_accents": True, "remove_space": True},
        order=_CLS_FIRST,
    ),
    "bigbird": Family(converter="BigBirdConverter", roles=_MIXED),
    "debertav2": Family(
        converter="DebertaV2Converter",
        roles=SPECIAL_TOKENS,
        options={"do_lower_case": False, "split_by_punct": False},
        order=_CLS_FIRST,
    ),
}


def family_of(config: Mapping[str, Any], model_type: str) -> Family | None:
    """The family by the tokenizer's declared class, or else by the type of the model beside it; None if it is not one of these."""
    declared = str(config.get("tokenizer_class") or model_type)
    for ending in ("Fast", "Tokenizer"):
        declared = declared.removesuffix(ending)
    plain = declared.lower().replace("-", "").replace("_", "")
    return FAMILIES.get("xlmroberta" if plain == "xlmrobertaxl" else plain)


def read_model(path: Path, name: str, family: Family, config: Mapping[str, Any], added: Mapping[str, int]) -> Any:
    """The fast tokenizer of a .model in its family. `config` is tokenizer_config.json, `added` is added_tokens.json."""
    from transformers import PreTrainedTokenizerFast

    roles = {role: _text(config.get(f"{role}_token")) or token for role, token in family.roles.items()}
    for role, other in (("cls", "bos"), ("sep", "eos")):
        if f"{role}_token" not in config and f"{other}_token" in config and family.roles is _ANGLES:
            roles[role] = _text(config[f"{other}_token"]) or roles[role]

    theirs = import_module("transformers.convert_slow_tokenizer")  # a function of the same name may hide it

    class Converter(getattr(theirs, family.converter)):  # type: ignore[misc]
        handle_byte_fallback = True  # the fast form contains it

        def post_processor(self) -> None:
            """None: articles are tokenized without special tokens, and windows get them by their roles."""

    class Source:
        vocab_file = str(path)

    for option, default in family.options.items():
        setattr(Source, option, bool(config.get(option, default)))
    try:
        converter: Any = Converter
        backend = converter(Source()).converted()
    except Exception as error:
        raise InputError(f"teacher '{name}': {path} cannot be read as a SentencePiece model: {first_line(error)}") from None
    backend.add_tokens([token for token, _ in sorted(added.items(), key=lambda item: item[1])])
    backend.add_special_tokens([roles[role] for role in family.order])
    for token, index in added.items():
        if backend.token_to_id(token) != index:
            raise InputError(
                f"teacher '{name}': added_tokens.json beside {path} gives '{token}' the id {index}; in the model it is "
                f"{backend.token_to_id(token)}: the files are not of one tokenizer"
            )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **{f"{role}_token": token for role, token in roles.items()})


def _text(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token or "")
