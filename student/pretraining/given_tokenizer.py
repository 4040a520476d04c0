"""A tokenizer that exists already, made fit for a masked LM: every role has a token, and a sequence is cls … sep. No id changes."""

import json
from pathlib import Path
from typing import Any

from student.pretraining.subwords import SPECIAL
from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS, read_roles
from vocab.tokenizer_source import open_tokenizer

_ALSO = {"cls": "bos", "sep": "eos"}  # a role's other name


def given_tokenizer(path: Path, name: str, max_length: int) -> Any:
    """The tokenizer (PreTrainedTokenizerFast) of an HF folder, a tokenizer.json, a vocab.txt or a SentencePiece .model.

    name        whose it is, for messages
    max_length  tokens of the longest sequence that will be trained on, which the result declares

    A role that it does not declare gets the token of that name if there is one, else a new one after the last id. What cannot be read,
    and a vocabulary whose ids have gaps where a new token would be put, is an InputError.
    """
    from transformers import PreTrainedTokenizerFast

    source = open_tokenizer(path, name)
    declared = _declare_roles(source, path)
    roles = read_roles(source, name)
    backend = source.backend_tokenizer
    _frame(backend, roles.cls, roles.sep)
    # Saved as the plain fast kind, which is read back as it is: a class of its own would build its post-processor anew.
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=max_length, **declared)


def highest_id(tokenizer: Any) -> int:
    """The largest token id; with gaps between ids, this is more than there are tokens."""
    return max(tokenizer.get_vocab().values(), default=-1)


def _declare_roles(tokenizer: Any, path: Path) -> dict[str, Any]:
    """Declare what is missing; what is declared then, as arguments of an HF tokenizer."""
    word_piece = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["type"] == "WordPiece"
    for role in SPECIAL_TOKENS:
        if any(getattr(tokenizer, f"{part}_token") is not None for part in (role, _ALSO.get(role, role))):
            continue
        # As its family writes them; the other way if it has that already.
        names = (SPECIAL_TOKENS[role], SPECIAL[role]) if word_piece else (SPECIAL[role], SPECIAL_TOKENS[role])
        vocabulary = tokenizer.get_vocab()
        standing = [token for token in names if token in vocabulary]
        last = highest_id(tokenizer)
        tokenizer.add_special_tokens({f"{role}_token": (standing or names)[0]})
        if not standing and tokenizer.get_vocab()[names[0]] <= last:
            raise InputError(
                f"tokenizer {path}: declares no {role} token, and its ids have gaps, so that a new one would fall on a token's id; "
                f"expected ids without gaps: add the token to the file, or declare {role}_token in tokenizer_config.json"
            )
    parts = [*SPECIAL_TOKENS, *_ALSO.values()]
    return {f"{part}_token": token for part in parts if (token := getattr(tokenizer, f"{part}_token")) is not None}


def _frame(backend: Any, cls: int, sep: int) -> None:
    """Make a sequence cls … sep, if it is not one already: this is how the windows that a model is trained on look."""
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
