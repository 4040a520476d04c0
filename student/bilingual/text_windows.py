"""Text as windows of one length for distillation, and the batches of a step: all that a step shows follows from its number.

Each article is cls, its pieces, sep; the articles of a language are put one behind the other, and cut. The first articles of a language
are for validation. Legend: W windows, B windows of a batch, T tokens, M masked positions, V vocabulary.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.articles import open_article_shard, read_articles
from data.atomic import write_atomically, write_text
from data.identity import differences, fingerprint
from data.masking import corrupt, select_tokens
from data.progress import progress_bar
from data.random_bits import permutation, random_bits
from data.state_file import read_state_file
from data.tokenise import tokenise
from vocab.errors import InputError
from vocab.roles import Roles

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

    @property
    def languages(self) -> list[str]:
        return [*self.windows["train"]]

    def fingerprint(self) -> str:
        """sha256 of all windows, and of how they are masked."""
        content = {
            f"{part} {language}": hashlib.sha256(np.ascontiguousarray(windows_WT).data).hexdigest()
            for part, found in self.windows.items()
            for language, windows_WT in found.items()
        }
        return fingerprint([content, self.windows["train"][self.languages[0]].shape[1], self.mask_rate, self.seed])

    def step(self, number: int, batch_size: int) -> MaskedBatch:
        """The batch of a step, counted from 0.

        A pass takes as many batches of each language as the smallest one has, in random order; the windows of the larger ones are
        others in each pass. Each pass masks them anew.
        """
        sizes = {language: len(found) for language, found in self.windows["train"].items()}
        each = max(1, min(sizes.values()) // batch_size)  # batches of a language in a pass
        turn, place = divmod(number, each * len(sizes))
        drawn = int(permutation(each * len(sizes), self.seed, "batches of distillation", turn)[place])
        language, batch = self.languages[drawn // each], drawn % each
        order_W = permutation(sizes[language], self.seed, "windows of distillation", language, turn)
        chosen_B = order_W[(np.arange(batch_size) + batch * batch_size) % sizes[language]]
        return self.masked("train", language, chosen_B.tolist(), turn)

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

    @property
    def _replacements(self) -> NDArray[np.uint32]:
        return np.flatnonzero(self.maskable).astype(np.uint32)


def content_of(file: str) -> list[int]:
    """What tells an article shard from another one without reading it: the articles and the bytes of each row group."""
    metadata = open_article_shard(file).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [number for group in groups for number in (group.num_rows, group.total_byte_size)]


def make_windows(
    folder: Path,
    corpora: Mapping[str, Sequence[str]],
    tokenizer: Any,
    roles: Roles,
    *,
    max_length: int,
    validation: float,
    identity: Mapping[str, Any],
    progress: bool,
) -> dict[str, dict[str, NDArray[np.int32]]]:
    """The windows of article shards in a folder, made unless those are there: part → language → [W, T].

    corpora     language → files
    validation  percent of the articles of a language; 0: there is no such part
    identity    what the windows depend on

    Raises InputError for a language whose text does not fill a window in each part.
    """
    done = folder / _DONE
    if not done.is_file() or differences(read_state_file(done), identity):  # what was trained on others names them in its identity
        done.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for language, files in corpora.items():
            for part, windows_WT in _cut(files, tokenizer, roles, max_length, validation, language, progress).items():
                _save(folder / f"{language}.{part}.int32", windows_WT)
        write_text(done, json.dumps(dict(identity)))
    parts = PARTS if validation else PARTS[:1]
    return {part: {language: _load(folder / f"{language}.{part}.int32", max_length) for language in corpora} for part in parts}


def _cut(
    files: Sequence[str], tokenizer: Any, roles: Roles, max_length: int, validation: float, language: str, progress: bool
) -> dict[str, NDArray[np.int32]]:
    """The windows of one language by part."""
    articles = sum(open_article_shard(file).metadata.num_rows for file in files)
    first = max(1, round(articles * validation / 100)) if validation else 0
    special = np.array([roles.pad, roles.cls, roles.sep, roles.mask])
    streams: dict[str, list[NDArray[np.int32]]] = {part: [] for part in (PARTS if validation else PARTS[:1])}
    number, counters = 0, Counter[str]()
    with progress_bar(articles, f"windows, {language}", "articles", show=progress) as bar:
        for batch in tokenise((article for file in files for article in read_articles(file)), tokenizer, False, counters):
            for _, ids, _ in batch:
                ids = np.where(np.isin(ids, special), roles.unk, ids)  # a quoted "[MASK]" is text
                if len(ids):
                    part = "validation" if number < first else "train"
                    streams[part].append(np.concatenate([[roles.cls], ids, [roles.sep]]).astype(np.int32))
                number += 1
            bar.update(len(batch))
    found = {}
    for part, pieces in streams.items():
        tokens = np.concatenate([np.zeros(0, dtype=np.int32), *pieces])
        count = len(tokens) // max_length
        if not count:
            raise InputError(
                f"corpus of '{language}': its articles for {part} have {len(tokens):,} tokens; expected at least a window of {max_length}: "
                "give more text, or lower the length of windows"
                + (", or raise examples.validation" if part == "validation" else "")
            )
        found[part] = tokens[: count * max_length].reshape(count, max_length)
    return found


def _save(file: Path, windows_WT: NDArray[np.int32]) -> None:
    def write(out: pa.NativeFile) -> None:
        out.write(np.ascontiguousarray(windows_WT).data)

    write_atomically(file, write)


def _load(file: Path, max_length: int) -> NDArray[np.int32]:
    try:
        return np.memmap(file, dtype=np.int32, mode="r").reshape(-1, max_length)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error}): remove {file.parent}, and it is made again") from None
