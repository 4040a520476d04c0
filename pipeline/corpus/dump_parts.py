"""Parts of a corpus file: a MediaWiki dump of many bz2 streams is shared out among workers, at pages and whatever their number."""

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

# In XML a "<" of the text is always escaped, so these bytes are a page's start. (CDATA and comments, where they need not be, no
# MediaWiki writes; cut inside one, the XML is broken, which the parser says.)
_PAGE = re.compile(rb"<page[\s>]")
_CUT_BYTES = len(b"<page")  # so many of a start may stand at the end of a piece


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a worker reads at a time: a whole corpus file, or the pages that begin in the bz2 streams [start, end) of a dump."""

    location: str
    name: str  # of its shards
    start: int  # bytes of the file as it lies
    end: int
    size: int  # of the file

    @property
    def whole(self) -> bool:
        """Whether the part is the file, of any format."""
        return (self.start, self.end) == (0, self.size)


def parts_of(location: str, name: str, part_bytes: int | None = None) -> list[Part]:
    """The parts of a corpus file, in its order: those of a bz2 dump begin at the first stream after each multiple of `part_bytes`.

    They follow from the file alone. Any other file, and any that is no larger, is one part, as is all with None. The shards of parts
    are called "<name>-part00000" and so on, so that they sort as the pages stand in the dump.
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
    """A part's content, decompressed, as a file that can be read by itself; `advanced` gets the bytes of the part read so far.

    Of a part of a dump it is a dump: the header of the whole (with its siteinfo), and from the first page that begins in the part to
    the end of the last, which may lie in streams after the part. So the pages of all parts together are those of the file, wherever
    its streams are cut. Empty if no page begins in the part.
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
            for piece in cut_at_pages(_told_apart(part, decompressed(source, part.start)), inside=not part.start):
                advanced(min(source.tell(), part.end) - part.start)
                yield header + piece
                header = b""

        yield io.BufferedReader(_Pieces(pieces()), 1 << 16)


def cut_at_pages(pieces: Iterable[tuple[bool, bytes]], *, inside: bool, end: bytes = b"</mediawiki>") -> Iterator[bytes]:
    """From the first page that begins in a part to the first that begins after it, and then `end`; without the latter all, and no `end`.

    `pieces` are (after the part?, bytes): those of the part first. `inside`: the part is a dump's first, which has the header too.
    """
    held, own = b"", 0  # bytes in which a page's start may be cut, and how many of them are the part's
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


def _told_apart(part: Part, pieces: Iterable[tuple[int, bytes]]) -> Iterator[tuple[bool, bytes]]:
    """(after the part?, piece) of (where its stream begins, piece)."""
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
        return False  # whoever reads it says what it is
    except OSError as error:
        if error.errno is not None or storage_fault("", error):
            raise  # the disk or network, not the file
        return False


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a raw stream."""

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
