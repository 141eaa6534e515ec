"""What cannot be read is refused with a problem, and its bytes go nowhere."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import http_parser, web

from sidecar.errors import ConfigurationError
from sidecar.web.strict_handler import HeadLimits, StrictServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CANARY = b"canary-4f0c1d"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


class Wire:
    """One raw connection to a strict server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def rest(self) -> bytes:
        """Read to the end of the connection."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readuntil(mark)


class Server:
    def __init__(self, runner: web.ServerRunner, port: int, counted: list[str]) -> None:
        self.runner = runner
        self.port = port
        self.counted = counted

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def serving(handle: object, limits: HeadLimits) -> AsyncIterator[Server]:
    counted: list[str] = []
    strict = StrictServer(handle, limits=limits, count=counted.append)  # type: ignore[arg-type]
    runner = web.ServerRunner(strict, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Server(runner, site.port, counted)
    finally:
        await runner.cleanup()


async def hello(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"hello " + await request.read())


MALFORMED = {
    "control character": GET + b"Authorization: Bearer " + CANARY + b"\x01\r\n\r\n",
    "no field": GET + CANARY + b"\r\n\r\n",
    "space before the colon": GET + b"X : " + CANARY + b"\r\n\r\n",
    "folded field": GET + b"X: a\r\n " + CANARY + b"\r\n\r\n",
    "unknown method": b"CANARY-4F0C1D / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": b"GET /" + CANARY + b" HTTP/x\r\nHost: localhost\r\n\r\n",
    "two lengths": GET + b"Content-Length: 1\r\nContent-Length: 2\r\nX: " + CANARY + b"\r\n\r\n",
    "length and coding": GET
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\nX: "
    + CANARY
    + b"\r\n\r\n",
    "two hosts": GET + b"Host: " + CANARY + b"\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nX: " + CANARY + b"\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01" + CANARY,
}


@pytest.mark.parametrize("head", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_input_is_neither_echoed_nor_logged(
    head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(hello, HeadLimits()) as server, server.wire() as wire:
        wire.writer.write(head)
        answer = await wire.rest()

    assert b" 400 Bad Request\r\n" in answer
    assert b"Sidecar-Error: bad_request" in answer
    assert b"\r\nServer:" not in answer
    assert CANARY not in answer.lower()
    assert CANARY.decode() not in caplog.text.lower()
    assert server.counted == ["bad_request"]


TOO_LARGE = {
    "one field": GET + b"X: " + b"a" * 2000 + b"\r\n\r\n",
    "the target": b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "many fields": GET + b"X: a\r\n" * 12 + b"\r\n",
    "without an end": GET + b"".join(b"X%d: %b\r\n" % (n, b"a" * 240) for n in range(5)),
}


@pytest.mark.parametrize("head", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_a_head_beyond_its_limits_is_431(head: bytes) -> None:
    async with serving(hello, HeadLimits(size_bytes=1024, fields=10)) as server, server.wire() as wire:
        wire.writer.write(head)
        answer = await wire.rest()

    assert b" 431 Request Header Fields Too Large\r\n" in answer
    assert b"Sidecar-Error: head_too_large" in answer
    assert server.counted == ["head_too_large"]


async def test_a_head_that_drips_is_ended_at_its_deadline() -> None:
    async with serving(hello, HeadLimits(timeout=0.05)) as server, server.wire() as wire:
        wire.writer.write(GET + b"X: ")
        answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"Sidecar-Error: request_timeout" in answer
    assert b"Connection: close" in answer
    assert server.counted == ["request_timeout"]


async def test_the_deadline_is_for_the_head_and_not_for_body_or_handler() -> None:
    go_on = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        await go_on.wait()
        return web.Response(body=b"hello " + body)

    async with (
        serving(slow, HeadLimits(timeout=0.05)) as server,
        server.wire() as wire,
        server.wire() as other,
    ):
        wire.writer.write(GET + b"Content-Length: 4\r\nConnection: close\r\n\r\nab")
        other.writer.write(GET + b"X: ")
        # The other connection's deadline has passed by now, and this one's would have.
        assert b"408" in await other.rest()
        wire.writer.write(b"cd")
        go_on.set()
        answer = await wire.rest()

    assert answer.endswith(b"hello abcd")


async def test_a_late_second_head_does_not_cut_the_first_answer() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.BaseRequest) -> web.StreamResponse:
        entered.set()
        await go_on.wait()
        return web.Response(text="first")

    async with (
        serving(slow, HeadLimits(timeout=0.05)) as server,
        server.wire() as wire,
        server.wire() as other,
    ):
        wire.writer.write(GET + b"\r\n")
        await entered.wait()
        wire.writer.write(b"GET /second HTTP/1.1\r\n")
        await wire.writer.drain()
        other.writer.write(GET + b"X: ")
        await other.rest()
        go_on.set()
        answer = await wire.rest()

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"first")


async def test_a_connection_is_used_again_after_a_body() -> None:
    async with serving(hello, HeadLimits(timeout=0.2)) as server, server.wire() as wire:
        wire.writer.write(GET + b"Content-Length: 3\r\n\r\nab")
        wire.writer.write(b"c" + GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r\n")
        first = await wire.until(b"hello abc")
        second = await wire.until(b"hello d")

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


async def test_a_trailer_is_no_field_of_the_next_request() -> None:
    async def names(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        return web.Response(text=str(sorted(request.headers)))

    async with serving(names, HeadLimits()) as server, server.wire() as wire:
        wire.writer.write(
            GET
            + b"Transfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\nSidecar-Account: x\r\n\r\n"
            + GET
            + b"\r\n"
        )
        answer = await wire.rest()

    # The connection ends: aiohttp's parser would make the trailer a field of the second request.
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Account" not in answer


async def test_a_handler_that_fails_is_500_without_a_word_about_why(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: web.BaseRequest) -> web.StreamResponse:
        raise ValueError(CANARY)

    async with serving(fail, HeadLimits()) as server, server.wire() as wire:
        wire.writer.write(GET + b"\r\n")
        answer = await wire.rest()

    assert b" 500 Internal Server Error\r\n" in answer
    assert b"Sidecar-Error: internal_error" in answer
    assert CANARY not in answer


async def test_an_answer_that_breaks_off_is_not_followed_by_another() -> None:
    async def fail(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "10"})
        await answer.prepare(request)
        await answer.write(b"half")
        raise ValueError(CANARY)

    async with serving(fail, HeadLimits()) as server, server.wire() as wire:
        wire.writer.write(GET + b"\r\n")
        answer = await wire.rest()

    assert answer.endswith(b"\r\n\r\nhalf")


async def test_a_handler_ends_when_its_caller_hangs_up() -> None:
    entered, ended = asyncio.Event(), asyncio.Event()

    async def wait(_: web.BaseRequest) -> web.StreamResponse:
        entered.set()
        try:
            return await asyncio.Future()
        finally:
            ended.set()

    async with serving(wait, HeadLimits()) as server:
        async with server.wire() as wire:
            wire.writer.write(GET + b"\r\n")
            await entered.wait()
        async with asyncio.timeout(10):
            await ended.wait()


async def test_without_the_c_parser_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    with pytest.raises(ConfigurationError, match="C parser"):
        StrictServer(hello)


async def test_a_head_that_is_already_going_is_not_timed_after_the_caller_left() -> None:
    async with serving(hello, HeadLimits(timeout=0.05)) as server:
        async with server.wire() as wire:
            wire.writer.write(GET)
            await wire.writer.drain()
        async with server.wire() as other:
            other.writer.write(GET + b"X: ")
            await other.rest()

    assert server.counted == ["request_timeout"]
