"""The proxy's listener: bound, drained, stopped.

Scope: the listener's life. Its connections are `caller`'s, what they ask for is `handler`'s.
"""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.proxy.caller import CallerConnection
from sidecar.proxy.deadlines import Deadlines
from sidecar.proxy.reception import KEEPALIVE_TIMEOUT, LINGER, Reception

if TYPE_CHECKING:
    from sidecar.proxy.gate import OwnListeners
    from sidecar.proxy.handler import Handler
    from sidecar.proxy.incoming import BodyLimits
    from sidecar.proxy.reception import Open
    from sidecar.telemetry.metrics import Metrics
    from sidecar.web.strict_handler import HeadLimits

BACKLOG: Final = 1024
"""Connections the kernel holds for us; Linux's own default bound since 5.4 is 4096, Go uses that bound."""
MOST_CONNECTIONS: Final = 20_000
"""Open at a time, at 3 KiB each; twice the requests that are served at a time by default."""
STOP_GRACE: Final = 1.0
"""Seconds between the end of draining and the cut."""
TURNS_TO_END: Final = 3
"""Turns of the loop in which a connection accepted last is made, aborted, and told so."""


class ProxyListener:
    """Serves a `Handler` on a TCP address or a Unix socket.

    `start` raises `OSError` where the address cannot be bound. After it, `address` says what was bound, also
    where port 0 let the system choose. `drain` refuses new requests and waits for those in flight; `stop`
    ends the listener for good and may be called in any state.
    """

    __slots__ = ("_bound", "_handler", "_host", "_limits", "_metrics", "_open", "_own", "_path", "_port")

    def __init__(
        self,
        handler: Handler,
        *,
        host: str = "",
        port: int = 0,
        path: str = "",
        own: OwnListeners,
        metrics: Metrics,
        limits: tuple[HeadLimits, BodyLimits],
    ) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._path = path
        self._own = own
        self._metrics = metrics
        self._limits = limits
        self._open: set[Open] = set()
        self._bound: asyncio.Server | None = None

    @property
    def port(self) -> int:
        return self._bound.sockets[0].getsockname()[1] if self._bound and not self._path else self._port

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 literal in brackets, or `unix:/path`."""
        if self._path:
            return f"unix:{self._path}"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        reception = self._reception()
        if self._path:
            # asyncio removes whatever socket is there: right for one that a killed process left, and theft
            # of one that somebody serves.
            if await _is_served(self._path):
                raise OSError(errno.EADDRINUSE, "another process serves it")
            self._bound = await loop.create_unix_server(
                lambda: CallerConnection(reception), self._path, backlog=BACKLOG
            )
            return
        self._bound = await loop.create_server(
            lambda: CallerConnection(reception), self._host, self._port, backlog=BACKLOG
        )
        for sock in self._bound.sockets:
            self._own.add(*sock.getsockname()[:2])

    async def drain(self, timeout: float) -> None:
        """Refuse new requests with 503 `draining` and wait for those in flight, `timeout` seconds at most."""
        await self._handler.drain(timeout)

    async def stop(self) -> None:
        if self._bound is None:
            return
        await self._accept_no_more(self._bound)
        for connection in list(self._open):
            connection.stop()
        await self._handler.drain(STOP_GRACE)
        for _ in range(TURNS_TO_END):
            for connection in list(self._open):
                connection.transport.abort()
            await asyncio.sleep(0)
        await self._handler.close()
        await self._bound.wait_closed()
        if self._path:
            await asyncio.to_thread(Path(self._path).unlink, missing_ok=True)

    async def _accept_no_more(self, bound: asyncio.Server) -> None:
        """Close the listening sockets, after the connections accepted from them have been made.

        asyncio loses a connection, unclosed, whose server is closed in the turn in which it was accepted.
        """
        loop = asyncio.get_running_loop()
        for sock in bound.sockets:
            loop.remove_reader(sock.fileno())
        for _ in range(TURNS_TO_END):
            await asyncio.sleep(0)
        bound.close()

    def _reception(self) -> Reception:
        heads, bodies = self._limits
        return Reception(
            serve=self._handler.serve,
            heads=heads,
            bodies=bodies,
            deadlines=Deadlines((heads.timeout, bodies.timeout, KEEPALIVE_TIMEOUT, LINGER)),
            count=self._count,
            is_local=bool(self._path),
            open=self._open,
            most=MOST_CONNECTIONS,
        )

    def _count(self, code: str) -> None:
        self._metrics.errors.labels(code=code).inc()


async def _is_served(path: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
