"""The end of the listener: what is under way is finished, and nobody is waited for who asked for nothing."""

from __future__ import annotations

import asyncio

from sidecar.proxy import inbound

A_LONG_TIME = 3600.0
# As long as nobody waits for anything here, and far less than the grace that the tests set.
PATIENCE = 10.0
REQUEST = b"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"


async def test_an_idle_connection_does_not_hold_up_the_end(start_proxy, jwt, monkeypatch):
    monkeypatch.setattr(inbound, "STOP_GRACE", A_LONG_TIME)
    proxy = await start_proxy()
    client = await proxy.connect()
    await client.send(
        f"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
    )
    head = await client.head()
    await client.exactly(2)

    async with asyncio.timeout(PATIENCE):
        await proxy.listener.stop()

    assert b"200 OK" in head
    assert b"close" not in head.lower()
    assert await client.rest() == b""


async def test_a_connection_that_never_asked_does_not_hold_up_the_end(start_proxy, monkeypatch):
    monkeypatch.setattr(inbound, "STOP_GRACE", A_LONG_TIME)
    proxy = await start_proxy()
    client = await proxy.connect()

    async with asyncio.timeout(PATIENCE):
        await proxy.listener.stop()

    assert await client.rest() == b""


async def test_a_request_that_comes_while_draining_is_refused_and_its_connection_closed(start_proxy, jwt):
    proxy = await start_proxy()
    await proxy.listener.drain(0)

    answer = await proxy.call(REQUEST % jwt.encode())

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"Sidecar-Error: draining\r\n" in answer
    assert b"Retry-After: 1\r\n" in answer
    assert b"Connection: close\r\n" in answer


async def test_stopping_twice_is_harmless(start_proxy):
    proxy = await start_proxy()

    await proxy.listener.stop()
    await proxy.listener.stop()
