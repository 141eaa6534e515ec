"""Somebody else at the control listener's port is told apart from a sidecar, and nothing crashes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.cli.desk import DeniedError, Desk
from sidecar.errors import NotFoundError, StoreUnavailableError
from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
STRANGERS = {
    "hangs up": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a page": OK + b"Content-Length: 6\r\n\r\n<html>",
    "nothing": OK + b"Content-Length: 0\r\n\r\n",
    "a list": OK + b"Content-Length: 2\r\n\r\n[]",
    "deep": OK + b"\r\n" + b"[" * 100_000,
    "another object": OK + b"Content-Length: 2\r\n\r\n{}",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "another error": b"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
}


@asynccontextmanager
async def desk_at(answer: bytes) -> AsyncIterator[tuple[Desk, list[bytes]]]:
    """Give a desk at something that answers every request with these bytes, and the requests' first lines."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.partition(b"\r\n")[0])
        writer.write(b"" if head.startswith(b"HEAD") and not answer.startswith(b"SSH") else answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, aiohttp.ClientSession() as session:
        yield Desk(session, f"http://{host}:{port}", Secret("key")), asked


@pytest.mark.parametrize("answer", STRANGERS.values(), ids=STRANGERS.keys())
async def test_an_answer_that_no_sidecar_gives_is_no_answer(answer: bytes) -> None:
    async with desk_at(answer) as (desk, _):
        assert await desk.is_there()
        with pytest.raises(StoreUnavailableError):
            [grant async for grant in desk.list({})]


async def test_an_empty_answer_to_a_removal_is_no_removal() -> None:
    async with desk_at(STRANGERS["nothing"]) as (desk, _):
        with pytest.raises(StoreUnavailableError):
            await desk.revoke("g_1")


async def test_a_key_that_is_not_accepted_is_denied_whatever_the_body() -> None:
    async with desk_at(b"HTTP/1.1 401 No\r\nContent-Length: 6\r\n\r\n<html>") as (desk, _):
        with pytest.raises(DeniedError):
            await desk.revoke("g_1")


async def test_an_id_is_one_segment_of_the_path() -> None:
    body = b'{"code": "not_found", "detail": "There is no grant of that id."}'
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with desk_at(head + body) as (desk, asked):
        with pytest.raises(NotFoundError):
            await desk.revoke("g_1?x#y/../z")

    assert asked == [b"DELETE /admin/v1/grants/g_1%3Fx%23y%2F..%2Fz HTTP/1.1"]
