"""Providers that break the rules: 502, the connection closed, and nothing of it passed on."""

import asyncio

import pytest

EVIL = b"evil-5c1d"
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 4\r\n"
BAD = {
    "folded field": OK + LENGTH + b"X: a\r\n " + EVIL + b"\r\n\r\nbody",
    "bare LF in the head": OK + b"X: a\n" + LENGTH + b"\r\nbody",
    "bare LF for the blank line": OK + LENGTH + b"\n" + b"body" * 9,
    "NUL": OK + LENGTH + b"X: " + EVIL + b"\0\r\n\r\nbody",
    "control in the reason": b"HTTP/1.1 200 O\x01K\r\n" + LENGTH + b"\r\nbody",
    "space before the colon": OK + b"Content-Length : 4\r\n\r\nbody",
    "empty name": OK + LENGTH + b": " + EVIL + b"\r\n\r\nbody",
    "equal lengths": OK + LENGTH + LENGTH + b"\r\nbody",
    "list of lengths": OK + b"Content-Length: 4, 4\r\n\r\nbody",
    "signed length": OK + b"Content-Length: +4\r\n\r\nbody",
    "hexadecimal length": OK + b"Content-Length: 0x4\r\n\r\nbody",
    "endless length": OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nbody",
    "length and chunks": OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "gzip as a coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity": OK + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\nbody",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n" + LENGTH + b"\r\nbody",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n" + LENGTH + b"\r\nbody",
    "status 000": b"HTTP/1.1 000 Odd\r\n" + LENGTH + b"\r\nbody",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + LENGTH + b"\r\nbody",
    "HTTP/0.9": b"<html>" + EVIL + b"</html>\r\n\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\n" + LENGTH + b"\r\nbody",
    "small letters": b"http/1.1 200 OK\r\n" + LENGTH + b"\r\nbody",
    "empty line first": b"\r\n" + OK + LENGTH + b"\r\nbody",
    "two spaces": b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\nbody",
    "endless hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40 + OK + LENGTH + b"\r\nbody",
    "many fields": OK + b"".join(b"X-%d: %b\r\n" % (n, EVIL) for n in range(9000)) + b"\r\n",
    "half a head": OK + b"X: " + EVIL,
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
async def test_an_answer_that_is_none_is_told_as_that(proxy, provider, caplog, answer):
    provider.answers(answer)

    received = await proxy.get()

    final = received[received.rindex(b"HTTP/1.1 502 ") :]
    assert b"\r\nSidecar-Error: bad_upstream\r\n" in final
    assert EVIL not in received
    assert EVIL.decode() not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
async def test_it_is_the_same_on_a_connection_that_served_before(proxy, provider, jwt, answer):
    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(OK + LENGTH + b"\r\nbody")
        await provider.read_request(reader)
        writer.write(answer)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    provider.script = script
    client = await proxy.connect()
    one = f"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
    await client.send(one)
    await client.head()
    await client.exactly(4)

    await client.send(one)

    while (head := await client.head()).startswith(b"HTTP/1.1 103 "):
        pass
    assert b"\r\nSidecar-Error: bad_upstream\r\n" in head
    assert provider.connections == 1


BAD_CHUNKS = {
    "no size": b"\r\nbody\r\n",
    "signed": b"+4\r\nbody\r\n",
    "0x": b"0x4\r\nbody\r\n",
    "space before": b" 4\r\nbody\r\n",
    "space after": b"4 \r\nbody\r\n",
    "bare LF": b"4\nbody\r\n",
    "too short": b"3\r\nbody\r\n",
    "too long": b"5\r\nbody\r\n0\r\n\r\n",
    "huge": b"F" * 17 + b"\r\nbody\r\n",
    "control in extension": b"4;a=\x01\r\nbody\r\n",
    "long extension": b"4;a=" + b"b" * 5000 + b"\r\nbody\r\n",
    "bad trailer": b"4\r\nbody\r\n0\r\nno colon\r\n\r\n",
    "folded trailer": b"4\r\nbody\r\n0\r\nA: b\r\n c\r\n\r\n",
    "no end": b"4\r\nbody\r\n0\r\n",
}


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
async def test_bad_chunks_break_the_answer_off(proxy, provider, jwt, chunks):
    provider.answers(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    client = await proxy.connect()
    await client.send(
        f"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
    )

    received = b""
    try:
        while piece := await asyncio.wait_for(client.reader.read(10_000), 5):
            received += piece
    except ConnectionResetError:
        pass

    assert not received.endswith(b"0\r\n\r\n")
    assert received.startswith(OK)
