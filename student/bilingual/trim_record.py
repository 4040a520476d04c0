"""trim.json: beside a trimmed model, what it was made from, and the old id of each of its ids."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocab.errors import InputError

FILE = "trim.json"
VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrimRecord:
    """How a model was trimmed."""

    model: str  # a folder or Hub id, as it was given
    weights: str  # `data.identity.weights_fingerprint` of the model before
    tokenizer: str  # fingerprint of its tokenizer
    corpora: Mapping[str, tuple[str, ...]]  # language → sha256 of each file of its text
    min_probability: float
    min_coverage: float
    articles: int  # of each language that were counted at most; 0: all
    kept_ids: NDArray[np.int64]  # [V'] the old id of each new id, increasing

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.corpora)


def write_trim(folder: Path, record: TrimRecord) -> None:
    """Write trim.json."""
    content = {"version": VERSION, **asdict(record), "kept_ids": record.kept_ids.tolist()}
    (folder / FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def read_trim(folder: Path) -> TrimRecord:
    """The trim.json of a folder. Raises InputError for a folder without one, another version, and a damaged file."""
    path = Path(folder) / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path}: cannot be read; expected the folder of a trimmed model: run `mergedistill trim`") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is not JSON; expected what `mergedistill trim` wrote: trim the model again") from None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        found = content.get("version") if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path}: found the version {found}; expected {VERSION}: trim the model again")
    if wrong := [key for key, holds in _RULES.items() if not holds(content.get(key))]:
        raise InputError(f"{path}: found a damaged '{wrong[0]}'; expected what `mergedistill trim` wrote: trim the model again")
    return TrimRecord(
        model=content["model"],
        weights=content["weights"],
        tokenizer=content["tokenizer"],
        corpora={language: tuple(files) for language, files in content["corpora"].items()},
        min_probability=float(content["min_probability"]),
        min_coverage=float(content["min_coverage"]),
        articles=content["articles"],
        kept_ids=np.array(content["kept_ids"], dtype=np.int64),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value)) and value == sorted(set(value))


_RULES = {
    "model": lambda value: isinstance(value, str),
    "weights": lambda value: isinstance(value, str) and len(value) == 64,
    "tokenizer": lambda value: isinstance(value, str) and len(value) == 64,
    "corpora": lambda value: isinstance(value, dict) and bool(value) and all(isinstance(one, list) for one in value.values()),
    "min_probability": lambda value: isinstance(value, int | float) and 0 < value <= 1,
    "min_coverage": lambda value: isinstance(value, int | float) and 0 <= value <= 1,
    "articles": _is_number,
    "kept_ids": _are_ids,
}
