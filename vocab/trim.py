"""Which ids of a tokenizer some languages need: BiStil's trimmed vocabulary (Ansell et al. 2023, section on vocabulary reduction).

BiStil keeps the pieces whose probability is at least min_probability in one of the languages. There are many rare pieces: together they
can be one percent of a text's tokens, so min_coverage keeps the most frequent of them too. And a word whose piece was dropped has to be
spelled with smaller pieces, so those that the text needs are kept. Then these hold:

1. A word whose pieces are all kept is segmented as before. WordPiece takes the longest piece each time, Unigram the best path: what was
   the longest or the best stays so among fewer pieces. For BPE see `vocab/merges.py`.
2. No word of the counted text becomes unknown. Where each character of a word has a piece of its own, the word can always be spelled.
   The pieces of other words are kept (`hard_to_spell`, `needed_pieces`).

Legend: V ids of the old tokenizer, V' kept ids, T tokens.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocab.errors import InputError
from vocab.families import family, is_fallback_byte
from vocab.merges import merge_path, merge_ranks
from vocab.pieces import METASPACE
from vocab.roles import Roles, read_roles
from vocab.trimmed_tokenizer import named_ids


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimmableVocabulary:
    """A tokenizer's pieces as trimming sees them."""

    name: str
    family: str
    tokens: Sequence[str | None]  # [V] the string of each id; None: no token has this id
    always: NDArray[np.bool_]  # [V] special and other added tokens, and the piece from which Unigram derives the score of unknowns
    contents: Sequence[str | bytes | None]  # [V] the text of each piece, without the mark of its family; None: no piece, or added
    hard_to_spell: NDArray[np.bool_]  # [V] pieces with a character that has no piece of its own at this place of a word
    never: NDArray[np.bool_]  # [V] pieces as "##," of one character that is always a word of its own: no text has them
    ranks: Mapping[tuple[str, str], int]  # of a BPE: its merges
    roles: Roles

    @property
    def size(self) -> int:
        """V, the largest id + 1."""
        return len(self.tokens)


def read_trimmable(tokenizer: Any, name: str) -> TrimmableVocabulary:
    """The pieces of a fast tokenizer (PreTrainedTokenizerFast). `name` is its owner, for messages.

    Raises InputError for a family of tokenizers that the project does not know, and for one that lacks a role.
    """
    roles = read_roles(tokenizer, name)
    backend = tokenizer.backend_tokenizer
    state = json.loads(backend.to_str())
    kind, canonical = family(state, name)
    model = state["model"]
    if model.get("end_of_word_suffix") or (model["type"] == "BPE" and model.get("continuing_subword_prefix")):
        raise InputError(
            f"teacher '{name}': its tokenizer is {kind} with marks inside or behind words, as CLIP's; expected one without: its merges "
            "cannot be trimmed"
        )
    vocabulary = backend.get_vocab(with_added_tokens=True)
    tokens: list[str | None] = [None] * (max(vocabulary.values(), default=-1) + 1)
    for token, index in vocabulary.items():
        tokens[index] = token
    always = np.zeros(len(tokens), dtype=np.bool_)
    always[[*named_ids(state) | set(tokenizer.all_special_ids) | set(roles)]] = True
    contents = [None if token is None or always[index] else canonical(token).content for index, token in enumerate(tokens)]
    own = {token for token, index in vocabulary.items() if not always[index]}
    prefix = model["continuing_subword_prefix"] if model["type"] == "WordPiece" else ""
    hard = [
        not (always[index] or token is None or _spelled(token, model["type"], prefix, own)) for index, token in enumerate(tokens)
    ]
    if model["type"] == "Unigram":
        # A character without a piece gets the lowest score of all pieces, less a constant: with another lowest score, words with such
        # a character could be cut in another way.
        always[min(range(len(model["vocab"])), key=lambda index: float(model["vocab"][index][1]))] = True
    return TrimmableVocabulary(
        name=name,
        family=kind,
        tokens=tokens,
        always=always,
        contents=contents,
        hard_to_spell=np.array(hard, dtype=np.bool_),
        never=np.array(
            [_never(backend, token, content, prefix) for token, content in zip(tokens, contents, strict=True)], np.bool_
        ),
        ranks=merge_ranks(model) if model["type"] == "BPE" else {},
        roles=roles,
    )


def _spelled(token: str, model: str, prefix: str, own: AbstractSet[str]) -> bool:
    """Whether each character of a token has a piece of its own that can stand at this place of a word."""
    if model == "WordLevel":
        return False  # nothing spells a word but itself
    if is_fallback_byte(token):
        return True
    if not prefix:
        return all(char in own for char in token)
    if token.startswith(prefix) and len(token) > len(prefix):
        return all(prefix + char in own for char in token[len(prefix) :])
    return token[:1] in own and all(prefix + char in own for char in token[1:])


