"""The roles of special tokens. Special tokens of different teachers merge by role, never by id or by string."""

from dataclasses import astuple, dataclass
from typing import Any

from vocab.errors import InputError

# The student's special tokens are the union's first ids, in this order.
SPECIAL_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """The id of each role's token in one vocabulary."""

    pad: int
    unk: int
    cls: int  # begins a sequence (bos in some tokenizers)
    sep: int  # ends a sequence (eos in some tokenizers)
    mask: int

    def __iter__(self) -> Any:
        """The five ids, in the order of the student's special tokens."""
        return iter(astuple(self))


UNION_ROLES = Roles(pad=0, unk=1, cls=2, sep=3, mask=4)
FIRST_PIECE = len(SPECIAL_TOKENS)  # union ids below it are special tokens


def read_roles(tokenizer: Any, name: str) -> Roles:
    """The roles that an HF tokenizer declares. Raises InputError if one is missing. `name` is its owner, for messages."""
    declared = {
        "pad": tokenizer.pad_token_id,
        "unk": tokenizer.unk_token_id,
        "cls": tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id,
        "sep": tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id,
        "mask": tokenizer.mask_token_id,
    }
    missing = [role for role, token in declared.items() if token is None]
    if missing:
        raise InputError(
            f"teacher '{name}': its tokenizer declares no {' and no '.join(missing)} token; expected a masked LM's tokenizer with "
            "pad, unk, cls (or bos), sep (or eos) and mask: set them in tokenizer_config.json"
        )
    roles = {role: int(token) for role, token in declared.items()}
    for role, index in roles.items():
        others = [other for other in roles if other != role and roles[other] == index]
        if others:
            raise InputError(
                f"teacher '{name}': its tokenizer declares the token id {index} as {role} and as {others[0]}; expected a token of its own "
                "for each role: correct tokenizer_config.json"
            )
    return Roles(**roles)
