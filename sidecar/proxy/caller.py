"""One connection from a caller: its requests, one after the other, and the way back.

A request is read as far as its head; then its bytes wait, unread beyond a bound, until somebody wants its
body. So a refusal needs no body, a caller who sends too early is held back by TCP itself, and the next
request is not looked at before this one's answer is on its way.

Nothing of what could not be read is repeated, in the answer or in the log.

Scope: bytes in and out, their deadlines and bounds. What a request means is `handler`'s, its exchange with a
provider `exchange`'s.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, cast

from sidecar.errors import (
    BadRequestError,
    HeadTooLargeError,
    MethodNotAllowedError,
    OverloadedError,
    RequestTimeoutError,
    SidecarError,
)
from sidecar.proxy.bodies import BodyTooLongError, reader_of
from sidecar.proxy.chunks import MalformedChunksError
from sidecar.proxy.deadlines import NEVER
from sidecar.proxy.gate import Arrival
from sidecar.proxy.head import BodyKind
from sidecar.proxy.incoming import BodyLimits, Incoming, problem_bytes
from sidecar.proxy.parsing import HEAD_END, MalformedHeadError, RequestParser, UnknownMethodError
from sidecar.proxy.receiving import SHARED
from sidecar.telemetry.context import new_request_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.proxy.bodies import BodyReader
    from sidecar.proxy.deadlines import Deadlines
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.handler import Handler
    from sidecar.proxy.incoming import BodySink
    from sidecar.web.strict_handler import HeadLimits

KEEPALIVE_TIMEOUT: Final = 75.0
"""Seconds an idle connection is kept: nginx's keepalive_timeout."""
LINGER: Final = 2.0
"""Seconds for a caller to take our last answer while the rest of its request is thrown away (RFC 9112 §9.6)."""
STALL_TIMEOUT: Final = 900.0
"""Seconds for which a caller may take nothing of an answer: as long as a provider may be silent."""
WAITING_BYTES: Final = 64 * 1024
"""What waits unread by us before the socket is left alone; one read more may arrive."""
WRITE_BYTES: Final = 32 * 1024
"""What waits for a slow caller before the provider is held back; one read more may follow."""
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""`struct linger`: on, for no time at all."""
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What the connections of one listener share; `open` are the connections there are."""

    handler: Handler
    heads: HeadLimits
    bodies: BodyLimits
    deadlines: Deadlines
    count: Callable[[str], None]
    is_local: bool
    open: set[CallerConnection]
    most: int


class _State(Enum):
    READY = auto()  # for the first byte of a head, or the next one
    SERVING = auto()  # a request whose further bytes, if any, wait
    BODY = auto()  # of the request being served
    TUNNEL = auto()  # other people's protocol
    ENDING = auto()  # what we had to say is said; what comes is thrown away
    CLOSED = auto()


