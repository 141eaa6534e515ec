"""What the broker remembers, for how long it trusts it, and what it never serves."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.broker import BACKGROUND_RETRY, Broker, BrokerLimits
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import (
    NoDelegatedGrantError,
    PolicyDeniedError,
    ReauthRequiredError,
    RefreshUnavailableError,
    ScopeReauthRequiredError,
    SidecarError,
    StoreUnavailableError,
)
from sidecar.grants.connect import ConnectLinks
from sidecar.grants.model import Account, Grant, Owner
from sidecar.grants.refresh import Refresher
from sidecar.grants.resolution import Ask
from sidecar.grants.store import Consent, GrantStore
from sidecar.identity.principal import Principal, Service
from sidecar.outbound.client import OutboundClient
from sidecar.policies.evaluation import PolicyEngine
from sidecar.policies.model import Call, Effect, Policies, Rule
from sidecar.providers.model import Endpoints, OAuthClient, Origin, Placement, Provider, ProviderHost
from sidecar.providers.oauth import TokenEndpoint
from sidecar.secret import Secret
from sidecar.storage.memory import memory_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.testing.provider import ProviderInABox
from sidecar.testing.token_endpoint import TOKEN_FAILURES
from sidecar.testing.waiting import Gate, Watch
from tests.grants import token_set

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sidecar.grants.access import AccessToken
    from sidecar.identity.principal import Caller

ISSUER = "https://idp.example.com/"
LIFETIME = 600.0
GRACE = 60.0
ANN, BEN = (Principal(issuer=ISSUER, subject=name, expires_at=2e9) for name in ("ann", "ben"))
NIGHTLY = Service(name="nightly", providers=frozenset({"files", "plain"}))


class Records:
    """A store's records that count what is asked, and are away or held where a test says so."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.calls: Counter[str] = Counter()
        self.is_away = False
        self.answers = Gate()
        self.watch = Watch()

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._records, name)

        async def guarded(*given: Any, **named: Any) -> Any:
            self.calls[name] += 1
            self.watch.changed()
            if self.is_away:
                raise StoreUnavailableError(retry_after=1.0)
            found = await operation(*given, **named)
            await self.answers.passed()
            return found

        return guarded


class Feed:
    """A change feed that can be deaf: then nothing is heard, and everybody is told once it hears again."""

    def __init__(self, feed: Any, clock: ManualClock) -> None:
        self._clock = clock
        self._listeners: list[Callable[[str], None]] = []
        self.deaf_since: float | None = None
        feed.listen(self._tell)

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        self._listeners.append(heard)
        return lambda: self._listeners.remove(heard)

    @property
    def is_current(self) -> bool:
        return self.deaf_since is None

    def interrupt(self) -> None:
        self.deaf_since = self._clock.monotonic()

    def resume(self) -> None:
        self.deaf_since = None
        self._tell("")

    def _tell(self, tag: str) -> None:
        if self.is_current:
            for heard in self._listeners:
                heard(tag)


