"""Grants in dictionaries, gone with the process: for tests and for the demo.

It keeps every promise of the port but durability. Nothing is awaited inside an operation, so the event loop
itself makes each one a single step.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.grants.model import GrantId
from sidecar.grants.records import Record, RecordPage, Spending, UserRecords
from sidecar.grants.sealing import user_of
from sidecar.storage.model import Storage
from sidecar.storage.process import ProcessFeed, ProcessLeases, ProcessNonces

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.grants.model import UserTag


def memory_storage(clock: Clock) -> Storage:
    """Return an empty store; `start` and `close` have nothing to do."""
    feed = ProcessFeed()
    return Storage(
        records=MemoryRecords(feed),
        leases=ProcessLeases(clock),
        nonces=ProcessNonces(clock),
        feed=feed,
        is_shared=False,
        start=_nothing,
        close=_nothing,
    )


@dataclass(slots=True)
class _User:
    """What is kept of one user; it stays after the last grant went, so that no revision comes twice."""

    revision: int = 0
    records: dict[GrantId, Record] = field(default_factory=dict)
    notes: dict[GrantId, tuple[int, float]] = field(default_factory=dict)


class MemoryRecords:
    """`GrantRecords` in this process's memory."""

    __slots__ = ("_feed", "_meta", "_users")

    def __init__(self, feed: ProcessFeed) -> None:
        self._feed = feed
        self._users: dict[UserTag, _User] = {}
        self._meta: dict[str, bytes] = {}

    async def of_user(self, user: UserTag) -> UserRecords:
        kept = self._users.get(user, _User())
        return UserRecords(revision=kept.revision, records=tuple(kept.records.values()))

    async def get(self, grant: GrantId) -> Record | None:
        return self._user(grant).records.get(grant)

    async def add(self, record: Record, *, revision: int) -> bool:
        user = user_of(record.id)
        if user is None:
            raise ValueError("a record's id names its user; this one does not")
        kept = self._users.get(user, _User())
        if kept.revision != revision or record.id in kept.records:
            return False
        self._users[user] = kept
        kept.records[record.id] = record
        self._changed(record.id)
        return True

    async def replace(self, record: Record, *, version: int) -> bool:
        kept = self._user(record.id)
        if not _has_version(kept, record.id, version):
            return False
        kept.records[record.id] = record
        kept.notes.pop(record.id, None)
        self._changed(record.id)
        return True

    async def remove(self, grant: GrantId) -> bool:
        kept = self._user(grant)
        if kept.records.pop(grant, None) is None:
            return False
        kept.notes.pop(grant, None)
        self._changed(grant)
        return True

    async def page(self, *, after: str, limit: int) -> RecordPage:
        """Walk in the order of ids; a text that is no id ends the walk."""
        if after and user_of(GrantId(after)) is None:
            return RecordPage(records=(), after="")
        later = (
            record for user in self._users.values() for record in user.records.values() if record.id > after
        )
        found = heapq.nsmallest(limit, later, key=lambda record: record.id)
        return RecordPage(records=tuple(found), after=found[-1].id if len(found) == limit else "")

    async def begin_spending(self, grant: GrantId, *, version: int, now: float, until: float) -> Spending:
        kept = self._user(grant)
        if not _has_version(kept, grant, version):
            return Spending.STALE
        noted, ends_at = kept.notes.get(grant, (0, 0.0))
        if noted == version and ends_at > now:
            kept.notes[grant] = (version, min(ends_at, until))
            return Spending.STANDING
        kept.notes[grant] = (version, until)
        return Spending.STARTED

    async def end_spending(self, grant: GrantId, *, version: int) -> None:
        notes = self._user(grant).notes
        if notes.get(grant, (0, 0.0))[0] == version:
            notes.pop(grant, None)

    async def read_meta(self, name: str) -> bytes | None:
        return self._meta.get(name)

    async def write_meta_once(self, name: str, value: bytes) -> bytes:
        return self._meta.setdefault(name, value)

    async def is_empty(self) -> bool:
        return not any(user.records for user in self._users.values())

    async def ping(self) -> None:
        """Memory answers as long as the process does."""

    def _user(self, grant: GrantId) -> _User:
        user = user_of(grant)
        return _User() if user is None else self._users.get(user, _User())

    def _changed(self, grant: GrantId) -> None:
        user = user_of(grant)
        if user is not None:
            self._users[user].revision += 1
            self._feed.tell(user)


def _has_version(kept: _User, grant: GrantId, version: int) -> bool:
    record = kept.records.get(grant)
    return record is not None and record.version == version


async def _nothing() -> None:
    """Memory is neither opened nor closed."""
