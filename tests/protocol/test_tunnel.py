"""An upgrade: the handshake with the token in it, and then nothing but bytes."""

import asyncio

import pytest

from sidecar.proxy.upstream import AnswerTimeouts

PATIENCE = 5
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Kept: 1\r\n\r\n"


def handshake(jwt, *fields):
    lines = [
        "GET /api/socket HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {jwt}",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def echoing(provider, *, greeting=b""):
    async def script(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        provider.requests.append((head, b""))
        writer.write(SWITCH + greeting)
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"bye")
        writer.close()
        provider.gone.set()

    provider.script = script


async def test_bytes_go_both_ways_after_a_101_and_the_token_is_in_the_handshake(proxy, provider, jwt):
    echoing(provider, greeting=b"hello")
    client = await proxy.connect()

    await client.send(handshake(jwt) + b"early")

    head = await client.head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Kept: 1\r\n")
    assert b"\r\nConnection: Upgrade\r\n" in head
    assert await client.exactly(10) == b"helloearly"
    await client.send(b"\x00\xffGET / HTTP/1.1\r\n\r\n")
    assert await client.exactly(20) == b"\x00\xffGET / HTTP/1.1\r\n\r\n"
    assert b"\r\nUpgrade: websocket\r\n" in provider.head
    assert b"\r\nConnection: Upgrade\r\n" in provider.head
    assert b"\r\nAuthorization: Bearer provider-token\r\n" in provider.head
    assert jwt.encode() not in provider.head


async def test_a_callers_end_is_heard_and_the_provider_may_say_more(proxy, provider, jwt):
    echoing(provider)
    client = await proxy.connect()
    await client.send(handshake(jwt))
    await client.head()

    client.writer.write_eof()

    assert await client.rest() == b"bye"
    assert proxy.metrics.render().decode().count('status="101"} 1.0') == 1


async def test_a_callers_death_ends_the_providers_connection(proxy, provider, jwt):
    echoing(provider)
    client = await proxy.connect()
    await client.send(handshake(jwt))
    await client.head()

    client.hang_up()

    await asyncio.wait_for(provider.gone.wait(), PATIENCE)


async def test_a_tunnel_in_which_nothing_moves_is_closed(start_proxy, provider, jwt):
    proxy = await start_proxy(answer=AnswerTimeouts(idle=0.05))
    echoing(provider)
    client = await proxy.connect()
    await client.send(handshake(jwt))
    await client.head()

    assert await client.rest() == b""


async def test_a_side_that_does_not_read_holds_the_other_back(proxy, provider, jwt):
    moved = asyncio.get_running_loop().create_future()

    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        total = 0
        try:
            while total < 200 * 2**20:
                writer.write(bytes(2**20))
                async with asyncio.timeout(0.5):
                    await writer.drain()
                total += 2**20
        except TimeoutError:
            moved.set_result(total)
        await reader.read()

    provider.script = script
    client = await proxy.connect(limit=1024)
    await client.send(handshake(jwt))

    assert await asyncio.wait_for(moved, PATIENCE) < 64 * 2**20


@pytest.mark.parametrize("fields", [["Content-Length: 2"], ["Transfer-Encoding: chunked"]])
async def test_an_upgrade_with_a_body_stays_an_ordinary_request(proxy, provider, jwt, fields):
    client = await proxy.connect()
    body = b"2\r\nhi\r\n0\r\n\r\n" if "chunked" in fields[0] else b"hi"

    await client.send(handshake(jwt, *fields) + body)

    assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"upgrade" not in provider.head.lower()


async def test_h2c_is_never_passed_on(proxy, provider, jwt):
    client = await proxy.connect()

    await client.send(handshake(jwt).replace(b"Upgrade: websocket", b"Upgrade: h2c"))

    assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"upgrade" not in provider.head.lower()


async def test_a_switch_that_names_no_protocol_is_bad(proxy, provider, jwt):
    provider.answers(b"HTTP/1.1 101 Switching Protocols\r\nX: 1\r\n\r\n")
    client = await proxy.connect()

    await client.send(handshake(jwt))

    assert b"\r\nSidecar-Error: bad_upstream\r\n" in await client.head()
