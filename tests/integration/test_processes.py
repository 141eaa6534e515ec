"""Two sidecars over one Redis refresh a grant once, and survive each other's death.

The token endpoint rotates strictly: a refresh token that is spent twice ends the grant. So each of these
tests would find a user lost, not just a call too many.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import time

import pytest

from sidecar.testing.token_endpoint import TOKEN_FAILURES
from tests.integration.outside import EXPIRED
from tests.polling import eventually
from tests.redis_relay import RedisRelay

pytestmark = pytest.mark.redis

CALLERS = 100
# Long enough to outlive a stall of a shared machine, short enough for a note that ends within the test.
TOKEN_TIMEOUT = 3


@pytest.fixture
async def pair(outside, redis_server):
    """Two sidecars of one app over one Redis."""
    app = f"pair-{time.monotonic_ns()}"
    more = {"app": app, "refresh": {"token_timeout": f"{TOKEN_TIMEOUT}s"}}
    settings = [outside.settings(redis_server.url, **more) for _ in range(2)]
    return await asyncio.gather(*(outside.start(each) for each in settings))


async def round_of(outside, pair, user):
    """Let all callers of both processes meet one expired grant; return how that ended and what it cost."""
    await outside.give_grant(pair[0], user, expires_at=EXPIRED)
    before, started_at = outside.provider.token_calls, time.perf_counter()
    calls = [outside.call(sidecar, f"/echo/{user}", user=user) for _ in range(CALLERS) for sidecar in pair]
    replies = await asyncio.gather(*calls)
    took = time.perf_counter() - started_at
    return (
        {(reply.status, reply.json().get("user")) for reply in replies},
        outside.provider.token_calls - before,
        took,
    )


async def test_all_callers_of_two_processes_share_one_refresh(outside, pair):
    for number in range(3):
        outcomes, token_calls, _ = await round_of(outside, pair, f"user-{number}")

        assert (outcomes, token_calls) == ({(200, f"user-{number}")}, 1)
    assert outside.provider.reuse_detected == 0


@pytest.mark.soak
async def test_all_callers_of_two_processes_share_one_refresh_fifty_times(outside, pair, figures):
    times = []
    for number in range(50):
        outcomes, token_calls, took = await round_of(outside, pair, f"user-{number}")
        times.append(took)

        assert (outcomes, token_calls) == ({(200, f"user-{number}")}, 1)
    assert outside.provider.reuse_detected == 0
    figures(
        f"50 rounds of {2 * CALLERS} calls on one expired grant: {outside.provider.token_calls} token calls; "
        f"a round took {statistics.median(times):.3f} s (median), {max(times):.3f} s (longest)"
    )


async def test_a_process_killed_during_token_calls_costs_only_the_grant_whose_answer_died_with_it(
    outside, pair
):
    doomed, survivor = pair
    calls = await hold_two_token_calls(outside, doomed)
    kill(doomed)
    outside.provider.token_endpoint.before.release()
    await asyncio.gather(*calls, return_exceptions=True)

    first = [await outside.call(survivor, user=user) for user in ("ada", "bob")]
    calls_while_the_notes_stood = outside.provider.token_calls
    ada, bob = [await until_served(outside, survivor, user=user) for user in ("ada", "bob")]
    again = await outside.call(survivor, user="bob")

    # The lease runs out before the note of the spent token does: nobody may try until then.
    assert {(reply.status, reply.code) for reply in first} == {(503, "refresh_unavailable")}
    assert all("Retry-After" in reply.headers for reply in first)
    assert calls_while_the_notes_stood == 2
    assert (ada.status, ada.json()["user"]) == (200, "ada")
    # Bob's only live token died with its process: that cannot be helped, but one try finds it out.
    assert (bob.status, bob.code) == (403, "reauth_required")
    assert (again.status, again.code) == (403, "reauth_required")
    assert outside.provider.token_calls == 4


async def test_a_process_killed_between_lease_and_note_leaves_nothing_but_the_lease(outside, redis_server):
    app = f"relay-{time.monotonic_ns()}"
    async with RedisRelay(redis_server.port) as relay:
        doomed, survivor = await asyncio.gather(
            outside.start(outside.settings(relay.url, app=app)),
            outside.start(outside.settings(redis_server.url, app=app)),
        )
        await outside.give_grant(survivor, "ada", expires_at=EXPIRED)
        relay.stop_after(b":lease:")
        call = asyncio.create_task(outside.call(doomed, user="ada"))
        await relay.stopped.wait()
        kill(doomed)
    await asyncio.gather(call, return_exceptions=True)
    end_leases(redis_server, app)

    reply = await outside.call(survivor, user="ada")

    assert (reply.status, reply.json()["user"]) == (200, "ada")
    assert (outside.provider.token_calls, outside.provider.reuse_detected) == (1, 0)


async def test_a_process_stopped_past_its_lease_still_brings_the_answer_home(outside, pair):
    sleeper, other = pair
    await outside.give_grant(other, "ada", expires_at=EXPIRED)
    outside.provider.token_endpoint.before.hold()
    late = asyncio.create_task(outside.call(sleeper, user="ada"))
    await outside.provider.until(lambda: outside.provider.token_calls == 1)
    sleeper.signal(signal.SIGSTOP)
    outside.provider.token_endpoint.before.release()

    # This answer comes once the lease has run out: longer than the sleeper's own deadline for its call.
    meanwhile = await outside.call(other, user="ada")
    sleeper.signal(signal.SIGCONT)
    answered = await late
    afterwards = await outside.call(other, user="ada")

    assert (meanwhile.status, meanwhile.code) == (503, "refresh_unavailable")
    assert (answered.status, answered.json()["user"]) == (200, "ada")
    assert (afterwards.status, afterwards.json()["user"]) == (200, "ada")
    assert (outside.provider.token_calls, outside.provider.reuse_detected) == (1, 0)


async def test_a_grant_deleted_through_one_process_is_gone_in_the_other(outside, pair):
    grant = await outside.give_grant(pair[0], "ada")
    warm = [await outside.call(sidecar, user="ada") for sidecar in pair]

    deleted = await outside.admin(pair[0], "DELETE", f"/admin/v1/grants/{grant}")

    async def is_gone():
        return (await outside.call(pair[1], user="ada")).code == "no_delegated_grant"

    assert [reply.status for reply in warm] == [200, 200]
    assert deleted.status == 204
    assert await eventually(is_gone)


async def test_a_grant_imported_through_one_process_is_used_by_the_other(outside, pair):
    await outside.give_grant(pair[0], "ada")

    reply = await outside.call(pair[1], user="ada")

    assert (reply.status, reply.json()["user"]) == (200, "ada")


async def hold_two_token_calls(outside, sidecar):
    """Hold a token call of ada's, which will come to nothing, and one of bob's, which will take effect."""
    endpoint = outside.provider.token_endpoint
    endpoint.before.hold()
    endpoint.fail(TOKEN_FAILURES["closed"])
    endpoint.fail(TOKEN_FAILURES["answer_lost"])
    calls = []
    for number, user in enumerate(("ada", "bob"), start=1):
        await outside.give_grant(sidecar, user, expires_at=EXPIRED)
        calls.append(asyncio.create_task(outside.call(sidecar, user=user)))
        await outside.provider.until(lambda count=number: outside.provider.token_calls == count)
    return calls


async def until_served(outside, sidecar, *, user):
    """Do what `Retry-After` asks a caller to do, until the answer is another one than to wait."""
    async with asyncio.timeout(60):
        while True:
            reply = await outside.call(sidecar, user=user)
            if reply.code != "refresh_unavailable":
                return reply
            await asyncio.sleep(0.2)


def end_leases(redis_server, app):
    """Let the leases of an app run out now instead of in ten seconds."""
    script = f"for _, k in ipairs(redis.call('KEYS', '*:{app}:*:lease:*')) do redis.call('PEXPIRE', k, 1) end"
    redis_server.command(f'EVAL "{script}" 0')


def kill(sidecar):
    sidecar.signal(signal.SIGKILL)
    sidecar.wait()
