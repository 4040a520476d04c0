"""A teacher's vocabulary as the union reads it: a canonical piece for each id, and the special tokens by role."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vocab.errors import InputError
from vocab.families import Canonical, family
from vocab.model_source import NO_CODE, load_fault
from vocab.normaliser import Normaliser, observe
from vocab.pieces import Piece, spell
from vocab.roles import Roles, read_roles
from vocab.tokenizer_source import open_tokenizer

# Rows that a vocabulary reserves for its users. They were never trained, so the union does not take them.
_FEW_PIECES = 0.01  # share of a vocabulary
_PLACEHOLDER = re.compile(r"^(\[unused[ _-]?\d+\]|madeupword\d+|<unused_?\d+>)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounting:
    """The rows of a teacher's head by kind: rows = pieces + special + placeholders + surplus."""

    rows: int = 0
    pieces: int = 0  # rows with a canonical piece
    merged: int = 0  # of these, rows whose piece another row of this teacher has too
    special: int = 0
    placeholders: int = 0
    surplus: int = 0  # rows without a token


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherVocabulary:
    """What the union needs to know about one teacher."""

    name: str
    pieces: Sequence[str | None]  # [head size] canonical piece of each id; None: special token, placeholder or surplus row
    roles: Roles
    normaliser: Normaliser
    tokenizer_fingerprint: str
    family: str = "WordPiece"
    accounting: Accounting = Accounting()
    tokenizer: Any = field(
        repr=False, default=None
    )  # the fast tokenizer's backend (tokenizers.Tokenizer), truncation and padding off


def read_teacher(folder: Path, name: str, tokenizer: Path | None = None) -> TeacherVocabulary:
    """Read a teacher's tokenizer and configuration. `tokenizer` is another source than the folder (see `open_tokenizer`).

    Raises InputError for a model that is not a masked LM, and for a tokenizer whose family or roles the union cannot hold.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, **NO_CODE)
    except Exception as error:  # each type of configuration fails in its own way
        raise InputError(f"teacher '{name}': {folder} cannot be loaded by transformers: {load_fault(error)}") from None
    _require_masked_lm(config, folder, name)
    return vocabulary_of(open_tokenizer(tokenizer or folder, name), name, head_size=config.vocab_size)


def vocabulary_of(tokenizer: Any, name: str, *, head_size: int | None = None) -> TeacherVocabulary:
    """The vocabulary of a fast tokenizer (PreTrainedTokenizerFast); without a model, the head has a row for each id."""
    roles = read_roles(tokenizer, name)
    backend = tokenizer.backend_tokenizer
    state = json.loads(backend.to_str())
    kind, of_family = family(state, name)
    own = state["model"]["vocab"]
    own = set(own) if isinstance(own, dict) else {entry[0] for entry in own}
    added = {
        entry["content"] for entry in state["added_tokens"] if entry["content"] not in own
    }  # complete words, not in the spelling of any family

    def canonical(token: str) -> Piece:
        return Piece(token.strip(), True) if token in added else of_family(token)

    vocabulary = backend.get_vocab(with_added_tokens=True)
    special_ids = set(tokenizer.all_special_ids) | {entry["id"] for entry in state["added_tokens"] if entry["special"]}
    pieces, accounting = canonical_pieces(
        vocabulary,
        head_size=head_size if head_size is not None else max(vocabulary.values()) + 1,
        special_ids=special_ids,
        canonical=canonical,
        name=name,
    )
    splits = (
        kind in ("WordPiece", "WordLevel")
        and backend.pre_tokenizer is not None
        and len(backend.pre_tokenizer.pre_tokenize_str("a,b")) == 3
    )
    normaliser = observe(backend, split_punctuation=splits)
    if normaliser.strip_accents and not _writes_hangul(pieces):
        # Its accents are gone, so composed letters are right for its pieces. Decomposed ones would cost the other teachers theirs.
        normaliser = replace(normaliser, decomposes=False)
    return TeacherVocabulary(
        name=name,
        pieces=pieces,
        roles=roles,
        normaliser=normaliser,
        family=kind,
        accounting=accounting,
        tokenizer_fingerprint=hashlib.sha256(json.dumps([state, list(roles)], sort_keys=True).encode()).hexdigest(),
        tokenizer=backend,
    )


def _writes_hangul(pieces: Sequence[str | None]) -> bool:
    """Whether more than a few pieces, as those of single characters, have letters of Hangul that are not composed to syllables."""
    held = [piece for piece in pieces if piece is not None]
    letters = sum(any("\u1100" <= char <= "\u11ff" for char in piece) for piece in held)
    return letters > _FEW_PIECES * len(held)


def canonical_pieces(
    vocabulary: dict[str, int], *, head_size: int, special_ids: set[int], canonical: Canonical, name: str
) -> tuple[list[str | None], Accounting]:
    """The canonical piece of each row of the head [head_size], None for rows that the union does not take; and the accounting.

    A head may have more rows than the vocabulary has tokens, as some published heads do: these rows are surplus. Raises InputError if
    it has fewer.
    """
    largest = max(vocabulary.values(), default=-1)
    if largest >= head_size:
        raise InputError(
            f"teacher '{name}': token id {largest} has no row in the model's head ({head_size} rows); "
            "expected config.vocab_size > every token id: the tokenizer is not this model's"
        )
    pieces: list[str | None] = [None] * head_size
    special = placeholders = 0
    for token, index in vocabulary.items():
        if not token:
            continue  # an empty line of a vocab.txt: a row without a piece
        if index in special_ids:
            special += 1
        elif _PLACEHOLDER.match(token):
            placeholders += 1
        else:
            pieces[index] = spell(canonical(token))
    held = [piece for piece in pieces if piece is not None]
    return pieces, Accounting(
        rows=head_size,
        pieces=len(held),
        merged=len(held) - len(set(held)),
        special=special,
        placeholders=placeholders,
        surplus=head_size - len(held) - special - placeholders,
    )


def _require_masked_lm(config: Any, folder: Path, name: str) -> None:
    """Whether the head is there, the weights decide, when they are looked at: `architectures` may name a class of the owner's."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    if config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        found = " and ".join(config.architectures or []) or config.model_type
        raise InputError(f"teacher '{name}': {folder} holds {found}, which is not a masked LM; expected a …ForMaskedLM checkpoint")
