"""Whatever is legal arrives as it was sent, both ways, but for what `oracle` lists."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.protocol.corpus.model import AUTHORIZATION, HOST
from tests.protocol.ends import Caller, Seen, Watcher, answers_in, calling, is_ours
from tests.protocol.legal import asks, says
from tests.protocol.oracle import (
    TOKEN,
    expected_answer_fields,
    expected_request_fields,
    expected_target,
    without,
)
from tests.protocol.wire import answer_at

FRAMING = (b"content-length", b"transfer-encoding", b"connection")
# An example is a connection with one to four requests; seeded, so that a failure is one tomorrow. Nothing is
# shrunk: that takes minutes with sockets, and the examples are small.
ORDINARY = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SOAK = settings(ORDINARY, max_examples=5_000)
exchanges = st.lists(st.tuples(asks(), says()), min_size=1, max_size=4)


def framed(body, chunks):
    """Return the field that frames a body, and the body in chunks of these sizes, again and again."""
    if chunks is None:
        return (b"Content-Length", b"%d" % len(body)), body
    wire, at, turn = b"", 0, itertools.cycle(chunks)
    while at < len(body):
        piece = body[at : at + next(turn)]
        wire += b"%x\r\n%b\r\n" % (len(piece), piece)
        at += len(piece)
    return (b"Transfer-Encoding", b"chunked"), wire + b"0\r\n\r\n"


def lines(start, fields):
    return b"".join([start, b"\r\n", *(b"%b: %b\r\n" % each for each in fields), b"\r\n"])


def request_bytes(ask, port):
    authority = b"127.0.0.1:%d" % port
    target, host = {
        "prefix": (b"/api" + ask.target, b"localhost"),
        "absolute": (b"http://" + authority + ask.target, authority),
        "host": (ask.target, authority),
    }[ask.form]
    fields, body = [(b"Host", host), *ask.fields, ask.carrier], b""
    if ask.body is not None:
        framing, body = framed(ask.body.data, ask.chunks)
        fields.append(framing)
    return lines(b"%b %b HTTP/1.1" % (ask.method, target), fields) + body


def answer_bytes(say, method):
    heads = [lines(b"HTTP/1.1 %d %b" % (code, reason), fields) for code, reason, fields in say.interim]
    fields, body = say.fields, b""
    if say.has_body(method):
        if say.framing == "close":
            body = say.body.data
        else:
            framing, body = framed(say.body.data, say.chunks if say.framing == "chunked" else None)
            fields = [*fields, framing]
    return b"".join(heads) + lines(b"HTTP/1.1 %d %b" % (say.status, say.reason), fields) + body


def ends_by_closing(say, method):
    return (say.framing == "close" and say.has_body(method)) or (b"Connection", b"close") in say.fields


class Speaker:
    """A provider that answers each request with what was set, and keeps the request."""

    def __init__(self):
        self.say = None
        self.messages = []

    async def script(self, reader, writer):
        seen = Seen()
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                seen.data += piece
                message = seen.next_message()
                assert not seen.is_malformed
                if message is None:
                    continue
                self.messages.append(message)
                method = message.start[0]
                writer.write(answer_bytes(self.say, method))
                await writer.drain()
                if ends_by_closing(self.say, method):
                    writer.write_eof()
                    await reader.read()


class Line:
    """A caller's connection to the proxy, opened again where an answer ended it."""

    def __init__(self, port, stack):
        self._port = port
        self._stack = stack
        self._caller: Caller | None = None
        self._received = b""

    async def ask(self, data, method):
        """Return the interim answers and the final one."""
        if self._caller is None:
            self._caller = await self._stack.enter_async_context(calling(self._port))
            self._received = b""
        sending = asyncio.create_task(self._caller.send(data))
        answers = []
        while not answers or answers[-1].start[1].startswith(b"1"):
            answer = answer_at(self._received, method=method)
            if answer is None:
                piece = await self._caller.read()
                assert piece, "the connection ended before the answer did"
                self._received += piece
                continue
            self._received = self._received[answer.end :]
            answers.append(answer)
        await sending
        if b"close" in answers[-1].values(b"connection"):
            self._caller = None
        return answers[:-1], answers[-1]


def check_request(ask, message, port):
    assert message.start == (ask.method, expected_target(ask), b"HTTP/1.1")
    assert message.values(b"host") == [b"127.0.0.1:%d" % port]
    assert message.values(b"authorization") == [TOKEN]
    got = without(message.fields, b"host", b"authorization", *FRAMING)
    assert got == expected_request_fields(ask)
    data = b"" if ask.body is None else ask.body.data
    assert message.body == data
    is_chunked = ask.body is not None and ask.chunks is not None
    assert message.values(b"transfer-encoding") == ([b"chunked"] if is_chunked else [])
    has_length = ask.body is not None and ask.chunks is None
    assert message.values(b"content-length") == ([b"%d" % len(data)] if has_length else [])
    assert message.trailers == []


