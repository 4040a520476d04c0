"""Saves and loads masked LMs in the Hugging Face layout, without the progress bars of transformers."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForMaskedLM
from transformers.utils import logging

from vocab.model_source import NO_CODE

_OF_TOKENIZERS = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "*.model"),
)


def save_model(model: Any, folder: Path, weights: Mapping[str, Any] | None = None) -> None:
    """config.json and model.safetensors, with the model's weights or with these."""
    with quiet():
        model.save_pretrained(folder, state_dict=weights)


def load_model(folder: Path) -> Any:
    """The masked LM of a folder. Its weights keep the type in which they were saved."""
    with quiet():
        return AutoModelForMaskedLM.from_pretrained(folder, **NO_CODE)


def load_config(folder: Path) -> Any:
    """The configuration of a model's folder."""
    return AutoConfig.from_pretrained(folder, **NO_CODE)


def copy_tokenizer(folder: Path, out: Path) -> None:
    """Copy the files of a model folder that belong to its tokenizer, as they are."""
    for pattern in _OF_TOKENIZERS:
        for file in folder.glob(pattern):
            shutil.copyfile(file, out / file.name)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars of transformers."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
