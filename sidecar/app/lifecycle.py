"""Start everything in order, stop it in reverse, and lose nothing in between.

Starting never waits for an identity provider or a Redis: the listeners are bound first, and what is not
there yet is watched for. Stopping answers "not ready" at once, lets requests in flight end, then writes what
is held, then closes.

Scope: the order. What the parts are is `build`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.app.watch import look_at_store, watch_keys, watch_store
from sidecar.errors import ConfigurationError
from sidecar.telemetry.lag import sample_lag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.broker import Broker
    from sidecar.connect.flow import ConnectFlow
    from sidecar.grants.connect import ConnectLinks
    from sidecar.grants.refresh import Refresher
    from sidecar.grants.store import GrantStore
    from sidecar.identity.jwks import RemoteKeySet
    from sidecar.outbound.client import OutboundClient
    from sidecar.proxy.gate import OwnListeners
    from sidecar.proxy.inbound import ProxyListener
    from sidecar.storage.model import Storage
    from sidecar.telemetry.metrics import Metrics
    from sidecar.web.health import Health
    from sidecar.web.listener import Listener

log = logging.getLogger(__name__)

FIRST_LOOK_TIMEOUT: Final = 1.0
"""Seconds the start waits for the store, so that keys that do not fit stop it loudly."""
PERSIST_AT_LEAST: Final = 5.0
"""Seconds for token calls under way, also where nothing is drained: their answers are the users' only live
tokens. It is what the 30 s of Kubernetes leave after 25 s of draining."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that is started and stopped."""

    storage: Storage
    store: GrantStore
    keys: RemoteKeySet
    outbound: OutboundClient
    refresher: Refresher
    broker: Broker
    proxy: ProxyListener
    ops: Listener
    control: Listener
    flow: ConnectFlow
    links: ConnectLinks
    own: OwnListeners
    health: Health
    metrics: Metrics
    public_url: str
    drain_timeout: float


class App:
    """One running sidecar."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._watches: list[asyncio.Task[object]] = []

    @property
    def addresses(self) -> dict[str, str]:
        """Where the listeners are bound, by name."""
        parts = self._parts
        return {
            "proxy": parts.proxy.address,
            "ops": parts.ops.address,
            "control": parts.control.address,
        }

    async def start(self) -> None:
        """Bind the listeners and begin to look for the rest.

        Raises `ConfigurationError` for an address that cannot be bound and a store that can never open.
        """
        parts = self._parts
        await parts.storage.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_TIMEOUT):
                await look_at_store(parts.store)
        parts.keys.start()
        for name, listener in self._listeners():
            try:
                await listener.start()
            except OSError as exc:
                raise ConfigurationError(
                    f"listen.{name}: {listener.address} cannot be bound ({exc.strerror or 'in use'})"
                ) from exc
        for host, port in (*parts.ops.bound, *parts.control.bound):
            parts.own.add(host, port)
        if not parts.public_url:
            # Only now is a port known that the system chose.
            parts.links.base_url = f"http://{parts.control.address}"
        self._watches = [
            asyncio.create_task(watch_store(parts.store, parts.health, parts.metrics)),
            asyncio.create_task(watch_keys(parts.keys, parts.health)),
            asyncio.create_task(sample_lag(parts.metrics.event_loop_lag.set)),
        ]
        parts.health.started()
        log.info("started", extra=self.addresses)

    async def failed(self) -> None:
        """Return never; raise what a watch found that makes going on impossible."""
        done, _ = await asyncio.wait(self._watches, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def drain(self) -> None:
        """Say "not ready", refuse new requests, and wait for those in flight, `drain_timeout` at most."""
        self._parts.health.draining()
        await self._parts.proxy.drain(self._parts.drain_timeout)

    async def close(self) -> None:
        """Persist what is held, then close everything; may be called after a start that failed half way."""
        parts = self._parts
        parts.health.draining()
        await parts.proxy.stop()
        # Side by side: a stalled control call must not use up the time that a token set needs.
        await asyncio.gather(self._persist(), parts.control.stop())
        # What came in on the control listener while that was going on.
        await parts.flow.close()
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await parts.keys.close()
        await parts.outbound.close()
        await parts.ops.stop()
        await parts.storage.close()

    async def _persist(self) -> None:
        """Wait for refreshes in flight and for sets the store does not have yet."""
        try:
            async with asyncio.timeout(max(self._parts.drain_timeout, PERSIST_AT_LEAST)):
                await self._parts.flow.close()
                await self._parts.broker.close()
                await self._parts.refresher.close()
        except TimeoutError:
            log.exception("a refreshed token set could not be stored before the end")

    def _listeners(self) -> Sequence[tuple[str, ProxyListener | Listener]]:
        parts = self._parts
        return (("ops", parts.ops), ("control", parts.control), ("proxy", parts.proxy))
