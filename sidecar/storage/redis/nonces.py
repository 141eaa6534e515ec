"""Nonces over Redis: a key that is set once and ends by itself.

A failover to a replica that lags may forget a claim of the last moment. What a nonce guards is sealed and
bound to a browser as well, so it is not the only lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.storage.redis.keys import Keys
    from sidecar.storage.redis.link import RedisLink


class RedisNonces:
    """`Nonces` for every process that shares the server; the server's clock ends them."""

    __slots__ = ("_keys", "_link")

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def claim(self, name: str, *, ttl: float) -> bool:
        milliseconds = max(1, round(ttl * 1000))
        return await self._link.call("SET", self._keys.nonce(name), "", "NX", "PX", milliseconds) is not None
