"""The bytes of a corpus file: the files that an input names, decompression, the format, and the encoding."""

import bz2
import gzip
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from pyarrow import NativeFile, fs

from data.storage import expand, join, list_files, resolve, without_options
from vocab.errors import InputError

FORMATS = "a MediaWiki XML dump, WikiExtractor output (<doc …> or JSONL), Parquet or .txt, plain or as .bz2 or .gz"
_ENDINGS = frozenset({".gz", ".bz2", ".xml", ".txt", ".json", ".jsonl", ".ndjson", ".parquet"})
_OTHER_FORMATS = {
    b"7z\xbc\xaf": "a 7z archive",
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"%PDF": "a PDF",
}
_HEAD = 1 << 16  # bytes of content that decide the format


class UnreadableInput(ValueError):
    """A corpus file cannot be read to its end. `read_part` adds the file's name and the number of articles that were read."""


class _Counted(io.RawIOBase):
    """A raw byte stream that reports its position."""

    def __init__(self, source: NativeFile, advanced: Callable[[int], None]) -> None:
        self._source, self._advanced, self._position = source, advanced, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        self._advanced(self._position)
        return len(data)


def corpus_files(inputs: Iterable[str]) -> list[str]:
    """The files that paths, folders, globs and URIs name: each file once, sorted. A folder means all files below it, except hidden ones."""
    found: set[str] = set()
    for given in inputs:
        filesystem, path = resolve(given)
        kind = filesystem.get_file_info(path).type
        base = given if "://" in given else path
        if kind == fs.FileType.File:
            files = [base]
        elif kind == fs.FileType.Directory:
            below = [info.path[len(path) :].lstrip("/") for info in list_files(base, recursive=True)]
            files = [join(base, name) for name in below if not any(part.startswith(".") for part in name.split("/"))]
        else:
            files = expand(given)
        if not files:
            missing = "holds no file" if kind == fs.FileType.Directory else "does not exist, and no file matches it"
            raise InputError(f"{given}: {missing}; expected {FORMATS}: check the path")
        found.update(files)
    _refuse_twice(found)
    return sorted(found)


def _refuse_twice(files: Iterable[str]) -> None:
    """Refuse a local file that has two names among the inputs, by a link or a loop of links: its articles would be there twice."""
    names: dict[tuple[int, int], str] = {}
    for file in sorted(files):
        if "://" not in file and os.path.exists(file):
            found = os.stat(file)
            earlier = names.setdefault((found.st_dev, found.st_ino), file)
            if earlier != file:
                raise InputError(f"{file}: is the same file as {earlier}, by a link; expected each input once: leave one out")


def stem(location: str) -> str:
    """A file's name without the endings of formats and compression."""
    name = PurePosixPath(without_options(location)).name
    while (suffix := PurePosixPath(name).suffix.lower()) in _ENDINGS:
        name = name[: -len(suffix)]
    return name


@contextmanager
def open_corpus(location: str, advanced: Callable[[int], None]) -> Iterator[io.BufferedReader]:
    """The content of a file, decompressed according to its first bytes, not to its name.

    advanced  called with the number of bytes of the file that were read so far
    """
    filesystem, path = resolve(location)
    try:
        source = filesystem.open_input_stream(path, compression=None)
    except FileNotFoundError:
        raise InputError(f"{location}: no such file; expected {FORMATS}: check the path") from None
    except PermissionError:
        raise InputError(f"{location}: permission denied; expected a readable file: change its permissions") from None
    with source:
        raw = io.BufferedReader(_Counted(source, advanced), 1 << 20)
        magic = raw.peek(8)
        if magic.startswith(b"BZh"):
            yield io.BufferedReader(bz2.BZ2File(raw), _HEAD)
        elif magic.startswith(b"\x1f\x8b"):
            yield io.BufferedReader(gzip.GzipFile(fileobj=raw), _HEAD)
        else:
            yield raw  # type: ignore[misc]


def sniff(stream: io.BufferedReader, location: str) -> str:
    """The format of a file's content: "parquet", "mediawiki", "wikiextractor", "jsonl" or "text". Raises UnreadableInput for any other."""
    head = stream.peek(_HEAD)[:_HEAD]
    if not head:
        raise UnreadableInput(f"is empty (0 bytes); expected {FORMATS}: fetch it again")
    if head.startswith(b"PAR1"):
        return "parquet"
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise UnreadableInput(f"is {name}; expected {FORMATS}: unpack or convert it first")
    if wide := _wide_encoding(head):
        raise UnreadableInput(not_utf8("the text", wide))
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"<?xml", b"<mediawiki", b"<!--")):
        if b"<mediawiki" in head:
            return "mediawiki"
        raise UnreadableInput(f"is XML without <mediawiki> at its start; expected {FORMATS}: is it a MediaWiki dump?")
    if start.startswith(b"<doc "):
        return "wikiextractor"
    is_text = ".txt" in [suffix.lower() for suffix in PurePosixPath(without_options(location)).suffixes[-2:]]
    if start.startswith(b"{") and not is_text:
        return "jsonl"
    if is_text:
        return "text"
    if location.lower().endswith((".tsv", ".csv")):
        raise UnreadableInput(
            f"is a table of text ({location[-4:]}); expected {FORMATS}: write its texts as JSONL, or as Parquet with a column 'text'"
        )
    shown = start[:40].decode("utf-8", "replace").splitlines()
    raise UnreadableInput(
        f"begins with {shown[0] if shown else ''!r}; expected {FORMATS}: give plain text a name that ends in .txt"
    )


def text_lines(stream: io.BufferedReader) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its line end) of UTF-8 text. Raises UnreadableInput for other text, with its likely encoding."""
    for number, line in enumerate(stream, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableInput(not_utf8(f"line {number}, byte 0x{line[error.start]:02x}", _narrow_encoding(line))) from None
        yield number, text.rstrip("\r\n")


def not_utf8(where: str, encoding: str) -> str:
    """The message for text that is not UTF-8."""
    return f"{where} is not UTF-8, it looks like {encoding}; expected UTF-8: convert it with `iconv -f {encoding} -t UTF-8`"


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, recognised by the byte order mark, or because every second byte of mostly Latin text is zero."""
    for mark, name in ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if head.startswith(mark):
            return name
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > 0.3 * len(head) / 2 and len(head) > 3:
        return "UTF-16BE" if even > odd else "UTF-16LE"
    return None


def _narrow_encoding(line: bytes) -> str:
    """The likely encoding of a line that is not UTF-8.

    Single accented letters: Windows-1252. Words of high letters: Windows-1251. Two bytes a character: an East Asian encoding.
    """
    runs = re.findall(rb"[\x80-\xff]+", line)
    high = b"".join(runs)
    if len(high) < 2 * len(runs):
        return "WINDOWS-1252"
    if sum(byte >= 0xC0 for byte in high) > 0.9 * len(high):
        return "WINDOWS-1251"
    for encoding, first, last, share in (("SHIFT_JIS", "ぁ", "ヿ", 0.3), ("EUC-KR", "가", "힣", 0.9)):
        letters = [character for character in line.decode(encoding, "replace") if not character.isascii()]
        if sum(first <= character <= last for character in letters) >= share * len(letters):
            return encoding
    return "GB18030"
