"""Bodies in both directions: whole, in time, held back by the slower side, never ended for somebody else."""

import asyncio
import contextlib
import hashlib

import pytest

from sidecar.proxy.incoming import BodyLimits
from sidecar.proxy.upstream import AnswerTimeouts

MIB = 1024 * 1024
PATIENCE = 10


def post(jwt, *fields, target="/api/x"):
    lines = [f"POST {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {jwt}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def pattern(size):
    return (hashlib.sha256(b"seed").digest() * (size // 32 + 1))[:size]


@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
async def test_large_answers_arrive_whole(proxy, provider, framing):
    body = pattern(3 * MIB)

    async def script(reader, writer):
        await provider.read_request(reader)
        field = {"length": f"Content-Length: {len(body)}", "chunked": "Transfer-Encoding: chunked"}.get(
            framing, "X: 1"
        )
        writer.write(f"HTTP/1.1 200 OK\r\n{field}\r\n\r\n".encode())
        for start in range(0, len(body), 50_000):
            piece = body[start : start + 50_000]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece)
            await writer.drain()
        if framing == "chunked":
            writer.write(b"0\r\n\r\n")
        writer.write_eof()
        await reader.read()

    provider.script = script

    head, _, received = (await proxy.get()).partition(b"\r\n\r\n")

    if framing == "length":
        assert received == body
        return
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert unchunked(received) == body


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_large_uploads_arrive_whole(proxy, provider, jwt, framing):
    body = pattern(3 * MIB)
    arrived = asyncio.get_running_loop().create_future()

    async def script(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if framing == "length":
            data = await reader.readexactly(len(body))
        else:
            data = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                data += await reader.readexactly(size)
                await reader.readexactly(2)
        arrived.set_result((head, data))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        await reader.read()

    provider.script = script
    client = await proxy.connect()
    if framing == "length":
        await client.send(post(jwt, f"Content-Length: {len(body)}") + body)
    else:
        await client.send(post(jwt, "Transfer-Encoding: chunked"))
        for start in range(0, len(body), 70_000):
            piece = body[start : start + 70_000]
            await client.send(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
        await client.send(b"0\r\n\r\n")

    assert (await client.head()).startswith(b"HTTP/1.1 204 No Content\r\n")
    head, data = arrived.result()
    assert data == body
    assert (b"\r\nTransfer-Encoding: chunked\r\n" in head) == (framing == "chunked")
    assert (b"\r\nContent-Length: " in head) == (framing == "length")


async def test_each_piece_of_an_answer_arrives_before_the_next_is_made(proxy, provider, jwt):
    taken = asyncio.Queue()

    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"one", b"two"):
            writer.write(b"3\r\n%b\r\n" % piece)
            await writer.drain()
            await taken.get()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        await reader.read()

    provider.script = script
    client = await proxy.connect()
    await client.send(post(jwt, "Content-Length: 0"))
    await client.head()

    for piece in (b"one", b"two"):
        assert await client.exactly(8) == b"3\r\n%b\r\n" % piece
        taken.put_nowait(None)
    assert await client.exactly(5) == b"0\r\n\r\n"


async def test_a_caller_who_does_not_read_holds_the_provider_back(proxy, provider, jwt):
    sent = asyncio.get_running_loop().create_future()

    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MIB))
        sent.set_result(await written_until_held_back(writer, 200 * MIB))

    provider.script = script
    client = await proxy.connect(limit=1024)
    await client.send(post(jwt, "Content-Length: 0"))

    assert await asyncio.wait_for(sent, PATIENCE) < 64 * MIB


async def test_a_provider_who_does_not_read_holds_the_caller_back(start_proxy, provider, jwt):
    # The pause is shorter than the time for which the caller is held back: being held back is no stalling.
    proxy = await start_proxy(body=BodyLimits(timeout=0.5))
    release = asyncio.Event()

    async def script(reader, writer):
        await release.wait()
        await provider.read_request(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        await reader.read()

    provider.script = script
    client = await proxy.connect()
    size = 40 * MIB
    client.writer.write(post(jwt, f"Content-Length: {size}"))
    sent = await written_until_held_back(client.writer, size)

    assert sent < size
    release.set()
    client.writer.write(bytes(size - sent - MIB))
    assert (await client.head()).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("when", ["before the answer", "during the answer", "during the upload"])
async def test_the_call_ends_when_the_caller_hangs_up(proxy, provider, jwt, when):
    asked = asyncio.Event()

    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if when == "during the answer":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        asked.set()
        await reader.read(1)
        while await reader.read(1000):
            pass
        provider.gone.set()

    provider.script = script
    client = await proxy.connect()
    await client.send(post(jwt, f"Content-Length: {10 if when == 'during the upload' else 0}"))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    if when == "during the answer":
        await client.head()

    client.hang_up()

    await asyncio.wait_for(provider.gone.wait(), PATIENCE)


CUT = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    "between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
async def test_an_answer_that_breaks_off_breaks_off(proxy, provider, jwt, answer):
    provider.answers(answer)
    client = await proxy.connect()

    await client.send(post(jwt))
    head = await client.head()

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not (await received_until_cut(client)).endswith(b"0\r\n\r\n")


async def test_a_malformed_chunk_breaks_the_answer_off(proxy, provider, jwt):
    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await read.wait()
        writer.write(b"zz\r\n")
        await reader.read()

    read = asyncio.Event()
    provider.script = script
    client = await proxy.connect()
    await client.send(post(jwt))
    await client.head()
    assert await client.exactly(8) == b"3\r\nabc\r\n"

    read.set()

    assert await received_until_cut(client) == b""


async def test_what_arrived_before_the_break_is_passed_on_without_an_end(proxy, provider, jwt):
    provider.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    client = await proxy.connect()

    await client.send(post(jwt))
    await client.head()

    assert await client.exactly(8) == b"3\r\nabc\r\n"
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.exactly(1)


async def test_a_reset_is_no_end_of_an_answer_without_a_length(proxy, provider, jwt):
    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await writer.drain()
        sent.set()
        await read.wait()
        # Unread input makes the kernel send a reset.
        writer.get_extra_info("socket").setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    sent, read = asyncio.Event(), asyncio.Event()
    provider.script = script
    client = await proxy.connect()
    await client.send(post(jwt))
    await client.head()
    assert await client.exactly(8) == b"3\r\nabc\r\n"

    read.set()

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.exactly(5)


async def test_an_http_1_0_caller_sees_a_break_as_a_reset(proxy, provider, jwt):
    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await read.wait()

    read = asyncio.Event()
    provider.script = script
    client = await proxy.connect()
    await client.send(
        f"GET /api/x HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
    )
    await client.head()
    assert await client.exactly(3) == b"abc"

    read.set()

    with pytest.raises(ConnectionResetError):
        await client.rest()


async def test_interim_answers_are_relayed_and_the_caller_may_wait_for_100(proxy, provider, jwt):
    async def script(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        )
        body = await reader.readexactly(4)
        provider.requests.append((head, body))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)
        await writer.drain()
        await reader.read()

    provider.script = script
    client = await proxy.connect()

    await client.send(post(jwt, "Content-Length: 4", "Expect: 100-continue"))

    assert await client.head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"body")
    await client.head()
    assert await client.exactly(4) == b"body"
    assert b"\r\nExpect: 100-continue\r\n" in provider.head


