"""Parts of a corpus file: a MediaWiki dump of many bz2 streams is divided among workers.

The division depends only on the file, not on the number of workers. A page always belongs to one part.
"""

import bz2
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from data.storage import resolve
from data.storage_faults import storage_fault
from pipeline.corpus.bz2_streams import decompressed, part_starts
from pipeline.corpus.corpus_file import UnreadableInput, open_corpus, sniff

# XML escapes every "<" of a text, so these bytes are always the start of a page. MediaWiki writes no CDATA and no comments, where
# this does not hold; if a file were cut inside one of them, the XML parser would report broken XML.
_PAGE = re.compile(rb"<page[\s>]")
_CUT_BYTES = len(b"<page")  # a piece may end with up to this many bytes of a page's start


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a worker reads at a time: a complete corpus file, or the pages that begin in the bytes [start, end) of a dump."""

    location: str
    name: str  # the name of its shards
    start: int  # first byte in the compressed file; a bz2 stream begins there
    end: int  # first byte after the part
    size: int  # bytes of the file

    @property
    def input_name(self) -> str:
        """The name of the file that it is a part of."""
        return self.name if self.whole else self.name.rpartition("-part")[0]

    @property
    def whole(self) -> bool:
        """Whether the part is the complete file, of any format."""
        return (self.start, self.end) == (0, self.size)


def parts_of(location: str, name: str, part_bytes: int | None = None) -> list[Part]:
    """The parts of a corpus file, in the order of the file.

    A bz2 dump that is larger than `part_bytes` is divided at the first bz2 stream after each multiple of `part_bytes`. Any other file
    is one part, and so is every file if `part_bytes` is None. Parts are named "<name>-part00000" and so on, so that their shards
    sort in the order of the dump.
    """
    filesystem, path = resolve(location)
    size = int(filesystem.get_file_info(path).size or 0)
    starts = [0]
    if part_bytes is not None and size > part_bytes and _is_bz2_dump(location):
        with filesystem.open_input_file(path) as source:
            starts = part_starts(source, size, part_bytes)
    if len(starts) == 1:
        return [Part(location=location, name=name, start=0, end=size, size=size)]
    bounds = zip(starts, [*starts[1:], size], strict=True)
    return [
        Part(location=location, name=f"{name}-part{number:05d}", start=start, end=end, size=size)
        for number, (start, end) in enumerate(bounds)
    ]


@contextmanager
def open_part(part: Part, advanced: Callable[[int], None]) -> Iterator[io.BufferedReader]:
    """The decompressed content of a part, as a stream that can be parsed on its own.

    advanced  called with the number of bytes of the part that were read so far

    For a part of a dump, the content is a small dump: the header of the file (with its siteinfo), then all pages that begin in the
    part. The last of these pages may end after the part. So all parts together hold every page of the file once, wherever its
    streams are cut. The content is empty if no page begins in the part.
    """
    if part.whole:
        with open_corpus(part.location, advanced) as stream:
            yield stream
        return
    filesystem, path = resolve(part.location)
    with filesystem.open_input_file(path) as source:

        def pieces() -> Iterator[bytes]:
            header = b""
            if part.start:
                header = b"".join(cut_at_pages(((True, piece) for _, piece in decompressed(source, 0)), inside=True, end=b""))
            for piece in cut_at_pages(_mark_pieces(part, decompressed(source, part.start)), inside=not part.start):
                advanced(min(source.tell(), part.end) - part.start)
                yield header + piece
                header = b""

        yield io.BufferedReader(_Pieces(pieces()), 1 << 16)


def cut_at_pages(pieces: Iterable[tuple[bool, bytes]], *, inside: bool, end: bytes = b"</mediawiki>") -> Iterator[bytes]:
    """The bytes of the pages that begin in a part, followed by `end`.

    pieces  (whether the piece lies after the part, its bytes), in the order of the file
    inside  the first piece is already wanted: the part is the first of the dump, and begins with the dump's header

    The bytes begin with the first page that begins in the part. They stop before the first page that begins after the part; if there
    is no such page, they go to the end of the file, which has its own end tag, and `end` is not added.
    """
    held, own = b"", 0  # bytes that are not yet decided (a page's start may be cut), and how many of them belong to the part
    for after, piece in pieces:
        held += piece
        own += 0 if after else len(piece)
        if not inside:
            page = _PAGE.search(held)
            passed = page.start() if page else max(len(held) - _CUT_BYTES, 0)
            held, own = held[passed:], max(own - passed, 0)
            if not own and (after or page):
                return
            if not page:
                continue
            inside = True
        if not after:
            yield held
            held, own = b"", 0
            continue
        yield held[:own]
        held, own = held[own:], 0
        if page := _PAGE.search(held):
            yield held[: page.start()] + end
            return
        yield held[:-_CUT_BYTES]
        held = held[-_CUT_BYTES:]
    if inside:
        yield held


def _mark_pieces(part: Part, pieces: Iterable[tuple[int, bytes]]) -> Iterator[tuple[bool, bytes]]:
    """Turn (first byte of its stream, piece) into (whether the piece lies after the part, piece)."""
    reached = part.end == part.size
    for at, piece in pieces:
        reached = reached or at == part.end
        if at > part.end and not reached:
            break
        yield at >= part.end, piece
    if not reached:
        raise OSError(f"no stream ends at byte {part.end:,}, where one begins")


def _is_bz2_dump(location: str) -> bool:
    try:
        with open_corpus(location, lambda position: None) as stream:
            return isinstance(stream.raw, bz2.BZ2File) and sniff(stream, location) == "mediawiki"
    except (UnreadableInput, EOFError, zlib.error):
        return False  # the reader of the file will report what is wrong
    except OSError as error:
        if error.errno is not None or storage_fault("", error):
            raise  # the disk or the network failed, not the file
        return False


class _Pieces(io.RawIOBase):
    """Pieces of bytes, readable as a raw stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._held = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._held:
            self._held = memoryview(next(filter(None, self._pieces), b""))
        count = min(len(buffer), len(self._held))
        buffer[:count], self._held = self._held[:count], self._held[count:]
        return count
