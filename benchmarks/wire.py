"""Speak to a target over a plain socket: the checks before the timing, large bodies, readers that stall.

A client library would add its own cost to large bodies and its own opinion to the checks.

Scope: blocking calls with a deadline, one exchange per connection.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.origin.bulk import field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.model import Target

PATIENCE: Final = 60.0
BLOCK: Final = 1024 * 1024
STALLED_BUFFER: Final = 16 * 1024
"""Receive buffer of a reader that stalls: what it does not read waits in the proxy and not in the kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer's status and body."""

    status: int
    body: bytes


def request(
    target: Target, path: str, token: str, *, method: str = "GET", body: bytes | None = None
) -> Reply:
    """Make one exchange, reading to the end of the body. Raises `OSError` for an answer that breaks off."""
    with _connect(target) as connection:
        connection.sendall(_head(target, path, token, method=method, length=len(body) if body else 0))
        if body:
            connection.sendall(body)
        head, rest = _read_head(connection)
        length = int(field(head, b"content-length") or 0)
        while len(rest) < length:
            rest += _receive(connection)
        return Reply(status=int(head.split(b" ", 2)[1]), body=rest)


def download_seconds(target: Target, token: str, size: int) -> float:
    """Fetch `size` bytes and throw them away; return how long it took from request to last byte."""
    buffer = bytearray(BLOCK)
    with _connect(target) as connection:
        started = time.perf_counter()
        connection.sendall(_head(target, f"/down/{size}", token, method="GET", length=0))
        head, rest = _read_head(connection)
        _expect_ok(head)
        received = len(rest)
        while received < size:
            got = connection.recv_into(buffer)
            if not got:
                raise ConnectionError(f"the download broke off after {received} bytes")
            received += got
        return time.perf_counter() - started


def upload_seconds(target: Target, token: str, size: int) -> float:
    """Send `size` bytes; return how long it took until the provider said it had them all."""
    block = bytes(BLOCK)
    with _connect(target) as connection:
        started = time.perf_counter()
        connection.sendall(_head(target, "/up", token, method="POST", length=size))
        left = size
        while left:
            connection.sendall(block[:left])
            left -= min(left, BLOCK)
        head, rest = _read_head(connection)
        _expect_ok(head)
        while len(rest) < int(field(head, b"content-length")):
            rest += _receive(connection)
        if int(rest) != size:
            raise ConnectionError(f"the provider counted {int(rest)} bytes of {size}")
        return time.perf_counter() - started


@contextlib.contextmanager
def stalled_readers(target: Target, token: str, count: int, size: int) -> Iterator[None]:
    """Keep `count` downloads of `size` bytes open whose first bytes came and whose rest nobody reads."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(_connect(target, buffer=STALLED_BUFFER))
            connection.sendall(_head(target, f"/down/{size}", token, method="GET", length=0))
            connections.append(connection)
        for connection in connections:
            _expect_ok(connection.recv(64))
        yield


@contextlib.contextmanager
def idle_connections(target: Target, token: str, count: int) -> Iterator[None]:
    """Keep `count` connections open that have each made one small exchange."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(_connect(target))
            connection.sendall(_head(target, "/small", token, method="GET", length=0))
            _expect_ok(connection.recv(4096))
        yield


def _connect(target: Target, *, buffer: int = 0) -> socket.socket:
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", target.port))
    return connection


def _head(target: Target, path: str, token: str, *, method: str, length: int) -> bytes:
    framing = f"Content-Length: {length}\r\n" if length else ""
    return (
        f"{method} {target.prefix}{path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token}\r\n{framing}\r\n"
    ).encode()


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    kept = b""
    while b"\r\n\r\n" not in kept:
        kept += _receive(connection)
    head, _, rest = kept.partition(b"\r\n\r\n")
    return head, rest


def _receive(connection: socket.socket) -> bytes:
    block = connection.recv(BLOCK)
    if not block:
        raise ConnectionError("the answer broke off")
    return block


def _expect_ok(head: bytes) -> None:
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"not the answer we wanted: {head[:60]!r}")
