"""The JSON files in which a command keeps what it began: read again by its next call, and possibly edited in between."""

import json
from pathlib import Path
from typing import Any

from data.storage_faults import storage_fault
from vocab.errors import InputError, first_line


def read_state_file(path: Path) -> dict[str, Any]:
    """The content of such a file, a JSON object. Raises InputError for anything else, and for a file that cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_fault(path, error, local=True) or error from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: is not the JSON that this program wrote ({first_line(error)}): put it back, or start again in another folder"
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: found JSON of the type {type(content).__name__}, expected an object: put back what this program wrote"
        )
    return content
