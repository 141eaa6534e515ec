"""Nonces in SQLite: a row each, so that a link used before a restart stays used after it.

Scope: one statement's worth of state; those that ended go with the next claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.storage.operations import Operations

if TYPE_CHECKING:
    import sqlite3

    from sidecar.clock import Clock
    from sidecar.storage.sqlite.database import Database


class SqliteNonces:
    """`Nonces` of one app in one file. A claim goes on when its caller is cancelled."""

    __slots__ = ("_app", "_clock", "_database", "_writes")

    def __init__(self, app: str, database: Database, clock: Clock) -> None:
        self._app = app
        self._database = database
        self._clock = clock
        self._writes = Operations()

    async def claim(self, name: str, *, ttl: float) -> bool:
        now = self._clock.now()

        def write(sql: sqlite3.Connection) -> bool:
            sql.execute("DELETE FROM nonces WHERE app = ? AND ends_at <= ?", (self._app, now))
            return bool(
                sql.execute(
                    "INSERT OR IGNORE INTO nonces (app, name, ends_at) VALUES (?, ?, ?)",
                    (self._app, name, now + ttl),
                ).rowcount
            )

        return await self._writes.run(self._database.run(write))

    async def drain(self) -> None:
        """Wait until every claim that was begun has ended."""
        await self._writes.drain()
