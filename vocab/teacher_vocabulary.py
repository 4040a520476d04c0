"""A teacher's vocabulary as the union sees it: one canonical piece per id, its special tokens by role.

A canonical piece is written as WordPiece writes it: "haus" begins a word, "##haus" goes on with one.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS, Roles, read_roles

CONTINUATION = "##"
# Rows that a vocabulary keeps free for its users; they were never trained, so the union has no place for them.
_PLACEHOLDER = re.compile(r"^(\[unused\d+\]|madeupword\d+|<unused\d+>)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Normaliser:
    """What a tokenizer does to text before it splits it (BERT's normaliser)."""

    lowercase: bool
    strip_accents: bool
    split_chinese: bool  # every CJK character becomes a word
    clean_text: bool  # control characters removed, white space made plain


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherVocabulary:
    """What the union needs to know of one teacher."""

    name: str
    pieces: Sequence[str | None]  # [head size] canonical piece of each id; None: a special token, a placeholder, a surplus row
    roles: Roles
    normaliser: Normaliser
    tokenizer_fingerprint: str
    positions: int | None = None  # tokens of the longest sequence that the model takes; None: no limit is declared
    tokenizer: Any = field(
        repr=False, default=None
    )  # the fast tokenizer's backend (tokenizers.Tokenizer), truncation and padding off


def read_teacher(folder: Path, name: str) -> TeacherVocabulary:
    """Read a teacher's tokenizer and configuration. Anything that is no masked LM with a WordPiece tokenizer is an InputError."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"teacher '{name}': {folder} cannot be loaded by transformers: {str(error).strip().splitlines()[0]}"
        ) from None
    _require_masked_lm(config, folder, name)
    if not tokenizer.is_fast:
        raise InputError(
            f"teacher '{name}': its tokenizer has no fast form; expected a tokenizer.json: convert it with transformers"
        )
    roles = read_roles(tokenizer, name)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    state = json.loads(backend.to_str())
    if state["model"]["type"] != "WordPiece":
        raise InputError(
            f"teacher '{name}': its tokenizer is {state['model']['type']}; only WordPiece tokenizers can be merged by this version"
        )
    pieces = canonical_pieces(
        backend.get_vocab(with_added_tokens=True),
        head_size=config.vocab_size,
        special_ids=set(tokenizer.all_special_ids),
        prefix=state["model"]["continuing_subword_prefix"],
        name=name,
    )
    return TeacherVocabulary(
        name=name,
        pieces=pieces,
        roles=roles,
        normaliser=_normaliser(state["normalizer"] or {}),
        positions=_positions(config),
        tokenizer_fingerprint=hashlib.sha256(json.dumps([state, list(roles)], sort_keys=True).encode()).hexdigest(),
        tokenizer=backend,
    )


def canonical_pieces(
    vocabulary: dict[str, int], *, head_size: int, special_ids: set[int], prefix: str, name: str
) -> list[str | None]:
    """The canonical piece of each of the head's rows [head_size], None where the union has no place for the row.

    A head may have more rows than the vocabulary has tokens (published ones do): the surplus is None. Fewer is an InputError.
    """
    largest = max(vocabulary.values(), default=-1)
    if largest >= head_size:
        raise InputError(
            f"teacher '{name}': token id {largest} has no row in the model's head ({head_size} rows); "
            "expected config.vocab_size > every token id: the tokenizer is not this model's"
        )
    pieces: list[str | None] = [None] * head_size
    for token, index in vocabulary.items():
        if index in special_ids or _PLACEHOLDER.match(token) or token in SPECIAL_TOKENS.values():
            continue
        if prefix and token.startswith(prefix) and len(token) > len(prefix):
            pieces[index] = CONTINUATION + token[len(prefix) :]
        else:
            pieces[index] = token
    return pieces


def _positions(config: Any) -> int | None:
    """The longest sequence; RoBERTa and its kin spend the first rows of the position table on padding."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions <= 0:
        return None
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl") else 0
    return int(positions) - offset


def _require_masked_lm(config: Any, folder: Path, name: str) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    heads = list(config.architectures or [])
    # A checkpoint saved with another head would load all the same, its masked-LM head random: refuse it by what it says it is.
    wrong_head = heads and not any(head.endswith(("ForMaskedLM", "ForPreTraining", "LMHeadModel")) for head in heads)
    if config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or wrong_head:
        raise InputError(
            f"teacher '{name}': {folder} holds {' and '.join(heads) or config.model_type}, which is no masked LM; "
            "expected a …ForMaskedLM checkpoint"
        )


def _normaliser(state: dict[str, Any]) -> Normaliser:
    """BERT's normaliser from a tokenizer.json; any other normaliser counts as one that keeps everything."""
    bert = state.get("type") == "BertNormalizer"
    lowercase = bool(bert and state["lowercase"])
    strip = state.get("strip_accents")
    return Normaliser(
        lowercase=lowercase,
        strip_accents=bool(bert and (lowercase if strip is None else strip)),
        split_chinese=bool(bert and state["handle_chinese_chars"]),
        clean_text=bool(bert and state["clean_text"]),
    )
