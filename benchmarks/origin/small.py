"""Serve one small answer as fast as Python can, where nginx is not installed.

`GET /echo` answers with the request's `Authorization`, every other target with the small body.

Run as `python -m benchmarks.origin.small PLAIN TLS CERTIFICATE KEY BODY`. Scope: requests without a body.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from pathlib import Path
from typing import cast

from benchmarks.fastest_loop import run
from benchmarks.origin.bulk import field


class Small(asyncio.Protocol):
    """One connection: an answer for every head that ends."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._kept = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._kept = (self._kept + data).split(b"\r\n\r\n")
        for head in heads:
            if head.startswith(b"GET /echo "):
                self._transport.write(_answer(field(head, b"authorization"), b"text/plain"))
            else:
                self._transport.write(self._answer)


def _answer(body: bytes, kind: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body)


async def _main(plain: int, tls: int, certificate: str, key: str, body: bytes) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    answer = _answer(body, b"application/json")
    for port, tls_context in ((plain, None), (tls, context)):
        await loop.create_server(lambda: Small(answer), "127.0.0.1", port, ssl=tls_context, backlog=4096)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


if __name__ == "__main__":
    run(_main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]).read_bytes()))
