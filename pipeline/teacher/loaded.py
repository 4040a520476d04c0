"""A teacher in the memory of a worker: its model, here or in another process of the machine, and its tokenizer."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from data.examples import Alphabet, Example
from data.identity import Identity, weights_fingerprint
from data.recipe import Recipe
from data.teacher_files import teacher_folder, teacher_vocabulary
from data.window_check import windows_for
from pipeline.teacher.labels import TopK, no_labels
from pipeline.teacher.model import CheckedWindows, TeacherModel
from pipeline.teacher.to_union import Spelling, window_alphabet
from pipeline.teacher.windows import Windows
from vocab.errors import InputError
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import TeacherMap

_LOADING = threading.Lock()  # transformers changes global state of torch while it loads: two loads at once lose weights


class Started(Protocol):
    """Labels that are being computed."""

    def result(self) -> TopK: ...


class Model(Protocol):
    """What labels windows: a TeacherModel, or a RemoteModel."""

    device: torch.device
    dtype: torch.dtype

    def begin(self, windows: Windows, pad: int, k: int, tokens_per_batch: int | Literal["auto"]) -> Started: ...


@dataclass(kw_only=True)
class LoadedTeacher:
    """A teacher, ready to label units."""

    model: Model
    vocabulary: TeacherVocabulary
    alphabet: Alphabet
    spelling: Spelling
    load_seconds: float

    def label(self, examples: Sequence[Example], recipe: Recipe, *, heldout: bool = False) -> TopK:
        """The labels of all masked positions of the examples."""
        pad, settings = self.vocabulary.roles.pad, recipe.predict
        if not examples:
            return no_labels(0, settings.width(heldout=heldout))
        windows = Windows.of(examples, draws=settings.drawn(heldout=heldout), seed=recipe.seed)
        return self.label_windows(windows, pad, settings.top_k, settings.tokens_per_batch)

    def label_windows(self, windows: Windows, pad: int, k: int, tokens_per_batch: int | Literal["auto"]) -> TopK:
        """The labels of windows. For other processes, which can only call methods: nothing but arrays crosses."""
        return self.model.begin(windows, pad, k, tokens_per_batch).result()

    def facts(self) -> tuple[torch.device, torch.dtype, float]:
        """(the model's device, its dtype, the seconds that it took to load)."""
        return self.model.device, self.model.dtype, self.load_seconds


class RemoteModel:
    """The model of a LoadedTeacher in another process, which several workers of a machine share.

    Each worker reads, tokenises and masks in its own process, and writes its shards there.
    """

    def __init__(self, proxy: Any):
        """proxy: what multiprocessing gives for a LoadedTeacher in another process."""
        self._proxy = proxy
        self.device, self.dtype, self.load_seconds = proxy.facts()
        self._calls = ThreadPoolExecutor(1)  # one call runs while this process prepares the next block

    def begin(self, windows: Windows, pad: int, k: int, tokens_per_batch: int | Literal["auto"]) -> Future[TopK]:
        """Start to label windows."""
        return self._calls.submit(self._proxy.label_windows, windows, pad, k, tokens_per_batch)


def load_teacher(recipe: Recipe, name: str, teacher_map: TeacherMap, identity: Identity, *, threads: int = 0) -> LoadedTeacher:
    """Load one of the recipe's teachers, ready to label units.

    threads: of the matrix library in this process; 0 keeps torch's own choice. Raises InputError if the files of the teacher are not
    the ones that `identity` was made from.
    """
    with _LOADING:
        started = time.perf_counter()
        if threads:
            torch.set_num_threads(threads)
        folder = teacher_folder(recipe, name, weights=True)
        vocabulary = teacher_vocabulary(recipe, name, folder)
        windows = windows_for(vocabulary.roles, teacher_map.predictable, recipe.examples.max_length)
        model = TeacherModel(
            folder,
            name,
            teacher_map,
            str(identity["dtype"]),
            compiled=recipe.predict.compile,
            check=CheckedWindows(windows=windows, pad=vocabulary.roles.pad),
        )
        # After loading, so that the fingerprint is that of the file that was loaded.
        _check_unchanged(name, "weights", folder, weights_fingerprint(folder), identity)
        _check_unchanged(name, "tokenizer", folder, vocabulary.tokenizer_fingerprint, identity)
        return _with_tokenizer(model, vocabulary, teacher_map, recipe, time.perf_counter() - started)


def attach_teacher(recipe: Recipe, name: str, teacher_map: TeacherMap, identity: Identity, proxy: Any) -> LoadedTeacher:
    """A teacher whose model is in another process: only its tokenizer is loaded here. Raises InputError for another tokenizer."""
    folder = teacher_folder(recipe, name, weights=True)
    vocabulary = teacher_vocabulary(recipe, name, folder)
    _check_unchanged(name, "tokenizer", folder, vocabulary.tokenizer_fingerprint, identity)
    model = RemoteModel(proxy)
    return _with_tokenizer(model, vocabulary, teacher_map, recipe, model.load_seconds)


def _with_tokenizer(
    model: Model, vocabulary: TeacherVocabulary, teacher_map: TeacherMap, recipe: Recipe, load_seconds: float
) -> LoadedTeacher:
    spelling = Spelling.of(teacher_map, longest=recipe.examples.max_length - 2)
    return LoadedTeacher(
        model=model,
        vocabulary=vocabulary,
        alphabet=window_alphabet(vocabulary.roles, teacher_map, spelling),
        spelling=spelling,
        load_seconds=load_seconds,
    )


def _check_unchanged(name: str, what: str, folder: Path, found: str, identity: Identity) -> None:
    expected = str(identity[f"teacher.{what}"])
    if found != expected:
        raise InputError(
            f"teacher '{name}': the {what} in {folder} changed since the launch (found {found[:12]}…, expected "
            f"{expected[:12]}…): launch again with one version of the teacher on every worker"
        )