@dataclass
class House:
    clock: ManualClock
    box: ProviderInABox
    records: Records
    feed: Feed
    store: GrantStore
    broker: Broker
    metrics: Metrics
    grants: dict[str, Grant] = field(default_factory=dict)

    async def consented(
        self,
        who: Principal = ANN,
        *,
        provider: str = "files",
        label: str = "",
        refresh: bool = True,
        **more: Any,
    ) -> Grant:
        pair = self.box.issue(who.subject, account=label, expires_in=more.pop("lifetime", LIFETIME))
        tokens = replace(
            token_set(pair.access_token, pair.refresh_token if refresh else None, expires_at=pair.expires_at),
            obtained_at=self.clock.now(),
            **more,
        )
        owner = Owner(issuer=who.issuer, subject=who.subject)
        consent = Consent(owner=owner, provider=provider, account=Account(label=label), tokens=tokens)
        return (await self.store.consented(consent)).grant

    async def ask(
        self, who: Caller = ANN, *, provider: str = "files", path: str = "/x", **more: Any
    ) -> AccessToken:
        call = Call(provider=provider, method="GET", path=path)
        return await self.broker.token_for(who, Ask(provider=provider, **more), call)

    async def renewed(self) -> None:
        """Return once no background refresh runs any more."""
        await self.broker._renewals.drain()

    def whose(self, token: AccessToken) -> str:
        holder = self.box.whose(token.value.reveal())
        return holder.user if holder else ""

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"sidecar_{name}_total", labels) or 0.0


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock, metrics = ManualClock(), Metrics()
    storage = memory_storage(clock)
    records, feed = Records(storage.records), Feed(storage.feed, clock)
    keyring = Keyring([EncryptionKey.generate("k")])
    store = GrantStore("notes", keyring, records, clock)
    await store.open()
    async with ProviderInABox(clock=clock) as box:
        refresher = Refresher(
            store=store,
            leases=storage.leases,
            feed=feed,
            endpoint=TokenEndpoint(OutboundClient(), timeout=5.0, clock=clock),
            clock=clock,
            metrics=metrics,
            token_timeout=5.0,
        )
        broker = Broker(
            store=store,
            refresher=refresher,
            providers={provider.name: provider for provider in _providers(box)},
            policies=PolicyEngine(
                Policies(default=Effect.ALLOW, rules=(Rule(groups=frozenset({"out"}), effect=Effect.DENY),))
            ),
            links=ConnectLinks(
                app="notes", base_url="https://notes.example.com", keyring=keyring, clock=clock
            ),
            feed=feed,
            clock=clock,
            metrics=metrics,
            limits=BrokerLimits(refresh_before=300.0, outage_grace=GRACE),
        )
        yield House(clock, box, records, feed, store, broker, metrics)
        await broker.close()
        await refresher.close()


def _providers(box: ProviderInABox) -> list[Provider]:
    """Return `files`, `mail` beside it, `plain`, which cannot refresh, and `scoped`, which needs scopes."""
    origin = Origin(scheme="http", host="127.0.0.1", port=int(box.url.rpartition(":")[2]))
    files = Provider(
        name="files",
        hosts=(ProviderHost(origin=origin, placement=Placement()),),
        endpoints=Endpoints(authorize_url=box.authorize_url, token_url=box.token_url),
        client=OAuthClient(client_id=box.client_id, client_secret=Secret(box.client_secret)),
    )
    return [
        files,
        replace(files, name="mail"),
        replace(files, name="plain", endpoints=Endpoints()),
        replace(files, name="scoped", scopes=("read", "write")),
    ]


async def test_the_warm_path_asks_nobody(house: House) -> None:
    await house.consented()
    first = await house.ask()
    house.records.calls.clear()

    again = [await house.ask() for _ in range(5)]

    assert {token.value for token in again} == {first.value}
    assert not house.records.calls
    assert house.counted("token_cache_requests", tier="memory", result="hit") == 5


async def test_every_ask_is_remembered_for_itself(house: House) -> None:
    home, work = [await house.consented(label=label) for label in ("home", "work")]
    mail = await house.consented(provider="mail")
    for _ in range(2):
        by_account = await house.ask(account="home")
        by_grant = await house.ask(grant=work.id)
        elsewhere = await house.ask(provider="mail")

        assert [token.grant for token in (by_account, by_grant, elsewhere)] == [home.id, work.id, mail.id]


async def test_a_change_empties_the_memory_of_that_user_alone(house: House) -> None:
    grant = await house.consented(ANN)
    await house.consented(BEN)
    for who in (ANN, BEN):
        await house.ask(who)

    await house.store.remove(grant.id)
    house.records.calls.clear()

    with pytest.raises(NoDelegatedGrantError):
        await house.ask(ANN)
    asked_for_ann = house.records.calls.copy()
    assert house.whose(await house.ask(BEN)) == "ben"
    assert house.records.calls == asked_for_ann


async def test_what_was_read_before_a_revocation_is_not_remembered_after_it(house: House) -> None:
    grant = await house.consented()
    house.records.answers.hold()
    early = asyncio.create_task(house.ask())
    await house.records.watch.until(lambda: house.records.calls["of_user"] == 2)
    removing = asyncio.create_task(house.store.remove(grant.id))
    await house.records.watch.until(lambda: house.records.calls["remove"] == 1)

    house.records.answers.release()
    await early
    await removing

    with pytest.raises(NoDelegatedGrantError):
        await house.ask()


