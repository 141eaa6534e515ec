"""Every hostile answer we know of: 502, the answer as it was meant, or an answer whose end is missing.

Behind each request stands one more. Whatever the first answer leaves behind on the provider's connection, the
second request gets its own answer or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from tests.protocol.corpus import endings, framing, heads
from tests.protocol.corpus.model import AUTHORIZATION, CANARY, HOST
from tests.protocol.corpus.replies import Outcome
from tests.protocol.ends import (
    PATIENCE,
    READ_BYTES,
    Seen,
    answer_with_target,
    answers_in,
    calling,
    faults,
    is_ours,
    reset_on_close,
)

AREAS = (heads, framing, endings)
CASES = {name: case for area in AREAS for name, case in area.CASES.items()}
OURS = {b"bad_upstream", b"upstream_unreachable"}


class Hostile:
    """A provider that answers the first request with `write`, and everything else properly."""

    def __init__(self, write=None):
        self.write = write
        self.is_over = asyncio.Event()

    async def script(self, reader, writer):
        seen = Seen()
        is_first = False
        with contextlib.suppress(OSError):
            while piece := await reader.read(READ_BYTES):
                seen.data += piece
                while (message := seen.next_message()) is not None:
                    if message.start[1] == b"/x":
                        is_first = True
                        await self.write(writer)
                    else:
                        writer.write(answer_with_target(message))
        if is_first:
            self.is_over.set()


def hostile(data, *, has_end=False):
    async def write(writer):
        writer.write(data)
        if has_end:
            writer.write_eof()
        await writer.drain()

    return Hostile(write)


def asking(method="GET"):
    lines = f"{HOST}\r\n{AUTHORIZATION}\r\n"
    return (
        f"{method} /api/x HTTP/1.1\r\n{lines}\r\nGET /api/behind HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
    ).encode()


async def asked(proxy, method="GET"):
    """Ask twice; return what came back and whether it ended in good order."""
    async with calling(proxy.listener.port) as caller:
        await caller.send(asking(method))
        return await caller.read_to_end()


def judged(received, *, in_order, method="GET"):
    """Return the outcome of the first request, its answer, and whether the second was answered."""
    answers = answers_in(received, methods=[method.encode()], in_order=in_order)
    final = [answer for answer in answers if not answer.start[1].startswith(b"1")]
    if not final:
        return Outcome.CUT, None, False
    first, *rest = final
    assert first.start[0] == b"HTTP/1.1"
    for answer in rest:
        assert (answer.values(b"x-target"), answer.body) == ([b"/behind"], b"ok")
    if not is_ours(first):
        return Outcome.RELAYED, first, bool(rest)
    assert first.start[1] == b"502"
    assert first.values(b"sidecar-error")[0] in OURS
    return Outcome.BAD, first, bool(rest)


@pytest.mark.parametrize("name", CASES)
async def test_an_answer_is_refused_relayed_or_cut(proxy, provider, caplog, name):
    caplog.set_level(logging.DEBUG)
    case = CASES[name]
    other = hostile(case.sent.encode("latin-1"), has_end=case.has_end)
    provider.script = other.script

    received, in_order = await asked(proxy, case.method)

    outcome, first, is_followed = judged(received, in_order=in_order, method=case.method)
    assert outcome in case.outcomes, (case.rule, outcome, received[:200])
    assert CANARY.encode() not in received
    assert CANARY not in caplog.text
    assert faults(caplog.records) == []
    if outcome is Outcome.RELAYED:
        assert (int(first.start[1]), first.start[2].decode("latin-1")) == (case.status, case.reason)
        assert first.body.decode("latin-1") == case.body
    if outcome is Outcome.BAD:
        assert first.values(b"sidecar-error") == [b"bad_upstream"]
    assert not (outcome is Outcome.CUT and is_followed)
    if case.is_done_with or outcome is not Outcome.RELAYED:
        await asyncio.wait_for(other.is_over.wait(), PATIENCE)


def test_no_case_hides_another():
    assert len(CASES) == sum(len(area.CASES) for area in AREAS)


WHOLE = {
    "length": b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 5\r\n\r\nhello",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX: 1\r\n\r\n",
    "interim": b"HTTP/1.1 103 E\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("end", ["closed", "reset"])
async def test_a_cut_at_any_byte_never_looks_like_an_end(proxy, provider, caplog, answer, end):
    other = Hostile()
    provider.script = other.script
    for size in range(len(answer)):

        async def write(writer, size=size):
            writer.write(answer[:size])
            if end == "closed":
                writer.write_eof()
                return
            reset_on_close(writer.get_extra_info("socket"))
            writer.transport.abort()

        other.write = write

        received, in_order = await asked(proxy)

        outcome, _, is_followed = judged(received, in_order=in_order)
        assert outcome is not Outcome.RELAYED, (size, received)
        assert not (outcome is Outcome.CUT and is_followed)
    assert faults(caplog.records) == []


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
async def test_an_answer_that_drips_is_relayed_whole(proxy, provider, answer):
    async def write(writer):
        for at in range(len(answer)):
            writer.write(answer[at : at + 1])
            for _ in range(3):
                await asyncio.sleep(0)

    provider.script = Hostile(write).script

    received, in_order = await asked(proxy)

    outcome, first, is_followed = judged(received, in_order=in_order)
    assert (outcome, first.body, is_followed) == (Outcome.RELAYED, b"hello", True)


ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
    "reason": (b"HTTP/1.1 200 ", b"a" * 50),
    "junk": (b"", b"a" * 50),
    "empty lines": (b"", b"\r\n" * 25),
}
MOST_WRITTEN = 1024 * 1024
"""Bytes after which the provider ends what never ends in good order, so that patience is found out."""


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_never_ends_is_ended(proxy, provider, name):
    begin, more = ENDLESS[name]

    async def write(writer):
        writer.write(begin)
        for _ in range(MOST_WRITTEN // (len(more) * 100)):
            writer.write(more * 100)
            await writer.drain()
        writer.write(b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    provider.script = Hostile(write).script

    received, in_order = await asked(proxy)

    outcome, first, _ = judged(received, in_order=in_order)
    assert outcome is Outcome.BAD
    assert first.values(b"sidecar-error") == [b"bad_upstream"]
