"""JSON bodies are read once, in one way, and only so much of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from sidecar.errors import BadRequestError
from sidecar.web import body
from sidecar.web.answers import json_answer
from sidecar.web.body import parse_object, read_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from aiohttp import ClientSession

    Serve = Callable[..., AbstractAsyncContextManager[ClientSession]]

CANARY = "canary-4f0c1d"


async def echo(request: web.Request) -> web.StreamResponse:
    return json_answer(await read_json(request, limit=1000))


ROUTES = [web.post("/", echo)]
JSON = {"Content-Type": "application/json"}


def test_an_object_is_read() -> None:
    assert parse_object('{"a": [1, "ü"]}'.encode()) == {"a": [1, "ü"]}


NOT_OURS = {
    "a member twice": b'{"a": 1, "a": 2}',
    "a member twice inside": b'{"b": {"a": 1, "a": 2}}',
    "a constant": b'{"a": NaN}',
    "minus infinity": b'{"a": -Infinity}',
    "not utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "a list": b"[1]",
    "nothing": b"",
    "half": b'{"a": "canary-4f0c1d',
    "a comment": b'{"a": 1} // canary-4f0c1d',
    "too deep": b'{"a":' + b"[" * 100_000,
    "too many digits": b'{"a": ' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("raw", NOT_OURS.values(), ids=NOT_OURS.keys())
def test_what_two_parsers_could_read_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_object(raw)

    assert CANARY not in caught.value.detail


async def test_a_body_comes_back(serve: Serve) -> None:
    async with serve(ROUTES) as client, client.post("/", json={"a": 1}) as answer:
        assert await answer.json() == {"a": 1}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_another_type_is_refused(serve: Serve, kind: str) -> None:
    async with (
        serve(ROUTES) as client,
        client.post("/", data=b"{}", headers={"Content-Type": kind}) as answer,
    ):
        pass

    assert (answer.status, answer.headers["Sidecar-Error"]) == (415, "bad_request")


async def test_a_compressed_body_is_refused(serve: Serve) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    async with serve(ROUTES) as client, client.post("/", data=b"{}", headers=headers) as answer:
        pass

    assert answer.status == 415


async def test_a_body_beyond_the_limit_is_413(serve: Serve) -> None:
    async with serve(ROUTES) as client, client.post("/", data=b"x" * 1001, headers=JSON) as answer:
        pass

    assert (answer.status, answer.headers["Sidecar-Error"]) == (413, "body_too_large")


async def test_so_is_one_that_does_not_say_its_length(serve: Serve) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    async with serve(ROUTES) as client, client.post("/", data=chunks(), headers=JSON) as answer:
        pass

    assert (answer.status, answer.headers["Sidecar-Error"]) == (413, "body_too_large")


async def test_a_body_that_stalls_is_ended(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT", 0.05)
    headers = JSON | {"Content-Length": "10"}

    async def half() -> AsyncIterator[bytes]:
        yield b"{"
        await stall.wait()

    stall = asyncio.Event()
    async with serve(ROUTES) as client, client.post("/", data=half(), headers=headers) as answer:
        stall.set()

    assert (answer.status, answer.headers["Sidecar-Error"]) == (408, "request_timeout")
    assert answer.headers["Connection"] == "close"


async def test_a_body_with_broken_chunks_is_refused_once_and_at_once(serve: Serve) -> None:
    entered = asyncio.Event()

    async def enter(request: web.Request) -> web.StreamResponse:
        entered.set()
        return await echo(request)

    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with serve([web.post("/", enter)]) as client:
        base = client._base_url
        assert base is not None
        reader, writer = await asyncio.open_connection(base.host, base.port)
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        await entered.wait()
        writer.write(b"canary-4f0c1d\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"\r\nSidecar-Error:") == 1
    assert CANARY.encode() not in answer
