"""Refreshing exactly once, with a token endpoint that rotates strictly and a store that fails on demand."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import (
    GrantRevokedError,
    ReauthRequiredError,
    RefreshUnavailableError,
    StoreUnavailableError,
)
from sidecar.grants import refresh
from sidecar.grants.model import Account, Grant, Status, TokenSet
from sidecar.grants.records import Spending
from sidecar.grants.refresh import LEASE_TTL, NOTE_MARGIN, Refresher, can_refresh
from sidecar.grants.store import Consent, GrantStore
from sidecar.outbound.client import OutboundClient
from sidecar.providers.model import Endpoints, OAuthClient, Origin, Placement, Provider, ProviderHost
from sidecar.providers.oauth import TokenEndpoint
from sidecar.secret import Secret
from sidecar.storage.memory import memory_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.testing.provider import ProviderInABox
from sidecar.testing.token_endpoint import TOKEN_FAILURES
from sidecar.testing.waiting import Gate, Watch
from tests.grants import ALICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.storage.model import Storage

TOKEN_TIMEOUT = 5.0
LIFETIME = 600.0


class Interruptible:
    """A port that counts its calls, is out of reach for those in `away` and slow for those in `gates`."""

    def __init__(self, port: Any, watch: Watch) -> None:
        self._port = port
        self._watch = watch
        self.away: set[str] = set()
        self.gates: dict[str, Gate] = {}
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._port, name)

        async def guarded(*given: Any, **named: Any) -> Any:
            self.calls[name] += 1
            self._watch.changed()
            if name in self.away:
                raise StoreUnavailableError(retry_after=1.0)
            if name in self.gates:
                await self.gates[name].passed()
            return await operation(*given, **named)

        return guarded


@dataclass
class House:
    """One shared store, a provider, and as many refreshing processes as a test starts."""

    clock: ManualClock
    box: ProviderInABox
    storage: Storage
    watch: Watch
    records: Interruptible
    leases: Interruptible
    store: GrantStore
    provider: Provider
    metrics: Metrics

    def process(self) -> Refresher:
        return Refresher(
            store=self.store,
            leases=self.leases,
            feed=self.storage.feed,
            endpoint=TokenEndpoint(OutboundClient(), timeout=TOKEN_TIMEOUT, clock=self.clock),
            clock=self.clock,
            metrics=self.metrics,
            token_timeout=TOKEN_TIMEOUT,
        )

    async def consented(self, label: str = "") -> Grant:
        """Let the user consent at the provider, for the first time or again; return the kept grant."""
        pair = self.box.issue("alice", expires_in=LIFETIME)
        tokens = TokenSet(
            access_token=Secret(pair.access_token),
            refresh_token=Secret(pair.refresh_token),
            expires_at=pair.expires_at,
            scopes=frozenset({"read"}),
            obtained_at=self.clock.now(),
        )
        consent = Consent(owner=ALICE, provider="files", account=Account(label=label), tokens=tokens)
        return (await self.store.consented(consent)).grant

    async def kept(self, grant: Grant) -> Grant:
        found = await self.store.get(grant.id)
        assert found is not None
        return found

    async def asked(self, times: int = 1) -> None:
        """Return once the token endpoint has got that many requests."""
        await self.box.until(lambda: self.box.token_calls == times)

    def counted(self, result: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "sidecar_token_refresh_total", {"provider": "files", "result": result}
        )
        return value or 0.0


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock, watch = ManualClock(), Watch()
    storage = memory_storage(clock)
    records, leases = Interruptible(storage.records, watch), Interruptible(storage.leases, watch)
    store = GrantStore("notes", Keyring([EncryptionKey.generate("k")]), records, clock)
    await store.open()
    async with ProviderInABox(clock=clock) as box:
        origin = Origin(scheme="http", host="127.0.0.1", port=int(box.url.rpartition(":")[2]))
        provider = Provider(
            name="files",
            hosts=(ProviderHost(origin=origin, placement=Placement()),),
            endpoints=Endpoints(token_url=box.token_url),
            client=OAuthClient(client_id=box.client_id, client_secret=Secret(box.client_secret)),
        )
        yield House(clock, box, storage, watch, records, leases, store, provider, Metrics())


async def test_all_callers_of_a_process_share_one_call(house: House) -> None:
    grant, process = await house.consented(), house.process()

    renewed = await asyncio.gather(*(process.refresh(grant, house.provider) for _ in range(100)))

    assert {one.version for one in renewed} == {grant.version + 1}
    assert (house.box.token_calls, house.box.reuse_detected) == (1, 0)
    assert (await house.kept(grant)).tokens == renewed[0].tokens
    assert house.counted("refreshed") == 1


async def test_processes_that_share_a_store_share_one_call(house: House) -> None:
    grant = await house.consented()

    renewed = await asyncio.gather(*(house.process().refresh(grant, house.provider) for _ in range(10)))

    assert {one.version for one in renewed} == {grant.version + 1}
    assert (house.box.token_calls, house.box.reuse_detected) == (1, 0)


async def test_who_asks_with_an_old_reading_gets_the_newer_set_without_a_call(house: House) -> None:
    grant, process = await house.consented(), house.process()
    renewed = await process.refresh(grant, house.provider)

    late = await process.refresh(grant, house.provider)

    assert late == renewed
    assert house.box.token_calls == 1


async def test_a_cancelled_first_caller_does_not_take_the_others_along(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.box.token_endpoint.before.hold()
    first = asyncio.create_task(process.refresh(grant, house.provider))
    await house.asked()
    second = asyncio.create_task(process.refresh(grant, house.provider))

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    house.box.token_endpoint.before.release()

    assert (await second).version == grant.version + 1
    assert house.box.token_calls == 1


async def test_a_refresh_that_nobody_waits_for_any_more_is_written(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.box.token_endpoint.after.hold()
    only = asyncio.create_task(process.refresh(grant, house.provider))
    await house.asked()

    only.cancel()
    house.box.token_endpoint.after.release()
    await process.close()

    assert (await house.kept(grant)).version == grant.version + 1


async def test_what_the_answer_leaves_out_stays_as_it_was(house: House) -> None:
    house.box.ledger.rotates = False
    house.box.token_endpoint.extras = {"scope": None, "expires_in": None}
    grant = await house.consented()

    renewed = await house.process().refresh(grant, house.provider)

    assert renewed.tokens.refresh_token == grant.tokens.refresh_token
    assert renewed.tokens.access_token != grant.tokens.access_token
    assert (renewed.tokens.scopes, renewed.tokens.expires_at) == (grant.tokens.scopes, None)


async def test_a_set_that_cannot_be_written_is_held_and_served(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.records.away = {"replace"}

    renewed = await process.refresh(grant, house.provider)
    again = await process.refresh(grant, house.provider)

    assert renewed == again
    assert renewed.version == grant.version + 1
    assert (await house.kept(grant)).version == grant.version
    assert house.box.token_calls == 1
    house.records.away = set()
    await process.close()
    assert await house.kept(grant) == renewed


async def test_closing_waits_until_what_is_held_is_written(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.records.away = {"replace"}
    renewed = await process.refresh(grant, house.provider)
    tries = house.records.calls["replace"]

    closing = asyncio.create_task(process.close())
    await house.watch.until(lambda: house.records.calls["replace"] > tries + 1)

    assert not closing.done()
    house.records.away = set()
    await closing
    assert await house.kept(grant) == renewed


async def test_closing_waits_for_a_call_under_way(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.box.token_endpoint.after.hold()
    process.refresh_in_background(grant, house.provider)
    await house.asked()

    closing = asyncio.create_task(process.close())
    await asyncio.sleep(0)

    assert not closing.done()
    house.box.token_endpoint.after.release()
    await closing
    assert (await house.kept(grant)).version == grant.version + 1


async def test_a_spent_token_is_not_spent_again_while_its_successor_is_held(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.records.away = {"replace"}
    held = await process.refresh(grant, house.provider)
    # The outage outlives both the note and the held set.
    house.clock.advance(LIFETIME + TOKEN_TIMEOUT + NOTE_MARGIN)

    with pytest.raises(RefreshUnavailableError):
        await process.refresh(held, house.provider)

    assert (house.box.token_calls, house.box.reuse_detected) == (1, 0)
    house.records.away = set()
    await process.close()
    await process.refresh(held, house.provider)
    assert (house.box.token_calls, house.box.reuse_detected) == (2, 0)


async def test_a_held_set_gives_way_to_what_was_written_meanwhile(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.records.away = {"replace"}
    await process.refresh(grant, house.provider)

    house.records.away = set()
    consented = await house.consented()
    await process.close()

    assert await house.kept(grant) == consented


async def test_a_token_lives_from_when_it_was_asked_for(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.box.token_endpoint.after.hold()
    slow = asyncio.create_task(process.refresh(grant, house.provider))
    await house.asked()
    asked_at, lifetime = house.clock.now(), house.box.token_endpoint.expires_in
    house.clock.advance(3600)
    house.box.token_endpoint.after.release()
    tokens = (await slow).tokens

    assert (tokens.obtained_at, tokens.expires_at) == (asked_at, asked_at + lifetime)


async def test_a_late_answer_is_written_although_the_lease_was_lost(house: House) -> None:
    grant = await house.consented()
    house.box.token_endpoint.after.hold()
    slow = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.asked()
    house.clock.advance(LEASE_TTL + 1)
    assert await house.leases.acquire(grant.id, owner="somebody else", ttl=LEASE_TTL)

    house.box.token_endpoint.after.release()
    renewed = await slow

    assert renewed.version == grant.version + 1
    assert await house.kept(grant) == renewed
    assert not await house.leases.acquire(grant.id, owner="a third", ttl=LEASE_TTL)


async def test_an_overtaken_answer_is_dropped(house: House) -> None:
    grant = await house.consented()
    house.box.token_endpoint.after.hold()
    slow = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.asked()
    consented = await house.consented()

    house.box.token_endpoint.after.release()

    assert await slow == consented
    assert await house.kept(grant) == consented


async def test_a_token_replaced_just_before_it_would_be_spent_is_not_spent(house: House) -> None:
    grant, gate = await house.consented(), Gate()
    gate.hold()
    house.records.gates["begin_spending"] = gate
    refreshing = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.watch.until(lambda: house.records.calls["begin_spending"] == 1)
    consented = await house.consented()

    gate.release()

    assert await refreshing == consented
    assert house.box.token_calls == 0


async def test_a_grant_removed_meanwhile_does_not_come_back(house: House) -> None:
    grant = await house.consented()
    house.box.token_endpoint.after.hold()
    slow = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.asked()
    await house.store.remove(grant.id)

    house.box.token_endpoint.after.release()

    with pytest.raises(GrantRevokedError):
        await slow
    assert await house.store.get(grant.id) is None


async def test_nobody_spends_a_token_that_another_process_is_spending(house: House) -> None:
    grant = await house.consented()
    house.box.token_endpoint.after.hold()
    slow = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.asked()
    # The holder was paused: its lease is over, its call is not.
    house.clock.advance(LEASE_TTL + 1)

    with pytest.raises(RefreshUnavailableError) as refused:
        await house.process().refresh(grant, house.provider)

    assert refused.value.retry_after
    assert house.box.token_calls == 1
    house.box.token_endpoint.after.release()
    assert (await slow).version == grant.version + 1


async def test_the_note_of_a_dead_process_is_waited_out_and_then_one_call_is_made(house: House) -> None:
    grant, process = await house.consented(), house.process()
    patience = TOKEN_TIMEOUT + NOTE_MARGIN
    started = await house.store.begin_spending(grant, until=house.clock.now() + patience)
    assert started is Spending.STARTED

    house.clock.advance(patience - 0.001)
    with pytest.raises(RefreshUnavailableError):
        await process.refresh(grant, house.provider)
    calls_before_its_time = house.box.token_calls
    house.clock.advance(0.001)
    renewed = await process.refresh(grant, house.provider)

    assert (calls_before_its_time, house.box.token_calls) == (0, 1)
    assert renewed.version == grant.version + 1


async def test_a_refused_token_ends_the_grant_and_leaves_no_secret(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.box.token_endpoint.fail(TOKEN_FAILURES["invalid_grant"])

    for _ in range(3):
        with pytest.raises(ReauthRequiredError):
            await process.refresh(grant, house.provider)

    dead = await house.kept(grant)
    assert (dead.status, dead.version) == (Status.NEEDS_CONSENT, grant.version + 1)
    assert (dead.tokens.access_token, dead.tokens.refresh_token) == (None, None)
    assert house.box.token_calls == 1
    assert house.counted("refused") == 1


async def test_a_refusal_of_an_older_token_ends_nothing(house: House) -> None:
    grant = await house.consented()
    house.box.token_endpoint.before.hold()
    house.box.token_endpoint.fail(TOKEN_FAILURES["invalid_grant"])
    slow = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.asked()
    consented = await house.consented()

    house.box.token_endpoint.before.release()

    assert await slow == consented
    assert (await house.kept(grant)).status is Status.ACTIVE


@pytest.mark.parametrize(
    "name", ["server_error", "rate_limited", "invalid_client", "page", "truncated", "closed"]
)
async def test_a_failed_call_rests_the_endpoint_and_then_the_same_token_is_tried(
    house: House, name: str
) -> None:
    grant, process = await house.consented(), house.process()
    house.box.token_endpoint.fail(TOKEN_FAILURES[name])

    with pytest.raises(RefreshUnavailableError) as failed:
        await process.refresh(grant, house.provider)
    with pytest.raises(RefreshUnavailableError):
        await process.refresh(grant, house.provider)
    process.refresh_in_background(grant, house.provider)
    await process.close()
    calls_while_resting = house.box.token_calls
    assert failed.value.retry_after
    house.clock.advance(failed.value.retry_after)
    renewed = await process.refresh(grant, house.provider)

    assert calls_while_resting == 1
    assert renewed.version == grant.version + 1
    assert house.box.reuse_detected == 0


async def test_an_answer_in_the_background_is_kept_and_its_failure_harms_nobody(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.box.token_endpoint.fail(TOKEN_FAILURES["server_error"])

    process.refresh_in_background(grant, house.provider)
    await process.close()
    house.clock.advance(30)
    process.refresh_in_background(grant, house.provider)
    await process.close()

    assert (await house.kept(grant)).version == grant.version + 1
    assert (house.counted("unavailable"), house.counted("refreshed")) == (1, 1)


async def test_a_token_call_that_takes_too_long_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant, process = await house.consented(), house.process()
    endpoint = TokenEndpoint(OutboundClient(), timeout=0.05, clock=house.clock)
    monkeypatch.setattr(process, "_endpoint", endpoint)
    house.box.token_endpoint.before.hold()

    with pytest.raises(RefreshUnavailableError):
        await process.refresh(grant, house.provider)

    assert (await house.kept(grant)).status is Status.ACTIVE


async def test_without_a_store_no_token_is_spent(house: House) -> None:
    grant, process = await house.consented(), house.process()
    for operation in ("get", "begin_spending"):
        house.records.away = {operation}

        with pytest.raises(StoreUnavailableError):
            await process.refresh(grant, house.provider)

    house.records.away = set()
    house.leases.away = {"acquire"}
    with pytest.raises(StoreUnavailableError):
        await process.refresh(grant, house.provider)
    assert house.box.token_calls == 0


async def test_a_lease_that_cannot_be_released_runs_out_by_itself(house: House) -> None:
    grant, process = await house.consented(), house.process()
    house.leases.away = {"release"}

    renewed = await process.refresh(grant, house.provider)
    house.leases.away = set()
    house.clock.advance(LEASE_TTL)

    assert (await process.refresh(renewed, house.provider)).version == renewed.version + 1


async def test_who_waits_for_another_process_is_woken_by_its_write(house: House) -> None:
    grant = await house.consented()
    await house.leases.acquire(grant.id, owner="another", ttl=LEASE_TTL)
    waiting = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.watch.until(lambda: house.leases.calls["acquire"] == 2)

    consented = await house.consented()

    assert await waiting == consented
    assert house.box.token_calls == 0


async def test_the_lease_of_a_dead_process_is_waited_out(house: House) -> None:
    grant = await house.consented()
    await house.leases.acquire(grant.id, owner="dead", ttl=LEASE_TTL)
    waiting = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.watch.until(lambda: house.leases.calls["acquire"] == 2)

    house.clock.advance(LEASE_TTL)

    assert (await waiting).version == grant.version + 1
    assert house.box.token_calls == 1


async def test_waiting_for_another_process_has_an_end(house: House) -> None:
    grant = await house.consented()
    await house.leases.acquire(grant.id, owner="another", ttl=1e6)
    waiting = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.watch.until(lambda: house.leases.calls["acquire"] == 2)

    house.clock.advance(TOKEN_TIMEOUT + NOTE_MARGIN + 1)

    with pytest.raises(RefreshUnavailableError):
        await waiting


async def test_waiters_hear_of_a_grant_that_another_process_found_dead(house: House) -> None:
    grant = await house.consented()
    await house.leases.acquire(grant.id, owner="another", ttl=LEASE_TTL)
    waiting = asyncio.create_task(house.process().refresh(grant, house.provider))
    await house.watch.until(lambda: house.leases.calls["acquire"] == 2)

    await house.store.replace(replace(grant, status=Status.NEEDS_CONSENT, version=2), version=1)

    with pytest.raises(ReauthRequiredError):
        await waiting


async def test_a_lease_is_renewed_while_the_call_runs_also_after_a_failed_renewal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "LEASE_TTL", 0.03)
    grant, process = await house.consented(), house.process()
    house.leases.away = {"renew"}
    house.box.token_endpoint.after.hold()
    slow = asyncio.create_task(process.refresh(grant, house.provider))

    await house.watch.until(lambda: house.leases.calls["renew"] == 2)
    house.leases.away = set()
    await house.watch.until(lambda: house.leases.calls["renew"] == 4)
    house.box.token_endpoint.after.release()
    await slow
    renewals = house.leases.calls["renew"]

    assert await house.leases.acquire(grant.id, owner="next", ttl=LEASE_TTL)
    assert house.leases.calls["renew"] == renewals


async def test_what_can_be_refreshed_has_a_token_and_an_endpoint(house: House) -> None:
    grant = await house.consented()
    nothing_to_spend = replace(grant, tokens=replace(grant.tokens, refresh_token=None))
    nowhere_to_go = replace(house.provider, endpoints=Endpoints())
    nobody_to_be = replace(house.provider, client=None)

    assert can_refresh(grant, house.provider)
    assert not can_refresh(nothing_to_spend, house.provider)
    assert not can_refresh(grant, nowhere_to_go)
    assert not can_refresh(grant, nobody_to_be)
