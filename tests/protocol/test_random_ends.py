"""Calls that end in every way at once: nobody gets a byte of somebody else's, and nothing is left."""

import asyncio
import contextlib
import gc
import logging
import random
import socket
import struct
from pathlib import Path

import pytest

CALLERS = 8
PATIENCE = 20
KINDS = ["length", "chunks", "until close", "cut", "reset", "stall", "late bytes", "early", "garbage"]


class Moody:
    """A provider that answers with the caller's own mark, in the way that the mark draws."""

    def __init__(self, seed):
        self._seed = seed

    async def script(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass

    async def _one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        mark = head.split(b" ")[1].rpartition(b"/")[2]
        draw = random.Random(f"{self._seed} {mark.decode()}")
        kind = draw.choice(KINDS)
        body = mark * draw.choice([1, 50, 5000])
        if kind != "early" and b"\r\nContent-Length: " in head:
            await reader.readexactly(int(head.partition(b"\r\nContent-Length: ")[2].split(b"\r\n")[0]))
        length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        if kind in ("length", "early", "late bytes"):
            writer.write(length + body + (b"HTTP/1.1 200 OK\r\n" if kind == "late bytes" else b""))
        elif kind == "chunks":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(body), 7000):
                piece = body[start : start + 7000]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        elif kind == "until close":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        elif kind == "garbage":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" + body)
        else:
            writer.write(length + body[: len(body) // 2])
            if kind == "stall":
                await reader.read()
        if kind == "reset":
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()
            return False
        await writer.drain()
        return kind in ("length", "chunks", "late bytes")


async def one_caller(proxy, jwt, seed, numbers):
    """Call until the numbers are used up; return how many answers came whole."""
    draw = random.Random(seed)
    whole, client = 0, None
    for number in numbers:
        mark = b"mark-%d." % number
        if client is None or client.reader.at_eof() or draw.random() < 0.2:
            client = await proxy.connect()
        size = draw.choice([0, 0, 10, 100_000])
        fields = f"Host: localhost\r\nAuthorization: Bearer {jwt}\r\nContent-Length: {size}\r\n\r\n"
        try:
            client.writer.write(f"POST /api/{mark.decode()} HTTP/1.1\r\n{fields}".encode())
            client.writer.write(bytes(draw.choice([size, size, size // 2])))
            async with asyncio.timeout(draw.choice([0.02, 0.3])):
                whole += await answered(client, mark)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            client.hang_up()
            client = None
    return whole


async def answered(client, mark):
    """Read one answer and hold it against its mark; say whether it came whole."""
    head = await client.reader.readuntil(b"\r\n\r\n")
    if b"\r\nSidecar-Error: " in head:
        await client.reader.readexactly(int(head.partition(b"\r\nContent-Length: ")[2].split(b"\r\n")[0]))
        return False
    if b"\r\nContent-Length: " in head:
        left = int(head.partition(b"\r\nContent-Length: ")[2].split(b"\r\n")[0])
        body = await client.reader.readexactly(left)
    else:
        body = b""
        while size := int(await client.reader.readuntil(b"\r\n"), 16):
            body += (await client.reader.readexactly(size + 2))[:-2]
        await client.reader.readexactly(2)
    assert body == mark * (len(body) // len(mark))
    return True


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


async def storm(proxy, provider, jwt, caplog, count):
    caplog.set_level(logging.WARNING)
    provider.script = Moody(seed=count).script
    before = open_files()
    share = [range(first, count, CALLERS) for first in range(CALLERS)]

    whole = await asyncio.gather(*(one_caller(proxy, jwt, n, numbers) for n, numbers in enumerate(share)))
    await proxy.listener.stop()
    await proxy.stack.pop_all().aclose()
    provider.hang_up()
    async with asyncio.timeout(PATIENCE):
        while open_files() > before:
            gc.collect()
            await asyncio.sleep(0)

    assert sum(whole) > count / 10
    assert "sidecar_active_requests 0.0" in proxy.metrics.render().decode()
    assert [r for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR] == []


async def test_a_few_hundred_random_ends(proxy, provider, jwt, caplog):
    await storm(proxy, provider, jwt, caplog, 400)


@pytest.mark.soak
async def test_ten_thousand_random_ends(proxy, provider, jwt, caplog):
    await storm(proxy, provider, jwt, caplog, 10_000)
