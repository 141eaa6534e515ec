"""The two ends of the proxy in the wire suites: a provider that watches, a client that reads to the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.polling import eventually
from tests.protocol.wire import Message, NotHttpError, answer_at, request_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

PATIENCE = 5.0
"""Seconds after which a connection that should have ended is a failure; nothing here takes as long."""
READ_BYTES = 65536
TURNS_TO_READ = 3
"""Turns of the one event loop after which the proxy has read what was sent."""


class Seen:
    """What one connection to the provider carried; `end` is where its last whole request ends.

    `is_proven` says that it carried a whole request at any time.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.end = 0
        self.is_malformed = False
        self.is_open = True
        self.is_proven = False

    @property
    def has_rest(self) -> bool:
        """Whether there are bytes beyond the whole requests."""
        return len(self.data) > self.end

    def next_message(self) -> Message | None:
        """Return the next whole request; nothing where there is none yet or what came is none."""
        try:
            message = request_at(bytes(self.data), self.end)
        except NotHttpError:
            self.is_malformed = True
            return None
        if message is not None:
            self.end = message.end
            self.is_proven = True
        return message


class Watcher:
    """A provider's script that keeps every byte it was sent, and answers each whole request.

    `messages` are the whole requests in the order in which they ended, `connections` all that was seen.
    """

    def __init__(self, answer: Callable[[Message], bytes] | None = None) -> None:
        self._answer = answer or answer_with_target
        self.messages: list[Message] = []
        self.connections: list[Seen] = []

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Seen()
        self.connections.append(seen)
        with contextlib.suppress(OSError):
            while piece := await reader.read(READ_BYTES):
                seen.data += piece
                while (message := seen.next_message()) is not None:
                    self.messages.append(message)
                    writer.write(self._answer(message))
                    await writer.drain()
        seen.is_open = False

    async def clear(self) -> None:
        """Forget what was seen, once broken requests have ended; kept connections are watched on."""

        async def is_settled() -> bool:
            return not any(
                seen.is_open and (seen.has_rest or not seen.is_proven) for seen in self.connections
            )

        for _ in range(TURNS_TO_READ):
            await asyncio.sleep(0)
        assert await eventually(is_settled)
        self.messages.clear()
        self.connections = [seen for seen in self.connections if seen.is_open]
        for seen in self.connections:
            seen.data.clear()
            seen.end = 0

    @property
    def has_rest(self) -> bool:
        """Whether a connection carried bytes beyond its whole requests."""
        return any(seen.has_rest for seen in self.connections)


def answer_with_target(message: Message) -> bytes:
    """Answer with the target in a field, so that a client can tell whose answer it has."""
    head = b"HTTP/1.1 200 OK\r\nX-Target: %b\r\nContent-Length: 2\r\n\r\n" % message.start[1]
    return head if message.start[0] == b"HEAD" else head + b"ok"


class Caller:
    """A client on a bare socket, which still reads what came before its writes were refused."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces, the proxy having read one before the next; a closed connection takes the rest."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                await self._loop.sock_sendall(self._sock, piece)
                for _ in range(TURNS_TO_READ if len(pieces) > 1 else 0):
                    await asyncio.sleep(0)

    async def read(self) -> bytes:
        """Return what is there, nothing at the end; raises `ConnectionError` on a reset."""
        async with asyncio.timeout(PATIENCE):
            return await self._loop.sock_recv(self._sock, READ_BYTES)

    async def read_to_end(self) -> tuple[bytes, bool]:
        """Return what the proxy sent until it closed, and whether it closed in good order (no reset)."""
        received = bytearray()
        try:
            while piece := await self.read():
                received += piece
        except ConnectionError:
            return bytes(received), False
        return bytes(received), True

    async def read_answer(self, method: bytes = b"GET") -> Message | None:
        """Return the next final answer; nothing where the connection ends before the answer does."""
        received = b""
        at = 0
        with contextlib.suppress(ConnectionError):
            while piece := await self.read():
                received += piece
                while (answer := answer_at(received, at, method=method)) is not None:
                    if not answer.start[1].startswith(b"1"):
                        return answer
                    at = answer.end
        return None

    def end_sending(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the other side gets a reset."""
        reset_on_close(self._sock)
        self._sock.close()

    def close(self) -> None:
        self._sock.close()


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    """Connect to the proxy."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        yield Caller(sock)
    finally:
        sock.close()


def reset_on_close(sock: Any) -> None:
    """Make closing a socket a reset: lingering is on, for no time at all."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers_in(received: bytes, *, methods: Sequence[bytes] = (), in_order: bool = True) -> list[Message]:
    """Return the whole answers, interim ones included; raises `NotHttpError` where one is malformed.

    `methods` are those of the requests, GET where there are no more.
    """
    found: list[Message] = []
    waiting = list(methods)
    at = 0
    while at < len(received):
        method = waiting[0] if waiting else b"GET"
        message = answer_at(received, at, method=method, has_ended=in_order)
        if message is None:
            break
        found.append(message)
        at = message.end
        if waiting and not message.start[1].startswith(b"1"):
            waiting.pop(0)
    return found


def is_ours(answer: Message) -> bool:
    """Whether an answer is the sidecar's own."""
    return bool(answer.values(b"sidecar-error"))


def faults(records: Sequence[logging.LogRecord]) -> list[str]:
    """Return the records that tell of a fault inside the sidecar, not of a refusal."""
    return [record.getMessage() for record in records if record.levelno >= logging.ERROR or record.exc_info]
