"""Hear which users' grants were written by any process, and know when we would not have.

Pub/Sub forgets: what is published while nobody listens is gone, and a connection can be dead without a
word. So each process sends itself a heartbeat every second along the whole path a change would take, from
the connections that write to the one that listens, and after an interruption everybody is told that
anything may have changed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from sidecar.errors import StoreUnavailableError
from sidecar.outbound.deadline import within
from sidecar.storage.process import ProcessFeed
from sidecar.storage.redis.link import DEADLINE, GRACE, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.clock import Clock
    from sidecar.storage.redis.keys import Keys
    from sidecar.storage.redis.library import Connection
    from sidecar.storage.redis.link import RedisLink

BEAT_EVERY: Final = 1.0
CURRENT_FOR: Final = 5.0
"""Seconds without a heartbeat after which memories are no longer trusted; four beats may be lost."""
SILENCE: Final = 3.0
"""Seconds without a message after which the connection is made anew, in time for the next beat."""
RECONNECT_AFTER: Final = 0.5

log = logging.getLogger(__name__)


class RedisFeed:
    """`ChangeFeed` over one subscribed connection of this process."""

    __slots__ = ("_clock", "_heard_at", "_keys", "_link", "_listeners", "_made_at", "_tasks")

    def __init__(self, link: RedisLink, keys: Keys, clock: Clock) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._listeners = ProcessFeed()
        self._made_at = clock.monotonic()
        self._heard_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep_listening()), loop.create_task(self._keep_beating())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        return self._listeners.listen(heard)

    def tell(self, tag: str) -> None:
        """Let this process hear at once of what it wrote itself; the others hear by push."""
        self._listeners.tell(tag)

    @property
    def is_current(self) -> bool:
        return self._heard_at is not None and self._clock.monotonic() - self._heard_at < CURRENT_FOR

    @property
    def deaf_since(self) -> float | None:
        if self.is_current:
            return None
        return self._made_at if self._heard_at is None else self._heard_at

    async def _keep_listening(self) -> None:
        while True:
            connection = self._link.new_connection()
            try:
                await self._subscribe(connection)
                await self._hear(connection)
            except (RedisError, OSError) as exc:
                log.debug("the change feed was interrupted (%s)", reason_of(exc))
            finally:
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_AFTER)

    async def _subscribe(self, connection: Connection) -> None:
        channels = (self._keys.changes, self._keys.beat)
        async with within(DEADLINE, grace=GRACE):
            await connection.connect()
            await connection.send_command("SUBSCRIBE", *channels)
            for _ in channels:
                await connection.read_response()
        self._heard_at = self._clock.monotonic()
        # Whatever was written until now went unheard.
        self._listeners.tell("")

    async def _hear(self, connection: Connection) -> None:
        while True:
            async with asyncio.timeout(SILENCE):
                message = await connection.read_response()
            self._heard(message)

    def _heard(self, message: list[bytes]) -> None:
        _, channel, data = message
        self._heard_at = self._clock.monotonic()
        if channel == self._keys.changes.encode():
            self._listeners.tell(data.decode())

    async def _keep_beating(self) -> None:
        while True:
            with suppress(StoreUnavailableError):
                await self._link.call("PUBLISH", self._keys.beat, b"")
            await asyncio.sleep(BEAT_EVERY)
