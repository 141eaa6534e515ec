"""Read a request's body off its connection, however it says where it ends, and no further than it may be.

Scope: pure. Bodies of answers are read in `upstream`, where there are more ways to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sidecar.errors import BodyTooLargeError
from sidecar.proxy.chunks import ChunkReader
from sidecar.proxy.head import BodyKind

if TYPE_CHECKING:
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.head import Fields


class BodyTooLongError(ValueError):
    """The body is longer than it may be."""

    def __init__(self, limit: int) -> None:
        super().__init__("body too long")
        self.error = BodyTooLargeError(f"A request body may have {limit} bytes.")


class BodyReader(Protocol):
    """Reads one body; `trailers` are complete once its end was read."""

    @property
    def trailers(self) -> Fields: ...

    def read(self, data: bytes, pieces: list[bytes]) -> bytes | None:
        """Append the payload in `data` to `pieces`; return what follows the body, nothing before its end.

        Raises `MalformedChunksError` and `BodyTooLongError`.
        """
        ...


class CountedReader:
    """Reads a body that has a length."""

    __slots__ = ("_left",)

    trailers: Fields = ()

    def __init__(self, length: int) -> None:
        self._left = length

    def read(self, data: bytes, pieces: list[bytes]) -> bytes | None:
        size = len(data)
        if size < self._left:
            self._left -= size
            if data:
                pieces.append(data)
            return None
        if self._left:
            pieces.append(data if size == self._left else data[: self._left])
        rest = data[self._left :]
        self._left = 0
        return rest


class BoundedChunks:
    """Reads a chunked body of at most `limit` bytes."""

    __slots__ = ("_limit", "_read", "_reader")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._read = 0
        self._reader = ChunkReader()

    @property
    def trailers(self) -> Fields:
        return self._reader.trailers

    def read(self, data: bytes, pieces: list[bytes]) -> bytes | None:
        rest = self._reader.read(data, pieces)
        self._read += sum(map(len, pieces))
        if self._read > self._limit:
            raise BodyTooLongError(self._limit)
        return rest


def reader_of(framing: BodyFraming, *, limit: int | None) -> BodyReader:
    """Return the reader of a body; one whose length is over `limit` is refused before."""
    if framing.kind is BodyKind.LENGTH:
        return CountedReader(framing.length)
    return ChunkReader() if limit is None else BoundedChunks(limit)
