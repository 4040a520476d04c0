"""Text as windows of one length for distillation, and the batches of a step: all that a step shows follows from its number.

Each article is cls, its pieces, sep; the articles of a language are put one behind the other, and cut. The first articles of a language
are for validation. Legend: W windows, B windows of a batch, T tokens, M masked positions, V vocabulary.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.articles import open_article_shard, read_articles
from data.atomic import write_atomically, write_text
from data.identity import differences, fingerprint, location_fingerprint
from data.masking import corrupt, select_tokens
from data.progress import progress_bar
from data.random_bits import permutation, random_bits
from data.state_file import read_state_file
from data.storage_faults import storage_fault
from data.tokenise import tokenise
from vocab.errors import InputError
from vocab.roles import Roles, read_roles
from vocab.teacher_vocabulary import vocabulary_of

PARTS = ("train", "validation")
_DONE = "windows.json"


@dataclass(frozen=True, kw_only=True)
class MaskedBatch:
    """Some windows of one language, masked."""

    language: str
    input_ids: NDArray[np.int64]  # [B, T]
    places: NDArray[np.int64]  # [M] flat places b · T + t of the masked positions
    labels: NDArray[np.int64]  # [M] their gold ids


@dataclass(frozen=True, kw_only=True)
class TextWindows:
    """The windows of all languages, in files that are mapped into memory, and how they are masked."""

    windows: Mapping[str, Mapping[str, NDArray[np.int32]]]  # part → language → [W, T]
    roles: Roles
    maskable: NDArray[np.bool_]  # [V] ids that can be masked, and that can take the place of a masked token
    mask_rate: float
    seed: int
    _orders: dict[tuple[str, ...], tuple[int, NDArray[np.int64]]] = field(
        default_factory=dict, repr=False
    )  # what → pass, its order

    @property
    def languages(self) -> list[str]:
        return [*self.windows["train"]]

    def fingerprint(self) -> str:
        """sha256 of all windows, of how they are masked, and of the order of the languages, which that of the batches follows from."""
        content = {
            f"{part} {language}": hashlib.sha256(np.ascontiguousarray(windows_WT).data).hexdigest()
            for part, found in self.windows.items()
            for language, windows_WT in found.items()
        }
        return fingerprint([content, self.languages, self.windows["train"][self.languages[0]].shape[1], self.mask_rate, self.seed])

    def step(self, number: int, batch_size: int) -> MaskedBatch:
        """The batch of a step, counted from 0.

        A pass takes as many batches of each language as the smallest one has, in random order; the windows of the larger ones are
        others in each pass. Each pass masks them anew.
        """
        sizes = {language: len(found) for language, found in self.windows["train"].items()}
        each = max(1, min(sizes.values()) // batch_size)  # batches of a language in a pass
        turn, place = divmod(number, each * len(sizes))
        drawn = int(self._order(each * len(sizes), turn, "batches of distillation")[place])
        language, batch = self.languages[drawn // each], drawn % each
        order_W = self._order(sizes[language], turn, "windows of distillation", language)
        chosen_B = order_W[(np.arange(batch_size) + batch * batch_size) % sizes[language]]
        return self.masked("train", language, chosen_B.tolist(), turn)

    def _order(self, count: int, turn: int, *what: str) -> NDArray[np.int64]:
        """A random order of range(count) in a pass; made once for all of its steps."""
        if what not in self._orders or self._orders[what][0] != turn:
            self._orders[what] = turn, permutation(count, self.seed, *what, turn)
        return self._orders[what][1]

    def validation(self, language: str, batch_size: int) -> Iterator[MaskedBatch]:
        """All validation windows of a language, always with the same masks."""
        count = len(self.windows["validation"][language])
        for begin in range(0, count, batch_size):
            yield self.masked("validation", language, range(begin, min(begin + batch_size, count)), 0)

    def masked(self, part: str, language: str, numbers: Sequence[int], turn: int) -> MaskedBatch:
        """Windows by their numbers, masked as in pass `turn`: by language, window and pass, so not by the batch they are in."""
        gold_BT = np.asarray(self.windows[part][language][[*numbers]], dtype=np.int64)
        rows, places, labels = [], [], []
        for row, (number, gold_T) in enumerate(zip(numbers, gold_BT, strict=True)):
            candidates = np.flatnonzero(self.maskable[gold_T])
            if not len(candidates):
                rows.append(gold_T)
                continue
            bits = random_bits(2 * len(candidates), self.seed, part, language, number, turn)
            chosen = select_tokens(np.array([len(candidates)]), self.mask_rate, bits[None, : len(candidates)])[0]
            positions = candidates[chosen]
            ids_T = gold_T.astype(np.uint32)
            draws = bits[len(candidates) :][chosen]
            rows.append(corrupt(ids_T, positions, self.roles.mask, self._replacements, draws).astype(np.int64))
            places.append(row * len(gold_T) + positions)
            labels.append(gold_T[positions])
        empty: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        return MaskedBatch(
            language=language,
            input_ids=np.stack(rows),
            places=np.concatenate([empty, *places]),
            labels=np.concatenate([empty, *labels]),
        )

    @cached_property
    def _replacements(self) -> NDArray[np.uint32]:
        return np.flatnonzero(self.maskable).astype(np.uint32)


def open_windows(
    folder: Path,
    corpora: Mapping[str, Sequence[str]],
    tokenizer: Any,
    name: str,
    *,
    max_length: int,
    mask_rate: float,
    validation: float,
    seed: int,
    progress: bool,
) -> TextWindows:
    """The windows of article shards in a folder, made unless those of the same text and tokenizer are there.

    corpora     language → files
    tokenizer   a fast tokenizer (PreTrainedTokenizerFast); name: its owner, for messages
    validation  percent of the articles of a language; 0: there is no such part

    Raises InputError for a language whose text does not fill a window in each part, and for a folder that cannot be written.
    """
    roles, vocabulary = read_roles(tokenizer, name), vocabulary_of(tokenizer, name)
    maskable_V = np.array([piece is not None for piece in vocabulary.pieces], dtype=np.bool_)
    identity = {
        "tokenizer": vocabulary.tokenizer_fingerprint,
        "max_length": max_length,
        "validation": validation,
        "articles": {language: [location_fingerprint(file) for file in files] for language, files in corpora.items()},
    }
    parts, done = PARTS if validation else PARTS[:1], folder / _DONE
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_fault(folder, error, local=True) or error from None
    if not done.is_file() or differences(read_state_file(done), identity):  # what was trained on others names them in its identity
        done.unlink(missing_ok=True)
        cut = _Cut(roles=roles, maskable_V=maskable_V, max_length=max_length, validation=validation)
        for language, files in corpora.items():
            cut.write(folder, language, files, tokenizer.backend_tokenizer, parts, progress=progress)
        write_text(done, json.dumps(identity))
    windows = {part: {language: _load(folder / f"{language}.{part}.int32", max_length) for language in corpora} for part in parts}
    return TextWindows(windows=windows, roles=roles, maskable=maskable_V, mask_rate=mask_rate, seed=seed)


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """How text is cut. One article at a time is in memory, with what it leaves of a window."""

    roles: Roles
    maskable_V: NDArray[np.bool_]
    max_length: int
    validation: float

    def write(
        self, folder: Path, language: str, files: Sequence[str], tokenizer: Any, parts: Sequence[str], *, progress: bool
    ) -> None:
        """The files of one language, one for each part. The articles for validation come first."""
        articles = sum(open_article_shard(file).metadata.num_rows for file in files)
        first = max(1, round(articles * self.validation / 100)) if self.validation else 0
        counts = dict.fromkeys(parts, 0)
        with progress_bar(articles, f"windows, {language}", "articles", show=progress) as bar:
            pieces = self._pieces(files, tokenizer, first, bar)
            for part, group in groupby(pieces, key=itemgetter(0)):

                def write(out: pa.NativeFile, part: str = part, group: Iterator[tuple[str, NDArray[np.int32]]] = group) -> None:
                    for windows_WT in self._windows(ids for _, ids in group):
                        out.write(np.ascontiguousarray(windows_WT).data)
                        counts[part] += len(windows_WT)

                write_atomically(folder / f"{language}.{part}.int32", write)
        for part, count in counts.items():
            if not count:
                raise InputError(
                    f"corpus of '{language}': its articles for {part} fill no window of {self.max_length} tokens with a known piece; "
                    "expected one: give more text, or lower the length of windows"
                    + (", or raise examples.validation" if part == "validation" else "")
                )

    def _pieces(self, files: Sequence[str], tokenizer: Any, first: int, bar: Any) -> Iterator[tuple[str, NDArray[np.int32]]]:
        """(part, ids with cls and sep) of each article. A quoted "[MASK]" is text."""
        roles = self.roles
        special = np.array([roles.pad, roles.cls, roles.sep, roles.mask])
        articles = (article for file in files for article in read_articles(file))
        number = 0
        for batch in tokenise(articles, tokenizer, False, Counter()):
            for _, ids, _ in batch:
                inside = np.where(np.isin(ids, special), roles.unk, ids)
                if len(ids):
                    part = "validation" if number < first else "train"
                    yield part, np.concatenate([[roles.cls], inside, [roles.sep]]).astype(np.int32)
                number += 1
            bar.update(len(batch))

    def _windows(self, articles: Iterator[NDArray[np.int32]]) -> Iterator[NDArray[np.int32]]:
        """[W, T] the windows of articles one behind the other; a window without a piece that can be masked is left out."""
        rest: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        for ids in articles:
            tokens = np.concatenate([rest, ids])
            count = len(tokens) // self.max_length
            windows_WT = tokens[: count * self.max_length].reshape(count, self.max_length)
            yield windows_WT[self.maskable_V[windows_WT].any(axis=1)]
            rest = tokens[count * self.max_length :]


def _load(file: Path, max_length: int) -> NDArray[np.int32]:
    try:
        return np.memmap(file, dtype=np.int32, mode="r").reshape(-1, max_length)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error}): remove {file.parent}, and it is made again") from None
