"""Which connection to a provider a request gets, and which it must never get."""

import asyncio
import socket

import pytest

from sidecar.proxy.pool import Pool, ear_at

PATIENCE = 5
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(jwt, target="/api/x", method="GET"):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {jwt}", "", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture
def answering(provider):
    """Let the provider answer every request of a connection with the same bytes."""

    def use(answer):
        async def script(reader, writer):
            while True:
                await provider.read_request(reader)
                writer.write(answer)
                await writer.drain()

        provider.script = script
        return provider

    return use


async def ask(client, jwt, **more):
    await client.send(get(jwt, **more))
    head = await client.head()
    return head, await client.exactly(2)


async def test_a_connection_serves_one_caller_after_the_other(proxy, answering, jwt):
    provider = answering(OK)

    for _ in range(3):
        client = await proxy.connect()
        for _ in range(3):
            assert (await ask(client, jwt))[1] == b"ok"

    assert (provider.connections, len(provider.requests)) == (1, 9)


async def test_callers_at_the_same_time_have_connections_of_their_own(proxy, provider, jwt):
    both = asyncio.Barrier(2)

    async def script(reader, writer):
        head, _ = await provider.read_request(reader)
        await both.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + head.split(b" ")[1][-2:])
        await reader.read()

    provider.script = script
    clients = [await proxy.connect() for _ in range(2)]

    answers = await asyncio.gather(
        *(ask(client, jwt, target=f"/api/a{number}") for number, client in enumerate(clients))
    )

    assert [body for _, body in answers] == [b"a0", b"a1"]
    assert provider.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + OK,
    ],
    ids=["close", "close in a list", "HTTP/1.0", "bytes after the end", "an answer nobody asked for"],
)
async def test_a_connection_that_did_not_end_cleanly_is_not_used_again(proxy, answering, jwt, answer):
    provider = answering(answer)
    client = await proxy.connect()

    bodies = [(await ask(client, jwt))[1] for _ in range(2)]

    assert bodies == [b"ok", b"ok"]
    assert provider.connections == 2


@pytest.mark.parametrize("event", ["bytes", "end", "reset"])
async def test_whatever_happens_on_an_idle_connection_ends_it(proxy, provider, jwt, event):
    late, gone = asyncio.Event(), asyncio.Event()

    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(OK)
        await late.wait()
        if event == "bytes":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            await reader.read()
        elif event == "end":
            writer.write_eof()
            await reader.read()
        else:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0" * 2)
            writer.transport.abort()
        gone.set()

    provider.script = script
    client = await proxy.connect()
    await ask(client, jwt)
    late.set()
    await asyncio.wait_for(gone.wait(), PATIENCE)
    late.clear()

    head, body = await ask(client, jwt)

    assert (head.startswith(b"HTTP/1.1 200 OK\r\n"), body) == (True, b"ok")
    assert provider.connections == 2


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_a_request_that_was_sent_is_not_sent_again(proxy, provider, jwt, method):
    async def script(reader, writer):
        await provider.read_request(reader)
        writer.write(OK)
        await provider.read_request(reader)

    provider.script = script
    client = await proxy.connect()
    await ask(client, jwt)

    await client.send(get(jwt, method=method))

    assert b"\r\nSidecar-Error: upstream_unreachable\r\n" in await client.head()
    assert (provider.connections, len(provider.requests)) == (1, 2)


async def test_an_answer_before_the_requests_end_spoils_the_connection(proxy, provider, jwt):
    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()

    provider.script = script
    for _ in range(2):
        client = await proxy.connect()
        await client.send(
            f"POST /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n"
            "Content-Length: 9\r\n\r\n1".encode()
        )
        assert (await client.rest()).endswith(b"ok")

    assert provider.connections == 2


class Kept:
    """A kept connection over a socket pair."""

    def __init__(self):
        self.place = ("api", "http://api.test")
        self.mine, self.theirs = socket.socketpair()
        self.ear = ear_at(self.mine)
        self.is_usable = True

    def abort(self):
        self.is_usable = False
        self.mine.close()

    def close(self):
        self.mine.close()
        self.theirs.close()


@pytest.fixture
def kept():
    connections = [Kept(), Kept()]
    yield connections
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("happens", [lambda s: s.send(b"x"), lambda s: s.close()], ids=["byte", "end"])
def test_what_waits_in_the_kernel_is_noticed_before_a_connection_is_given_out(kept, happens):
    pool = Pool()
    for connection in kept:
        pool.give_back(connection)
    happens(kept[1].theirs)

    assert pool.take(kept[0].place) is kept[0]
    assert not kept[1].is_usable
    assert pool.take(kept[0].place) is None


def test_a_place_keeps_only_so_many_and_never_another_places(kept, monkeypatch):
    monkeypatch.setattr("sidecar.proxy.pool.MOST_IDLE", 1)
    pool = Pool()

    assert [pool.give_back(connection) for connection in kept] == [True, False]
    assert pool.take(("other", "http://api.test")) is None