async def test_policies_are_judged_on_the_warm_path_too(house: House) -> None:
    await house.consented()
    await house.ask()

    with pytest.raises(PolicyDeniedError):
        await house.ask(replace(ANN, groups=frozenset({"out"})))


async def test_a_service_and_a_user_do_not_answer_for_each_other(house: House) -> None:
    grant = await house.consented(provider="mail")
    await house.ask(provider="mail", grant=grant.id)

    with pytest.raises(PolicyDeniedError):
        await house.ask(NIGHTLY, provider="mail", grant=grant.id)
    for other in (BEN, replace(ANN, issuer="https://other.example.com/")):
        with pytest.raises(NoDelegatedGrantError):
            await house.ask(other, provider="mail", grant=grant.id)


async def test_a_service_names_its_grant_and_is_remembered(house: House) -> None:
    grant = await house.consented()
    assert (await house.ask(NIGHTLY, grant=grant.id)).grant == grant.id
    house.records.calls.clear()

    assert (await house.ask(NIGHTLY, grant=grant.id)).grant == grant.id
    assert not house.records.calls
    await house.store.remove(grant.id)
    with pytest.raises(NoDelegatedGrantError):
        await house.ask(NIGHTLY, grant=grant.id)


async def test_a_deaf_feed_sends_every_request_to_the_store(house: House) -> None:
    grant = await house.consented()
    await house.ask()
    house.feed.interrupt()
    await house.store.remove(grant.id)

    with pytest.raises(NoDelegatedGrantError):
        await house.ask()


async def test_a_feed_that_hears_again_has_everything_forgotten(house: House) -> None:
    grant = await house.consented()
    await house.ask()
    house.feed.interrupt()
    await house.store.remove(grant.id)
    house.feed.resume()

    with pytest.raises(NoDelegatedGrantError):
        await house.ask()


async def test_without_a_store_memory_serves_for_the_grace_and_no_longer(house: House) -> None:
    await house.consented()
    remembered = await house.ask()
    house.feed.interrupt()
    house.records.is_away = True

    house.clock.advance(GRACE)
    within = await house.ask()
    house.clock.advance(1)

    assert within.value == remembered.value
    with pytest.raises(StoreUnavailableError):
        await house.ask()


async def test_without_a_store_nobody_gets_what_is_not_remembered_or_has_expired(house: House) -> None:
    await house.consented(ANN, lifetime=30)
    await house.ask(ANN)
    house.feed.interrupt()
    house.records.is_away = True

    with pytest.raises(StoreUnavailableError):
        await house.ask(BEN)
    house.clock.advance(30)
    with pytest.raises(StoreUnavailableError):
        await house.ask(ANN)
    assert house.box.token_calls == 0


async def test_a_due_token_is_served_and_renewed_once(house: House) -> None:
    grant = await house.consented()
    served = await house.ask()
    house.box.token_endpoint.before.hold()
    house.clock.advance(590)

    while_due = [await house.ask() for _ in range(5)]
    await house.box.until(lambda: house.box.token_calls == 1)
    house.box.token_endpoint.before.release()
    await house.renewed()

    assert {token.value for token in while_due} == {served.value}
    assert (await house.store.get(grant.id)).version == 2
    assert (await house.ask()).version == 2
    assert house.box.token_calls == 1


