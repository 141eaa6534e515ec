"""Sets that the store does not have yet, and what becomes of them when two follow each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.grants.held import HeldSets
from sidecar.grants.model import Account, Event
from sidecar.grants.store import Consent, GrantStore
from sidecar.storage.open import open_storage
from sidecar.testing.clock import ManualClock
from sidecar.testing.waiting import Gate, Watch
from tests.grants import ALICE, token_set

if TYPE_CHECKING:
    from sidecar.grants.records import GrantRecords, Record


class SlowFor:
    """Records that write one version only when they are let."""

    def __init__(self, records: GrantRecords, version: int) -> None:
        self._records = records
        self._version = version
        self.gate = Gate()
        self.watch = Watch()
        self.is_waiting = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def replace(self, record: Record, *, version: int) -> bool:
        if record.version == self._version:
            self.is_waiting = True
            self.watch.changed()
            await self.gate.passed()
        return await self._records.replace(record, version=version)


async def test_a_set_stays_held_when_the_one_before_it_turns_out_to_be_written() -> None:
    records = SlowFor(open_storage("memory:", app="notes", clock=ManualClock()).records, 3)
    store = GrantStore(
        "notes", Keyring([EncryptionKey.generate("k")]), cast("GrantRecords", records), ManualClock()
    )
    await store.open()
    consent = Consent(owner=ALICE, provider="files", account=Account(), tokens=token_set())
    spent = (await store.consented(consent)).grant
    second = spent.after(Event.REFRESHED, at=1.0, tokens=token_set("second"))
    third = second.after(Event.REFRESHED, at=2.0, tokens=token_set("third"))
    held = HeldSets(store)
    records.gate.hold()

    held.hold(second, spent_version=spent.version)
    held.hold(third, spent_version=second.version)
    await records.watch.until(lambda: records.is_waiting)

    assert await store.get(spent.id) == second
    assert held.newer_than(second) == third
    records.gate.release()
    await held.drain()
    assert await store.get(spent.id) == third
    assert held.newer_than(second) is None
