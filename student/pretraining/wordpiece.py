"""A small WordPiece vocabulary and tokenizer from texts, equal in every process; special tokens can have any ids."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from vocab.errors import InputError
from vocab.roles import SPECIAL_TOKENS

ALPHABET = 1000  # largest number of characters that are pieces; or a quarter of the vocabulary, if that is more


def train_wordpiece(
    texts: Callable[[], Iterable[str]],
    *,
    vocab_size: int,
    max_length: int,
    lowercase: bool = False,
    special_token_ids: Mapping[str, int] | None = None,
) -> Any:
    """A PreTrainedTokenizerFast over at most `vocab_size` pieces (fewer if the texts do not give as many), sequences [CLS] … [SEP].

    texts              called twice: each time all texts, in the same order
    lowercase          also strips accents, as BERT's uncased models
    special_token_ids  role ("pad", "unk", "cls", "sep", "mask") → id; other roles keep the first ids, in this order. Raises
                       InputError for an unknown role, for one id for two roles, and for an id outside the vocabulary
    """
    from transformers import PreTrainedTokenizerFast

    normaliser = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )
    pieces = _train_pieces(texts, normaliser, vocab_size)
    order = place_special_tokens(pieces, special_token_ids or {})
    backend = Tokenizer(
        models.WordPiece(vocab={piece: index for index, piece in enumerate(order)}, unk_token=SPECIAL_TOKENS["unk"])
    )
    backend.normalizer = normaliser
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = SPECIAL_TOKENS["cls"], SPECIAL_TOKENS["sep"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, order.index(cls)), (sep, order.index(sep))],
    )
    backend.decoder = decoders.WordPiece()
    special = {f"{role}_token": token for role, token in SPECIAL_TOKENS.items()}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=max_length, **special)


def place_special_tokens(
    pieces: list[str], wanted: Mapping[str, int], special: Mapping[str, str] = MappingProxyType(SPECIAL_TOKENS)
) -> list[str]:
    """The pieces with each special token (`special`: role → token) at its wanted id, and all others in their order."""
    unknown = sorted(set(wanted) - set(special))
    if unknown:
        raise InputError(f"special_token_ids: found the role '{unknown[0]}'; expected one of {', '.join(special)}")
    if len(set(wanted.values())) < len(wanted):
        raise InputError(f"special_token_ids: found {dict(wanted)}; expected a different id for each role")
    order = list(pieces)
    for role, index in wanted.items():
        if not 0 <= index < len(order):
            raise InputError(
                f"special_token_ids: found id {index} for '{role}'; expected one below the vocabulary's size, {len(order)}"
            )
    others = [piece for piece in order if piece not in {special[role] for role in wanted}]
    placed: dict[int, str] = {index: special[role] for role, index in wanted.items()}
    rest = iter(others)
    return [placed[index] if index in placed else next(rest) for index in range(len(order))]


def _train_pieces(texts: Callable[[], Iterable[str]], normaliser: Any, vocab_size: int) -> list[str]:
    """The pieces, special tokens first.

    The trainer numbers single characters in the order of a hash map, and decides ties between merges by these numbers. So the single
    characters, as beginnings and as continuations, are counted here, and passed to the trainer in a fixed order.
    """
    counts: Counter[str] = Counter()
    neighbours: set[tuple[str, str]] = set()
    for text in texts():
        normalised = normaliser.normalize_str(text)
        counts.update(normalised)
        neighbours.update(pairwise(normalised))
    common = sorted((char for char in counts if not char.isspace()), key=lambda char: (-counts[char], char))
    room = max(1, (vocab_size - len(SPECIAL_TOKENS)) // 2)  # a character may need two pieces
    keep = dict.fromkeys(common[: min(room, max(ALPHABET, vocab_size // 4))])
    continuing = {second for first, second in neighbours if not _ends_word(first) and not _ends_word(second)}
    continuations = ["##" + char for char in keep if char in continuing]

    def known_texts() -> Iterator[str]:
        for text in texts():
            yield "".join(char if char in keep else " " for char in normaliser.normalize_str(text))

    backend = Tokenizer(models.WordPiece(unk_token=SPECIAL_TOKENS["unk"]))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[*SPECIAL_TOKENS.values(), *keep, *continuations],
        show_progress=False,
    )
    backend.train_from_iterator(known_texts(), trainer)
    vocabulary = backend.get_vocab()
    return sorted(vocabulary, key=lambda piece: int(vocabulary[piece]))


def _ends_word(char: str) -> bool:
    """Whether a character ends a word: white space, or punctuation as BERT's pre-tokenizer defines it."""
    return char.isspace() or unicodedata.category(char).startswith("P") or (char.isascii() and not char.isalnum())
