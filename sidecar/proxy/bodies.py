"""Read a request's body off its connection, however it says where it ends, and no further than it may be.

Scope: pure. Bodies of answers are read in `provider`, where there are more ways to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sidecar.errors import BadRequestError, BodyTooLargeError, SidecarError
from sidecar.proxy.chunks import ChunkReader, MalformedChunksError
from sidecar.proxy.head import BodyKind

if TYPE_CHECKING:
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.head import Fields
    from sidecar.proxy.legs import BodySink


class BodyReader(Protocol):
    """Reads one body; `trailers` are complete once its end was read."""

    @property
    def trailers(self) -> Fields: ...

    def read(self, data: bytes, pieces: list[bytes]) -> bytes | None:
        """Append the payload in `data` to `pieces`; return what follows the body, nothing before its end.

        Raises `BadRequestError` and `BodyTooLargeError`.
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


class ChunkedReader:
    """Reads a chunked body of at most `limit` bytes, where there is a limit."""

    __slots__ = ("_chunks", "_limit", "_read")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._read = 0
        self._chunks = ChunkReader()

    @property
    def trailers(self) -> Fields:
        return self._chunks.trailers

    def read(self, data: bytes, pieces: list[bytes]) -> bytes | None:
        try:
            rest = self._chunks.read(data, pieces)
        except MalformedChunksError as exc:
            raise BadRequestError("The request's body is malformed.") from exc
        self._read += sum(map(len, pieces))
        check_size(self._read, self._limit)
        return rest


class Upload:
    """A request's body on its way to whoever takes it."""

    __slots__ = ("_reader", "sink")

    def __init__(self, sink: BodySink, framing: BodyFraming, *, limit: int | None) -> None:
        self._reader = reader_of(framing, limit=limit)
        self.sink = sink

    def take(self, data: bytes) -> bytes | None:
        """Pass on what `data` holds of the body; return what follows it, nothing before its end.

        Raises `BadRequestError` and `BodyTooLargeError`.
        """
        pieces: list[bytes] = []
        rest = self._reader.read(data, pieces)
        for piece in pieces:
            self.sink.body(piece)
        return rest

    def end(self) -> None:
        self.sink.body_ended(self._reader.trailers)


def without_body(waiting: bytes, framing: BodyFraming | None) -> bytes | None:
    """Return what follows the body in `waiting`, nothing where it is not known to be there whole."""
    if framing is None:
        return None
    if framing.kind is BodyKind.NONE:
        return waiting
    try:
        return reader_of(framing, limit=None).read(waiting, [])
    except SidecarError:
        return None


def reader_of(framing: BodyFraming, *, limit: int | None) -> BodyReader:
    """Return the reader of a body; one whose length is over `limit` is refused before."""
    return CountedReader(framing.length) if framing.kind is BodyKind.LENGTH else ChunkedReader(limit)


def check_size(size: int, limit: int | None) -> None:
    """Raise `BodyTooLargeError` for a body over its limit."""
    if limit is not None and size > limit:
        raise BodyTooLargeError(f"A request body may have {limit} bytes.")
