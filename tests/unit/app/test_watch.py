from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from sidecar.app import watch
from sidecar.app.watch import look_at_store, watch_keys, watch_store
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import ConfigurationError, StoreUnavailableError
from sidecar.grants.store import GrantStore
from sidecar.storage.memory import MemoryRecords
from sidecar.storage.process import ProcessFeed
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.web.health import KEYS, STORE, Health
from tests.polling import eventually


class Records(MemoryRecords):
    """Memory that can be out of reach."""

    def __init__(self) -> None:
        super().__init__(ProcessFeed())
        self.is_up = True

    async def ping(self) -> None:
        if not self.is_up:
            raise StoreUnavailableError("away", retry_after=1.0)

    async def read_meta(self, name: str) -> bytes | None:
        await self.ping()
        return await super().read_meta(name)


class Keys:
    """What the watch reads of a key set."""

    def __init__(self, *, has_keys: bool, is_degraded: bool) -> None:
        self.has_keys = has_keys
        self.is_degraded = is_degraded


def store_over(records, key_id="k1"):
    return GrantStore("notes", Keyring([EncryptionKey.generate(key_id)]), records, ManualClock())


@asynccontextmanager
async def watching(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def becomes(health, need, state):
    async def is_so():
        return health.needs[need] == state

    return eventually(is_so)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(watch, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(watch, "KEYS_LOOK_EVERY", 0.001)


async def test_a_look_opens_the_store():
    store = store_over(Records())

    assert await look_at_store(store)
    assert store.is_open


async def test_a_look_at_a_store_that_is_away_says_so_and_raises_nothing():
    records = Records()
    records.is_up = False
    store = store_over(records)

    assert not await look_at_store(store)
    assert not store.is_open


async def test_a_store_that_comes_later_is_opened_and_health_is_told():
    records, health, metrics = Records(), Health(), Metrics()
    records.is_up = False
    store = store_over(records)

    async with watching(watch_store(store, health, metrics)):
        before = health.needs[STORE]
        records.is_up = True
        arrived = await becomes(health, STORE, "reached")

    assert (before, arrived, store.is_open) == ("waiting", True, True)
    assert "sidecar_store_up 1.0" in metrics.render().decode()


async def test_a_store_that_goes_is_lost_and_found_again(caplog):
    records, health, metrics = Records(), Health(), Metrics()
    caplog.set_level(logging.INFO, "sidecar.app.watch")

    async with watching(watch_store(store_over(records), health, metrics)):
        assert await becomes(health, STORE, "reached")
        records.is_up = False
        assert await becomes(health, STORE, "lost")
        shown = metrics.render().decode()
        records.is_up = True
        assert await becomes(health, STORE, "reached")

    assert "sidecar_store_up 0.0" in shown
    # One line for each change, however often it was looked at.
    assert [record.getMessage() for record in caplog.records] == [
        "the store is up",
        "the store is away",
        "the store is up",
    ]


async def test_keys_that_do_not_fit_end_the_watch():
    records = Records()
    await store_over(records, "k1").open()

    with pytest.raises(ConfigurationError, match="k1"):
        await watch_store(store_over(records, "k2"), Health(), Metrics())


@pytest.mark.parametrize(
    ("has_keys", "is_degraded", "state"),
    [(True, False, "reached"), (True, True, "lost")],
)
async def test_health_is_told_what_became_of_the_keys(has_keys, is_degraded, state):
    health, keys = Health(), Keys(has_keys=has_keys, is_degraded=is_degraded)

    async with watching(watch_keys(keys, health)):
        assert await becomes(health, KEYS, state)


async def test_keys_that_never_came_are_waited_for_and_noticed_when_they_come():
    health, keys = Health(), Keys(has_keys=False, is_degraded=True)

    async with watching(watch_keys(keys, health)):
        await asyncio.sleep(0)
        before = health.needs[KEYS]
        keys.has_keys, keys.is_degraded = True, False
        arrived = await becomes(health, KEYS, "reached")

    assert (before, arrived) == ("waiting", True)
