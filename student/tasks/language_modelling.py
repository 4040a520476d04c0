"""How well a masked LM knows a language, in numbers that do not depend on its tokenizer: per byte and per character of the same text.

Both are of Σ −log p over pieces whose own text is masked. Which bytes and which word a piece belongs to follows from the text, by one rule
for all tokenizers: every byte of the text belongs to one piece, and a word is what white space, punctuation and Chinese or Japanese
characters leave.

loss per byte: pieces that are drawn (15%) are masked together, as in pre-training. The sum over them / the UTF-8 bytes of their text, in
nats.

pseudo-perplexity per character: each piece once, with the later pieces of its word masked too (PLL-word-l2r, Kauf and Ivanova 2023, after
Salazar et al. 2020). exp(the sum over all pieces / the characters of the text). Without the rule for words, a tokenizer that cuts words
into many pieces would guess them from each other.

An unknown piece costs its own id only, whatever word it hides, so it is cheap: the share of unknown pieces stands beside the numbers.

Legend: N pieces of a text, C characters of a text, B sequences of a batch, T places, M masked places, V vocabulary.
"""

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.articles import read_articles
from data.progress import each
from data.random_bits import permutation
from data.recipe import Precision
from data.storage import require_files
from student.hardware import autocast
from student.tasks.reading import Reader
from student.training.masked_head import decoder, hidden_at_masks
from vocab.errors import InputError

RATE, MASKINGS = 0.15, 4
_TOKENS = 8192  # of a forward pass


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageScore:
    """The scores of one model in one language."""

    loss_per_byte: float
    perplexity_per_character: float
    texts: int
    characters: int
    pieces: int
    unknown: int  # of the pieces


def sample_languages(patterns: Mapping[str, Sequence[str]], texts: int, characters: int) -> dict[str, list[str]]:
    """`sample_texts` of each language. patterns: of article shards (paths, globs or URIs), by language, as --text has them."""
    return {
        language: sample_texts([file for one in found for file in require_files(one, f"--text {language}")], texts, characters)
        for language, found in patterns.items()
    }


def sample_texts(files: Sequence[str], texts: int, characters: int) -> list[str]:
    """The beginnings of the first articles, each cut at white space before `characters` (or at it, in scripts without)."""
    articles = (text for file in files for _, text in read_articles(file))
    found = [_cut(" ".join(text.split()), characters) for text in islice(articles, texts)]
    found = [text for text in found if text]
    if not found:
        raise InputError(f"{files[0]}: found no text; expected article shards with text: make them with `mergedistill prepare`")
    return found


