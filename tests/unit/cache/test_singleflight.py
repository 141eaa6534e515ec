from __future__ import annotations

import asyncio

import pytest

from sidecar.cache.singleflight import Singleflight


class Call:
    """A call that waits until it may end, and counts its starts."""

    def __init__(self) -> None:
        self.starts = 0
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.starts += 1
        number = self.starts
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return number


async def test_callers_at_once_share_one_call() -> None:
    flights, call = Singleflight[str, int](), Call()
    callers = [asyncio.ensure_future(flights.do("key", call)) for _ in range(100)]
    await asyncio.sleep(0)
    call.may_end.set()

    assert await asyncio.gather(*callers) == [1] * 100
    assert len(flights) == 0


async def test_keys_do_not_wait_for_each_other() -> None:
    flights, slow, fast = Singleflight[str, int](), Call(), Call()
    waiting = asyncio.ensure_future(flights.do("slow", slow))
    fast.may_end.set()

    assert await flights.do("fast", fast) == 1
    slow.may_end.set()
    assert await waiting == 1


async def test_a_later_caller_starts_a_call_of_its_own() -> None:
    flights, call = Singleflight[str, int](), Call()
    call.may_end.set()

    assert [await flights.do("key", call), await flights.do("key", call)] == [1, 2]


async def test_the_call_goes_on_for_the_others_when_the_first_caller_is_cancelled() -> None:
    flights, call = Singleflight[str, int](), Call()
    first = asyncio.ensure_future(flights.do("key", call))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(flights.do("key", call))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    call.may_end.set()

    assert first.cancelled()
    assert await second == 1
    assert call.starts == 1


async def test_the_call_goes_on_when_every_caller_is_cancelled() -> None:
    flights, call = Singleflight[str, int](), Call()
    caller = asyncio.ensure_future(flights.do("key", call))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert len(flights) == 1
    call.may_end.set()
    await flights.drain()

    assert (call.starts, len(flights)) == (1, 0)


async def test_a_failure_reaches_all_who_wait_and_none_who_ask_later() -> None:
    flights, call = Singleflight[str, int](), Call()
    call.failure = LookupError("no")
    callers = [asyncio.ensure_future(flights.do("key", call)) for _ in range(3)]
    await asyncio.sleep(0)
    call.may_end.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    call.failure = None

    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3
    assert await flights.do("key", call) == 2


async def test_a_failure_that_reaches_nobody_is_no_accident() -> None:
    accidents: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: accidents.append(context))
    flights, call = Singleflight[str, int](), Call()
    call.failure = LookupError("no")
    call.may_end.set()
    flights.start("key", call)
    await flights.drain()
    await asyncio.sleep(0)

    assert accidents == []
    assert len(flights) == 0


async def test_a_call_may_be_started_without_waiting_and_joined_later() -> None:
    flights, call = Singleflight[str, int](), Call()
    started = flights.start("key", call)
    assert flights.start("key", call) is started
    call.may_end.set()

    assert await flights.do("key", call) == 1


async def test_a_cancelled_call_cancels_those_who_wait_and_is_forgotten() -> None:
    flights, call = Singleflight[str, int](), Call()
    task = flights.start("key", call)
    waiting = asyncio.ensure_future(flights.do("key", call))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(flights) == 0
