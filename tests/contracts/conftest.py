"""Every store, one after the other, for the suites that all of them must pass."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sidecar.storage.open import open_storage
from sidecar.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sidecar.storage.model import Storage


@dataclass(frozen=True)
class Stores:
    """A started store, the same store as a second user of it sees it, and a third of another app."""

    one: Storage
    other: Storage
    of_another_app: Storage
    clock: ManualClock


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    app = f"app-{secrets.token_hex(4)}"
    clock = ManualClock()
    async with AsyncExitStack() as stack:

        async def started(url: str, app: str) -> Storage:
            storage = open_storage(url, app=app, clock=clock)
            stack.push_async_callback(storage.close)
            await storage.start()
            return storage

        url = {
            "memory": lambda: "memory:",
            "sqlite": lambda: f"sqlite://{tmp_path}/one.db",
            "redis": lambda: request.getfixturevalue("redis_server").url,
        }[request.param]()
        one = await started(url, app)
        other = await started(url, app) if one.is_shared else one
        elsewhere = f"sqlite://{tmp_path}/two.db" if request.param == "sqlite" else url
        yield Stores(one, other, await started(elsewhere, f"{app}-2"), clock)
