"""Grants in Redis: one hash per user, each write one script.

Scope: the commands. `scripts` holds what must happen in one step, `link` how the server is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidecar.errors import StoreUnavailableError
from sidecar.grants.model import GrantId
from sidecar.grants.records import Record, RecordPage, Spending, UserRecords
from sidecar.grants.sealing import ID_PREFIX, user_of
from sidecar.storage.redis.keys import REVISION, note_field
from sidecar.storage.redis.scripts import (
    ADD,
    BEGIN_SPENDING,
    END_SPENDING,
    REMOVE,
    REPLACE,
    WRITE_ONCE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.grants.model import UserTag
    from sidecar.storage.redis.keys import Keys
    from sidecar.storage.redis.library import Argument
    from sidecar.storage.redis.link import RedisLink
    from sidecar.storage.redis.scripts import Script

SCAN_COUNT: Final = 500
"""Keys looked at per SCAN: below a millisecond of the server's one thread."""
CURSOR_DIGITS: Final = 20
"""A cursor is an unsigned 64-bit number."""


class RedisRecords:
    """`GrantRecords` shared by every process that uses the server."""

    __slots__ = ("_keys", "_link", "_tell")

    def __init__(self, link: RedisLink, keys: Keys, *, tell: Callable[[str], None]) -> None:
        """`tell` is told the tag of every user written here, before the writer goes on."""
        self._link = link
        self._keys = keys
        self._tell = tell

    async def of_user(self, user: UserTag) -> UserRecords:
        fields = await self._link.call("HGETALL", self._keys.user(user))
        return UserRecords(revision=int(fields.get(REVISION.encode(), 0)), records=_records(fields))

    async def get(self, grant: GrantId) -> Record | None:
        user = user_of(grant)
        if user is None:
            return None
        value = await self._link.call("HGET", self._keys.user(user), grant)
        return None if value is None else _record(grant, value)

    async def add(self, record: Record, *, revision: int) -> bool:
        user = user_of(record.id)
        if user is None:
            raise ValueError("a record's id names its user; this one does not")
        arguments = (self._keys.changes, user, revision, record.id, _value(record))
        return await self._write(ADD, user, *arguments)

    async def replace(self, record: Record, *, version: int) -> bool:
        user = user_of(record.id)
        if user is None:
            return False
        arguments = (self._keys.changes, user, version, record.id, _value(record), note_field(record.id))
        return await self._write(REPLACE, user, *arguments)

    async def remove(self, grant: GrantId) -> bool:
        user = user_of(grant)
        if user is None:
            return False
        arguments = (self._keys.changes, user, grant, note_field(grant))
        return await self._write(REMOVE, user, *arguments)

    async def page(self, *, after: str, limit: int) -> RecordPage:
        """Walk with SCAN; `after` is its cursor, and a text that is none ends the walk."""
        cursor = after or "0"
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= CURSOR_DIGITS):
            return RecordPage(records=(), after="")
        found: list[Record] = []
        while True:
            cursor, keys = await self._scan(cursor, count=limit)
            for key in keys:
                found += _records(await self._link.call("HGETALL", key))
            if found or cursor == "0":
                return RecordPage(records=tuple(found), after="" if cursor == "0" else cursor)

    async def begin_spending(self, grant: GrantId, *, version: int, now: float, until: float) -> Spending:
        user = user_of(grant)
        if user is None:
            return Spending.STALE
        arguments = (grant, note_field(grant), version, repr(now), repr(until))
        return Spending((await self._link.run(BEGIN_SPENDING, self._keys.user(user), *arguments)).decode())

    async def end_spending(self, grant: GrantId, *, version: int) -> None:
        user = user_of(grant)
        if user is not None:
            await self._link.run(END_SPENDING, self._keys.user(user), note_field(grant), version)

    async def read_meta(self, name: str) -> bytes | None:
        value: bytes | None = await self._link.call("HGET", self._keys.meta, name)
        return value

    async def write_meta_once(self, name: str, value: bytes) -> bytes:
        kept: bytes = await self._link.run(WRITE_ONCE, self._keys.meta, name, value)
        return kept

    async def is_empty(self) -> bool:
        """Walk the keys until a grant is met; asked once, at the first start of an app."""
        return not (await self.page(after="", limit=SCAN_COUNT)).records

    async def ping(self) -> None:
        await self._link.call("PING")

    async def _write(self, script: Script, user: UserTag, *arguments: Argument) -> bool:
        """Run a script that writes; its pushes take a moment, so this process is told before we return."""
        try:
            is_written = bool(await self._link.run(script, self._keys.user(user), *arguments))
        except StoreUnavailableError:
            # It may have been done all the same.
            self._tell(user)
            raise
        if is_written:
            self._tell(user)
        return is_written

    async def _scan(self, cursor: str, *, count: int) -> tuple[str, list[bytes]]:
        answer = await self._link.call("SCAN", cursor, "MATCH", self._keys.every_user, "COUNT", count)
        return str(int(answer[0])), answer[1]


def _value(record: Record) -> bytes:
    return str(record.version).encode() + b":" + record.sealed


def _record(grant: GrantId, value: bytes) -> Record:
    version, _, sealed = value.partition(b":")
    return Record(id=grant, version=int(version), sealed=sealed)


def _records(fields: dict[bytes, bytes]) -> tuple[Record, ...]:
    prefix = ID_PREFIX.encode()
    return tuple(
        _record(GrantId(name.decode()), value) for name, value in fields.items() if name.startswith(prefix)
    )