async def test_a_final_answer_instead_of_100_ends_the_connection(proxy, provider, jwt):
    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await reader.read()

    provider.script = script
    client = await proxy.connect()

    await client.send(post(jwt, "Content-Length: 4", "Expect: 100-continue"))

    assert b"\r\nConnection: close\r\n" in await client.head()
    assert await client.exactly(2) == b"no"


async def test_an_early_answer_is_relayed_while_the_upload_goes_on(proxy, provider, jwt):
    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(1)
        writer.write(b"HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\n\r\nstop")
        await writer.drain()
        await reader.read(1)
        writer.transport.abort()

    provider.script = script
    client = await proxy.connect()

    await client.send(post(jwt, f"Content-Length: {8 * MIB}") + b"x")

    assert (await client.head()).startswith(b"HTTP/1.1 413 Too Much\r\n")
    assert await client.exactly(4) == b"stop"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_end_with_their_head(proxy, provider, jwt, method, answer):
    async def script(reader, writer):
        while True:
            await provider.read_request(reader)
            writer.write(answer)
            await writer.drain()

    provider.script = script
    client = await proxy.connect()
    one = f"{method} /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()

    for _ in range(2):
        await client.send(one)
        assert await client.head() == answer


BAD_ANSWERS = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "odd status": b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "odd coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nabc",
    "control in field": b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "head without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_answers_that_are_not_http_are_bad(proxy, provider, answer):
    provider.answers(answer)

    received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"\r\nSidecar-Error: bad_upstream\r\n" in received


async def test_a_provider_that_does_not_answer_is_given_up(start_proxy, provider):
    proxy = await start_proxy(answer=AnswerTimeouts(response_head=0.05))

    async def script(reader, writer):
        await reader.read(10_000)
        await reader.read()

    provider.script = script

    received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 504 ")
    assert b"\r\nSidecar-Error: upstream_timeout\r\n" in received


async def test_an_answer_that_stalls_is_cut(start_proxy, provider, jwt):
    proxy = await start_proxy(answer=AnswerTimeouts(idle=0.05))

    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await writer.drain()
        await reader.read()

    provider.script = script
    client = await proxy.connect()
    await client.send(post(jwt))
    await client.head()

    assert await client.exactly(3) == b"abc"
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.exactly(1)


async def written_until_held_back(writer, size):
    """Write until the other side takes no more for a while; a slow machine only makes that sooner."""
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < size:
            writer.write(bytes(MIB))
            async with asyncio.timeout(0.8):
                await writer.drain()
            sent += MIB
    return sent


async def received_until_cut(client):
    """Return what arrived; the bytes never fill what the head promised, by reset or by plain end."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await client.reader.read(1000):
            received += piece
    return received


def unchunked(data):
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body
        body, data = body + data[:length], data[length + 2 :]
