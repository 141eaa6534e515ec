"""Connections that neither echo nor log what they could not read, and wait for a head only so long.

aiohttp's own connection writes a malformed request into the 400 it answers with and into its log, bearer
token included, and lets a client drip a head byte by byte for as long as it likes. Every listener of ours
that aiohttp carries uses the server below instead.

Scope: one connection up to the parsed head. `sidecar.web.head` judges a head that was read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec

from aiohttp import http_parser, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from sidecar.errors import (
    BadRequestError,
    ConfigurationError,
    HeadTooLargeError,
    InternalError,
    RequestTimeoutError,
    SidecarError,
)
from sidecar.telemetry.context import new_request_id
from sidecar.web.answers import problem_answer
from sidecar.web.problem import problem_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from aiohttp.http import RawRequestMessage
    from aiohttp.web_protocol import _RequestFactory

    Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

P = ParamSpec("P")

log = logging.getLogger(__name__)

KEEPALIVE_TIMEOUT: Final = 75.0
"""Seconds an idle connection is kept: nginx's keepalive_timeout."""
TOO_MANY_FIELDS: Final = "Too many headers received"
"""The one limit aiohttp reports without a type of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """How large a head may be and how long it may take from its first byte to its last."""

    timeout: float = 10.0
    size_bytes: int = 32 * 1024
    fields: int = 100


class StrictServer(web.Server):
    """A `web.Server` whose connections are `StrictHandler`s and whose handlers end when the caller hangs up.

    `count` is told the code of every refusal that no handler gets to see.
    Raises `ConfigurationError` where aiohttp came without its C parser: the Python one reads some requests
    differently from everybody else, and that is how requests are smuggled.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        limits: HeadLimits | None = None,
        request_factory: _RequestFactory | None = None,
        count: Callable[[str], None] | None = None,
    ) -> None:
        if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
            raise ConfigurationError(
                "aiohttp runs without its C parser; install its binary wheel and unset AIOHTTP_NO_EXTENSIONS"
            )
        super().__init__(handle, request_factory=request_factory, handler_cancellation=True)
        self.request_factory = _closing_after_chunks(self.request_factory)
        self._limits = limits or HeadLimits()
        self._count = count or _count_nothing

    def __call__(self) -> StrictHandler:
        return StrictHandler(self, loop=self._loop, limits=self._limits, count=self._count)


class StrictHandler(web.RequestHandler):
    """One connection: a head that is malformed, too large or too slow gets a problem and an end."""

    __slots__ = ("_count", "_head_bytes", "_head_timer", "_last_payload", "_limits")

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: HeadLimits,
        count: Callable[[str], None],
    ) -> None:
        quiet: dict[str, Any] = {
            # One record per request is ours to write; this one would print the target.
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEPALIVE_TIMEOUT,
            "logger": log,
            "max_field_size": limits.size_bytes,
            "max_headers": limits.fields,
            "max_line_size": limits.size_bytes,
        }
        super().__init__(manager, loop=loop, **quiet)
        self._count = count
        self._limits = limits
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._last_payload: StreamReader = EMPTY_PAYLOAD

    def data_received(self, data: bytes) -> None:
        """Parse `data`, counting what belongs to a head that is not complete yet.

        The beginning of a head that arrives together with the end of a message is counted from the next byte
        on; until then the connection is idle, and ends as idle ones do.
        """
        payload = self._last_payload
        is_head = payload.is_eof() and not self._upgraded and self._payload_parser is None
        heads_before = self._request_count
        super().data_received(data)
        if self._request_count > heads_before:
            self._end_head()
            self._break_off(payload)
            self._last_payload = self._messages[-1][1]
        elif is_head and data:
            self._continue_head(len(data))

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (aiohttp's signature; this text holds the caller's bytes)
    ) -> web.StreamResponse:
        """Answer what aiohttp could not read, or a handler that failed, with a problem of ours."""
        kind = type(exc).__name__
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a handler failed", extra={"kind": kind}, exc_info=exc)
        else:
            log.debug("refused a malformed request", extra={"kind": kind})
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun; only closing tells the caller that it is incomplete")
        error = _error_of(status, exc)
        self._count(error.code)
        answer = problem_answer(error)
        answer.force_close()
        return answer

    def _break_off(self, payload: StreamReader) -> None:
        """End a body whose chunks are malformed: aiohttp would let its reader wait for the rest for ever."""
        if payload.is_eof():
            return
        payload.set_exception(web.RequestPayloadError("the chunks of the body are malformed"))
        payload.feed_eof()
        # The reader of the body answers; the refusal that aiohttp queued behind it would be a second answer.
        self.close()

    def _continue_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.size_bytes:
            self._refuse_head(HeadTooLargeError())
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(
                self._limits.timeout, self._refuse_head, RequestTimeoutError()
            )

    def _end_head(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_head(self, error: SidecarError) -> None:
        self._end_head()
        self._count(error.code)
        if self._waiter is None or self._waiter.done():
            # An earlier request of this connection is being answered: it is finished, then the line closed.
            self.close()
            return
        if self.transport is not None:
            self.transport.write(_raw_answer(error))
        self.force_close()


def _closing_after_chunks(
    make: Callable[Concatenate[RawRequestMessage, P], web.BaseRequest],
) -> Callable[Concatenate[RawRequestMessage, P], web.BaseRequest]:
    """End a connection with its first chunked request.

    aiohttp's parser makes a chunked body's last trailer the first field of the next request, so that whoever
    shares a connection with somebody else could give that request a credential or an account.
    """

    def made(message: RawRequestMessage, /, *rest: P.args, **named: P.kwargs) -> web.BaseRequest:
        if message.chunked:
            message = message._replace(should_close=True)
        return make(message, *rest, **named)

    return made


def _count_nothing(_: str) -> None:
    """Stand in where nobody counts."""


def _error_of(status: int, exc: BaseException | None) -> SidecarError:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return InternalError()
    if isinstance(exc, LineTooLong):
        return HeadTooLargeError()
    if isinstance(exc, HttpProcessingError) and exc.message == TOO_MANY_FIELDS:
        return HeadTooLargeError("The request head has too many fields.")
    return BadRequestError("The request is not well-formed HTTP/1.1 (RFC 9112).")


def _raw_answer(error: SidecarError) -> bytes:
    problem = problem_of(error, request_id=new_request_id())
    fields = (*problem.headers, ("Connection", "close"))
    head = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
    head += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*head, "", ""]).encode() + problem.body
