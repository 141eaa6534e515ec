from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import StoreUnavailableError
from sidecar.grants.model import UserTag
from sidecar.grants.records import GrantRecords, Record, Spending
from sidecar.grants.sealing import new_grant_id
from sidecar.storage.metered import metered
from sidecar.storage.open import open_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

ALICE = UserTag("a" * 26)


def count(metrics: Metrics, op: str) -> float | None:
    return metrics.registry.get_sample_value("sidecar_store_operation_duration_seconds_count", {"op": op})


async def test_every_operation_is_passed_on_and_counted_under_its_name() -> None:
    metrics, clock = Metrics(), ManualClock()
    records = metered(open_storage("memory:", app="notes", clock=clock), metrics, clock).records
    kept = Record(id=new_grant_id(ALICE), version=1, sealed=b"x")

    assert await records.is_empty()
    assert await records.add(kept, revision=0)
    assert (await records.of_user(ALICE)).records == (kept,)
    assert await records.get(kept.id) == kept
    assert (await records.page(after="", limit=9)).records == (kept,)
    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STARTED
    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STANDING
    await records.end_spending(kept.id, version=1)
    assert await records.replace(Record(id=kept.id, version=2, sealed=b"y"), version=1)
    assert await records.remove(kept.id)
    assert await records.write_meta_once("name", b"value") == b"value"
    assert await records.read_meta("name") == b"value"
    await records.ping()

    operations = [name for name, _ in inspect.getmembers(GrantRecords, inspect.iscoroutinefunction)]
    assert len(operations) == 12
    assert {op: count(metrics, op) for op in operations} == dict.fromkeys(operations, 1.0) | {
        "begin_spending": 2.0
    }


async def test_an_operation_that_fails_is_counted_too(tmp_path: Path) -> None:
    metrics, clock = Metrics(), ManualClock()
    storage = metered(open_storage(f"sqlite://{tmp_path}/x.db", app="notes", clock=clock), metrics, clock)

    with pytest.raises(StoreUnavailableError):
        await storage.records.ping()
    assert count(metrics, "ping") == 1.0
