"""Where the proxy connects to, and where it does not."""

import asyncio
import socket

import pytest

from sidecar.providers.model import Origin
from sidecar.proxy.dialling import DialTimeouts
from sidecar.testing.certificates import LoopbackAuthority


@pytest.fixture
def authority():
    made = LoopbackAuthority()
    yield made
    made.close()


@pytest.fixture
async def tls_provider(provider, authority):
    await provider.stop()
    await provider.start(ssl=authority.server_context())
    return provider


def code_in(received):
    return next(
        line.removeprefix(b"Sidecar-Error: ").decode()
        for line in received.split(b"\r\n")
        if line.startswith(b"Sidecar-Error: ")
    )


def https(provider, host="localhost"):
    return Origin(scheme="https", host=host, port=provider.port)


async def test_a_provider_with_its_own_ca_is_reached_over_tls(start_proxy, tls_provider, authority):
    proxy = await start_proxy(origin=https(tls_provider), ca_file=authority.ca_file)

    received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nHost: localhost:%d\r\n" % tls_provider.port in tls_provider.head


async def test_a_certificate_nobody_vouches_for_is_refused(start_proxy, tls_provider):
    proxy = await start_proxy(origin=https(tls_provider))

    received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 502 ")
    assert code_in(received) == "upstream_tls"
    assert tls_provider.requests == []


async def test_a_handshake_with_something_else_is_refused(start_proxy, provider, authority):
    proxy = await start_proxy(origin=https(provider), ca_file=authority.ca_file)

    async def speak(reader, writer):
        writer.write(b"220 mail ready\r\n")
        await reader.read()

    provider.script = speak

    received = await proxy.get()

    assert code_in(received) == "upstream_tls"


async def test_a_handshake_that_stalls_is_given_up(start_proxy, provider, authority):
    proxy = await start_proxy(origin=https(provider), ca_file=authority.ca_file, dial=DialTimeouts(tls=0.05))

    async def silent(reader, writer):
        await reader.read()
        await reader.read()

    provider.script = silent

    received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 504 ")
    assert code_in(received) == "upstream_timeout"


async def test_a_cut_tls_connection_is_no_end_of_an_answer_without_a_length(
    start_proxy, tls_provider, authority, jwt
):
    proxy = await start_proxy(origin=https(tls_provider), ca_file=authority.ca_file)
    read = asyncio.Event()

    async def script(reader, writer):
        await tls_provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await writer.drain()
        await read.wait()
        # The end of the TCP stream without TLS's close_notify before it.
        writer.transport.abort()

    tls_provider.script = script
    client = await proxy.connect()
    await client.send(
        f"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
    )
    await client.head()
    assert await client.exactly(8) == b"3\r\nabc\r\n"

    read.set()

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.exactly(5)


async def test_a_port_where_nobody_listens_is_unreachable(start_proxy):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        origin = Origin(scheme="http", host="127.0.0.1", port=reserved.getsockname()[1])
        proxy = await start_proxy(origin=origin)

        received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 502 ")
    assert code_in(received) == "upstream_unreachable"


async def test_a_name_that_does_not_exist_is_unreachable(start_proxy):
    proxy = await start_proxy(origin=Origin(scheme="http", host="nowhere.invalid", port=80))

    received = await proxy.get()

    assert code_in(received) == "upstream_unreachable"


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "0.0.0.0", "192.168.1.1"])
async def test_addresses_that_may_not_be_dialled_are_not(start_proxy, address):
    proxy = await start_proxy(origin=Origin(scheme="http", host=address, port=80))

    received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 403 ")
    assert code_in(received) == "destination_refused"


async def test_the_sidecar_is_never_its_own_provider(start_proxy):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    proxy = await start_proxy(origin=Origin(scheme="http", host="localhost", port=port), port=port)

    received = await proxy.get()

    assert received.startswith(b"HTTP/1.1 508 ")
    assert code_in(received) == "proxy_loop"
    assert proxy.broker.asked


async def test_tls_ended_properly_ends_an_answer_without_a_length(start_proxy, tls_provider, authority):
    proxy = await start_proxy(origin=https(tls_provider), ca_file=authority.ca_file)

    async def script(reader, writer):
        await tls_provider.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        writer.close()
        await writer.wait_closed()

    tls_provider.script = script

    received = await proxy.get()

    assert received.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
