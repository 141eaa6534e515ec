from __future__ import annotations

import asyncio
import os
import signal

import pytest

from sidecar.errors import ConfigurationError
from sidecar.server import serve


class Program:
    """Notes what is done with it; each step ends when its event is set, at once by default."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.may_drain = asyncio.Event()
        self.may_drain.set()
        self.draining = asyncio.Event()
        self.start_error: Exception | None = None
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        self.steps.append("start")
        if self.start_error is not None:
            raise self.start_error

    async def drain(self) -> None:
        self.steps.append("drain")
        self.draining.set()
        await self.may_drain.wait()
        self.steps.append("drained")

    async def close(self) -> None:
        self.steps.append("close")

    async def failed(self) -> None:
        await asyncio.shield(self.failure)


def tell(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_then_closes(number):
    program = Program()

    await serve(program, on_started=lambda: tell(number))

    assert program.steps == ["start", "drain", "drained", "close"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_draining(second):
    program = Program()
    program.may_drain.clear()
    running = asyncio.create_task(serve(program, on_started=lambda: tell(signal.SIGTERM)))
    await program.draining.wait()

    tell(second)
    await running

    assert program.steps == ["start", "drain", "close"]


async def test_a_signal_during_the_start_is_obeyed_after_it():
    program = Program()
    running = asyncio.create_task(serve(program))
    # The handler is there before the first step of the start.
    asyncio.get_running_loop().call_soon(tell, signal.SIGTERM)

    await running

    assert program.steps == ["start", "drain", "drained", "close"]


async def test_a_start_that_fails_closes_what_was_opened_and_raises():
    program = Program()
    program.start_error = ConfigurationError("listen.ops: in use")

    with pytest.raises(ConfigurationError, match=r"listen\.ops"):
        await serve(program)

    assert program.steps == ["start", "close"]


async def test_a_failure_on_the_way_closes_without_draining_and_raises():
    program = Program()

    with pytest.raises(ConfigurationError, match="keys"):
        await serve(
            program, on_started=lambda: program.failure.set_exception(ConfigurationError("wrong keys"))
        )

    assert program.steps == ["start", "close"]


async def test_a_cancelled_server_closes_too():
    program = Program()
    started = asyncio.Event()
    running = asyncio.create_task(serve(program, on_started=started.set))
    await started.wait()

    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
    assert program.steps == ["start", "close"]
