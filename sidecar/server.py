"""Run an application until it is told to stop, and let nothing be lost on the way out.

A container that is stopped gets SIGTERM and some seconds. In that time requests in flight must end and a
refreshed token set must reach the store; whoever asks for readiness must see at once that no more should be
sent.

Scope: signals and the order of starting and stopping. What is started is `sidecar.app`'s.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Servable(Protocol):
    """What `serve` runs."""

    async def start(self) -> None:
        """Bind and begin; raises `ConfigurationError` when that cannot work however long one waits."""
        ...

    async def drain(self) -> None:
        """Stop taking requests, at once visibly so, and wait for those in flight, within a bound."""
        ...

    async def close(self) -> None:
        """Persist what is held, end every task, close every socket."""
        ...

    async def failed(self) -> None:
        """Return never, or raise what makes going on impossible."""
        ...


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loops where uvloop is installed, else nothing: asyncio's own will do."""
    try:
        uvloop = import_module("uvloop")
    except ImportError:
        return None
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)


async def serve(app: Servable, *, on_started: Callable[[], None] = lambda: None) -> None:
    """Run `app` until SIGTERM or SIGINT, then drain and close it. A second signal ends the draining.

    Raises what `app.start` or `app.failed` raises, after closing.
    """
    stop = asyncio.Event()
    hurry = asyncio.Event()
    _listen_to_signals(stop, hurry)
    try:
        await app.start()
        on_started()
        # What the start made stays; looking through it again and again would be felt as slow requests.
        gc.collect()
        gc.freeze()
        await _first_of(stop.wait(), app.failed())
        log.info("draining")
        await _first_of(app.drain(), hurry.wait())
    finally:
        await app.close()
        log.info("stopped")


def _listen_to_signals(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    def received() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, received)


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one ends, cancel the others, and raise what the first raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
