"""Leases over Redis: a key with an owner that ends by itself.

One server orders the attempts. A lease may be lost in a failover, and a paused holder outlives its own; the
grant's version decides what counts, so neither does harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.storage.redis.scripts import RELEASE, RENEW

if TYPE_CHECKING:
    from sidecar.storage.redis.keys import Keys
    from sidecar.storage.redis.link import RedisLink


class RedisLeases:
    """`Leases` for every process that shares the server; the server's clock ends them."""

    __slots__ = ("_keys", "_link")

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def acquire(self, name: str, *, owner: str, ttl: float) -> bool:
        taken = await self._link.call("SET", self._keys.lease(name), owner, "NX", "PX", _milliseconds(ttl))
        return taken is not None

    async def renew(self, name: str, *, owner: str, ttl: float) -> bool:
        return bool(await self._link.run(RENEW, self._keys.lease(name), owner, _milliseconds(ttl)))

    async def release(self, name: str, *, owner: str) -> None:
        await self._link.run(RELEASE, self._keys.lease(name), owner)


def _milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))
