"""The API of the provider in a box: it says what it saw, streams, stalls and breaks off.

Scope: what a proxy can get wrong. Whether a token is live was settled before a request comes here.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from sidecar.testing.messages import MalformedRequestError
from sidecar.testing.payload import blocks
from sidecar.testing.waiting import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.testing.messages import Request
    from sidecar.testing.serving import Exchange
    from sidecar.testing.waiting import Watch

JSON: Final = (("Content-Type", "application/json"),)
EVENT_STREAM: Final = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-store"),
    ("Transfer-Encoding", "chunked"),
)


class Api:
    """Routes by the first segment of the path; `slow` is the gate of `/slow`, held from the start."""

    __slots__ = ("_routes", "_streams", "_watch", "slow")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._streams: set[asyncio.Queue[str | None]] = set()
        self.slow = Gate()
        self.slow.hold()
        self._routes: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "echo": _echo,
            "bytes": _bytes,
            "upload": _upload,
            "status": _status,
            "redirect": _redirect,
            "cut": _cut,
            "events": self._events,
            "slow": self._slow,
        }

    @property
    def streams(self) -> int:
        """How many callers listen to `/events` now."""
        return len(self._streams)

    def publish(self, event: str) -> None:
        """Send `event` to everybody who listens to `/events`."""
        for stream in self._streams:
            stream.put_nowait(event)

    def end_events(self) -> None:
        """End every open event stream in good order."""
        for stream in self._streams:
            stream.put_nowait(None)

    async def handle(self, exchange: Exchange) -> None:
        route = self._routes.get(exchange.request.path.split("/")[1])
        if route is None:
            await exchange.send(404, b'{"error":"not_found"}', headers=JSON)
            return
        await route(exchange)

    async def _slow(self, exchange: Exchange) -> None:
        """`/slow`: wait at the gate before anything is sent, with `?after=head` after six bytes of body."""
        body = b"slowly but surely"
        if query_of(exchange.request).get("after") != "head":
            await exchange.unless_hung_up(self.slow.passed())
            await exchange.send(200, body)
            return
        await exchange.start(200, (("Content-Length", str(len(body))),))
        await exchange.write(body[:6])
        await exchange.unless_hung_up(self.slow.passed())
        await exchange.write(body[6:])

    async def _events(self, exchange: Exchange) -> None:
        """`/events`: what the test publishes, until it ends the streams; with `?count=n` n events at once."""
        stream: asyncio.Queue[str | None] = asyncio.Queue()
        await exchange.start(200, EVENT_STREAM)
        self._streams.add(stream)
        self._watch.changed()
        count = query_of(exchange.request).get("count")
        if count is not None:
            for number in range(_whole(count)):
                stream.put_nowait(f"event {number}")
            stream.put_nowait(None)
        try:
            while (event := await exchange.unless_hung_up(stream.get())) is not None:
                await exchange.chunk(f"data: {event}\n\n".encode())
        finally:
            self._streams.discard(stream)
        await exchange.chunk(b"")


def query_of(request: Request) -> dict[str, str]:
    """Return the query's parameters, decoded; of a repeated one the last."""
    return dict(parse_qsl(request.query, keep_blank_values=True))


async def _echo(exchange: Exchange) -> None:
    """Answer what was seen, unchanged: order, repetition and spelling of the fields, the raw target."""
    request = exchange.request
    await request.body.read()
    await _json(
        exchange,
        {
            "method": request.method,
            "target": request.target,
            "version": request.version,
            "headers": request.headers,
            "body_bytes": request.body.length,
            "body_sha256": request.body.sha256,
            "trailers": request.body.trailers,
            "user": request.user,
            "account": request.account,
        },
    )


async def _bytes(exchange: Exchange) -> None:
    """`/bytes/{n}`: the first n bytes of `payload.blocks`; with `?chunked` without saying how many."""
    length = _last_segment(exchange)
    is_chunked = "chunked" in query_of(exchange.request)
    framing = ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", str(length))
    await exchange.start(200, (("Content-Type", "application/octet-stream"), framing))
    if exchange.request.method == "HEAD":
        return
    write = exchange.chunk if is_chunked else exchange.write
    for block in blocks(length):
        await write(block)
    if is_chunked:
        await exchange.chunk(b"")


async def _upload(exchange: Exchange) -> None:
    """Take a body of any length and answer its length and hash."""
    body = exchange.request.body
    await body.read()
    await _json(exchange, {"body_bytes": body.length, "body_sha256": body.sha256})


async def _status(exchange: Exchange) -> None:
    """`/status/{code}`: that status."""
    status = _last_segment(exchange)
    if status in (204, 304):
        await exchange.start(status, ())
        return
    await exchange.send(status, json.dumps({"status": status}).encode(), headers=JSON)


async def _redirect(exchange: Exchange) -> None:
    """`/redirect?to=...`: 302, or `status`, with exactly that `Location`."""
    asked = query_of(exchange.request)
    location = ("Location", asked.get("to", "/echo"))
    await exchange.send(_whole(asked.get("status", "302")), headers=(location,))


async def _cut(exchange: Exchange) -> None:
    """`/cut?after=`: break off after `nothing`, the `head`, half a `body` (the default) or a `chunk`."""
    after = query_of(exchange.request).get("after", "body")
    if after == "chunk":
        await exchange.start(200, (("Transfer-Encoding", "chunked"),))
        await exchange.chunk(b"half")
    elif after != "nothing":
        await exchange.start(200, (("Content-Length", "8"),))
        await exchange.write(b"half" if after == "body" else b"")
    exchange.is_last = True


async def _json(exchange: Exchange, document: dict[str, Any]) -> None:
    await exchange.send(200, json.dumps(document).encode() + b"\n", headers=JSON)


def _last_segment(exchange: Exchange) -> int:
    return _whole(exchange.request.path.rpartition("/")[2])


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise MalformedRequestError("no number where one belongs")
    return int(text)