async def test_a_failed_renewal_is_tried_again_later_and_disturbs_nobody(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.consented()
    await house.ask()
    house.box.token_endpoint.fail(TOKEN_FAILURES["server_error"])
    house.clock.advance(580)
    await house.ask()
    await house.renewed()

    house.clock.advance(BACKGROUND_RETRY)
    assert house.whose(await house.ask()) == "ann"
    await house.renewed()

    assert house.box.token_calls == 2
    assert "a background refresh failed" in caplog.messages


async def test_a_token_found_due_in_the_store_is_served_and_renewed(house: House) -> None:
    grant = await house.consented()
    house.clock.advance(590)

    served = await house.ask()
    await house.box.until(lambda: house.box.token_calls == 1)

    assert served.version == grant.version


async def test_what_cannot_be_refreshed_is_used_to_its_end_without_a_word(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.consented(provider="plain")
    await house.consented(provider="files", refresh=False)
    caplog.set_level(logging.INFO)

    for _ in range(2):
        house.clock.advance(297)
        for provider in ("plain", "files"):
            assert house.whose(await house.ask(provider=provider)) == "ann"
    await house.renewed()
    assert (caplog.messages, house.box.token_calls) == ([], 0)

    house.clock.advance(6)
    for provider in ("plain", "files"):
        with pytest.raises(ReauthRequiredError):
            await house.ask(provider=provider)


async def test_a_set_of_another_process_that_has_expired_too_is_refreshed_again(house: House) -> None:
    await house.consented(lifetime=1)
    house.clock.advance(1)
    house.box.token_endpoint.before.hold()
    asking = asyncio.create_task(house.ask())
    await house.box.until(lambda: house.box.token_calls == 1)
    # Somebody consents while the call runs, and that set is over before the call is.
    await house.consented(lifetime=1)
    house.clock.advance(1)

    house.box.token_endpoint.before.release()

    token = await asking
    assert (house.whose(token), token.version, house.box.token_calls) == ("ann", 3, 2)


async def test_a_refresh_that_brings_fewer_scopes_is_told_at_once(house: House) -> None:
    grant = await house.consented(provider="scoped", scopes=frozenset({"read", "write"}))
    narrower = Secret(house.box.issue("ann", scopes=["read"]).refresh_token)
    tokens = replace(grant.tokens, refresh_token=narrower)
    await house.store.replace(replace(grant, tokens=tokens, version=2), version=1)
    house.clock.advance(LIFETIME)

    with pytest.raises(ScopeReauthRequiredError) as refused:
        await house.ask(provider="scoped")

    assert list(refused.value.missing_scopes) == ["write"]
    assert house.box.token_calls == 1


async def test_a_look_up_that_had_to_refresh_is_a_miss(house: House) -> None:
    await house.consented()
    house.clock.advance(LIFETIME)
    await house.ask()
    await house.ask()

    assert house.counted("token_cache_requests", tier="store", result="miss") == 1
    assert house.counted("token_cache_requests", tier="store", result="hit") == 1
    assert house.counted("grant_resolution", provider="files", result="resolved") == 2


async def test_a_set_without_an_access_token_is_refreshed_first(house: House) -> None:
    grant = await house.consented()
    only_refresh = replace(grant.tokens, access_token=None, expires_at=None)
    await house.store.replace(replace(grant, tokens=only_refresh, version=2), version=1)

    assert house.whose(await house.ask()) == "ann"
    assert house.box.token_calls == 1


async def test_a_link_to_repair_goes_to_the_user_and_to_no_service(house: House) -> None:
    grant = await house.consented()
    house.clock.advance(LIFETIME)
    house.box.token_endpoint.before.hold()
    house.box.token_endpoint.fail(TOKEN_FAILURES["invalid_grant"])
    asking = [asyncio.create_task(house.ask(who, grant=grant.id)) for who in (ANN, NIGHTLY)]
    await house.box.until(lambda: house.box.token_calls == 1)

    house.box.token_endpoint.before.release()
    user, service = await asyncio.gather(*asking, return_exceptions=True)

    assert (type(user), type(service)) == (ReauthRequiredError, ReauthRequiredError)
    assert isinstance(user, SidecarError)
    assert isinstance(service, SidecarError)
    assert user.connect_url.startswith("https://notes.example.com/connect/")
    assert (service.connect_url, service.provider, service.detail) == ("", "files", user.detail)


async def test_a_failing_token_endpoint_is_told_as_it_is(house: House) -> None:
    await house.consented()
    house.clock.advance(LIFETIME)
    house.box.token_endpoint.fail(TOKEN_FAILURES["rate_limited"])

    with pytest.raises(RefreshUnavailableError) as refused:
        await house.ask()

    assert (refused.value.retry_after, refused.value.connect_url) == (7, "")
