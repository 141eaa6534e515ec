"""Cancellations, resets, stalls and half-closes on either side: nothing is mixed up, nothing stays behind."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.polling import eventually
from tests.protocol.ends import faults
from tests.protocol.storm import (
    CALLER_STAYS,
    MARKER,
    PROVIDER_ENDS,
    StormyProvider,
    call,
    plan_of,
)

AT_A_TIME = 16
SEED = 20261
OUR_ANSWERS = {b"bad_upstream", b"upstream_unreachable", b"bad_request", b"request_timeout"}


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def storm(proxy, provider, count):
    """Run `count` plans, some at a time; return the plans, what their callers heard, and the provider."""
    draw = random.Random(SEED)
    plans = [plan_of(number, draw) for number in range(count)]
    # The second of two pipelined requests is a plain one.
    besides = [
        replace(plan_of(count + number, draw), caller="ask", provider="answer") for number in range(count)
    ]
    stormy = StormyProvider(plans + besides)
    provider.script = stormy.script
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(plan, beside):
        async with gate:
            return await call(proxy.listener.port, plan, beside)

    heard = await asyncio.gather(*map(one, plans, besides))
    return list(zip(plans, besides, heard, strict=True)), stormy


def check_heard(plan, beside, heard):
    """Hold what a caller got against what it asked for."""
    asked = {plan.marker} | ({beside.marker} if plan.caller == "pipeline" else set())
    assert set(MARKER.findall(heard.received)) <= asked, plan
    for answer in heard.ours:
        assert answer.values(b"sidecar-error")[0] in OUR_ANSWERS, (plan, answer.values(b"sidecar-error"))
    theirs = [answer for answer in heard.answers if answer not in heard.ours]
    for answer in theirs:
        [marker] = answer.values(b"x-marker")
        of = plan if marker == plan.marker else beside
        assert answer.body == marker * of.answer_size, plan


async def weather(start_proxy, provider, caplog, count):
    """Let a storm pass, and look at what it left."""
    tasks_before = asyncio.all_tasks()
    proxy = await start_proxy()
    files_before = open_files()

    results, stormy = await storm(proxy, provider, count)
    stormy.end()

    for plan, beside, heard in results:
        check_heard(plan, beside, heard)
    assert stormy.mixed_up == []
    assert {marker for marker, times in stormy.times.items() if times > 1} == set()
    calm = [
        heard.answers
        for plan, _, heard in results
        if plan.caller in CALLER_STAYS and plan.caller != "stop sending" and plan.provider in PROVIDER_ENDS
    ]
    served = [answers for answers in calm if answers and answers[0].start[1] == b"200"]
    assert len(served) > 0.9 * len(calm)

    async def is_quiet():
        return (
            not stormy.lines
            and open_files() <= files_before
            and b"sidecar_active_requests 0.0" in proxy.metrics.render()
        )

    assert await eventually(is_quiet)
    await proxy.listener.stop()

    async def is_over():
        return not asyncio.all_tasks() - tasks_before

    assert await eventually(is_over), asyncio.all_tasks() - tasks_before
    assert faults(caplog.records) == []


async def test_a_storm_mixes_nothing_up_and_leaves_nothing_behind(start_proxy, provider, caplog):
    await weather(start_proxy, provider, caplog, 300)


@pytest.mark.soak
async def test_ten_thousand_breaks_mix_nothing_up_and_leave_nothing_behind(start_proxy, provider, caplog):
    await weather(start_proxy, provider, caplog, 10_000)
