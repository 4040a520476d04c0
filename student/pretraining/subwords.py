"""Small vocabularies of other families from texts: SentencePiece-style Unigram and BPE ("▁Haus"), and byte-level BPE ("ĠHaus").

The same texts give the same tokenizer in every process. The BPE trainer does this by itself: it counts in integers, and it decides ties
by the numbers of the pieces, which are ordered by character. Its option `limit_alphabet` does not, so rare characters are removed here.
The Unigram trainer adds floats in the order of a hash map, which differs between processes. This changes the last digits of the scores,
and the order of the characters that it first removes and then brings back. `_settle` corrects both. It could also change which pieces
are kept, if the losses of two pieces differ only in those digits. This never happened in runs on real texts and on texts full of ties.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from student.pretraining.wordpiece import ALPHABET, place_special_tokens
from vocab.errors import InputError

# The special tokens of XLM-R and RoBERTa, by role.
SPECIAL = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
# The smallest vocabulary of each family: its special tokens and its alphabet.
SMALLEST = {"unigram": 32, "bpe": 16, "byte-level": len(SPECIAL) + 256}
PIECE_CHARACTERS = 16  # largest length of a piece with "▁": the limit of SentencePiece
SCORE_DECIMALS = 5  # scores of two runs differed by up to 4e-11
MARKS = tuple(map(chr, range(0xF0000, 0xF0040)))  # from the private use area
_MARKS = frozenset(MARKS)
_CHARACTER_STEP = 1e-4  # the step between the scores of the characters that the trainer brings back

Texts = Callable[[], Iterable[str]]


class NoWordsError(InputError):
    """There are texts, but they hold only white space."""


def train_subwords(
    family: str,
    texts: Texts,
    *,
    vocab_size: int,
    max_length: int,
    lowercase: bool = False,
    special_token_ids: Mapping[str, int] | None = None,
) -> Any:
    """A PreTrainedTokenizerFast of the family "unigram", "bpe" or "byte-level", sequences <s> … </s>; arguments as `train_wordpiece`.

    Raises InputError for a vocabulary below SMALLEST, and with "unigram" and "bpe" for a corpus of only white space.
    """
    if vocab_size < SMALLEST[family]:
        raise InputError(f"vocab_size: found {vocab_size}; expected at least {SMALLEST[family]} for the family '{family}'")
    backend = _empty(family, lowercase)
    model = _train(backend, family, texts, vocab_size)
    scores = dict(_settle(model["vocab"], vocab_size - len(SPECIAL))) if family == "unigram" else {}
    learnt = [piece for piece in scores or sorted(model["vocab"], key=model["vocab"].__getitem__) if piece not in SPECIAL.values()]
    order = place_special_tokens([*SPECIAL.values(), *learnt], special_token_ids or {}, SPECIAL)
    ids = {piece: index for index, piece in enumerate(order)}
    if family == "unigram":
        # A text that quotes "<mask>" must not become the mask token, which the model would find. So spelling it out always scores better.
        never = (1 + max(map(len, SPECIAL.values()))) * min(scores[piece] for piece in learnt)
        backend.model = models.Unigram(vocab=[(piece, scores.get(piece, never)) for piece in order], unk_id=ids[SPECIAL["unk"]])
    else:
        merges = [(left, right) for left, right in model["merges"]]
        unknown = {} if family == "byte-level" else {"unk_token": SPECIAL["unk"], "fuse_unk": True}
        backend.model = models.BPE(vocab=ids, merges=merges, **unknown)
    return _wrap(backend, ids, max_length)


def _empty(family: str, lowercase: bool) -> Tokenizer:
    """A tokenizer of the family without a vocabulary."""
    plain = [normalizers.Lowercase(), normalizers.NFD(), normalizers.StripAccents(), normalizers.NFC()] if lowercase else []
    if family == "byte-level":
        backend = Tokenizer(models.BPE())
        backend.normalizer = normalizers.Sequence(plain) if plain else None
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        # Remove the space that was added before the first word.
        backend.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(content=" ", left=1, right=0)])
        return backend
    backend = Tokenizer(models.Unigram() if family == "unigram" else models.BPE(unk_token=SPECIAL["unk"]))
    # As in SentencePiece: any white space, line ends too, becomes one space. "▁" means only a space.
    spaces = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), *plain, *spaces])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    return backend


def _train(backend: Tokenizer, family: str, texts: Texts, vocab_size: int) -> dict[str, Any]:
    """The model that the library's trainer makes, in the form of tokenizer.json."""
    common: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": [*SPECIAL.values()], "show_progress": False}
    trainer: Any
    if family == "byte-level":
        trainer = trainers.BpeTrainer(**common, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        known = _unquoted(texts())
    else:
        normaliser = backend.normalizer  # read here, because the tokenizer is locked while it is trained
        spelling = sorted(set("".join(SPECIAL.values()))) if family == "unigram" else []
        room = max(1, (vocab_size - len(SPECIAL) - len(spelling)) // 2)
        keep = _common_characters(normaliser, texts, min(room, max(ALPHABET, vocab_size // 4))) | set(spelling)
        if family == "unigram":
            trainer = trainers.UnigramTrainer(
                **(common | {"vocab_size": vocab_size + len(MARKS)}),
                unk_token=SPECIAL["unk"],
                initial_alphabet=spelling,
                max_piece_length=PIECE_CHARACTERS,
            )
        else:
            trainer = trainers.BpeTrainer(**common, min_frequency=2, max_token_length=PIECE_CHARACTERS)
        known = _unquoted(_without_rare(normaliser, texts, keep))
        if family == "unigram":
            known = _with_ends(known)
    backend.train_from_iterator(known, trainer)
    return dict(json.loads(backend.to_str())["model"])


def _common_characters(normaliser: Any, texts: Texts, limit: int) -> set[str]:
    counts: Counter[str] = Counter()
    for text in texts():
        counts.update(normaliser.normalize_str(text))
    common = sorted((char for char in counts if not char.isspace()), key=lambda char: (-counts[char], char))
    if not common:
        raise NoWordsError("found only white space; expected words to make a vocabulary of")
    return set(common[:limit])


def _without_rare(normaliser: Any, texts: Texts, keep: set[str]) -> Iterator[str]:
    for text in texts():
        yield "".join(char if char in keep else " " for char in normaliser.normalize_str(text))


def _unquoted(texts: Iterable[str]) -> Iterator[str]:
    """The texts with a space inside each quoted special token. Otherwise a piece could be learned that is spelled like one."""
    for text in texts:
        for token in SPECIAL.values():
            text = text.replace(token, f"{token[0]} {token[1:]}")
        yield text


def _with_ends(texts: Iterable[str]) -> Iterator[str]:
    """The texts, and then each different word again, followed by a mark.

    The trainer's first candidates are the strings that are followed by two different characters in a list of the different words (the
    branches of a suffix tree). So it would never learn a complete word that is not the beginning of a longer word. Here every word is
    followed by its end in one place and by a mark in another. There are many different marks, so a piece with a mark is rarely kept.
    """
    words: dict[str, None] = {}
    for text in texts:
        words.update(dict.fromkeys(text.split()))
        yield text
    for index, word in enumerate(words):
        yield word + MARKS[index % len(MARKS)]


def _settle(pieces: Iterable[tuple[str, float]], room: int) -> list[tuple[str, float]]:
    """At most `room` pieces and scores, best first, without special tokens, marks, and differences between processes.

    The trainer brings removed characters back in random order, each with the lowest score plus a small step. Here all of them get the
    lowest score. The other scores are rounded, and ties are ordered by the pieces. Single characters are always kept.
    """
    learnt = [(piece, score) for piece, score in pieces if piece not in SPECIAL.values() and not _MARKS.intersection(piece)]
    lowest = min(score for _, score in learnt)
    characters = sum(len(piece) == 1 for piece, _ in learnt)
    bound = lowest + _CHARACTER_STEP * characters + _CHARACTER_STEP / 2
    settled = [(piece, round(lowest if len(piece) == 1 and score < bound else score, SCORE_DECIMALS)) for piece, score in learnt]
    best = sorted(settled, key=lambda entry: (len(entry[0]) > 1, -entry[1], entry[0]))[:room]
    return sorted(best, key=lambda entry: (-entry[1], entry[0]))


def _wrap(backend: Tokenizer, ids: Mapping[str, int], max_length: int) -> Any:
    from transformers import PreTrainedTokenizerFast

    cls, sep = SPECIAL["cls"], SPECIAL["sep"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} {sep} $B {sep}",
        special_tokens=[(cls, ids[cls]), (sep, ids[sep])],
    )
    # The mask token includes the space before it, so that "am <mask>" has no single "▁".
    special = {role: AddedToken(token, lstrip=role == "mask", normalized=False, special=True) for role, token in SPECIAL.items()}
    backend.add_special_tokens([*special.values()])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=max_length,
        bos_token=cls,
        eos_token=sep,
        **{f"{role}_token": token for role, token in special.items()},
    )
