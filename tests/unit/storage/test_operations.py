from __future__ import annotations

import asyncio

import pytest

from sidecar.storage.operations import Operations


async def test_an_operation_returns_and_raises_to_its_caller() -> None:
    operations = Operations()

    async def fails() -> None:
        raise LookupError("no")

    async def works() -> int:
        return 7

    assert await operations.run(works()) == 7
    with pytest.raises(LookupError):
        await operations.run(fails())


async def test_an_operation_goes_on_without_its_caller_and_drain_waits_for_it() -> None:
    operations, may_end, ended = Operations(), asyncio.Event(), []

    async def operation() -> None:
        await may_end.wait()
        ended.append(True)

    caller = asyncio.ensure_future(operations.run(operation()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert ended == []
    may_end.set()
    await operations.drain()

    assert ended == [True]


async def test_a_failure_that_reaches_nobody_is_no_accident() -> None:
    accidents: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: accidents.append(context))
    operations, may_fail = Operations(), asyncio.Event()

    async def operation() -> None:
        await may_fail.wait()
        raise LookupError("no")

    caller = asyncio.ensure_future(operations.run(operation()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    may_fail.set()
    await operations.drain()
    await asyncio.sleep(0)

    assert accidents == []
