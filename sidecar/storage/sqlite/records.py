"""Grants in SQLite: one row each, every write in one transaction with the user's revision.

Scope: the statements. `database` runs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.grants.model import GrantId
from sidecar.grants.records import Record, RecordPage, Spending, UserRecords
from sidecar.grants.sealing import user_of
from sidecar.storage.operations import Operations

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from sidecar.grants.model import UserTag
    from sidecar.storage.process import ProcessFeed
    from sidecar.storage.sqlite.database import Database


class SqliteRecords:
    """`GrantRecords` of one app in one file. A write goes on when its caller is cancelled."""

    __slots__ = ("_app", "_database", "_feed", "_writes")

    def __init__(self, app: str, database: Database, feed: ProcessFeed) -> None:
        self._app = app
        self._database = database
        self._feed = feed
        self._writes = Operations()

    async def of_user(self, user: UserTag) -> UserRecords:
        def read(sql: sqlite3.Connection) -> UserRecords:
            rows = sql.execute(
                "SELECT id, version, sealed FROM grants WHERE app = ? AND user = ?", (self._app, user)
            )
            return UserRecords(revision=self._revision(sql, user), records=tuple(map(_record, rows)))

        return await self._database.run(read)

    async def get(self, grant: GrantId) -> Record | None:
        user = user_of(grant)
        if user is None:
            return None
        return await self._database.run(lambda sql: self._kept(sql, user, grant))

    async def add(self, record: Record, *, revision: int) -> bool:
        user = user_of(record.id)
        if user is None:
            raise ValueError("a record's id names its user; this one does not")

        def write(sql: sqlite3.Connection) -> bool:
            if self._revision(sql, user) != revision or self._kept(sql, user, record.id) is not None:
                return False
            sql.execute(
                "INSERT INTO grants (app, user, id, version, sealed) VALUES (?, ?, ?, ?, ?)",
                (self._app, user, record.id, record.version, record.sealed),
            )
            return True

        return await self._change(user, write)

    async def replace(self, record: Record, *, version: int) -> bool:
        user = user_of(record.id)
        if user is None:
            return False

        def write(sql: sqlite3.Connection) -> bool:
            updated = sql.execute(
                "UPDATE grants SET version = ?, sealed = ?"
                " WHERE app = ? AND user = ? AND id = ? AND version = ?",
                (record.version, record.sealed, self._app, user, record.id, version),
            ).rowcount
            if updated:
                self._forget_note(sql, record.id)
            return bool(updated)

        return await self._change(user, write)

    async def remove(self, grant: GrantId) -> bool:
        user = user_of(grant)
        if user is None:
            return False

        def write(sql: sqlite3.Connection) -> bool:
            place = (self._app, user, grant)
            removed = sql.execute("DELETE FROM grants WHERE app = ? AND user = ? AND id = ?", place).rowcount
            self._forget_note(sql, grant)
            return bool(removed)

        return await self._change(user, write)

    async def page(self, *, after: str, limit: int) -> RecordPage:
        """Walk in the order of users and ids; a text that is no id ends the walk."""
        user = user_of(GrantId(after))
        if after and user is None:
            return RecordPage(records=(), after="")

        def read(sql: sqlite3.Connection) -> RecordPage:
            rows = sql.execute(
                "SELECT id, version, sealed FROM grants WHERE app = ? AND (user, id) > (?, ?)"
                " ORDER BY user, id LIMIT ?",
                (self._app, user or "", after, limit),
            )
            records = tuple(map(_record, rows))
            return RecordPage(records=records, after=records[-1].id if len(records) == limit else "")

        return await self._database.run(read)

    async def begin_spending(self, grant: GrantId, *, version: int, now: float, until: float) -> Spending:
        user = user_of(grant)
        if user is None:
            return Spending.STALE

        def write(sql: sqlite3.Connection) -> Spending:
            kept = self._kept(sql, user, grant)
            if kept is None or kept.version != version:
                return Spending.STALE
            started = sql.execute(
                "INSERT INTO notes (app, id, version, until) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (app, id) DO UPDATE SET version = excluded.version, until = excluded.until"
                " WHERE notes.version <> excluded.version OR notes.until <= ?",
                (self._app, grant, version, until, now),
            ).rowcount
            if started:
                return Spending.STARTED
            sql.execute(
                "UPDATE notes SET until = min(until, ?) WHERE app = ? AND id = ?", (until, self._app, grant)
            )
            return Spending.STANDING

        return await self._writes.run(self._database.run(write))

    async def end_spending(self, grant: GrantId, *, version: int) -> None:
        place = (self._app, grant, version)
        statement = "DELETE FROM notes WHERE app = ? AND id = ? AND version = ?"
        if user_of(grant) is not None:
            await self._writes.run(self._database.run(lambda sql: sql.execute(statement, place)))

    async def read_meta(self, name: str) -> bytes | None:
        return await self._database.run(lambda sql: self._meta(sql, name))

    async def write_meta_once(self, name: str, value: bytes) -> bytes:
        def write(sql: sqlite3.Connection) -> bytes:
            sql.execute(
                "INSERT OR IGNORE INTO meta (app, name, value) VALUES (?, ?, ?)", (self._app, name, value)
            )
            return self._meta(sql, name) or value

        return await self._writes.run(self._database.run(write))

    async def is_empty(self) -> bool:
        statement = "SELECT 1 FROM grants WHERE app = ? LIMIT 1"
        return await self._database.run(lambda sql: sql.execute(statement, (self._app,)).fetchone() is None)

    async def ping(self) -> None:
        await self._database.run(lambda sql: sql.execute("SELECT 1").fetchone())

    async def drain(self) -> None:
        """Wait until every write that was begun has ended."""
        await self._writes.drain()

    async def _change(self, user: UserTag, write: Callable[[sqlite3.Connection], bool]) -> bool:
        async def written() -> bool:
            is_changed = await self._database.run(lambda sql: write(sql) and self._count(sql, user))
            if is_changed:
                self._feed.tell(user)
            return is_changed

        return await self._writes.run(written())

    def _count(self, sql: sqlite3.Connection, user: UserTag) -> bool:
        sql.execute(
            "INSERT INTO users (app, user, revision) VALUES (?, ?, 1)"
            " ON CONFLICT (app, user) DO UPDATE SET revision = revision + 1",
            (self._app, user),
        )
        return True

    def _revision(self, sql: sqlite3.Connection, user: UserTag) -> int:
        place = (self._app, user)
        row = sql.execute("SELECT revision FROM users WHERE app = ? AND user = ?", place).fetchone()
        return row[0] if row else 0

    def _kept(self, sql: sqlite3.Connection, user: UserTag, grant: GrantId) -> Record | None:
        row = sql.execute(
            "SELECT id, version, sealed FROM grants WHERE app = ? AND user = ? AND id = ?",
            (self._app, user, grant),
        ).fetchone()
        return _record(row) if row else None

    def _forget_note(self, sql: sqlite3.Connection, grant: GrantId) -> None:
        sql.execute("DELETE FROM notes WHERE app = ? AND id = ?", (self._app, grant))

    def _meta(self, sql: sqlite3.Connection, name: str) -> bytes | None:
        row = sql.execute("SELECT value FROM meta WHERE app = ? AND name = ?", (self._app, name)).fetchone()
        return row[0] if row else None


def _record(row: tuple[str, int, bytes]) -> Record:
    grant, version, sealed = row
    return Record(id=GrantId(grant), version=version, sealed=sealed)