def _never(backend: Any, token: str | None, content: str | bytes | None, prefix: str) -> bool:
    """Whether a piece continues a word with one character that never does, as BERT's tokenizers split at punctuation and Chinese."""
    if not prefix or not isinstance(content, str) or len(content) != 1 or token != prefix + content:
        return False
    text = f"a{content}"
    text = text if backend.normalizer is None else backend.normalizer.normalize_str(text)
    return backend.pre_tokenizer is not None and len(backend.pre_tokenizer.pre_tokenize_str(text)) > 1


def characters_of(tokenizer: Any, texts: Iterable[str]) -> set[str]:
    """The characters of the texts as the tokenizer's model sees them, after its normaliser."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    found: set[str] = set()
    for text in texts:
        found.update(text if normalizer is None else normalizer.normalize_str(text))
    return found


def needed_pieces(vocabulary: TrimmableVocabulary, ids_T: NDArray[np.int64], words_T: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ids of the pieces of all words that have a piece which is hard to spell.

    words_T: the number of each token's word in its text, increasing
    """
    hard_T = vocabulary.hard_to_spell[ids_T]
    return np.unique(ids_T[np.isin(words_T, words_T[hard_T])]) if hard_T.any() else ids_T[:0]


def choose_ids(
    vocabulary: TrimmableVocabulary,
    counts: Mapping[str, NDArray[np.int64]],
    *,
    min_probability: float,
    min_coverage: float = 0.0,
    characters: AbstractSet[str] = frozenset(),
    needed: Iterable[int] = (),
) -> NDArray[np.int64]:
    """The kept ids [V'], increasing: the old id of each new id.

    counts        language → occurrences of each id [V] in its corpus
    min_coverage  share of each corpus's tokens that kept pieces make up at least: the most frequent of the rare pieces are kept too until
                  it is reached
    characters    of the corpora's text, from `characters_of`
    needed        further ids to keep, from `needed_pieces`, or those that the model's configuration names

    Kept are: special and other added tokens; pieces whose share of a corpus is at least min_probability; pieces of single characters
    that the text contains, and of single bytes; the needed ids; for BPE, all that the merges of the kept pieces go through.

    Raises InputError for no language, a corpus without tokens, and shares that are none.
    """
    check_shares(min_probability, min_coverage)
    if not counts:
        raise InputError("found no corpus; expected at least one: name the languages to keep, as --corpus de=FILES")
    keep_V = vocabulary.always.copy()
    for language, count_V in counts.items():
        assert len(count_V) == vocabulary.size, f"{len(count_V)} counts for {vocabulary.size} ids of '{vocabulary.name}'"
        if not count_V.sum():
            raise InputError(f"corpus of '{language}': found no token in it; expected text: give other files")
        keep_V |= (count_V / count_V.sum() >= min_probability) | _covering(count_V, min_coverage)
    keep_V[[*needed]] = True
    for index, (token, content) in enumerate(zip(vocabulary.tokens, vocabulary.contents, strict=True)):
        if token and content is not None and not vocabulary.never[index]:
            keep_V[index] |= _is_smallest(token, content, characters, vocabulary.family)
    keep_V &= [bool(token) for token in vocabulary.tokens]
    return np.flatnonzero(_with_paths(vocabulary, keep_V)).astype(np.int64)


def _covering(count_V: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """The fewest pieces that make up this share of the tokens: the most frequent ones, of equal ones the lower ids."""
    order = np.argsort(-count_V, kind="stable")
    before = np.cumsum(count_V[order]) - count_V[order]  # tokens of the pieces that are more frequent
    covering_V = np.zeros(len(count_V), dtype=np.bool_)
    covering_V[order[before < share * count_V.sum()]] = True
    return covering_V & (count_V > 0)


def check_shares(min_probability: float, min_coverage: float) -> None:
    """Raise InputError for a min_probability that is not above 0 and at most 1, and a min_coverage that is not from 0 to 1."""
    if not 0 < min_probability <= 1:
        raise InputError(f"--min-probability: found {min_probability:g}; expected a number above 0 and at most 1, as 1e-6")
    if not 0 <= min_coverage <= 1:
        raise InputError(f"--min-coverage: found {min_coverage:g}; expected a number from 0 to 1, as 0.9995")


def _is_smallest(token: str, content: str | bytes, characters: AbstractSet[str], family: str) -> bool:
    """Whether a piece is one byte, the mark of words, or one character that the text has (also behind "##" or "▁")."""
    if is_fallback_byte(token) or token == METASPACE or (len(token) == 1 and family.startswith("byte-level")):
        return True
    return token in characters or content in characters


def _with_paths(vocabulary: TrimmableVocabulary, keep_V: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """For BPE: also the pieces on the way of the merges that build the kept ones."""
    if not vocabulary.ranks:
        return keep_V
    ids = {token: index for index, token in enumerate(vocabulary.tokens) if token is not None}
    closed_V = keep_V.copy()
    for index in np.flatnonzero(keep_V & ~vocabulary.always).tolist():
        token = vocabulary.tokens[index]
        if token and not is_fallback_byte(token):
            closed_V[[ids[part] for part in merge_path(token, vocabulary.ranks) if part in ids]] = True
    return closed_V
