"""Keep asking for what was not there at the start, until it is, and tell health about it.

A sidecar whose Redis or identity provider starts a minute later must become ready by itself. So nothing at
the start depends on either, and this module keeps looking.

Scope: the looking. The key set refreshes itself; here only its first arrival is noticed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NoReturn

from sidecar.errors import StoreUnavailableError
from sidecar.web.health import KEYS, STORE

if TYPE_CHECKING:
    from sidecar.grants.store import GrantStore
    from sidecar.identity.jwks import RemoteKeySet
    from sidecar.telemetry.metrics import Metrics
    from sidecar.web.health import Health

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds; a recovery is noticed within two."""
KEYS_LOOK_EVERY: Final = 0.1
"""Seconds between looks at a flag in memory, until it is set once."""


async def watch_store(store: GrantStore, health: Health, metrics: Metrics) -> NoReturn:
    """Open the store as soon as it can be reached, then keep asking whether it still can.

    Raises `ConfigurationError` when it can be reached and will never open: keys that do not fit.
    """
    was_up: bool | None = None
    while True:
        is_up = await look_at_store(store)
        metrics.store_up.set(is_up)
        if is_up:
            health.reached(STORE)
        else:
            health.lost(STORE)
        if is_up is not was_up:
            log.log(logging.INFO if is_up else logging.WARNING, "the store is %s", "up" if is_up else "away")
        was_up = is_up
        await asyncio.sleep(LOOK_EVERY)


async def look_at_store(store: GrantStore) -> bool:
    """Open the store if that has not been done, ask it for a sign of life, and say whether it gave one."""
    try:
        await store.open()
        await store.ping()
    except StoreUnavailableError:
        return False
    return True


async def watch_keys(keys: RemoteKeySet, health: Health) -> NoReturn:
    """Tell health when the first key set is here, and whether the newest fetch failed."""
    while True:
        if keys.has_keys:
            health.reached(KEYS)
        if keys.is_degraded:
            health.lost(KEYS)
        await asyncio.sleep(LOOK_EVERY if keys.has_keys else KEYS_LOOK_EVERY)
