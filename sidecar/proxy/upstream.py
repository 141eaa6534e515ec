"""Carry one request to a provider and its answer back, on a connection of its own.

aiohttp's client would make up fields, decode, follow, retry and hand late bytes to the next caller, so only
its connection and its parser are used: the head is written by us, byte for byte, the parser's leniency is
checked by `framing`, and a connection is closed after one exchange.

Scope: HTTP/1.1 on an open connection. Opening it is `dialling`.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import StreamWriter
from aiohttp.http_exceptions import HttpProcessingError

from sidecar.errors import BadUpstreamError, SidecarError, UpstreamTimeoutError, UpstreamUnreachableError
from sidecar.proxy.framing import check_response
from sidecar.proxy.head import BodyKind, ResponseHead, lines_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from aiohttp import StreamReader
    from aiohttp.http import RawResponseMessage

    from sidecar.proxy.dialling import Dialler
    from sidecar.proxy.exchange import Answer, Outgoing, Requester
    from sidecar.proxy.framing import BodyFraming

# Providers answer with more than they accept: Set-Cookie and Content-Security-Policy of 10 KiB are common.
ANSWER_FIELD_BYTES: Final = 64 * 1024
ANSWER_FIELDS: Final = 256
READ_BYTES: Final = 64 * 1024

BROKE_OFF: Final = "The provider's answer broke off."


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTimeouts:
    """Seconds: for the head, counted from the request's last byte, and between two bytes of a body.

    A model may think for minutes and a stream may pause for as long; there is no limit on the whole.
    """

    response_head: float = 600.0
    idle: float = 900.0


class Upstream:
    """Exchanges requests with providers; holds no connection between two exchanges."""

    __slots__ = ("_dialler", "_timeouts")

    def __init__(self, dialler: Dialler, *, timeouts: AnswerTimeouts) -> None:
        self._dialler = dialler
        self._timeouts = timeouts

    @asynccontextmanager
    async def exchange(self, request: Outgoing, requester: Requester) -> AsyncIterator[Answer]:
        """Send `request` once and give the final answer as soon as its head is there.

        Leaving the block ends the exchange: whatever is still under way is dropped with its connection.
        """
        leg = await self._dialler.dial(
            request.provider, request.origin, lambda: _Leg(asyncio.get_running_loop())
        )
        try:
            leg.expect_answer(to=request.head.method)
            writer = StreamWriter(leg, asyncio.get_running_loop())
            await _send_head(writer, request)
            requester.on_head_sent()
            async with _owned(self._upload(leg, writer, request.body, requester), leg):
                yield await self._answer(leg, request.head.method, requester)
        finally:
            leg.abort()

    async def _upload(self, leg: _Leg, writer: StreamWriter, body: BodyFraming, requester: Requester) -> None:
        """Copy the request's body; a fault of the caller ends the exchange, a provider's closed ear does not.

        A provider may answer early and stop reading, and that answer is worth more than the failed write.
        """
        if body.kind is BodyKind.CHUNKED:
            writer.enable_chunking()
        try:
            if body.kind is not BodyKind.NONE:
                while chunk := await requester.read():
                    async with asyncio.timeout(self._timeouts.idle):
                        await writer.write(chunk)
                await writer.write_eof()
        except SidecarError as error:
            leg.fail(error)
        except TimeoutError:
            leg.fail(UpstreamTimeoutError("The provider stopped reading the request."))
        except OSError:
            return
        leg.start_head_timer(self._timeouts.response_head)

    async def _answer(self, leg: _Leg, method: str, requester: Requester) -> Answer:
        while True:
            message, payload = await leg.next_head()
            head = ResponseHead(
                status=message.code,
                reason=message.reason.encode("utf-8", "surrogateescape"),
                version=(message.version.major, message.version.minor),
                fields=tuple(message.raw_headers),
            )
            body = check_response(head, method=method)
            if head.status == 101:
                raise BadUpstreamError("The provider switched protocols without having been asked to.")
            if head.status >= 200:
                leg.stop_head_timer()
                return _Answer(head, body, leg=leg, payload=payload, idle_timeout=self._timeouts.idle)
            await requester.send_interim(head)


async def _send_head(writer: StreamWriter, request: Outgoing) -> None:
    head = request.head
    start = b"%b %b HTTP/1.1" % (head.method.encode("ascii"), head.target)
    try:
        await writer.write(lines_of(start, head.fields))
    except OSError as exc:
        raise UpstreamUnreachableError("The provider closed the connection at once.") from exc


@asynccontextmanager
async def _owned(upload: Coroutine[Any, Any, None], leg: _Leg) -> AsyncIterator[None]:
    """Run the upload beside the block and end it with the block; its unforeseen end is the leg's."""

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            leg.fail(error)

    task = asyncio.create_task(upload)
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.cancel()
        # Unlike awaiting the task, this neither raises its end nor hides a cancellation of ours.
        await asyncio.wait([task])


