"""The lag of the event loop is what a sleep took too long."""

from __future__ import annotations

import asyncio

from sidecar.telemetry.lag import sample_lag


async def test_each_sleep_is_reported_until_cancelled() -> None:
    seen: list[float] = []
    enough = asyncio.Event()

    def report(lag: float) -> None:
        seen.append(lag)
        if len(seen) == 3:
            enough.set()

    task = asyncio.create_task(sample_lag(report, every=0.0))
    await enough.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert all(lag >= 0.0 for lag in seen)
