"""Make one HTTP request and keep both sides of it as they were on the wire.

Scope: the demo's own calls on loopback, one connection each.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

CALL_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, as it is written."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def head(self) -> str:
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in self.fields),
        ]
        return "\r\n".join(lines)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, as it was read: the head without its last empty line, and the body."""

    head: str
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(" ", 2)[1])


async def exchange(address: str, sent: Sent) -> Answer:
    """Send one request to `host:port` and read the answer to its end."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(CALL_TIMEOUT):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(f"{sent.head}\r\nConnection: close\r\n\r\n".encode() + sent.body)
            await writer.drain()
            raw = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    return Answer(head.decode("latin-1"), body)
