"""The streams of a bz2 file: where they begin, found without reading all of the file, and their content."""

import bz2
import re
from collections.abc import Iterator

from pyarrow import NativeFile

from data.storage_faults import storage_fault

# A stream begins at a byte boundary with "BZh", the block size, and a magic number: that of a block (the digits of π), or that of
# the end of the stream if the stream is empty.
_STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
_STREAM_WITH_CONTENT = re.compile(rb"BZh[1-9]1AY&SY")
_MAGIC_BYTES = 10
_READ_BYTES = 1 << 20  # read from the file at once
_PIECE_BYTES = 1 << 20  # decompressed at once; a limit is needed because zeros shrink by a factor of 20,000
_PROOF_BYTES = 1 << 20  # content that proves a start of a stream: more than one block of text, so that its checksum was checked
_WINDOW_BYTES = 8 << 20  # searched for the start of a stream: ten times the usual distance in a multistream dump


def decompressed(source: NativeFile, start: int) -> Iterator[tuple[int, bytes]]:
    """The content of a seekable bz2 file, from the stream at byte `start` to the end of the file.

    Yields (first byte of the piece's stream, piece). Bytes after a stream that do not begin another stream end the content, as in
    `bz2.BZ2File`. Raises EOFError if the last stream is cut, and OSError without an error number if a stream is damaged.
    """
    source.seek(start)
    at, data = start, source.read(_READ_BYTES)
    while at == start or _STREAM.match(data):
        decompressor = bz2.BZ2Decompressor()
        while not decompressor.eof:
            if decompressor.needs_input and not data and not (data := source.read(_READ_BYTES)):
                raise EOFError("the file ends inside a stream")
            piece = decompressor.decompress(data, _PIECE_BYTES)
            data = b""
            if piece:
                yield at, piece
        data = decompressor.unused_data
        at = source.tell() - len(data)
        if len(data) < _MAGIC_BYTES:
            data += source.read(_READ_BYTES)


def part_starts(source: NativeFile, size: int, every: int) -> list[int]:
    """Where the parts of a seekable bz2 file of `size` bytes begin: at 0, and at the first stream after each multiple of `every` bytes.

    The `every` bytes after a multiple are searched, but at most 8 MiB, and a start is proved by decompressing 1 MiB from it. So the
    result depends only on the file. For each multiple, one or two MiB of a multistream dump are read, and 8 MiB of a file that is one
    stream. An empty stream is not used as a start, because nothing in it can be proved.
    """
    found = (_first_start(source, at, min(at + min(every, _WINDOW_BYTES), size)) for at in range(every, size, every))
    return [0, *(at for at in found if at is not None)]


def _first_start(source: NativeFile, begin: int, end: int) -> int | None:
    for at in range(begin, end, _READ_BYTES):
        source.seek(at)
        data = source.read(
            min(_READ_BYTES, end - at) + _MAGIC_BYTES - 1
        )  # a magic number that begins in the last byte is read completely
        for match in _STREAM_WITH_CONTENT.finditer(data):
            if _is_stream(source, at + match.start()):
                return at + match.start()
    return None


def _is_stream(source: NativeFile, start: int) -> bool:
    """Whether a stream really begins at `start`: the ten bytes could also be an accident inside compressed data."""
    content = 0
    try:
        for _, piece in decompressed(source, start):
            content += len(piece)
            if content >= _PROOF_BYTES:
                break
    except EOFError:
        return False
    except OSError as error:
        if error.errno is not None or storage_fault("", error):
            raise  # the disk or the network failed, not the file
        return False
    return True
