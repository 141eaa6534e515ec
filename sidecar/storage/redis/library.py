"""What we use of the Redis library, with types; the library's own are incomplete.

Scope: shapes only. A reply's type depends on the command, so each caller reads the one it asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from redis.asyncio import Connection as PlainConnection
from redis.asyncio import ConnectionPool, Redis, SSLConnection

if TYPE_CHECKING:
    from sidecar.storage.urls import RedisUrl

Argument: TypeAlias = str | bytes | int
Reply: TypeAlias = Any


class Connection(Protocol):
    """A connection of its own, for a subscription."""

    async def connect(self) -> None: ...

    async def send_command(self, *command: Argument) -> None: ...

    async def read_response(self) -> Reply: ...

    async def disconnect(self, *, nowait: bool) -> None: ...


class Pool(Protocol):
    """Connections to one server."""

    def make_connection(self) -> Connection: ...

    async def disconnect(self, *, inuse_connections: bool) -> None: ...

    async def aclose(self) -> None: ...


class Client(Protocol):
    """Commands over a pool."""

    async def execute_command(self, *command: Argument) -> Reply: ...


def connect(url: RedisUrl) -> tuple[Client, Pool]:
    """Return a client and its pool; nothing is sent yet."""
    pool = ConnectionPool(
        connection_class=SSLConnection if url.is_tls else PlainConnection,
        host=url.host,
        port=url.port,
        db=url.db,
        username=url.username or None,
        password=url.password.reveal() if url.password else None,
        # RESP2: no HELLO round trip, and none of the push messages that come with RESP3.
        protocol=2,
        # The link's deadline is the only one; the library's timers would fire first after a stall of ours.
        socket_timeout=None,
        socket_connect_timeout=None,
    )
    return Redis(connection_pool=pool), pool