def check_answer(say, method, interim, answer):
    assert answer.start == (b"HTTP/1.1", b"%d" % say.status, say.reason)
    assert without(answer.fields, *FRAMING) == expected_answer_fields(say.fields)
    has_body = say.has_body(method)
    assert answer.body == (say.body.data if has_body else b"")
    is_chunked = has_body and say.framing != "length"
    assert answer.values(b"transfer-encoding") == ([b"chunked"] if is_chunked else [])
    is_measured = has_body and say.framing == "length"
    assert answer.values(b"content-length") == ([b"%d" % len(say.body.data)] if is_measured else [])
    assert [(int(each.start[1]), each.start[2], each.fields) for each in interim] == [
        (code, reason, expected_answer_fields(fields)) for code, reason, fields in say.interim
    ]


@pytest.fixture
def speaker(provider):
    speaking = Speaker()
    provider.script = speaking.script
    return speaking


async def exchange_all(proxy, provider, speaker, plan):
    """Ask for each of the plan in turn on one connection, and hold both sides against the oracle."""
    speaker.messages.clear()
    # What the broker remembers would be printed with a failing example.
    proxy.broker.asked.clear()
    async with contextlib.AsyncExitStack() as stack:
        line = Line(proxy.listener.port, stack)
        for ask, say in plan:
            speaker.say = say
            interim, answer = await line.ask(request_bytes(ask, provider.port), ask.method)

            assert not is_ours(answer), answer
            check_request(ask, speaker.messages[-1], provider.port)
            check_answer(say, ask.method, interim, answer)
    assert len(speaker.messages) == len(plan)


@ORDINARY
@given(plan=exchanges)
async def test_legal_messages_arrive_as_they_were_sent(proxy, provider, speaker, plan):
    await exchange_all(proxy, provider, speaker, plan)


@pytest.mark.soak
@SOAK
@given(plan=exchanges)
async def test_ten_thousand_legal_messages_arrive_as_they_were_sent(proxy, provider, speaker, plan):
    await exchange_all(proxy, provider, speaker, plan)


def post(*fields, body=b""):
    return "\r\n".join(["POST /api/x HTTP/1.1", HOST, AUTHORIZATION, *fields, "", ""]).encode() + body


CHUNKED = "Transfer-Encoding: chunked"
SUMMED = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-sum:  2 \r\n\r\n"
TRAILERS = [(b"X-Sum", b"1"), (b"x-sum", b"2")]


async def test_trailers_of_a_request_reach_the_provider(proxy, provider):
    watcher = Watcher()
    provider.script = watcher.script

    await proxy.call(post(CHUNKED, "Trailer: X-Sum", "Connection: close", body=SUMMED))

    [message] = watcher.messages
    assert message.values(b"trailer") == [b"X-Sum"]
    assert (message.body, message.trailers) == (b"hello", TRAILERS)


async def summed_answer(proxy, provider, *fields):
    provider.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + SUMMED)
    [answer] = answers_in(await proxy.get("/api/x", *fields))
    assert answer.body == b"hello"
    return answer


async def test_trailers_of_an_answer_reach_a_caller_that_takes_them(proxy, provider):
    answer = await summed_answer(proxy, provider, "TE: trailers")

    assert answer.values(b"trailer") == [b"X-Sum"]
    assert answer.trailers == TRAILERS


async def test_trailers_of_an_answer_end_at_a_caller_that_does_not_ask_for_them(proxy, provider):
    answer = await summed_answer(proxy, provider)

    assert (answer.values(b"trailer"), answer.trailers) == ([], [])


async def test_a_connection_goes_on_after_a_chunked_request(proxy, provider):
    watcher = Watcher()
    provider.script = watcher.script
    one = post(CHUNKED, body=SUMMED)

    answers = answers_in(await proxy.call(one + one + post("Connection: close")))

    assert [message.body for message in watcher.messages] == [b"hello", b"hello", b""]
    assert len(answers) == 3


@pytest.mark.xfail(reason="the end of what a caller sends is taken for the end of the caller (decision 0006)")
async def test_a_caller_that_has_said_everything_still_gets_its_answer(proxy, provider):
    watcher = Watcher()
    provider.script = watcher.script

    async with calling(proxy.listener.port) as caller:
        await caller.send(post("Content-Length: 5", body=b"hello"))
        caller.end_sending()
        received, _ = await caller.read_to_end()

    assert [answer.body for answer in answers_in(received)] == [b"ok"]


@pytest.mark.parametrize("name", ["User-Agent", "Content-Type", "ETag", "Server", "Max-Forwards"])
async def test_a_field_that_stands_twice_is_passed_on_twice(proxy, provider, name):
    watcher = Watcher()
    provider.script = watcher.script

    await proxy.get("/api/x", f"{name}: a", f"{name}: b")

    [message] = watcher.messages
    assert message.values(name.lower().encode()) == [b"a", b"b"]
