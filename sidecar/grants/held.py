"""Hold refreshed token sets that could not be written, and write them as soon as the store is back.

After a rotation the new refresh token is the only live one. If the store is away at that moment, dropping
the answer would lose the user, so it is kept in memory, served from there, and the write is tried until it
succeeds; shutting down waits for it.

Scope: unwritten sets of one process. A process that is killed now loses them: that cannot be helped.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from sidecar.errors import StoreUnavailableError

if TYPE_CHECKING:
    from sidecar.grants.model import Grant, GrantId
    from sidecar.grants.store import GrantStore

log = logging.getLogger(__name__)

RETRY_AFTER: Final = 0.5
"""Seconds between tries; the store's own breaker makes a try cheap while it is away."""


class HeldSets:
    """Grants with a set that the store does not have yet, and the tasks that write them."""

    __slots__ = ("_grants", "_store", "_writers")

    def __init__(self, store: GrantStore) -> None:
        self._store = store
        self._grants: dict[GrantId, Grant] = {}
        self._writers: set[asyncio.Task[None]] = set()

    def newer_than(self, grant: Grant) -> Grant | None:
        """Return the held grant if it is newer than what the store gave."""
        held = self._grants.get(grant.id)
        return held if held is not None and held.version > grant.version else None

    def hold(self, renewed: Grant, *, spent_version: int) -> None:
        """Keep `renewed` and write it over `spent_version` when that is possible again."""
        log.error("the store is away; a refreshed token set is held in memory until it is back")
        self._grants[renewed.id] = renewed
        writer = asyncio.get_running_loop().create_task(self._write(renewed, spent_version))
        self._writers.add(writer)
        writer.add_done_callback(self._writers.discard)

    async def drain(self) -> None:
        """Wait until every held set is written."""
        while self._writers:
            await asyncio.wait(self._writers)

    async def _write(self, renewed: Grant, spent_version: int) -> None:
        try:
            while True:
                try:
                    is_written = await self._store.replace(renewed, version=spent_version)
                except StoreUnavailableError:
                    await asyncio.sleep(RETRY_AFTER)
                    continue
                log.info("a held token set is written" if is_written else "a held token set was overtaken")
                return
        finally:
            # Its write may have arrived before we heard of it, and the next set be held in its place.
            if self._grants.get(renewed.id) is renewed:
                del self._grants[renewed.id]
