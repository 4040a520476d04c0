"""An existing tokenizer, completed for a masked LM: every role has a token, and a sequence is cls … sep. No id changes."""

import json
from pathlib import Path
from typing import Any

from student.pretraining.subwords import SPECIAL
from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS, read_roles
from vocab.tokenizer_source import open_tokenizer

_ALSO = {"cls": "bos", "sep": "eos"}  # the other name of a role


def given_tokenizer(path: Path, name: str, max_length: int) -> Any:
    """The tokenizer (PreTrainedTokenizerFast) of an HF folder, a tokenizer.json, a vocab.txt or a SentencePiece .model.

    name        of its owner, for messages
    max_length  tokens of the longest training sequence; the result declares it

    A role without a declared token gets the token with the usual name of this role, or else a new token after the last id. Raises
    InputError for files that cannot be read, and if a new token is needed but the ids have gaps.
    """
    from transformers import PreTrainedTokenizerFast

    source = open_tokenizer(path, name)
    declared = _declare_roles(source, path)
    roles = read_roles(source, name)
    backend = source.backend_tokenizer
    _frame(backend, roles.cls, roles.sep)
    # Saved as PreTrainedTokenizerFast, which is loaded unchanged. Other classes would build their own post-processor.
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=max_length, **declared)


def highest_id(tokenizer: Any) -> int:
    """The largest token id. If the ids have gaps, this is larger than the number of tokens."""
    return max(tokenizer.get_vocab().values(), default=-1)


def _declare_roles(tokenizer: Any, path: Path) -> dict[str, Any]:
    """Declare the missing roles; returns all of them as arguments of an HF tokenizer."""
    word_piece = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["type"] == "WordPiece"
    for role in SPECIAL_TOKENS:
        if any(getattr(tokenizer, f"{part}_token") is not None for part in (role, _ALSO.get(role, role))):
            continue
        # Written as in the tokenizer's family, or in the other way if such a token exists already.
        names = (SPECIAL_TOKENS[role], SPECIAL[role]) if word_piece else (SPECIAL[role], SPECIAL_TOKENS[role])
        vocabulary = tokenizer.get_vocab()
        existing = [token for token in names if token in vocabulary]
        last = highest_id(tokenizer)
        tokenizer.add_special_tokens({f"{role}_token": (existing or names)[0]})
        if not existing and tokenizer.get_vocab()[names[0]] <= last:
            raise InputError(
                f"tokenizer {path}: declares no {role} token, and its ids have gaps, so a new one could get the id of another token; "
                f"expected ids without gaps: add the token to the file, or declare {role}_token in tokenizer_config.json"
            )
    parts = [*SPECIAL_TOKENS, *_ALSO.values()]
    return {f"{part}_token": token for part in parts if (token := getattr(tokenizer, f"{part}_token")) is not None}


def _frame(backend: Any, cls: int, sep: int) -> None:
    """Make a sequence cls … sep, if it is not already: the training windows have this form."""
    from tokenizers import processors

    plain, framed = (backend.encode("a", add_special_tokens=special).ids for special in (False, True))
    if framed == [cls, *plain, sep]:
        return
    first, last = backend.id_to_token(cls), backend.id_to_token(sep)
    backend.post_processor = processors.TemplateProcessing(
        single=[first, "$A", last],
        pair=[first, "$A", last, "$B:1", f"{last}:1"],
        special_tokens=[(first, cls), (last, sep)],
    )
