"""Trailers pass where both sides allow them, and carry nothing that belongs in a head."""

import asyncio

import pytest

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"


def call(jwt, *fields, method="GET"):
    lines = [f"{method} /api/x HTTP/1.1", "Host: localhost", f"Authorization: Bearer {jwt}", *fields]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


@pytest.mark.parametrize("takes", [True, False])
async def test_an_answers_trailers_reach_a_caller_who_takes_them(proxy, provider, jwt, takes):
    provider.answers(CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\nSidecar-Error: x\r\n\r\n")

    received = await proxy.call(call(jwt, *(["TE: trailers"] if takes else [])))

    assert received.endswith(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n" if takes else b"2\r\nok\r\n0\r\n\r\n")
    assert (b"\r\nTrailer: X-Sum\r\n" in received) is takes


async def upload(proxy, provider, jwt, trailers):
    arrived = asyncio.get_running_loop().create_future()

    async def script(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"\r\n\r\n")
        arrived.set_result((head, body))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await reader.read()

    provider.script = script
    fields = ("Transfer-Encoding: chunked", "Trailer: X-Sum")
    received = await proxy.call(call(jwt, *fields, method="POST") + b"2\r\nhi\r\n0\r\n" + trailers + b"\r\n")
    return received, arrived


async def test_a_requests_trailers_reach_the_provider(proxy, provider, jwt):
    received, arrived = await upload(proxy, provider, jwt, b"X-Sum: 1\r\nAuthorization: x\r\nHost: evil\r\n")

    head, body = arrived.result()
    assert received.startswith(b"HTTP/1.1 204 ")
    assert body == b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
    assert b"\r\nTrailer: X-Sum\r\n" in head


async def test_a_credential_in_a_trailer_goes_nowhere(proxy, provider, jwt):
    received, arrived = await upload(proxy, provider, jwt, f"X-Copy: {jwt}\r\n".encode())

    assert b"\r\nSidecar-Error: bad_request\r\n" in received
    assert not arrived.done()
    arrived.cancel()
