"""Callers and providers that do at random what a network does to them, each with a marker of its own.

Everything is drawn from a seed, so that a storm can be had again; what it meets in which order is up to the
event loop. A marker stands in the target, in a field and all over the bodies of its request and its answer:
wherever it is seen on somebody else's line, two exchanges were mixed up.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.protocol.corpus.model import AUTHORIZATION, HOST
from tests.protocol.ends import Caller, answers_in, calling, is_ours, reset_on_close

if TYPE_CHECKING:
    import random

    from tests.protocol.wire import Message

MARKER = re.compile(rb"m\d{6}")
PROVIDER_ENDS = ("answer", "early", "half-close", "late bytes")
PROVIDER_BREAKS = ("reset at once", "reset after all", "close at once", "cut", "cut by reset")
PROVIDER_STALLS = ("stall", "stall within", "stop reading")
CALLER_STAYS = ("ask", "ask slowly", "pipeline", "stop sending")
CALLER_LEAVES = ("reset within", "close within", "reset waiting", "close waiting", "reset reading")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request meets: its size and framing, and what either side does."""

    marker: bytes
    caller: str
    provider: str
    size: int
    is_chunked: bool
    answer_size: int
    answer_framing: str
    patience: int

    @property
    def body(self) -> bytes:
        return self.marker * self.size

    def request(self, *, last: bool = False) -> bytes:
        """Return the request's bytes."""
        lines = [f"POST /api/{self.marker.decode()} HTTP/1.1", HOST, AUTHORIZATION]
        lines.append(f"X-Marker: {self.marker.decode()}")
        if last:
            lines.append("Connection: close")
        if self.is_chunked:
            chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
            lines += ["Transfer-Encoding: chunked", "", ""]
            return "\r\n".join(lines).encode() + chunk + b"0\r\n\r\n"
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body

    def answer(self) -> bytes:
        """Return the answer's bytes."""
        body = self.marker * self.answer_size
        head = b"HTTP/1.1 200 OK\r\nX-Marker: %b\r\n" % self.marker
        if self.answer_framing == "chunked":
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
        if self.answer_framing == "close":
            return head + b"Connection: close\r\n\r\n" + body
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def plan_of(number: int, draw: random.Random) -> Plan:
    """Draw a plan; who waits for an answer is not given a provider that never answers."""
    caller = draw.choice(CALLER_STAYS * 2 + CALLER_LEAVES)
    stalls = () if caller in CALLER_STAYS else PROVIDER_STALLS
    provider = draw.choice(PROVIDER_ENDS * 2 + PROVIDER_BREAKS + stalls)
    # An answer that ends by closing cannot be cut by closing, and nothing comes after it.
    framings = ["length", "length", "chunked"] + (["close"] if provider not in ("cut", "late bytes") else [])
    return Plan(
        marker=b"m%06d" % number,
        caller=caller,
        provider=provider,
        size=draw.choice([0, 1, 10, 1_000, 30_000]),
        is_chunked=draw.random() < 0.3,
        answer_size=draw.choice([0, 1, 10, 1_000, 30_000]),
        answer_framing=draw.choice(framings),
        patience=draw.randrange(12),
    )


