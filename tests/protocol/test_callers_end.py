"""What a caller is told, and when its connection ends: expectations, uploads nobody reads, idleness."""

import asyncio

import pytest

from sidecar.proxy.incoming import BodyLimits
from sidecar.web.strict_handler import HeadLimits

PATIENCE = 5


def post(jwt, *fields):
    credential = [f"Authorization: Bearer {jwt}"] if jwt else []
    lines = ["POST /api/x HTTP/1.1", "Host: localhost", *credential, *fields, "", ""]
    return "\r\n".join(lines).encode()


async def test_who_expects_100_is_refused_before_any_body_is_sent(proxy, provider):
    client = await proxy.connect()

    await client.send(post("", "Content-Length: 5", "Expect: 100-continue"))

    received = await client.rest()
    assert received.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nConnection: close\r\n" in received
    assert provider.connections == 0


async def test_a_refusal_survives_the_upload_that_it_refuses(proxy, provider):
    client = await proxy.connect()
    client.writer.write(post("", f"Content-Length: {4 * 2**20}") + bytes(4 * 2**20))

    assert (await client.head()).startswith(b"HTTP/1.1 401 ")
    assert provider.connections == 0


async def test_a_refused_request_whose_body_is_there_leaves_the_connection_open(proxy, jwt):
    client = await proxy.connect()

    await client.send(post("", "Content-Length: 5") + b"12345" + post(jwt, "Content-Length: 0"))

    refused = await client.head()
    assert refused.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nConnection: close\r\n" not in refused
    assert b"HTTP/1.1 200 OK\r\n" in await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\nok"), PATIENCE)


async def test_what_waits_behind_a_request_is_not_taken_without_end(proxy, provider, jwt):
    release = asyncio.Event()

    async def hold(reader, writer):
        await provider.read_request(reader)
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()

    provider.script = hold
    client = await proxy.connect()
    sent = 0
    try:
        client.writer.write(post(jwt, "Content-Length: 0"))
        while sent < 200:
            client.writer.write(bytes(2**20))
            async with asyncio.timeout(0.5):
                await client.writer.drain()
            sent += 1
    except TimeoutError:
        pass

    assert sent < 64
    release.set()
    assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")
    await client.exactly(2)
    # The zeros are no request.
    assert (await client.head()).startswith(b"HTTP/1.1 400 ")


async def test_many_refused_requests_in_one_piece_are_answered_one_after_the_other(proxy):
    client = await proxy.connect()
    one = b"GET /nobody/x HTTP/1.1\r\nHost: localhost\r\n\r\n"

    await client.send(one * 1200 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert (await client.rest()).count(b"HTTP/1.1 404 ") == 1201


async def test_a_head_in_single_bytes_is_read_and_its_deadline_is_not_moved(start_proxy, jwt):
    proxy = await start_proxy()
    client = await proxy.connect()

    for byte in post(jwt, "Content-Length: 0"):
        await client.send(bytes([byte]))

    assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_bytes_that_keep_dripping_do_not_move_the_deadline_of_a_head(start_proxy):
    proxy = await start_proxy(head=HeadLimits(timeout=0.1))
    client = await proxy.connect()

    async def drip():
        while True:
            await client.send(b"G")
            await asyncio.sleep(0.01)

    await client.send(b"GET /")
    dripping = asyncio.create_task(drip())
    received = await client.head()
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)

    assert received.startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_moves_may_take_its_time(start_proxy, provider, jwt):
    proxy = await start_proxy(body=BodyLimits(timeout=0.2))
    client = await proxy.connect()
    await client.send(post(jwt, "Content-Length: 8"))
    moving = asyncio.Event()

    for _ in range(8):
        await client.send(b"x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await moving.wait()

    assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert provider.requests[0][1] == b"x" * 8


async def test_more_connections_than_allowed_are_told_so(start_proxy, monkeypatch):
    monkeypatch.setattr("sidecar.proxy.inbound.MOST_CONNECTIONS", 1)
    proxy = await start_proxy()
    first, second = await proxy.connect(), await proxy.connect()

    assert b"\r\nSidecar-Error: overloaded\r\n" in await second.rest()
    await first.send(b"GET /nobody HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await first.head()).startswith(b"HTTP/1.1 404 ")


async def test_a_slow_reader_cannot_pile_up_answers(proxy, provider, jwt):
    size = 300_000

    async def script(reader, writer):
        while True:
            await provider.read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
            await writer.drain()

    provider.script = script
    client = await proxy.connect(limit=1024)
    one = f"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
    await client.send(one * 200)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await asyncio.Event().wait()

    assert len(provider.requests) < 100
    for _ in range(3):
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        await client.exactly(size)
