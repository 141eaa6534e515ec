"""A listener from its bind to its end."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from sidecar.telemetry.metrics import Metrics
from sidecar.web.answers import json_answer
from sidecar.web.listener import Listener
from sidecar.web.middleware import build_app


def listener_of(*routes: web.RouteDef, port: int = 0, grace: float = 5.0) -> Listener:
    return Listener(build_app(routes), host="127.0.0.1", port=port, metrics=Metrics(), grace=grace)


async def test_it_tells_the_port_it_was_given() -> None:
    listener = listener_of()

    before = listener.address
    await listener.start()
    after = listener.address
    await listener.stop()

    assert before == "127.0.0.1:0"
    assert after == f"127.0.0.1:{listener.port}" != before


async def test_a_taken_address_is_an_os_error() -> None:
    first = listener_of()
    await first.start()
    second = listener_of(port=first.port)

    with pytest.raises(OSError, match="in use"):
        await second.start()

    await second.stop()
    await first.stop()


async def test_stopping_what_never_started_is_fine() -> None:
    await listener_of().stop()


async def test_stop_lets_a_request_in_flight_finish() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        entered.set()
        await go_on.wait()
        return json_answer({"done": True})

    listener = listener_of(web.get("/", slow))
    await listener.start()
    async with aiohttp.ClientSession(base_url=f"http://{listener.address}") as client:
        call = asyncio.create_task(client.get("/"))
        await entered.wait()
        stop = asyncio.create_task(listener.stop())
        go_on.set()
        async with await call as answer:
            body = await answer.json()
        await stop

    assert body == {"done": True}


async def test_stop_ends_a_request_that_does_not_finish() -> None:
    entered = asyncio.Event()

    async def never(_: web.Request) -> web.StreamResponse:
        entered.set()
        return await asyncio.Future()

    listener = listener_of(web.post("/", never), grace=0.01)
    await listener.start()
    async with aiohttp.ClientSession(base_url=f"http://{listener.address}") as client:
        call = asyncio.create_task(client.post("/"))
        await entered.wait()
        await listener.stop()

        with pytest.raises(aiohttp.ServerDisconnectedError):
            await call
