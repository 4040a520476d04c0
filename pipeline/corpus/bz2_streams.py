"""The streams of a bz2 file: where they begin, found without reading the file, and their content from any of them on."""

import bz2
import re
from collections.abc import Iterator

from pyarrow import NativeFile

from data.storage_faults import storage_fault

# Streams begin at whole bytes: "BZh", the block size, and the magic of a block (the digits of π), or of the end if it is empty.
_STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
_STREAM_WITH_CONTENT = re.compile(rb"BZh[1-9]1AY&SY")
_MAGIC_BYTES = 10
_READ_BYTES = 1 << 20  # of the file at once
_PIECE_BYTES = 1 << 20  # of the content at once, whatever the compression: zeros shrink by 20,000
_PROOF_BYTES = 1 << 20  # of the content that show a stream to be one: more than a block of text, whose checksum is then seen
_WINDOW_BYTES = 8 << 20  # how far a stream's start is looked for: ten times the usual distance in a multistream dump


def decompressed(source: NativeFile, start: int) -> Iterator[tuple[int, bytes]]:
    """(where its stream begins, piece) of the content of a seekable bz2 file, from the stream at byte `start` to the file's end.

    Bytes after a stream that begin no other end it, as `bz2.BZ2File` has it. Raises EOFError if the last stream is cut, and
    OSError without a number for a damaged one.
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
    """0, and the first start of a stream at or after each multiple of `every` bytes of a seekable bz2 file of `size` bytes.

    A start is looked for in the `every` bytes after a multiple, but in no more than 8 MiB, and is proved by decompressing 1 MiB from
    it on. So it follows from the file alone; of a multistream dump one or two MiB are read a multiple, of one without streams
    8 MiB. An empty stream is no start, since nothing in it can be proved.
    """
    found = (_first_start(source, at, min(at + min(every, _WINDOW_BYTES), size)) for at in range(every, size, every))
    return [0, *(at for at in found if at is not None)]


def _first_start(source: NativeFile, begin: int, end: int) -> int | None:
    for at in range(begin, end, _READ_BYTES):
        source.seek(at)
        data = source.read(min(_READ_BYTES, end - at) + _MAGIC_BYTES - 1)  # a magic that begins in the last byte is seen whole
        for match in _STREAM_WITH_CONTENT.finditer(data):
            if _is_stream(source, at + match.start()):
                return at + match.start()
    return None


def _is_stream(source: NativeFile, start: int) -> bool:
    """Whether the ten bytes at `start` are a stream's, and no accident inside compressed data."""
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
            raise  # the disk or network, not the file
        return False
    return True
