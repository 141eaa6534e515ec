"""The proxy's listener: aiohttp's server with everything ended that it would tidy up, echo or wait for.

On top of the strict connections that all our listeners share, a proxy passes on what it does not understand.
aiohttp holds back what follows a request to upgrade, calls an unknown method malformed, and gives an answer a
Server, a Date and a Content-Type; here upgrades are declined, such a method is told so, and the answer is on
the wire before aiohttp hears of it.

Scope: the listener's life and its connections. Which request is served, and how, is `handler`.
"""

from __future__ import annotations

import asyncio
import errno
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod

from sidecar.errors import MethodNotAllowedError
from sidecar.proxy.gate import Arrival
from sidecar.proxy.incoming import BodyLimits, Incoming
from sidecar.web.answers import problem_answer
from sidecar.web.strict_handler import HeadLimits, StrictHandler, StrictServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.proxy.gate import OwnListeners
    from sidecar.proxy.handler import Handler
    from sidecar.telemetry.metrics import Metrics

BACKLOG: Final = 1024
"""Connections the kernel holds for us; Linux's own default bound since 5.4 is 4096, Go uses that bound."""
STOP_GRACE: Final = 1.0
"""Seconds between the end of draining and the cut."""
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ ")
# llhttp's longest method has 11 characters; a longer unknown one is only told apart less politely.
_START_BYTES: Final = 64


class ProxyListener:
    """Serves a `Handler` on a TCP address or a Unix socket.

    `start` raises `OSError` where the address cannot be bound. After it, `address` says what was bound, also
    where port 0 let the system choose. `drain` refuses new requests and waits for those in flight; `stop`
    ends the listener for good and may be called in any state.
    """

    __slots__ = ("_bound", "_handler", "_host", "_limits", "_metrics", "_own", "_path", "_port", "_server")

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
        self._server: _Server | None = None
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
        server = _Server(self._handler, limits=self._limits, is_local=bool(self._path), count=self._count)
        if self._path:
            # asyncio removes whatever socket is there: right for one that a killed process left, and theft
            # of one that somebody serves.
            if await _is_served(self._path):
                raise OSError(errno.EADDRINUSE, "another process serves it")
            self._bound = await loop.create_unix_server(server, self._path, backlog=BACKLOG)
        else:
            self._bound = await loop.create_server(server, self._host, self._port, backlog=BACKLOG)
            for sock in self._bound.sockets:
                self._own.add(*sock.getsockname()[:2])
        self._server = server

    async def drain(self, timeout: float) -> None:
        """Refuse new requests with 503 `draining` and wait for those in flight, `timeout` seconds at most."""
        await self._handler.drain(timeout)

    async def stop(self) -> None:
        if self._bound is None or self._server is None:
            return
        self._bound.close()
        # Ends idle connections; `shutdown` alone would wait for their next request.
        self._server.pre_shutdown()
        await self._server.shutdown(STOP_GRACE)
        await self._bound.wait_closed()
        if self._path:
            await asyncio.to_thread(Path(self._path).unlink, missing_ok=True)

    def _count(self, code: str) -> None:
        self._metrics.errors.labels(code=code).inc()


async def _is_served(path: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


class _Server(StrictServer):
    """Makes the connections and gives their requests to the handler."""

    def __init__(
        self,
        handler: Handler,
        *,
        limits: tuple[HeadLimits, BodyLimits],
        is_local: bool,
        count: Callable[[str], None],
    ) -> None:
        super().__init__(self._serve, limits=limits[0], count=count)
        self._handler = handler
        self._body_limits = limits[1]
        self._is_local = is_local

    def __call__(self) -> _Connection:
        return _Connection(self, loop=self._loop, limits=self._limits, count=self._count)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        arrival = Arrival(address=None if self._is_local else _local_address(request))
        incoming = Incoming(request, arrival=arrival, limits=self._body_limits)
        await self._handler.serve(incoming)
        return _Written(keeps_alive=incoming.keeps_alive)


def _local_address(request: web.BaseRequest) -> str:
    name = request.protocol.sockname
    return name[0] if isinstance(name, tuple) else ""


class _Connection(StrictHandler):
    """A strict connection that knows an unknown method when it sees one, and declines upgrades."""

    __slots__ = ("_start",)

    def data_received(self, data: bytes) -> None:
        if self._head_bytes == 0:
            self._start = data[:_START_BYTES]
        super().data_received(data)
        if self._upgraded:
            self._decline_upgrade()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a method that llhttp does not know with 501, anything else as all our listeners do."""
        if not isinstance(exc, BadHttpMethod) or not _METHOD.match(self._start):
            return super().handle_error(request, status, exc, message)
        error = MethodNotAllowedError("The method is not known here.", status=501)
        self._count(error.code)
        answer = problem_answer(error)
        answer.force_close()
        return answer

    def _decline_upgrade(self) -> None:
        """Read on as if no upgrade had been asked for: the field is removed, so no provider accepts it."""
        if self._parser is not None:
            self._parser.set_upgraded(False)
        self._upgraded = False
        tail, self._message_tail = self._message_tail, b""
        if tail:
            self.data_received(tail)


class _Written(web.StreamResponse):
    """Tells aiohttp that the answer is on the wire already, and whether the connection goes on."""

    def __init__(self, *, keeps_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keeps_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""