class CallerConnection(asyncio.BufferedProtocol):
    """A caller's connection.

    `_waiting` are bytes that were received and not looked at; of a head that is not whole, all of them.
    """

    __slots__ = (
        "_arrival",
        "_body",
        "_incoming",
        "_is_held",
        "_is_paused",
        "_is_pumping",
        "_is_unread",
        "_loop",
        "_parser",
        "_reception",
        "_resets",
        "_seen",
        "_sink",
        "_state",
        "_waiting",
        "deadline",
        "is_full",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser()
        self._state = _State.READY
        self._waiting = b""
        self._seen = 0
        self._incoming: Incoming | None = None
        self._body: BodyReader | None = None
        self._sink: BodySink | None = None
        self._is_held = False
        self._is_paused = False
        self._is_pumping = False
        self._is_unread = False
        self._resets = False
        self.is_full = False
        self.deadline = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BYTES)
        reception = self._reception
        name = None if reception.is_local else transport.get_extra_info("sockname")
        self._arrival = Arrival(address=name[0] if name else None)
        reception.open.add(self)
        reception.deadlines.watch(self)
        self.deadline = self._loop.time() + KEEPALIVE_TIMEOUT
        if len(reception.open) > reception.most:
            self._refuse_head(OverloadedError("Too many connections are open.", retry_after=1.0))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended changes nothing
        self._state = _State.CLOSED
        self._reception.open.discard(self)
        self._reception.deadlines.forget(self)
        self._parser.renew()
        self._waiting = b""
        if self._incoming is not None:
            self._incoming.caller_gone()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - one size for all
        return SHARED

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(SHARED[:nbytes])
        if self._state is _State.READY:
            self._waiting = self._waiting + data if self._waiting else data
            self._pump()
        elif self._state is _State.BODY:
            self._read_body(data)
        elif self._state is _State.SERVING:
            self._waiting += data
            self._update_reading()
        elif self._state is _State.TUNNEL and self._sink is not None:
            self._sink.body(data)

    def eof_received(self) -> bool | None:
        """Take the end of input for a hang-up, as servers do: nobody can tell a half-close from it.

        In a tunnel the other side is told, and this side stays open for it.
        """
        if self._state is _State.TUNNEL and self._sink is not None:
            self._sink.body_ended(())
            return True
        return None

    def pause_writing(self) -> None:
        self.is_full = True
        self.deadline = self._loop.time() + STALL_TIMEOUT
        if self._incoming is not None:
            self._incoming.caller_full()

    def resume_writing(self) -> None:
        self.is_full = False
        self.deadline = NEVER
        if self._incoming is not None:
            self._incoming.caller_ready()
        elif self._state is _State.READY:
            self._await_next()
            self._pump()

    def expire(self) -> None:
        """Act on a deadline that has passed."""
        self.deadline = NEVER
        if self.is_full or self._state in (_State.ENDING, _State.TUNNEL):
            self.transport.abort()
        elif self._state is _State.BODY and self._sink is not None:
            self._sink.body_failed(RequestTimeoutError("The request's body stalled."))
        elif self._state is _State.READY and self._waiting:
            self._refuse_head(RequestTimeoutError())
        elif self._state is _State.READY:
            self._close()

    # --- what a request and its exchange ask for

    def send_body_to(self, sink: BodySink, framing: BodyFraming) -> None:
        """Give the request's body to `sink` as it arrives, what waits first."""
        self._sink = sink
        self._body = reader_of(framing, limit=self._reception.bodies.size_bytes)
        self._state = _State.BODY
        self._expect_more()
        waiting, self._waiting = self._waiting, b""
        self._read_body(waiting)
        self._update_reading()

    def begin_tunnel(self, sink: BodySink) -> None:
        """Give `sink` everything from now on."""
        self._sink = sink
        self._state = _State.TUNNEL
        waiting, self._waiting = self._waiting, b""
        if waiting:
            sink.body(waiting)
        self._update_reading()

    def hold(self) -> None:
        """Read no more of the body until `go`: its reader is slower."""
        self._is_held = True
        if self._state is _State.BODY:
            self.deadline = NEVER
        self._update_reading()

    def go(self) -> None:
        self._is_held = False
        if self._state is _State.BODY:
            self._expect_more()
        self._update_reading()

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def has_read(self, framing: BodyFraming) -> bool:
        """Say whether the request is read to its end; a body that waits whole is skipped."""
        if self._state is _State.BODY:
            return False
        if self._body is None and framing.kind is not BodyKind.NONE:
            self._body = reader_of(framing, limit=None)
            try:
                rest = self._body.read(self._waiting, [])
            except (MalformedChunksError, BodyTooLongError):
                rest = None
            if rest is None:
                self._is_unread = True
                return False
            self._waiting = rest
        return not self._is_unread

    def answered(self, *, stays: bool) -> None:
        """Go on with the next request, or end politely: what was written arrives before the end."""
        self._incoming = self._sink = self._body = None
        self._is_held = False
        if self._state is _State.CLOSED:
            return
        self._is_unread = self._is_unread or self._state is _State.BODY
        if not stays or self._is_unread:
            self._end()
            return
        self._state = _State.READY
        self._parser.renew_after_body()
        if not self.is_full:
            self._await_next()
            self._pump()
        self._update_reading()

    def cut(self, *, resets: bool) -> None:
        """End in the middle of an answer, visibly: what was written goes out, and then no proper end.

        `resets` is for an answer that ends by closing: nothing but a reset tells its caller.
        """
        self._incoming = self._sink = self._body = None
        if self._state is _State.CLOSED:
            return
        if resets:
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE
            )
        self._close()

    @property
    def most_body_bytes(self) -> int | None:
        return self._reception.bodies.size_bytes

    def stop(self) -> None:
        """End at once if nothing is being served."""
        if self._incoming is None:
            self._close()

    # --- reading

    def _pump(self) -> None:
        """Serve what waits, one request after the other, without growing the stack."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._state is _State.READY and self._waiting and not self.is_full and self._read_head():
                pass
        finally:
            self._is_pumping = False

    def _read_head(self) -> bool:
        """Serve the next request if its head is whole, and say whether there was one."""
        data, limit = self._waiting, self._reception.heads.size_bytes
        if not self._seen and data[0] in b"\r\n":
            # RFC 9112 §2.2: empty lines before a request are a habit of old clients.
            data = self._waiting = data.lstrip(b"\r\n")
            if not data:
                return False
        end = data.find(HEAD_END, max(self._seen - 3, 0), limit)
        try:
            if end < 0:
                self._parser.feed(data[self._seen :])
                if len(data) >= limit:
                    raise HeadTooLargeError(f"A request head may have {limit} bytes.")
                self._expect_head()
                return False
            end += len(HEAD_END)
            head = data[:end]
            self._parser.feed(head[self._seen :])
            raw = self._parser.finish(head)
        except MalformedHeadError as exc:
            is_unknown = isinstance(exc, UnknownMethodError) and _METHOD.match(data)
            self._refuse_head(
                MethodNotAllowedError("The method is not known here.", status=501)
                if is_unknown
                else BadRequestError("The request's head is malformed (RFC 9112).")
            )
        except HeadTooLargeError as error:
            self._refuse_head(error)
        else:
            self._waiting = data[end:]
            self._seen = 0
            self._state = _State.SERVING
            self.deadline = NEVER
            self._incoming = Incoming(self, raw, self._arrival)
            self._reception.handler.serve(self._incoming)
            return True
        return False

    def _expect_head(self) -> None:
        if not self._seen:
            self.deadline = self._loop.time() + self._reception.heads.timeout
        self._seen = len(self._waiting)

    def _read_body(self, data: bytes) -> None:
        body, sink = self._body, self._sink
        if body is None or sink is None:
            return
        pieces: list[bytes] = []
        try:
            rest = body.read(data, pieces)
        except MalformedChunksError:
            sink.body_failed(BadRequestError("The request's body is malformed."))
            return
        except BodyTooLongError as exc:
            sink.body_failed(exc.error)
            return
        if rest is not None:
            self._state = _State.SERVING
            self._waiting = rest
            self.deadline = NEVER
        elif not self._is_held:
            self._expect_more()
        for piece in pieces:
            sink.body(piece)
        if rest is not None:
            sink.body_ended(body.trailers)

    def _expect_more(self) -> None:
        self.deadline = self._loop.time() + self._reception.bodies.timeout

    def _await_next(self) -> None:
        self.deadline = self._loop.time() + KEEPALIVE_TIMEOUT

    def _update_reading(self) -> None:
        should_read = not self._is_held and len(self._waiting) <= WAITING_BYTES
        if should_read != self._is_paused or self._state is _State.CLOSED or self.transport.is_closing():
            return
        self._is_paused = not should_read
        if should_read:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    # --- ending

    def _refuse_head(self, error: SidecarError) -> None:
        """Answer what is no request, and end: where it stops and the next begins, nobody knows."""
        self._reception.count(error.code)
        self._is_unread = True
        self.write(problem_bytes(error, request_id=new_request_id()))
        self._end()

    def _end(self) -> None:
        """Say that nothing more comes, and throw away what still does: a reset would take our answer along."""
        is_read = not self._is_unread and not self._waiting
        self._state = _State.ENDING
        self._waiting = b""
        self._is_held = False
        self.deadline = self._loop.time() + LINGER
        if is_read:
            self.transport.close()
            return
        self._update_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        self._state = _State.ENDING
        self.deadline = self._loop.time() + LINGER
        self.transport.close()