class _Answer:
    """An answer on its connection; see `exchange.Answer`."""

    __slots__ = ("_idle_timeout", "_leg", "_payload", "body", "head")

    def __init__(
        self,
        head: ResponseHead,
        body: BodyFraming,
        *,
        leg: _Leg,
        payload: StreamReader,
        idle_timeout: float,
    ) -> None:
        self.head = head
        self.body = body
        self._leg = leg
        self._payload = payload
        self._idle_timeout = idle_timeout

    async def read(self) -> bytes:
        """Return the next piece; raises `BadUpstreamError` or `UpstreamTimeoutError` where it breaks off."""
        if self.body.kind is BodyKind.NONE:
            return b""
        try:
            async with asyncio.timeout(self._idle_timeout):
                chunk = await self._payload.readany()
        except TimeoutError as exc:
            raise UpstreamTimeoutError("The provider's answer stalled.") from exc
        except (ClientError, OSError) as exc:
            raise BadUpstreamError(BROKE_OFF) from exc
        if not chunk and self._leg.failure is not None:
            raise self._leg.failure
        return chunk


class _Leg(ResponseHandler):
    """A connection for one exchange.

    aiohttp's own protocol leaves the reader of a body waiting for ever after a malformed chunk, throws away
    bytes that arrived before a break, and takes a reset for the end of a body without a length; `fail` is
    the one way in which all of these end here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.failure: BaseException | None = None
        self._ends_by_closing = False
        self._is_answered = False
        self._is_cut = False
        self._head_timer: asyncio.TimerHandle | None = None

    def expect_answer(self, *, to: str) -> None:
        """Set the parser up for the answer to a method."""
        self.set_response_params(
            skip_payload=to == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            max_line_size=ANSWER_FIELD_BYTES,
            max_field_size=ANSWER_FIELD_BYTES,
            max_headers=ANSWER_FIELDS,
        )

    def fail(self, error: BaseException) -> None:
        """End the exchange: readers get what arrived before, then the error."""
        if self.failure is None:
            self.failure = error
        payload, self._payload = self._payload, None
        if payload is not None and not payload.is_eof():
            payload.feed_eof()
        self.set_exception(self.failure)
        if self.transport is not None:
            self.transport.abort()

    async def next_head(self) -> tuple[RawResponseMessage, StreamReader]:
        """Return the next head, 1xx included."""
        try:
            return await self.read()
        except HttpProcessingError as exc:
            raise BadUpstreamError("The provider's answer is not HTTP/1.1.") from exc
        except (ClientError, OSError) as exc:
            raise UpstreamUnreachableError("The provider closed the connection without an answer.") from exc

    def start_head_timer(self, seconds: float) -> None:
        if not self._is_answered:
            error = UpstreamTimeoutError("The provider did not answer in time.")
            self._head_timer = self._loop.call_later(seconds, self.fail, error)

    def stop_head_timer(self) -> None:
        self._is_answered = True
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def abort(self) -> None:
        self.stop_head_timer()
        super().abort()

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        message = data[0]
        self._ends_by_closing = not message.chunked and "Content-Length" not in message.headers
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.exception() is not None and self.failure is None and self._payload is not None:
            self.fail(BadUpstreamError(BROKE_OFF))

    def eof_received(self) -> None:
        super().eof_received()
        tls = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        self._is_cut = tls is not None and not _has_said_farewell(tls)

    def connection_lost(self, exc: BaseException | None) -> None:
        payload = self._payload
        is_unfinished = payload is not None and not payload.is_eof()
        if is_unfinished and (exc is not None or self._is_cut or not self._ends_by_closing):
            self.fail(BadUpstreamError(BROKE_OFF))
        super().connection_lost(exc)


def _has_said_farewell(tls: ssl.SSLObject) -> bool:
    """Whether the peer ended TLS itself: asyncio reports a cut TCP stream in the same way (RFC 9112 §9.8)."""
    try:
        return not tls.read(1)
    except ssl.SSLError:
        return False
