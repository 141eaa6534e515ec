"""One request from a caller, and the way back to that caller.

The body is given out as it arrives and the answer is written as it comes, both waiting for the slower side.
What was promised in an answer's head is kept or the connection is cut: a caller must be able to tell an
answer that ended from one that broke.

Scope: one request on aiohttp's connection. Replaced together with `inbound`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import ClientError
from aiohttp.web_protocol import RequestPayloadError

from sidecar.errors import BadRequestError, BodyTooLargeError, RequestTimeoutError
from sidecar.proxy.head import BodyKind, Fields, RequestHead, ResponseHead, lines_of, members_of
from sidecar.proxy.rewrite import interim_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.gate import Arrival
    from sidecar.web.problem import Problem

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""`struct linger`: on, for no time at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How long a request's body may pause, in seconds, and how large it may be, without end by default.

    The pause is counted only while we wait for the caller, never while a slow provider makes us hold back.
    """

    timeout: float = 30.0
    size_bytes: int | None = None


class Incoming:
    """A caller's request; `exchange.Requester` and `exchange.AnswerSink` in one.

    `status` is 0 until an answer's head went out; `bytes_up` and `bytes_down` count body bytes.
    """

    __slots__ = (
        "_ends_by_closing",
        "_has_stalled",
        "_limits",
        "_on_sent",
        "_request",
        "arrival",
        "bytes_down",
        "bytes_up",
        "head",
        "keeps_alive",
        "status",
        "version",
    )

    def __init__(self, request: web.BaseRequest, *, arrival: Arrival, limits: BodyLimits) -> None:
        self._request = request
        self._limits = limits
        self._has_stalled = False
        self._ends_by_closing = False
        self._on_sent: Callable[[], None] | None = None
        self.version = (request.version.major, request.version.minor)
        self.head = RequestHead(
            method=request.method,
            # aiohttp decodes the target in this way, so this gives back the very bytes.
            target=request.raw_path.encode("utf-8", "surrogateescape"),
            version=self.version,
            fields=tuple(request.raw_headers),
        )
        self.arrival = arrival
        self.status = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self.keeps_alive = request.keep_alive and self.version >= (1, 1)

    def expect_body(self, body: BodyFraming, *, on_head_sent: Callable[[], None]) -> None:
        """Take note of the body to come; raises `BodyTooLargeError` where its length already says so."""
        self._on_sent = on_head_sent
        self._check_size(body.length)

    def on_head_sent(self) -> None:
        if self._on_sent is not None:
            self._on_sent()

    async def read(self) -> bytes:
        """Return the next piece of the body, `b""` at its end.

        Raises `RequestTimeoutError`, `BodyTooLargeError`, and `BadRequestError` where the body is malformed
        or its sender is gone.
        """
        try:
            async with asyncio.timeout(self._limits.timeout):
                chunk = await self._request.content.readany()
        except TimeoutError as exc:
            self._has_stalled = True
            raise RequestTimeoutError("The request's body stalled.") from exc
        except (RequestPayloadError, ClientError, OSError):
            # The parser's error quotes the bytes it could not read.
            raise BadRequestError("The request's body is malformed or broke off.") from None
        self.bytes_up += len(chunk)
        self._check_size(self.bytes_up)
        return chunk

    async def send_interim(self, head: ResponseHead) -> None:
        """Relay a 1xx answer; HTTP/1.0 knows none (RFC 9110 §15.2)."""
        if self.version >= (1, 1):
            await self._write(_status_line(head.status, head.reason), interim_fields(head.fields))

    async def start(self, head: ResponseHead, fields: Fields, kind: BodyKind) -> None:
        """Send the answer's head; nothing is added to it but what concerns this connection."""
        self._ends_by_closing = kind is BodyKind.UNTIL_CLOSE
        if self._ends_by_closing or (self.is_expecting and not self._request.content.is_eof()):
            # After a final answer in place of 100, nobody can know whether the body still comes.
            self.keeps_alive = False
        if not self.keeps_alive:
            fields = (*fields, (b"Connection", b"close"))
        self.status = head.status
        await self._write(_status_line(head.status, head.reason), fields)
        if kind is BodyKind.CHUNKED:
            self._request.writer.enable_chunking()

    async def write(self, chunk: bytes) -> None:
        self.bytes_down += len(chunk)
        await self._request.writer.write(chunk)

    async def finish(self) -> None:
        await self._request.writer.write_eof()

    async def refuse(self, problem: Problem, *, reason: str) -> None:
        """Send an answer of ours and keep the connection only where the request was read to its end."""
        self.keeps_alive = self.keeps_alive and self._request.content.is_eof()
        fields = tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in problem.headers)
        head = ResponseHead(status=problem.status, reason=reason.encode("ascii"), fields=fields)
        await self.start(head, fields, BodyKind.LENGTH)
        if self.head.method != "HEAD":
            await self.write(problem.body)
        await self.finish()
        if self._has_stalled and self._request.transport is not None:
            # Without this aiohttp would wait ten seconds more for the rest of the body.
            self._request.transport.close()

    def abort(self) -> None:
        """Cut the connection, so that what was sent cannot pass for a whole answer."""
        self.keeps_alive = False
        transport = self._request.transport
        if transport is None:
            return
        if self._ends_by_closing:
            # Nothing but a reset tells this caller that the end is none.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()

    @property
    def is_expecting(self) -> bool:
        """Whether the caller waits for 100 before it sends the body (RFC 9110 §10.1.1)."""
        return b"100-continue" in members_of(self.head.fields, b"expect")

    def _check_size(self, size: int) -> None:
        if self._limits.size_bytes is not None and size > self._limits.size_bytes:
            raise BodyTooLargeError(f"A request body may have {self._limits.size_bytes} bytes.")

    async def _write(self, start: bytes, fields: Fields) -> None:
        await self._request.writer.write(lines_of(start, fields))


def _status_line(status: int, reason: bytes) -> bytes:
    return b"HTTP/1.1 %d %b" % (status, reason)
