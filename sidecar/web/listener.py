"""A TCP listener of ours that aiohttp serves, from its bind to the end of its last request.

Scope: the control and the ops listener. The data plane has a listener of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.web.middleware import answering
from sidecar.web.strict_handler import HeadLimits, StrictServer

if TYPE_CHECKING:
    from sidecar.telemetry.metrics import Metrics


class Listener:
    """Serves one application on one TCP address.

    `start` raises `OSError` where the address cannot be bound. After it, `port` is the bound one, also where
    port 0 asked the system to choose. `stop` accepts nothing more and gives requests in flight `grace`
    seconds; it may be called in any state, and ends the listener for good.
    """

    __slots__ = ("_host", "_port", "_runner", "_site")

    def __init__(
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        metrics: Metrics,
        limits: HeadLimits | None = None,
        grace: float = 5.0,
    ) -> None:
        self._host = host
        self._port = port
        self._runner = _StrictRunner(
            app, metrics=metrics, limits=limits or HeadLimits(), shutdown_timeout=grace
        )
        self._site: web.TCPSite | None = None

    @property
    def port(self) -> int:
        return self._port if self._site is None else self._site.port

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 literal in brackets."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    @property
    def bound(self) -> tuple[tuple[str, int], ...]:
        """The addresses of its sockets, as the system gives them; a name may stand for several."""
        return tuple(name[:2] for name in self._runner.addresses)

    async def start(self) -> None:
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, self._host, self._port)
        await self._site.start()

    async def stop(self) -> None:
        await self._runner.cleanup()


class _StrictRunner(web.AppRunner):
    """An `AppRunner` whose server is strict and whose answers are all ours."""

    __slots__ = ("_limits", "_metrics")

    def __init__(
        self, app: web.Application, *, metrics: Metrics, limits: HeadLimits, shutdown_timeout: float
    ) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._metrics = metrics
        self._limits = limits

    async def _make_server(self) -> web.Server:
        stock = await super()._make_server()
        handle = answering(stock.request_handler, metrics=self._metrics, limits=self._limits)
        return StrictServer(
            handle, limits=self._limits, request_factory=stock.request_factory, count=self._count
        )

    def _count(self, code: str) -> None:
        self._metrics.errors.labels(code=code).inc()
