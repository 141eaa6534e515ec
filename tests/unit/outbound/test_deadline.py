from __future__ import annotations

import asyncio

import pytest

from sidecar.outbound.deadline import within


def stall(seconds: float) -> None:
    """Be away as a stopped process is: the loop does not turn."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        pass


async def test_the_deadline_ends_what_takes_longer() -> None:
    with pytest.raises(TimeoutError):
        async with within(0.001, grace=60):
            await asyncio.Event().wait()


async def test_a_block_that_ends_in_time_gives_what_it_gives() -> None:
    async with within(60, grace=0):
        done = await asyncio.sleep(0, "done")

    assert done == "done"


async def test_an_answer_that_came_while_we_were_stopped_is_still_read() -> None:
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()

    def away() -> None:
        stall(0.05)
        # Several turns of the loop lie between the bytes and whoever waits for them.
        loop.call_soon(loop.call_soon, answered.set)

    loop.call_soon(away)
    async with within(0.005, grace=1):
        await answered.wait()

    assert answered.is_set()


async def test_without_an_answer_lateness_gives_no_more_than_the_grace() -> None:
    asyncio.get_running_loop().call_soon(stall, 0.02)

    with pytest.raises(TimeoutError):
        async with within(0.001, grace=0.001):
            await asyncio.Event().wait()


async def test_an_error_of_the_block_is_its_own() -> None:
    with pytest.raises(LookupError):
        async with within(60, grace=0):
            raise LookupError
