"""The source of a teacher's files: a local folder, or a snapshot from the Hub."""

import json
from pathlib import Path
from typing import Any

from vocab.errors import InputError, first_line

UTF8 = "expected UTF-8: convert it, or fetch it again"
TOKENIZER_FILES = ["*.json", "*.txt", "*.model"]


def model_folder(model: str, *, base: Path, name: str | None, revision: str = "main", weights: bool = False) -> Path:
    """The local folder that holds a model: `model` itself if it is a folder (relative to `base`), else its snapshot from the Hub.

    weights  whether the weights are needed
    name     of the teacher, for messages; None for a model that no recipe names

    Raises InputError for a model that is in neither place.
    """
    local = base / Path(model).expanduser()
    whose = "" if name is None else f"teacher '{name}': "
    if local.is_dir():
        if not (local / "config.json").is_file():
            raise InputError(f"{whose}{local} holds no config.json; expected a folder written by save_pretrained")
        for file in sorted(local.iterdir()):
            if file.exists() and not file.is_file() and not file.is_dir():  # reading a pipe would wait for ever
                raise InputError(f"{whose}{file} is no file but a pipe or a device; expected files: remove it")
        return local
    looks_local = model.startswith((".", "/", "~")) or model.count("/") > 1
    reason = "a Hub id has the form owner/name" if looks_local else None
    if reason is None:
        reason, folder = _download(model, revision, weights)
        if folder is not None:
            return folder
    advice = "correct teachers.model, or make the teacher with `mergedistill pretrain`"
    raise InputError(
        f"{whose}model '{model}' is not a folder (looked for {local}), and the Hub gave none ({reason}): "
        + (advice if name is not None else "give a folder written by save_pretrained, or a Hub id")
    )


def _download(model: str, revision: str, weights: bool) -> tuple[str, Path | None]:
    """(what went wrong, the snapshot's folder or None)."""
    from huggingface_hub import snapshot_download

    patterns = [*TOKENIZER_FILES, "*.safetensors"] if weights else TOKENIZER_FILES
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=patterns))
        if weights and not list(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(model, revision=revision, allow_patterns=[*TOKENIZER_FILES, "pytorch_model*.bin*"]))
        return "", folder
    except Exception as error:  # the Hub's client raises dozens of types, and the first line tells the user what happened
        return first_line(error), None


# Code in a model's folder is never run: transformers would ask on the terminal, and run it for a "y".
NO_CODE = {"trust_remote_code": False}


def load_fault(error: Exception) -> str:
    """Why transformers cannot load a model, for people: its own message, except where that advises to switch a protection off."""
    said = str(error)
    if "trust_remote_code" in said:
        return "it needs code of its own (auto_map), which is not run; expected a class that transformers has: convert the model"
    if "weights_only" in said:
        return "its weights are a pickle with other objects than tensors, which is not opened; expected safetensors: save it again"
    return first_line(error)


def read_json(folder: Path, name: str, file: str = "tokenizer_config.json") -> dict[str, Any]:
    """The content of a JSON file of a teacher; nothing if there is no such file. Another content than an object is an InputError."""
    path = folder / file
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"teacher '{name}': {path} is not JSON: {first_line(error)}; fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(f"teacher '{name}': {path}: found {type(content).__name__}; expected a JSON object: fetch it again")
    return content
