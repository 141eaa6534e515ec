"""One connection to a provider: a request's bytes out, the answer's head and body in.

llhttp is told heads only; how a body ends is counted here, because what follows it must never be taken for
somebody else's answer. A connection is kept only where the request was sent whole, the answer ended where it
said, nothing followed, and the provider keeps it too.

Scope: HTTP/1.1 on an open connection. Opening it is `dialling`, keeping it `pool`.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, cast

from sidecar.errors import BadUpstreamError, UpstreamUnreachableError
from sidecar.proxy.chunks import ChunkReader, MalformedChunksError
from sidecar.proxy.deadlines import NEVER
from sidecar.proxy.head import BodyKind
from sidecar.proxy.parsing import HEAD_END, MalformedHeadError, ResponseParser
from sidecar.proxy.pool import IDLE_TIMEOUT
from sidecar.proxy.receiving import SHARED

if TYPE_CHECKING:
    import select
    import socket

    from sidecar.errors import SidecarError
    from sidecar.proxy.deadlines import Deadlines
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.legs import Use
    from sidecar.proxy.pool import Pool

# Providers answer with more than they accept: Set-Cookie and Content-Security-Policy of 10 KiB are common.
ANSWER_HEAD_BYTES: Final = 64 * 1024
WRITE_BYTES: Final = 32 * 1024
"""What waits for a slow provider before the caller is held back; one read more may follow."""
LINGER: Final = 2.0
"""Seconds for a provider to take what was written before a close."""
BROKE_OFF: Final = "The provider's answer broke off."


class ProviderConnection(asyncio.BufferedProtocol):
    """A provider's connection; `use` is what it is used for, nothing while it is idle."""

    __slots__ = (
        "_body",
        "_chunks",
        "_deadlines",
        "_has_eof",
        "_is_lost",
        "_left",
        "_loop",
        "_parser",
        "_pool",
        "_seen",
        "_waiting",
        "deadline",
        "ear",
        "is_full",
        "is_tunnel",
        "place",
        "sock",
        "transport",
        "use",
    )

    transport: asyncio.Transport
    sock: socket.socket
    ear: select.poll

    def __init__(
        self, place: tuple[str, str], *, pool: Pool[ProviderConnection], deadlines: Deadlines
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._deadlines = deadlines
        self._parser = ResponseParser()
        self._body: BodyFraming | None = None
        self._chunks: ChunkReader | None = None
        self._left = 0
        self._waiting = b""
        self._seen = 0
        self._has_eof = False
        self._is_lost = False
        self.place = place
        self.use: Use | None = None
        self.is_full = False
        self.is_tunnel = False
        self.deadline = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BYTES)
        self._deadlines.watch(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._deadlines.forget(self)
        self._parser.renew()
        if self.use is None:
            self._pool.discard(self)
        else:
            self._end_of_input(is_clean=exc is None)

    @property
    def is_usable(self) -> bool:
        return not self._is_lost and not self.transport.is_closing()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - one size for all
        return SHARED

    def buffer_updated(self, nbytes: int) -> None:
        use = self.use
        if use is None:
            # Whoever this was meant for has gone.
            self._pool.discard(self)
            self.abort()
            return
        data = bytes(SHARED[:nbytes])
        if self.is_tunnel:
            use.piece(data)
            use.flush()
            return
        if self._body is None:
            data = self._waiting + data if self._waiting else data
            self._read_heads(data, use)
        else:
            self._read_body(data, use)

    def eof_received(self) -> bool | None:
        if self.use is None:
            return None
        tls = self.transport.get_extra_info("ssl_object")
        self._end_of_input(is_clean=tls is None or _has_said_farewell(tls))
        # A tunnel's other direction goes on; TLS knows no half-close.
        return self.is_tunnel and tls is None

    def pause_writing(self) -> None:
        self.is_full = True
        if self.use is not None:
            self.use.provider_full()

    def resume_writing(self) -> None:
        self.is_full = False
        if self.use is not None:
            self.use.provider_ready()

    def expire(self) -> None:
        """Act on a deadline that has passed."""
        self.deadline = NEVER
        if self.use is None:
            self._pool.discard(self)
            self.abort()
        else:
            self.use.provider_late()

    def begin(self, use: Use) -> None:
        self.use = use
        self.deadline = NEVER

    def allow(self, seconds: float) -> None:
        """Let the provider take so long for whatever comes next."""
        self.deadline = self._loop.time() + seconds

    def rest(self) -> None:
        """Ask nothing of the provider for now: it is held back."""
        self.deadline = NEVER

    def release(self, *, is_sent: bool, stays: bool) -> None:
        """Take note that the answer has ended; `is_sent` says that the request was sent to its end."""
        self.use = None
        has_rest = self.transport.get_write_buffer_size() > 0
        if has_rest or not is_sent or not stays or not self.is_usable or self._has_eof:
            self.abort()
            return
        self._body = None
        self._waiting = b""
        self._seen = 0
        if not self.transport.is_reading():
            self.transport.resume_reading()
        self.deadline = self._loop.time() + IDLE_TIMEOUT
        if not self._pool.give_back(self):
            self.abort()

    def close(self) -> None:
        """End the connection after what was written to it; whoever used it hears nothing more."""
        self.use = None
        self.allow(LINGER)
        self.transport.close()

    def abort(self) -> None:
        """End the connection now; whoever used it hears nothing more."""
        self.use = None
        self.deadline = NEVER
        self.transport.abort()

    def _read_heads(self, data: bytes, use: Use) -> None:
        """Read heads until the final one, and with it what follows."""
        while self._body is None:
            end = data.find(HEAD_END, max(self._seen - 3, 0), ANSWER_HEAD_BYTES)
            try:
                if end < 0:
                    self._parser.feed(data[self._seen :])
                    self._waiting, self._seen = data, len(data)
                    if len(data) >= ANSWER_HEAD_BYTES:
                        raise MalformedHeadError  # noqa: TRY301 - one way out for every head that is none
                    return
                head, rest = data[: end + 4], data[end + 4 :]
                self._parser.feed(head[self._seen :])
                raw = self._parser.finish(head)
            except MalformedHeadError:
                use.failed(BadUpstreamError("The provider's answer is not HTTP/1.1."))
                return
            self._waiting, self._seen = b"", 0
            self._parser.renew()
            self._body = use.head(raw)
            if self.use is not use:
                self._begin_tunnel(rest)
                return
            data = rest
            if not data and self._body is None:
                return
        self._left = self._body.length
        self._chunks = ChunkReader() if self._body.kind is BodyKind.CHUNKED else None
        self._read_body(data, use)

    def _begin_tunnel(self, rest: bytes) -> None:
        """Pass on what came with a 101, if that was what ended the exchange."""
        if self.is_tunnel and self.use is not None and rest:
            self.use.piece(rest)
            self.use.flush()

    def _read_body(self, data: bytes, use: Use) -> None:
        kind = BodyKind.NONE if self._body is None else self._body.kind
        if kind is BodyKind.CHUNKED and self._chunks is not None:
            self._read_chunks(self._chunks, data, use)
            return
        if kind is BodyKind.UNTIL_CLOSE:
            if data:
                use.piece(data)
            use.flush()
            return
        size = len(data)
        if size < self._left:
            self._left -= size
            if data:
                use.piece(data)
            use.flush()
            return
        if self._left:
            use.piece(data if size == self._left else data[: self._left])
        use.ended((), has_more=size > self._left)

    def _read_chunks(self, chunks: ChunkReader, data: bytes, use: Use) -> None:
        pieces: list[bytes] = []
        try:
            rest = chunks.read(data, pieces)
        except MalformedChunksError:
            use.failed(BadUpstreamError(BROKE_OFF))
            return
        for piece in pieces:
            use.piece(piece)
        if rest is None:
            use.flush()
        else:
            use.ended(chunks.trailers, has_more=bool(rest))

    def _end_of_input(self, *, is_clean: bool) -> None:
        """Tell the exchange what an end means now; to be called again is nothing."""
        use = self.use
        if use is None or (self._has_eof and not self._is_lost):
            return
        self._has_eof = True
        if self.is_tunnel:
            use.provider_closed(is_lost=self._is_lost)
        elif self._body is not None and self._body.kind is BodyKind.UNTIL_CLOSE and is_clean:
            use.ended((), has_more=True)
        else:
            use.failed(self._breach())

    def _breach(self) -> SidecarError:
        if self._body is None and not self._waiting:
            return UpstreamUnreachableError("The provider closed the connection without an answer.")
        return BadUpstreamError(BROKE_OFF)


def _has_said_farewell(tls: ssl.SSLObject) -> bool:
    """Whether the peer ended TLS itself: asyncio reports a cut TCP stream in the same way (RFC 9112 §9.8)."""
    try:
        return not tls.read(1)
    except ssl.SSLError:
        return False
