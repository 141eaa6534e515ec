"""Stores for tests that want more of one than the contract suites do."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sidecar.clock import SystemClock
from sidecar.storage.open import open_storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.clock import Clock
    from sidecar.storage.model import Storage


@asynccontextmanager
async def running(url: str, *, app: str = "", clock: Clock | None = None) -> AsyncIterator[Storage]:
    """A started store, closed at the end."""
    app = app or f"app-{secrets.token_hex(4)}"
    storage = open_storage(url, app=app, clock=clock or SystemClock())
    await storage.start()
    try:
        yield storage
    finally:
        await storage.close()
