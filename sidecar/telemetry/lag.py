"""Measure how late the event loop wakes up: the first number to look at when everything is slow at once.

Scope: one endless measurement; its owner cancels it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE_EVERY = 1.0
"""Seconds; a stall shorter than that shows in the requests it delays."""


async def sample_lag(report: Callable[[float], None], *, every: float = SAMPLE_EVERY) -> NoReturn:
    """Call `report` with the seconds by which each sleep of `every` seconds was too long, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = loop.time() + every
        await asyncio.sleep(every)
        report(max(0.0, loop.time() - due_at))
