"""Give every exchange a connection to its provider: one that is there, or a new one.

Scope: finding connections. How they are kept is `pool`'s, how they are made `dialling`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.errors import UpstreamUnreachableError
from sidecar.proxy.answers import AnswerHeads
from sidecar.proxy.deadlines import Deadlines
from sidecar.proxy.exchange import AnswerTimeouts, Exchange
from sidecar.proxy.pool import IDLE_TIMEOUT, Pool, ear_at
from sidecar.proxy.provider import ProviderConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.errors import SidecarError
    from sidecar.proxy.dialling import Dialler
    from sidecar.proxy.exchange import Outgoing
    from sidecar.proxy.incoming import Incoming

__all__ = ["AnswerTimeouts", "Upstream"]


class Upstream:
    """Exchanges requests with providers."""

    __slots__ = ("_deadlines", "_dialler", "_heads", "_pool", "_timeouts")

    def __init__(self, dialler: Dialler, *, timeouts: AnswerTimeouts) -> None:
        self._dialler = dialler
        self._timeouts = timeouts
        self._pool: Pool[ProviderConnection] = Pool()
        self._heads = AnswerHeads()
        self._deadlines = Deadlines((timeouts.response_head, timeouts.idle, IDLE_TIMEOUT))

    def carry(
        self, outgoing: Outgoing, incoming: Incoming, *, on_failed: Callable[[Incoming, SidecarError], None]
    ) -> Exchange | None:
        """Send the request now if there is a connection; return the exchange that needs one otherwise."""
        exchange = Exchange(
            outgoing, incoming, heads=self._heads, timeouts=self._timeouts, on_failed=on_failed
        )
        connection = self._pool.take(outgoing.asked.place)
        if connection is None:
            return exchange
        exchange.begin(connection)
        return None

    async def dial(self, exchange: Exchange, outgoing: Outgoing) -> None:
        """Send the request on a new connection; raises the errors of `Dialler.dial`."""
        address, place = outgoing.asked.address, outgoing.asked.place
        connection = await self._dialler.dial(
            address.provider,
            address.host.origin,
            lambda: ProviderConnection(place, pool=self._pool, deadlines=self._deadlines),
        )
        connection.ear = ear_at(connection.sock)
        if not connection.is_usable:
            raise UpstreamUnreachableError("The provider closed the connection at once.")
        exchange.begin(connection)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pool.close()
