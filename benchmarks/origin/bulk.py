"""Serve large bodies at the kernel's own speed, and the issuer's key set.

- `GET /down/<bytes>`: that many zero bytes, by `sendfile`.
- `POST /up`: reads the whole body, then says how many bytes it was.
- `GET /echo`: the request's `Authorization`.
- `GET /jwks.json`.

Run as `python -m benchmarks.origin.bulk PORT KEYSET`.

Scope: requests with `Content-Length` or without a body.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO, Final

BLOCK: Final = 1024 * 1024
HEAD_BYTES: Final = 64 * 1024
FILE_BYTES: Final = 16 * BLOCK
"""What downloads are sent from, again and again: small enough to stay in the page cache."""


def field(head: bytes, name: bytes) -> bytes:
    """Return a field's value; `name` in lower case. Good enough for the heads that proxies write."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


class Bulk:
    """One listening socket and the file behind it."""

    def __init__(self, file: IO[bytes], key_set: bytes) -> None:
        self._file = file
        self._key_set = key_set
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(self._converse(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _converse(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        kept = b""
        # A proxy may hang up whenever it likes: that ends the conversation and nothing else.
        with connection, contextlib.suppress(ConnectionError):
            while True:
                while b"\r\n\r\n" not in kept:
                    block = await loop.sock_recv(connection, HEAD_BYTES)
                    if not block:
                        return
                    kept += block
                head, _, kept = kept.partition(b"\r\n\r\n")
                kept = await self._answer(connection, head, kept)

    async def _answer(self, connection: socket.socket, head: bytes, kept: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        path = head.split(b" ", 2)[1]
        length = int(field(head, b"content-length") or 0)
        received, rest = await self._swallow(connection, kept, length)
        if path.startswith(b"/down/"):
            size = int(path.rpartition(b"/")[2])
            await loop.sock_sendall(connection, _head(size, b"application/octet-stream"))
            while size:
                sent = min(size, FILE_BYTES)
                await loop.sock_sendfile(connection, self._file, 0, sent)
                size -= sent
            return rest
        known = {b"/up": b"%d" % received, b"/echo": field(head, b"authorization")}
        body = self._key_set if path == b"/jwks.json" else known.get(path, b"?")
        kind = b"application/json" if path == b"/jwks.json" else b"text/plain"
        await loop.sock_sendall(connection, _head(len(body), kind) + body)
        return rest

    async def _swallow(self, connection: socket.socket, kept: bytes, length: int) -> tuple[int, bytes]:
        """Read a body of `length` bytes; return how long it was and what came after it."""
        loop = asyncio.get_running_loop()
        buffer = bytearray(BLOCK)
        received = len(kept[:length])
        while received < length:
            block = await loop.sock_recv_into(connection, memoryview(buffer)[: length - received])
            if not block:
                raise ConnectionResetError
            received += block
        return received, kept[length:]


def _head(length: int, kind: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, length)


async def _main(port: int, key_set: bytes) -> None:
    with (
        tempfile.TemporaryFile() as file,
        socket.create_server(("127.0.0.1", port), backlog=4096) as listener,
    ):
        file.write(bytes(FILE_BYTES))
        listener.settimeout(0)
        serving = asyncio.ensure_future(Bulk(file, key_set).serve(listener))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serving


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
