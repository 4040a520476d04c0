"""What a teacher's checkpoint says before its weights are read: whether it is a masked LM, and how long a window it takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.window_check import longest_window
from vocab.errors import InputError
from vocab.model_source import NO_CODE, load_fault


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A masked LM whose file has every weight."""

    longest: int | None  # tokens of the longest window; None: no limit is known


def inspect_checkpoint(folder: Path, name: str) -> Checkpoint:
    """Compare the names and shapes in the file with those of a masked LM. No weight is read, so this takes a fraction of a second.

    Raises InputError if weights are missing: those of the head would be random.
    """
    model = load(folder, name, device_map="meta")
    return Checkpoint(longest=longest_window(model))


def load(folder: Path, name: str, **options: Any) -> Any:
    """The masked LM in `folder`, by transformers. Raises InputError if it cannot be loaded, or lacks weights."""
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar for each model and worker would hide the bar that counts units
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True, **NO_CODE, **options)
    except Exception as error:  # for a damaged file, the reader of each format raises its own type of exception
        raise InputError(f"teacher '{name}': {folder} cannot be loaded: {load_fault(error)}") from None
    missing = sorted(loading["missing_keys"])
    if missing:
        # A config may name a class of its own ("architectures"), so the weights decide; the name is a hint.
        declared = ", ".join(model.config.architectures or [])
        raise InputError(
            f"teacher '{name}': {folder} lacks {len(missing)} weights of a masked LM ({missing[0]}, …)"
            f"{f', its config names {declared}' if declared else ''}; expected a checkpoint whose masked-LM head was trained: save it "
            "with AutoModelForMaskedLM"
        )
    return model
