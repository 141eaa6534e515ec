"""A small HTTP/1.1 server on loopback that sends exactly what it is told and nothing more.

The boxes must be able to break every rule: answer with bytes of a test's own making, stop in the middle,
write late on an idle connection, add no field of their own. A framework prevents all of that, so this
server is made of `asyncio` streams alone.

Scope: 127.0.0.1, for tests and the demo. It is not meant to face anybody.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

from sidecar.testing.certificates import LoopbackAuthority
from sidecar.testing.messages import HEAD_BYTES, Fields, MalformedRequestError, Request, read_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from sidecar.testing.waiting import Watch

T = TypeVar("T")

# With asyncio's 100, a burst of callers loses some of their first packets and waits a second for the next.
BACKLOG: Final = 1024


class Connection(asyncio.StreamReaderProtocol):
    """One accepted connection; `hung_up` is set when the other side closed it, or its sending half."""

    def __init__(self, accepted: Callable[[Connection], None]) -> None:
        self.reader = asyncio.StreamReader(limit=HEAD_BYTES)
        super().__init__(self.reader, lambda _, writer: self._ready(writer))
        self._accepted = accepted
        self.writer: asyncio.StreamWriter
        self.hung_up = asyncio.Event()
        self.exchange: Exchange | None = None

    def eof_received(self) -> bool | None:
        self.hung_up.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.hung_up.set()
        super().connection_lost(exc)

    def _ready(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._accepted(self)


class Exchange:
    """A request and the means to answer it, rightly or wrongly."""

    __slots__ = ("_writer", "hung_up", "is_last", "request")

    def __init__(self, request: Request, writer: asyncio.StreamWriter, hung_up: asyncio.Event) -> None:
        self.request = request
        self.hung_up = hung_up
        self.is_last = not request.keeps_connection
        self._writer = writer

    async def send(self, status: int, body: bytes = b"", *, headers: Fields = ()) -> None:
        """Answer with `headers`, a `Content-Length` and `body` (left out for HEAD)."""
        await self.start(status, (*headers, ("Content-Length", str(len(body)))))
        if body and self.request.method != "HEAD":
            await self.write(body)

    async def start(self, status: int, headers: Fields) -> None:
        """Write the head alone; the body is up to the caller."""
        lines = [f"HTTP/1.1 {status} {_reason(status)}", *(f"{name}: {value}" for name, value in headers)]
        if self.is_last:
            lines.append("Connection: close")
        await self.write("\r\n".join((*lines, "", "")).encode("latin-1"))

    async def write(self, data: bytes) -> None:
        """Write these very bytes, and wait while the other side does not read."""
        self._writer.write(data)
        await self._writer.drain()

    async def chunk(self, data: bytes) -> None:
        """Write one chunk of a chunked body; an empty one ends it."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def abort(self) -> None:
        """Break the connection off here, whatever was promised."""
        self.is_last = True
        self._writer.transport.abort()

    async def unless_hung_up(self, wait: Coroutine[Any, Any, T]) -> T:
        """Return what `wait` returns; raises `ConnectionResetError` where the caller hangs up first."""
        waiting = asyncio.ensure_future(wait)
        gone = asyncio.ensure_future(self.hung_up.wait())
        try:
            await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise ConnectionResetError("the caller hung up")
        finally:
            waiting.cancel()
            gone.cancel()


class LoopbackServer:
    """Serve exchanges on 127.0.0.1 with `handle`, one after the other on each connection.

    `port` is chosen by the system when it starts and kept while it is paused. `abandoned` counts the
    exchanges whose caller hung up before they ended. `authority` is what a client trusts, with `tls`.
    """

    __slots__ = ("_connections", "_handle", "_server", "_watch", "abandoned", "authority", "port")

    def __init__(
        self, handle: Callable[[Exchange], Awaitable[None]], *, watch: Watch, tls: bool = False
    ) -> None:
        self._handle = handle
        self._watch = watch
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self.authority = LoopbackAuthority() if tls else None
        self.port = 0
        self.abandoned = 0

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    @property
    def origin(self) -> str:
        """Scheme, host and port; known once the server was started."""
        if not self.port:
            raise RuntimeError("start the box before asking for its address")
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; after `pause`, where it listened before."""
        context = self.authority.server_context() if self.authority else None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._accepted), "127.0.0.1", self.port, ssl=context, backlog=BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def pause(self) -> None:
        """Refuse new connections and break off the open ones, until `start`."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        tasks = list(self._connections)
        for task, connection in self._connections.items():
            task.cancel()
            # A task cancelled before its first step never reaches its own clean-up.
            connection.writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    async def close(self) -> None:
        """Stop for good."""
        await self.pause()
        if self.authority is not None:
            self.authority.close()

    def write_to_idle(self, data: bytes) -> int:
        """Write `data` on every connection that waits for a request; return how many there were.

        This is how an answer nobody asked for gets onto a kept-alive connection.
        """
        idle = [connection for connection in self._connections.values() if connection.exchange is None]
        for connection in idle:
            connection.writer.write(data)
        return len(idle)

    def _accepted(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._connections[task] = connection
        task.add_done_callback(self._ended)
        self._watch.changed()

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        self._watch.changed()

    async def _serve(self, connection: Connection) -> None:
        try:
            while await self._exchange(connection):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            # The caller hung up: that is its right, and what many tests are about.
            pass
        finally:
            connection.writer.transport.abort()

    async def _exchange(self, connection: Connection) -> bool:
        """Serve one request; return whether the connection takes another."""
        writer = connection.writer
        try:
            request = await read_request(
                connection.reader, on_expect=lambda: writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            )
            exchange = connection.exchange = Exchange(request, writer, connection.hung_up)
            await self._handle(exchange)
            # A body nobody read would be taken for the next request, or cost the caller the answer.
            await request.body.read()
        except (MalformedRequestError, asyncio.LimitOverrunError):
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await _flush(writer)
            return False
        finally:
            if connection.exchange is not None:
                self.abandoned += connection.hung_up.is_set()
            connection.exchange = None
            self._watch.changed()
        if exchange.is_last:
            await _flush(writer)
        return not exchange.is_last


async def _flush(writer: asyncio.StreamWriter) -> None:
    """Close so that what was written still arrives."""
    writer.close()
    await writer.wait_closed()


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Odd"
