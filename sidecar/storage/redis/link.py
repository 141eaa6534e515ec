"""Speak to one Redis server, and give up on it fast.

A caller waits for a store that is gone at most a quarter of a second (then it is 503), and once
it is known to be gone, not at all: the first failure refuses everything after it, and a probe in the
background finds out when the server is back. The library's own retries are off; they take seconds.

Nothing a server says is shown or logged beyond its error code: Redis quotes the arguments of a command it
does not know, and that command may have been AUTH.

Scope: connections, deadlines and the state of the server. What is said is in `records`, `leases`, `feed`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Final

from redis.exceptions import NoScriptError, RedisError, ResponseError

from sidecar.errors import StoreUnavailableError
from sidecar.outbound.deadline import within
from sidecar.storage.operations import Operations
from sidecar.storage.redis.library import connect

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sidecar.storage.redis.library import Argument, Connection, Reply
    from sidecar.storage.redis.scripts import Script
    from sidecar.storage.urls import RedisUrl

DEADLINE: Final = 0.2
"""Seconds for one operation, connecting included; leaves 50 ms of the promised 250 for everything else."""
GRACE: Final = 0.02
"""Seconds more, at most, to see an answer that arrived while this process itself was late."""
PROBE_EVERY: Final = 0.5
"""Seconds between probes of a server that is gone; half of the second we promise."""
CONCURRENCY: Final = 16
"""Operations under way at once; more would only queue in the one thread that runs commands over there."""
ERROR_CODE: Final = re.compile(r"[A-Z]{2,20}\b")

log = logging.getLogger(__name__)


class RedisLink:
    """A pool of connections to one server, behind a breaker.

    Every operation raises `StoreUnavailableError` when the server does not answer in time, answers with an
    error, or is known to be gone. An operation ends by itself, even if its caller is cancelled.
    """

    __slots__ = ("_client", "_operations", "_pool", "_probe", "_turns")

    def __init__(self, url: RedisUrl) -> None:
        self._client, self._pool = connect(url)
        self._operations = Operations()
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._probe: asyncio.Task[None] | None = None

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return what the library makes of the answer; text comes as bytes."""
        return await self._operations.run(self._guarded(command))

    async def run(self, script: Script, *arguments: Argument) -> Reply:
        """Run a script on one key, the first argument; the server is taught the script if it lacks it."""
        return await self._operations.run(
            self._guarded(("EVALSHA", script.sha, 1, *arguments), ("EVAL", script.text, 1, *arguments))
        )

    def new_connection(self) -> Connection:
        """Return a connection of its own, not yet connected; whoever asks disconnects it."""
        return self._pool.make_connection()

    async def close(self) -> None:
        """Wait for running operations and end all connections."""
        if self._probe is not None:
            self._probe.cancel()
        await self._operations.drain()
        await self._drop(self._pool.aclose())

    async def _guarded(
        self, command: tuple[Argument, ...], untaught: tuple[Argument, ...] | None = None
    ) -> Reply:
        async with self._turns:
            # Asked for after the queue: whoever waited behind the call that found the server gone is
            # refused in the same instant.
            if self._probe is not None:
                raise _unavailable()
            try:
                return await self._send(command, untaught)
            except ResponseError as exc:
                # The server is there and refuses (READONLY, OOM, NOPERM): others may still be served.
                log.warning("redis refused an operation (%s)", reason_of(exc))
                raise _unavailable() from None
            except (RedisError, OSError) as exc:
                self._lost(exc)
                raise _unavailable() from None

    async def _send(self, command: tuple[Argument, ...], untaught: tuple[Argument, ...] | None) -> Reply:
        async with within(DEADLINE, grace=GRACE):
            try:
                return await self._client.execute_command(*command)
            except NoScriptError:
                if untaught is None:
                    raise
                return await self._client.execute_command(*untaught)

    def _lost(self, exc: Exception) -> None:
        if self._probe is None:
            log.warning("redis is out of reach (%s); asking again until it is back", reason_of(exc))
            self._probe = asyncio.get_running_loop().create_task(self._until_back())
            self._probe.add_done_callback(self._back)

    async def _until_back(self) -> None:
        # Idle connections may lead to a server that is no more; each would cost one failure to find out.
        await self._drop(self._pool.disconnect(inuse_connections=False))
        while True:
            if await self._answers():
                return
            await asyncio.sleep(PROBE_EVERY)

    def _back(self, probe: asyncio.Task[None]) -> None:
        self._probe = None
        if not probe.cancelled() and probe.exception() is None:
            log.info("redis is back")

    async def _answers(self) -> bool:
        try:
            await self._send(("PING",), None)
        except (RedisError, OSError):
            return False
        return True

    async def _drop(self, disconnecting: Awaitable[object]) -> None:
        try:
            async with within(DEADLINE, grace=GRACE):
                await disconnecting
        except (RedisError, OSError) as exc:
            log.debug("a connection did not end in order (%s)", reason_of(exc))


def reason_of(exc: BaseException) -> str:
    """Return the error's class and, of a server's words, only the leading code (WRONGPASS, LOADING)."""
    code = ERROR_CODE.match(str(exc))
    return f"{type(exc).__name__} {code.group()}" if code else type(exc).__name__


def _unavailable() -> StoreUnavailableError:
    return StoreUnavailableError("The store cannot be reached right now. Try again shortly.", retry_after=1.0)
