"""The lines of a task's file, plain or gzipped, with the place of each for messages."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

from vocab.errors import InputError, first_line


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its end) of each line. Raises InputError for a file that is no UTF-8 text or cannot be read."""
    number = 0
    try:
        with gzip.open(file, "rt", encoding="utf-8-sig") if file.suffix == ".gz" else file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: behind line {number}: is no UTF-8 ({first_line(error)}); expected UTF-8: convert it") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{file}: cannot be read behind line {number} ({first_line(error)}); expected text, plain or .gz"
        ) from None


def wrong(file: Path, line: int, found: str, expected: str) -> InputError:
    """The error for a line that is not as it must be."""
    return InputError(f"{file}, line {line}: found {found}; expected {expected}")


def content_hash(file: Path) -> str:
    """sha256 of a file's content, unpacked if it is a .gz. Raises InputError for a file that cannot be read."""
    digest = hashlib.sha256()
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: cannot be read ({first_line(error)}); expected a file, plain or .gz") from None
    return digest.hexdigest()