def _cut(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    head = text[:characters]
    return head[: head.rfind(" ")] if head.rfind(" ") > characters // 2 else head


@torch.no_grad()
def score_language(
    model: Any, reader: Reader, texts: Sequence[str], *, max_length: int, precision: Precision, what: str, seed: int = 0
) -> LanguageScore:
    """Score a masked LM on texts. A text of more than max_length − 2 pieces is read in several windows, cut between words."""
    model.eval()
    masked_loss = masked_bytes = total = 0.0
    pieces = unknown = characters = 0
    for number, (text, found) in enumerate(zip(each(texts, what, "texts"), reader.texts(texts), strict=True)):
        characters += len(text)
        bytes_N, words_N = bytes_of_pieces(text, found.offsets), words_of_pieces(text, found.offsets)
        pieces, unknown = pieces + len(found.ids), unknown + int((found.ids == reader.roles.unk).sum())
        for begin, end in _windows(words_N, max_length - 2):
            ids, words = found.ids[begin:end].astype(np.int64), words_N[begin:end]
            count = max(1, round(RATE * len(ids)))
            drawn = [permutation(len(ids), seed, "masked LM", number, begin, copy)[:count] for copy in range(MASKINGS)]
            masks = [np.isin(np.arange(len(ids)), places) for places in drawn]
            losses = _losses(model, reader, ids, masks, drawn, precision)
            masked_loss += float(sum(part.sum() for part in losses))
            masked_bytes += float(sum(bytes_N[begin:end][places].sum() for places in drawn))
            total += float(sum(part.sum() for part in _losses(model, reader, ids, *_one_by_one(words), precision)))
    return LanguageScore(
        loss_per_byte=masked_loss / max(1.0, masked_bytes),
        perplexity_per_character=math.exp(min(700.0, total / max(1, characters))),
        texts=len(texts),
        characters=characters,
        pieces=pieces,
        unknown=unknown,
    )


def bytes_of_pieces(text: str, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """[N] the UTF-8 bytes of the text that belong to each piece. They sum to the bytes of the text.

    offsets [N, 2]: first character, and the one after the last. What lies between two pieces, such as a space, belongs to the later one.
    Pieces with the same end, such as the bytes of one character, share its bytes equally.
    """
    size_C = np.array([len(char.encode()) for char in text] or [0])
    before = np.concatenate(([0], np.cumsum(size_C)))
    if not len(offsets):
        return np.zeros(0)
    end_N = np.maximum.accumulate(offsets[:, 1])
    end_N[end_N == end_N[-1]] = len(text)
    ends, group_N, count = np.unique(end_N, return_inverse=True, return_counts=True)
    bytes_of_group = np.diff(before[np.concatenate(([0], ends))])
    return (bytes_of_group / count)[group_N]


def words_of_pieces(text: str, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] the number of the word in which each piece begins. A piece without characters belongs to the word of the piece before it."""
    word_C, word, inside = [], -1, False
    for char in text:
        kind = unicodedata.category(char)[0]
        alone = kind in "PS" or unicodedata.east_asian_width(char) in "WF"
        if not char.isspace() and (alone or not inside):
            word += 1
        inside = not char.isspace() and not alone
        word_C.append(max(word, 0))
    found, last = [], 0
    for begin, end in offsets.tolist():
        place = next((at for at in range(begin, end) if not text[at].isspace()), begin if begin < end else None)
        last = last if place is None else word_C[place]
        found.append(last)
    return np.array(found, np.int64)


def _one_by_one(words_N: NDArray[np.int64]) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.int64]]]:
    """For each piece: what is masked, the piece and the later pieces of its word; and the place that is scored."""
    place_N = np.arange(len(words_N))
    return [(place_N >= place) & (words_N == words_N[place]) for place in place_N], [np.array([place]) for place in place_N]


def _windows(words_N: NDArray[np.int64], room: int) -> Iterator[tuple[int, int]]:
    """Pieces of a text in runs of at most `room`, cut where a word begins if there is such a place."""
    begin, count = 0, len(words_N)
    while begin < count:
        end = min(begin + room, count)
        if end < count:
            starts = np.flatnonzero(np.diff(words_N[begin : end + 1])) + 1
            end = begin + int(starts[-1]) if len(starts) else end
        yield begin, end
        begin = end


def _losses(
    model: Any,
    reader: Reader,
    ids_N: NDArray[np.int64],
    masks: Sequence[NDArray[np.bool_]],
    scored: Sequence[NDArray[np.int64]],
    precision: Precision,
) -> list[NDArray[np.float64]]:
    """−log p of the scored places of each masked copy of a window, in nats."""
    device, roles = next(model.parameters()).device, reader.roles
    linear, width = decoder(model), len(ids_N) + 2
    found: list[NDArray[np.float64]] = []
    step = max(1, _TOKENS // width)
    for begin in range(0, len(masks), step):
        part, places = masks[begin : begin + step], scored[begin : begin + step]
        ids_BT = np.stack([np.concatenate(([roles.cls], np.where(mask, roles.mask, ids_N), [roles.sep])) for mask in part])
        flat_M = np.concatenate([row * width + 1 + places_of for row, places_of in enumerate(places)])
        gold_M = torch.from_numpy(ids_N[np.concatenate(places)]).to(device)
        with autocast(precision, device):
            hidden_MH = hidden_at_masks(model, torch.from_numpy(ids_BT).to(device), None, torch.from_numpy(flat_M).to(device))
            logits_MV = torch.nn.functional.linear(hidden_MH, linear.weight, linear.bias).float()
        loss_M = torch.nn.functional.cross_entropy(logits_MV, gold_M, reduction="none").double().cpu().numpy()
        found += np.split(loss_M, np.cumsum([len(places_of) for places_of in places])[:-1])
    return found
