"""What the rest of the house gets of a store.

Scope: one value; `open` and the engines make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.cache.shared import ChangeFeed, Leases, Nonces
    from sidecar.grants.records import GrantRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One app's store.

    `start` raises `ConfigurationError` when the store can never work as it is set up, and never because a
    server is down. `close` waits for the writes that were begun. `is_shared` says whether other processes
    may use the same store at the same time.
    """

    records: GrantRecords
    leases: Leases
    nonces: Nonces
    feed: ChangeFeed
    is_shared: bool
    start: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
