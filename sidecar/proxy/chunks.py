"""Read a chunked body out of the bytes on a connection, exactly up to its last one.

What stands behind the last chunk belongs to the next message, so the reader must know to the byte where a
body ends; llhttp's wrapper does not say. It reads what RFC 9112 §7.1 writes and nothing besides: every
leniency here is a second opinion about where a message ends, and that is how requests are smuggled.

Scope: pure. Extensions are read over, as RFC 9112 §7.1.1 asks of who does not know them.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from sidecar.proxy.head import FIELD_VALUE, TOKEN

if TYPE_CHECKING:
    from sidecar.proxy.head import Field, Fields

LINE_BYTES: Final = 4096
"""A size with its extensions; who sends more of them than data wants to keep us busy (CVE-2023-39326)."""
TRAILER_BYTES: Final = 16 * 1024
TRAILER_FIELDS: Final = 64
# Sixteen digits are every size that fits into 64 bits, and more than any body has.
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_BEGUN_SIZE: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?)?\r?")
CRLF: Final = b"\r\n"
LAST_CHUNK: Final = b"0\r\n"


class MalformedChunksError(ValueError):
    """The bytes are no chunked body; they are not in the message."""

    def __init__(self) -> None:
        super().__init__("malformed chunks")


class _Next(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkReader:
    """Reads one body; `trailers` are complete once its end was read."""

    __slots__ = ("_begun", "_left", "_next", "_trailer_bytes", "_trailers")

    def __init__(self) -> None:
        self._next = _Next.SIZE
        self._left = 0
        self._begun = b""
        self._trailer_bytes = 0
        self._trailers: list[Field] = []

    @property
    def trailers(self) -> Fields:
        return tuple(self._trailers)

    def read(self, data: bytes, pieces: list[bytes]) -> bytes | None:
        """Append the payload in `data` to `pieces`; return what follows the body, nothing before its end.

        Raises `MalformedChunksError`.
        """
        if self._begun:
            data, self._begun = self._begun + data, b""
        at = 0
        while at < len(data):
            if self._next is _Next.DATA:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._next = _Next.DATA_END
                continue
            end = self._line_end(data, at)
            if end is None:
                self._begun = data[at:]
                break
            if self._read_line(data[at:end]):
                return data[end + 2 :]
            at = end + 2
        return None

    def _line_end(self, data: bytes, at: int) -> int | None:
        """Return where the line at `at` ends; refuse what can no longer become a line."""
        end = data.find(CRLF, at)
        if (len(data) if end < 0 else end) - at > LINE_BYTES:
            raise MalformedChunksError
        if end >= 0:
            return end
        if self._next is _Next.DATA_END and data[at:] != b"\r":
            raise MalformedChunksError
        if self._next is _Next.SIZE and not _BEGUN_SIZE.fullmatch(data, at):
            raise MalformedChunksError
        return None

    def _read_line(self, line: bytes) -> bool:
        """Take in a line between two pieces of data; say whether it was the body's last."""
        if self._next is _Next.SIZE:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise MalformedChunksError
            self._left = int(match[1], 16)
            self._next = _Next.DATA if self._left else _Next.TRAILER
            return False
        if self._next is _Next.TRAILER:
            return self._read_trailer(line)
        if line:
            raise MalformedChunksError
        self._next = _Next.SIZE
        return False

    def _read_trailer(self, line: bytes) -> bool:
        if not line:
            return True
        self._trailer_bytes += len(line)
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if (
            not colon
            or not TOKEN.fullmatch(name)
            or not FIELD_VALUE.fullmatch(value)
            or self._trailer_bytes > TRAILER_BYTES
            or len(self._trailers) >= TRAILER_FIELDS
        ):
            raise MalformedChunksError
        self._trailers.append((name, value))
        return False


def chunk_of(data: bytes) -> bytes:
    """Return `data`, of which there is some, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Fields) -> bytes:
    """Return the end of a chunked body."""
    return b"".join((LAST_CHUNK, *(b"%b: %b\r\n" % field for field in trailers), CRLF))
