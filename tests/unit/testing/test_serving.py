import asyncio

import pytest

from sidecar.testing.messages import HEAD_BYTES
from sidecar.testing.serving import LoopbackServer
from sidecar.testing.waiting import Watch


class Harness:
    """A server that answers each request with the number of body bytes, and remembers it."""

    def __init__(self):
        self.watch = Watch()
        self.requests = []
        self.server = LoopbackServer(self.handle, watch=self.watch)

    async def handle(self, exchange):
        self.requests.append(exchange.request)
        await exchange.request.body.read()
        await exchange.send(200, str(exchange.request.body.length).encode(), headers=(("x-ODD", "a  b"),))

    async def talk(self, data):
        """Send these bytes, close the sending half, and return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(data)
        writer.write_eof()
        try:
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def harness():
    harness = Harness()
    await harness.server.start()
    yield harness
    await harness.server.close()


async def test_an_answer_has_no_field_that_nobody_asked_for(harness):
    answer = await harness.talk(b"GET / HTTP/1.1\r\n\r\n")

    assert answer == b"HTTP/1.1 200 OK\r\nx-ODD: a  b\r\nContent-Length: 1\r\n\r\n0"


async def test_target_and_fields_are_kept_as_they_stood_on_the_wire(harness):
    await harness.talk(
        b"PATCH /a%2fb//..?x=%zz&&y HTTP/1.1\r\nhost:h\r\nX-b: 1\r\nx-B:\t2 \r\nX-b: 1\r\nE:\r\n\r\n"
    )

    (request,) = harness.requests
    assert (request.method, request.target) == ("PATCH", "/a%2fb//..?x=%zz&&y")
    assert request.headers == (("host", "h"), ("X-b", "1"), ("x-B", "2"), ("X-b", "1"), ("E", ""))


async def test_requests_on_one_connection_are_answered_in_turn(harness):
    answer = await harness.talk(
        b"POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
    )

    assert [request.path for request in harness.requests] == ["/1", "/2"]
    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_a_chunked_body_is_read_with_its_trailers(harness):
    await harness.talk(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 13\r\n\r\n"
    )

    (request,) = harness.requests
    assert (request.body.start, request.body.length) == (b"abc0123456789", 13)
    assert request.body.trailers == (("X-Sum", "13"),)
    assert request.body.is_complete


async def test_a_body_that_breaks_off_is_not_complete(harness):
    answer = await harness.talk(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")

    (request,) = harness.requests
    assert answer == b""
    assert (request.body.length, request.body.is_complete) == (3, False)


async def test_a_caller_that_expects_it_is_told_to_continue(harness):
    answer = await harness.talk(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab")

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "wire",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_400_and_ends_the_connection(harness, wire):
    answer = await harness.talk(wire)

    assert answer == b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n"])
async def test_a_caller_that_wants_one_answer_gets_one(harness, head):
    answer = await harness.talk(head + b"GET /2 HTTP/1.1\r\n\r\n")

    assert b"Connection: close\r\n" in answer
    assert len(harness.requests) == 1


async def test_a_head_request_gets_the_head_alone(harness):
    answer = await harness.talk(b"HEAD / HTTP/1.1\r\n\r\n")

    assert answer.endswith(b"Content-Length: 1\r\n\r\n")


async def test_closing_breaks_off_connections_that_are_open(harness):
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.server.port)
    await harness.watch.until(lambda: harness.server.connections == 1)

    await harness.server.close()

    assert harness.server.connections == 0
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_closing_twice_is_fine(harness):
    await harness.server.close()
    await harness.server.close()

    assert harness.server.connections == 0


async def test_waiting_for_what_does_not_happen_ends():
    with pytest.raises(TimeoutError):
        await Watch().until(lambda: False, timeout=0)
