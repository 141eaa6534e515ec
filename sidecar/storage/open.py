"""Open the store that the settings name: records, leases and changes from one URL.

Scope: which engine a URL means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.errors import ConfigurationError
from sidecar.secret import Secret
from sidecar.storage.memory import memory_storage
from sidecar.storage.sqlite.engine import sqlite_storage
from sidecar.storage.urls import MemoryUrl, SqliteUrl, parse_store_url

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.storage.model import Storage


def open_storage(url: Secret | str, *, app: str, clock: Clock) -> Storage:
    """Put together the store at `url`; nothing is opened or reached before `start`.

    Raises `ConfigurationError` for a URL that is none; the message does not repeat it.
    """
    try:
        where = parse_store_url(url.reveal() if isinstance(url, Secret) else url)
    except ValueError as exc:
        raise ConfigurationError(f"store: {exc}") from exc
    if isinstance(where, MemoryUrl):
        return memory_storage(clock)
    if isinstance(where, SqliteUrl):
        return sqlite_storage(where, app=app, clock=clock)
    # The Redis library takes tens of milliseconds to import; only its users wait for it.
    from sidecar.storage.redis.engine import redis_storage  # noqa: PLC0415

    return redis_storage(where, app=app, clock=clock)
