"""Tell the cluster how we are: alive, started, ready, and the numbers.

A sidecar that reports "not ready" whenever its identity provider is away takes every app down with it. So
readiness asks whether the keys and the store were reached once; a later outage is told, and nothing more,
because warm users are still served (docs/reference/http.md).

Scope: the ops listener. Its answers hold no secret and no name of a user; anybody who reaches it may ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from sidecar.web.answers import Answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.telemetry.metrics import Metrics

KEYS: Final = "keys"
STORE: Final = "store"
# What `Metrics.render` gives; prometheus_client calls it by different names in different versions.
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """What the process knows of its own state; `needs` are what must be reached once before it is ready."""

    __slots__ = ("_is_draining", "_is_started", "_needs")

    def __init__(self, *needs: str) -> None:
        self._is_started = False
        self._is_draining = False
        self._needs = dict.fromkeys(needs or (KEYS, STORE), "waiting")

    def started(self) -> None:
        """Note that the settings are read and the listeners bound."""
        self._is_started = True

    def reached(self, need: str) -> None:
        self._needs[need] = "reached"

    def lost(self, need: str) -> None:
        """Note an outage of what was reached before; what never was is still waited for."""
        if self._needs[need] == "reached":
            self._needs[need] = "lost"

    def draining(self) -> None:
        """Note that the process is on its way out; this is never taken back."""
        self._is_draining = True

    @property
    def is_started(self) -> bool:
        return self._is_started

    @property
    def is_ready(self) -> bool:
        return self._is_started and not self._is_draining and "waiting" not in self._needs.values()

    @property
    def status(self) -> str:
        """One word: `starting`, `ready`, `degraded` or `draining`."""
        if self._is_draining:
            return "draining"
        if not self.is_ready:
            return "starting"
        return "degraded" if "lost" in self._needs.values() else "ready"

    @property
    def needs(self) -> dict[str, str]:
        """What was asked for, each `waiting`, `reached` or `lost`."""
        return dict(self._needs)


def ops_routes(health: Health, metrics: Metrics) -> list[web.RouteDef]:
    """Return everything the ops listener serves; GET routes answer HEAD as well."""
    return [
        web.get("/livez", _livez),
        web.get("/startupz", _startupz(health)),
        web.get("/readyz", _readyz(health)),
        web.get("/metrics", _metrics(metrics)),
    ]


async def _livez(_: web.Request) -> web.StreamResponse:
    # That this runs at all is the answer: the event loop turns.
    return json_answer({"status": "alive"})


def _startupz(health: Health) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def startupz(_: web.Request) -> web.StreamResponse:
        status = "started" if health.is_started else "starting"
        return json_answer({"status": status}, status=200 if health.is_started else 503)

    return startupz


def _readyz(health: Health) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def readyz(request: web.Request) -> web.StreamResponse:
        code = 200 if health.is_ready else 503
        if "verbose" not in request.query:
            return json_answer({"status": "ready" if health.is_ready else health.status}, status=code)
        return json_answer({"status": health.status, "needs": health.needs}, status=code)

    return readyz


def _metrics(metrics: Metrics) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def render(_: web.Request) -> web.StreamResponse:
        fields = {"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"}
        return Answer(body=metrics.render(), headers=fields)

    return render
