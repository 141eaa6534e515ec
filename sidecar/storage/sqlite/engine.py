"""Put the SQLite store together.

Scope: construction, and the order of the end: writes that were begun first, then the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.storage.model import Storage
from sidecar.storage.process import ProcessFeed, ProcessLeases
from sidecar.storage.sqlite.database import Database
from sidecar.storage.sqlite.nonces import SqliteNonces
from sidecar.storage.sqlite.records import SqliteRecords

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.storage.urls import SqliteUrl


def sqlite_storage(url: SqliteUrl, *, app: str, clock: Clock) -> Storage:
    """Return the store in the file of `url`, which `start` opens and locks."""
    feed = ProcessFeed()
    database = Database(url.path)
    records = SqliteRecords(app, database, feed)
    nonces = SqliteNonces(app, database, clock)

    async def close() -> None:
        await records.drain()
        await nonces.drain()
        await database.close()

    return Storage(
        records=records,
        leases=ProcessLeases(clock),
        nonces=nonces,
        feed=feed,
        is_shared=False,
        start=database.open,
        close=close,
    )
