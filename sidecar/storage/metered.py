"""Observe how long each operation on the store takes, whether it worked or not.

Scope: a layer over any `GrantRecords` that changes nothing it passes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sidecar.clock import Clock
    from sidecar.grants.model import GrantId, UserTag
    from sidecar.grants.records import GrantRecords, Record, RecordPage, Spending, UserRecords
    from sidecar.storage.model import Storage
    from sidecar.telemetry.metrics import Metrics

T = TypeVar("T")


def metered(storage: Storage, metrics: Metrics, clock: Clock) -> Storage:
    """Return the same store, counted."""
    return replace(storage, records=MeteredRecords(storage.records, metrics, clock))


class MeteredRecords:
    """`GrantRecords` whose operations are observed under their own names."""

    __slots__ = ("_clock", "_durations", "_records")

    def __init__(self, records: GrantRecords, metrics: Metrics, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._durations = metrics.store_operation_duration

    async def of_user(self, user: UserTag) -> UserRecords:
        return await self._observed("of_user", self._records.of_user(user))

    async def get(self, grant: GrantId) -> Record | None:
        return await self._observed("get", self._records.get(grant))

    async def add(self, record: Record, *, revision: int) -> bool:
        return await self._observed("add", self._records.add(record, revision=revision))

    async def replace(self, record: Record, *, version: int) -> bool:
        return await self._observed("replace", self._records.replace(record, version=version))

    async def remove(self, grant: GrantId) -> bool:
        return await self._observed("remove", self._records.remove(grant))

    async def page(self, *, after: str, limit: int) -> RecordPage:
        return await self._observed("page", self._records.page(after=after, limit=limit))

    async def begin_spending(self, grant: GrantId, *, version: int, now: float, until: float) -> Spending:
        begun = self._records.begin_spending(grant, version=version, now=now, until=until)
        return await self._observed("begin_spending", begun)

    async def end_spending(self, grant: GrantId, *, version: int) -> None:
        await self._observed("end_spending", self._records.end_spending(grant, version=version))

    async def read_meta(self, name: str) -> bytes | None:
        return await self._observed("read_meta", self._records.read_meta(name))

    async def write_meta_once(self, name: str, value: bytes) -> bytes:
        return await self._observed("write_meta_once", self._records.write_meta_once(name, value))

    async def is_empty(self) -> bool:
        return await self._observed("is_empty", self._records.is_empty())

    async def ping(self) -> None:
        await self._observed("ping", self._records.ping())

    async def _observed(self, op: str, operation: Awaitable[T]) -> T:
        began_at = self._clock.monotonic()
        try:
            return await operation
        finally:
            self._durations.labels(op=op).observe(self._clock.monotonic() - began_at)