class StormyProvider:
    """Does to each request what its plan says; `mixed_up` holds what did not belong to it."""

    def __init__(self, plans: list[Plan]) -> None:
        self._plans = {plan.marker: plan for plan in plans}
        self.mixed_up: list[str] = []
        self.times: dict[bytes, int] = {}
        self.lines: set[asyncio.StreamWriter] = set()
        self._is_over = asyncio.Event()

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self.lines.discard(writer)

    def end(self) -> None:
        """Close every connection that is still there, as a provider does that is restarted."""
        self._is_over.set()
        for writer in self.lines:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; say whether the connection can carry another."""
        head = await reader.readuntil(b"\r\n\r\n")
        found = MARKER.findall(head)
        if len(set(found)) != 1:
            self.mixed_up.append(f"a head with the markers {set(found)}")
            return False
        plan = self._plans[found[0]]
        self.times[plan.marker] = self.times.get(plan.marker, 0) + 1
        if plan.provider in ("reset at once", "close at once"):
            return _drop(writer, is_reset=plan.provider == "reset at once")
        if plan.provider == "stop reading":
            writer.transport.pause_reading()
            await self._is_over.wait()
            return False
        if plan.provider == "early":
            writer.write(plan.answer())
        body = await _body_of(head, reader)
        if set(MARKER.findall(body)) - {plan.marker} or len(body) != len(plan.body):
            self.mixed_up.append(f"a body of {len(body)} bytes where {len(plan.body)} were sent")
        return await self._answer(plan, reader, writer)

    async def _answer(self, plan: Plan, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        answer = plan.answer()
        half = answer[: len(answer) // 2]
        if plan.provider == "stall":
            await reader.read()
        elif plan.provider == "reset after all":
            return _drop(writer, is_reset=True)
        elif plan.provider in ("cut", "cut by reset", "stall within"):
            writer.write(half)
            await writer.drain()
            if plan.provider == "stall within":
                await reader.read()
            return _drop(writer, is_reset=plan.provider == "cut by reset")
        elif plan.provider != "early":
            writer.write(answer)
        await writer.drain()
        if plan.provider == "late bytes":
            await asyncio.sleep(0)
            writer.write(b"HTTP/1.1 200 OK\r\nX-Marker: m999999\r\nContent-Length: 0\r\n\r\n")
        if plan.provider == "half-close" or plan.answer_framing == "close":
            writer.write_eof()
            await reader.read()
            return False
        return True


def _drop(writer: asyncio.StreamWriter, *, is_reset: bool) -> bool:
    if is_reset:
        reset_on_close(writer.get_extra_info("socket"))
        writer.transport.abort()
    else:
        writer.close()
    return False


async def _body_of(head: bytes, reader: asyncio.StreamReader) -> bytes:
    length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
    if length:
        return await reader.readexactly(int(length[1]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


@dataclass(slots=True)
class Heard:
    """What one caller got: all bytes, and the whole final answers among them."""

    received: bytes = b""
    answers: tuple[Message, ...] = ()

    @property
    def ours(self) -> list[Message]:
        return [answer for answer in self.answers if is_ours(answer)]


async def call(port: int, plan: Plan, beside: Plan) -> Heard:
    """Do what the plan says; `beside` is the second request where two are pipelined."""
    async with calling(port) as caller:
        data = plan.request(last=plan.caller != "pipeline")
        if plan.caller == "pipeline":
            data += beside.request(last=True)
        if plan.caller in ("reset within", "close within"):
            await caller.send(data[: len(data) * plan.patience // 12])
            return await _left(caller, plan)
        if plan.caller == "ask slowly":
            third = len(data) // 3
            await caller.send(data[:third], data[third : 2 * third], data[2 * third :])
            return await _heard(caller)
        if plan.caller in CALLER_STAYS:
            sending = asyncio.create_task(caller.send(data))
            heard = await _heard(caller, has_ended=sending if plan.caller == "stop sending" else None)
            sending.cancel()
            await asyncio.wait([sending])
            return heard
        sending = asyncio.create_task(caller.send(data))
        heard = await _left(caller, plan)
        sending.cancel()
        await asyncio.wait([sending])
        return heard


async def _heard(caller: Caller, *, has_ended: asyncio.Task[None] | None = None) -> Heard:
    if has_ended is not None:
        await has_ended
        caller.end_sending()
    received, in_order = await caller.read_to_end()
    answers = answers_in(received, in_order=in_order)
    return Heard(received, tuple(a for a in answers if not a.start[1].startswith(b"1")))


async def _left(caller: Caller, plan: Plan) -> Heard:
    """Wait some turns of the loop, perhaps read, and hang up."""
    for _ in range(plan.patience):
        await asyncio.sleep(0)
    received = b""
    if plan.caller == "reset reading" and plan.provider in PROVIDER_ENDS:
        with contextlib.suppress(ConnectionError):
            received = await caller.read()
    if plan.caller.startswith("reset"):
        caller.reset()
    else:
        caller.close()
    return Heard(received)
