"""The key set on good days and bad ones."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import IdpUnavailableError
from sidecar.identity.jwks import KeyLocation, RemoteKeySet, lifetime_of
from sidecar.outbound.client import OutboundClient
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.testing.idp import IdpInABox
from sidecar.testing.keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def idp() -> AsyncIterator[IdpInABox]:
    async with IdpInABox() as box:
        yield box


@pytest.fixture
async def outbound() -> AsyncIterator[OutboundClient]:
    client = OutboundClient()
    yield client
    await client.close()


@pytest.fixture
async def keys(
    idp: IdpInABox, outbound: OutboundClient, clock: ManualClock, metrics: Metrics
) -> AsyncIterator[RemoteKeySet]:
    keys = RemoteKeySet(KeyLocation(issuer=idp.issuer), outbound=outbound, clock=clock, metrics=metrics)
    yield keys
    await keys.close()


async def knows(keys: RemoteKeySet, key_id: str) -> bool:
    return await keys.key_for(key_id=key_id, algorithm="ES256") is not None


def count(metrics: Metrics, result: str) -> float:
    return metrics.registry.get_sample_value("sidecar_jwks_refresh_total", {"result": result}) or 0.0


async def test_the_first_who_asks_fetches_the_keys(keys: RemoteKeySet, idp: IdpInABox) -> None:
    assert not keys.has_keys

    assert await knows(keys, idp.kids[0])
    assert keys.has_keys
    assert keys.generation == 0
    assert (idp.discovery_requests, idp.jwks_requests) == (1, 1)


async def test_a_configured_address_needs_no_discovery(
    idp: IdpInABox, outbound: OutboundClient, clock: ManualClock, metrics: Metrics
) -> None:
    location = KeyLocation(issuer="https://unreachable.invalid", jwks_uri=idp.jwks_uri)
    keys = RemoteKeySet(location, outbound=outbound, clock=clock, metrics=metrics)

    assert await knows(keys, idp.kids[0])
    assert idp.discovery_requests == 0


async def test_a_known_key_costs_no_fetch(keys: RemoteKeySet, idp: IdpInABox) -> None:
    for _ in range(20):
        await knows(keys, idp.kids[0])

    assert idp.jwks_requests == 1


async def test_all_who_come_at_once_share_one_fetch(keys: RemoteKeySet, idp: IdpInABox) -> None:
    idp.jwks.gate.hold()
    asking = [asyncio.ensure_future(knows(keys, idp.kids[0])) for _ in range(50)]
    await idp.until(lambda: idp.jwks_requests == 1)
    idp.jwks.gate.release()

    assert all(await asyncio.gather(*asking))
    assert idp.jwks_requests == 1


async def test_one_who_gives_up_does_not_end_the_fetch_of_the_others(
    keys: RemoteKeySet, idp: IdpInABox
) -> None:
    idp.jwks.gate.hold()
    first = asyncio.ensure_future(knows(keys, idp.kids[0]))
    await idp.until(lambda: idp.jwks_requests == 1)
    second = asyncio.ensure_future(knows(keys, idp.kids[0]))
    first.cancel()
    idp.jwks.gate.release()

    assert await second
    assert idp.jwks_requests == 1


async def test_a_new_key_is_found_at_once_and_invalidates_nothing(keys: RemoteKeySet, idp: IdpInABox) -> None:
    await knows(keys, idp.kids[0])
    new = idp.rotate()

    assert await knows(keys, new)
    assert keys.generation == 0
    assert idp.jwks_requests == 2


async def test_unknown_ids_cost_one_fetch_per_cool_down(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    await knows(keys, idp.kids[0])

    for number in range(50):
        assert not await knows(keys, f"made-up-{number}")
    assert idp.jwks_requests == 2
    clock.advance(29.9)
    assert not await knows(keys, "made-up")
    assert idp.jwks_requests == 2
    clock.advance(0.1)
    assert not await knows(keys, "made-up")
    assert idp.jwks_requests == 3


async def test_many_unknown_ids_at_once_share_one_fetch(keys: RemoteKeySet, idp: IdpInABox) -> None:
    await knows(keys, idp.kids[0])

    found = await asyncio.gather(*(knows(keys, f"made-up-{number}") for number in range(50)))

    assert not any(found)
    assert idp.jwks_requests == 2


async def test_a_key_published_after_a_running_fetch_began_is_found(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    await knows(keys, idp.kids[0])
    old = json.dumps({"keys": [SigningKey("old").jwk()]}).encode()
    idp.jwks.body = old
    idp.jwks.gate.hold()
    clock.advance(3600.0)
    refreshing = asyncio.ensure_future(keys.refresh_if_due())
    await idp.until(lambda: idp.jwks_requests == 2)
    asking = asyncio.ensure_future(knows(keys, idp.rotate()))
    # Let the question join the slow, older answer before that one is sent.
    await asyncio.sleep(0)
    idp.jwks.gate.release()
    await refreshing
    idp.jwks.body = None

    assert await asking
    assert idp.jwks_requests == 3


async def test_a_slow_fetch_and_a_later_question_never_run_side_by_side(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    await knows(keys, idp.kids[0])
    idp.jwks.gate.hold()
    clock.advance(3600.0)
    refreshing = asyncio.ensure_future(keys.refresh_if_due())
    await idp.until(lambda: idp.jwks_requests == 2)
    asking = [asyncio.ensure_future(knows(keys, "made-up")) for _ in range(10)]
    await asyncio.sleep(0)

    assert idp.jwks_requests == 2
    idp.jwks.gate.release()
    await asyncio.gather(refreshing, *asking)
    assert idp.jwks_requests == 3


async def test_a_key_that_left_changes_the_generation(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    first = idp.kids[0]
    await knows(keys, first)
    idp.rotate()
    idp.retire(first)
    clock.advance(3600.0)

    await keys.refresh_if_due()

    assert keys.generation == 1
    assert not await knows(keys, first)


async def test_a_key_that_changed_under_its_id_changes_the_generation(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    await knows(keys, idp.kids[0])
    idp.jwks.body = json.dumps({"keys": [SigningKey(idp.kids[0]).jwk()]}).encode()
    clock.advance(3600.0)

    await keys.refresh_if_due()

    assert keys.generation == 1


@pytest.mark.parametrize(
    ("control", "due_after"),
    [
        ("", 2880.0),
        ("max-age=600", 480.0),
        ("public, max-age=600, must-revalidate", 480.0),
        ("max-age=1", 240.0),
        ("max-age=99999999", 69_120.0),
        ("no-store", 240.0),
        ("no-cache, max-age=600", 240.0),
        ("max-age=soon", 2880.0),
        ("s-maxage=600", 2880.0),
    ],
)
async def test_the_keys_are_due_at_four_fifths_of_their_bounded_lifetime(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock, control: str, due_after: float
) -> None:
    idp.jwks.headers = (("Cache-Control", control),) if control else ()
    await keys.refresh_if_due()

    clock.advance(due_after - 0.1)
    await keys.refresh_if_due()
    assert idp.jwks_requests == 1
    clock.advance(0.2)
    await keys.refresh_if_due()
    assert idp.jwks_requests == 2


def test_a_lifetime_is_read_in_any_case() -> None:
    assert lifetime_of({"cache-control": "Public,Max-Age=900"}) == 900.0


async def break_connection(idp: IdpInABox) -> None:
    idp.jwks.down = True


async def go_away(idp: IdpInABox) -> None:
    await idp.pause()


async def answer_500(idp: IdpInABox) -> None:
    idp.jwks.status = 500


async def redirect(idp: IdpInABox) -> None:
    idp.jwks.redirect_to = idp.jwks_uri


async def send_garbage(idp: IdpInABox) -> None:
    idp.jwks.body = b"<html>"


async def send_too_much(idp: IdpInABox) -> None:
    idp.jwks.body = b" " * (1024 * 1024 + 1)


async def send_no_keys(idp: IdpInABox) -> None:
    idp.serves_no_keys = True


async def send_unfit_keys(idp: IdpInABox) -> None:
    idp.serves_no_keys = True
    idp.poison()


FAILURES = [
    (break_connection, "broken"),
    (go_away, "unreachable"),
    (answer_500, "key_set"),
    (redirect, "key_set"),
    (send_garbage, "key_set"),
    (send_too_much, "too_large"),
    (send_no_keys, "key_set"),
    (send_unfit_keys, "key_set"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure[0].__name__)
async def test_the_last_good_keys_survive_every_failure(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock, metrics: Metrics, failure
) -> None:
    fail, result = failure
    await knows(keys, idp.kids[0])
    await fail(idp)
    clock.advance(3600.0)

    await keys.refresh_if_due()

    assert await knows(keys, idp.kids[0])
    assert keys.generation == 0
    assert keys.is_degraded
    assert keys.age == 3600.0
    assert count(metrics, result) == 1


async def test_a_discovery_that_fails_is_a_failure_like_any_other(
    keys: RemoteKeySet, idp: IdpInABox, metrics: Metrics
) -> None:
    idp.announced_issuer = "https://evil.example"

    with pytest.raises(IdpUnavailableError):
        await knows(keys, idp.kids[0])
    assert count(metrics, "discovery") == 1
    assert idp.jwks_requests == 0


async def test_a_failed_refresh_is_tried_again_after_five_seconds(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    await knows(keys, idp.kids[0])
    idp.jwks.status = 500
    clock.advance(3600.0)
    await keys.refresh_if_due()
    idp.jwks.reset()

    clock.advance(4.9)
    await keys.refresh_if_due()
    assert keys.is_degraded
    clock.advance(0.1)
    await keys.refresh_if_due()
    assert not keys.is_degraded
    assert keys.age == 0.0


async def test_keys_that_moved_are_looked_up_again(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    await knows(keys, idp.kids[0])
    idp.jwks.status = 404
    clock.advance(3600.0)
    await keys.refresh_if_due()
    clock.advance(5.0)
    await keys.refresh_if_due()

    assert idp.discovery_requests == 2


async def test_while_there_are_no_keys_everybody_learns_that_and_when_to_come_back(
    keys: RemoteKeySet, idp: IdpInABox
) -> None:
    await idp.pause()

    with pytest.raises(IdpUnavailableError) as caught:
        await knows(keys, idp.kids[0])
    assert caught.value.retry_after == 5.0
    assert not keys.has_keys
    assert keys.age is None


async def test_without_keys_requests_try_at_most_once_a_second(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    idp.jwks.status = 503
    for _ in range(20):
        with pytest.raises(IdpUnavailableError):
            await knows(keys, idp.kids[0])
    assert idp.jwks_requests == 1

    idp.jwks.reset()
    clock.advance(1.0)
    assert await knows(keys, idp.kids[0])


async def test_the_background_task_fetches_before_anybody_asks(keys: RemoteKeySet, idp: IdpInABox) -> None:
    keys.start()
    await idp.until(lambda: idp.jwks_requests == 1)

    assert await knows(keys, idp.kids[0])
    assert idp.jwks_requests == 1


async def test_starting_without_the_issuer_works_and_recovers(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock
) -> None:
    await idp.pause()
    keys.start()
    with pytest.raises(IdpUnavailableError):
        await knows(keys, idp.kids[0])

    await idp.start()
    clock.advance(5.0)
    assert await knows(keys, idp.kids[0])


async def test_closing_ends_a_fetch_that_hangs(keys: RemoteKeySet, idp: IdpInABox) -> None:
    idp.jwks.gate.hold()
    keys.start()
    await idp.until(lambda: idp.jwks_requests == 1)

    await keys.close()

    await idp.until(lambda: idp._server.abandoned == 1)
    assert not keys.has_keys


async def test_an_issuer_that_hangs_is_waited_for_no_longer_than_the_deadline(
    keys: RemoteKeySet, idp: IdpInABox, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.identity.jwks.FETCH_TIMEOUT", 0.05)
    idp.jwks.gate.hold()

    with pytest.raises(IdpUnavailableError):
        await knows(keys, idp.kids[0])
    assert count(metrics, "timeout") == 1


async def test_the_age_is_a_metric_and_endless_before_the_first_fetch(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock, metrics: Metrics
) -> None:
    assert metrics.registry.get_sample_value("sidecar_jwks_age_seconds") == math.inf

    await knows(keys, idp.kids[0])
    clock.advance(7.0)
    assert metrics.registry.get_sample_value("sidecar_jwks_age_seconds") == 7.0
    assert count(metrics, "ok") == 1


async def test_an_outage_is_one_line_and_so_is_its_end(
    keys: RemoteKeySet, idp: IdpInABox, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="sidecar.identity")
    idp.jwks.status = 500
    for _ in range(5):
        await keys.refresh_if_due()
        clock.advance(5.0)
    idp.jwks.reset()
    await keys.refresh_if_due()

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
