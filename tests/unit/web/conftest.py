"""A served application and a client that says exactly what it is told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.telemetry.metrics import Metrics
from sidecar.web.listener import Listener
from sidecar.web.middleware import build_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from aiohttp import web

    from sidecar.web.guard import Guard

    Serve = Callable[..., AbstractAsyncContextManager[aiohttp.ClientSession]]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def serve(metrics: Metrics) -> Serve:
    """Serve routes on loopback and give a client for them."""

    @asynccontextmanager
    async def serving(
        routes: list[web.RouteDef], *, guard: Guard | None = None, prefix: str = ""
    ) -> AsyncIterator[aiohttp.ClientSession]:
        app = build_app(routes, guard=guard, prefix=prefix)
        listener = Listener(app, host="127.0.0.1", port=0, metrics=metrics, grace=0.1)
        await listener.start()
        try:
            async with aiohttp.ClientSession(base_url=f"http://{listener.address}") as client:
                yield client
        finally:
            await listener.stop()

    return serving
