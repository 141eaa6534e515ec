"""Refreshing, revoking and importing one grant in every order, between two processes that share a store.

At the end either the grant is gone and nobody serves its token, or exactly one token set is kept, it is the
live one, and nobody serves another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.broker import Broker, BrokerLimits
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import NoDelegatedGrantError, SidecarError, StoreUnavailableError
from sidecar.grants.connect import ConnectLinks
from sidecar.grants.model import Account, Grant, Owner, Status, TokenSet
from sidecar.grants.refresh import Refresher
from sidecar.grants.resolution import Ask
from sidecar.grants.store import Consent, GrantStore
from sidecar.identity.principal import Principal
from sidecar.policies.evaluation import PolicyEngine
from sidecar.policies.model import Call, Policies
from sidecar.providers.model import Endpoints, OAuthClient, Origin, Placement, Provider, ProviderHost
from sidecar.providers.oauth import TokenAnswer, TokenError, Verdict
from sidecar.secret import Secret
from sidecar.storage.memory import memory_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.ledger import Family, Holder, InvalidGrantError, Ledger
from tests.orders import Director, act, in_every_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.grants.access import AccessToken

ANN = Principal(issuer="https://idp.example.com/", subject="ann", expires_at=2e9)
OWNER = Owner(issuer=ANN.issuer, subject=ANN.subject)
ASK = Ask(provider="files")
CALL = Call(provider="files", method="GET", path="/x")
LIFETIME = 600.0
TOKEN_TIMEOUT = 5.0
FILES = Provider(
    name="files",
    hosts=(ProviderHost(origin=Origin(scheme="http", host="127.0.0.1", port=1), placement=Placement()),),
    endpoints=Endpoints(token_url="http://127.0.0.1:1/token"),
    client=OAuthClient(client_id="app", auth_method="none"),
)


class SceneClock:
    """The scene's time; `ahead` is what a pause of one process adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


class Stepwise:
    """A port whose every operation is a step; what `fails` names may also fail, before its work or after."""

    def __init__(self, port: Any, director: Director, *, fails: str = "") -> None:
        self._port = port
        self._director = director
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._port, name)

        async def step(*given: Any, **named: Any) -> Any:
            await self._director.point(name)
            fate = self._director.choose(3) if name == self._fails else 0
            if fate:
                self._fails = ""
            if fate == 1:
                raise StoreUnavailableError(retry_after=1.0)
            answer = await operation(*given, **named)
            if fate == 2:
                raise StoreUnavailableError(retry_after=1.0)
            return answer

        return step


class LateAnswers(Stepwise):
    """A port whose answers are a step of their own: what was read may be old when it arrives."""

    def __getattr__(self, name: str) -> Any:
        operation = super().__getattr__(name)

        async def step(*given: Any, **named: Any) -> Any:
            answer = await operation(*given, **named)
            await self._director.point(f"{name} answered")
            return answer

        return step


class LateFeed:
    """The feed of one process, which hears each change in order and at a step of its own."""

    def __init__(self, feed: Any, director: Director, process: str) -> None:
        self._director = director
        self._process = process
        self._listeners: list[Callable[[str], None]] = []
        self._changes: deque[str] = deque()
        self._pump: asyncio.Task[None] | None = None
        self.is_current = True
        self.deaf_since = None
        feed.listen(self._changed)

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        self._listeners.append(heard)
        return lambda: self._listeners.remove(heard)

    async def drain(self) -> None:
        if self._pump is not None:
            await self._pump

    def _changed(self, tag: str) -> None:
        self._changes.append(tag)
        if self._pump is None or self._pump.done():
            self._pump = act(f"feed of {self._process}", self._deliver())

    async def _deliver(self) -> None:
        while self._changes:
            await self._director.point("hears")
            tag = self._changes.popleft()
            for heard in tuple(self._listeners):
                heard(tag)


class TokenDesk:
    """A token endpoint that rotates strictly, and answers in two steps."""

    def __init__(self, ledger: Ledger, director: Director) -> None:
        self._ledger = ledger
        self._director = director

    async def refresh(self, _: Provider, refresh_token: Secret) -> TokenAnswer:
        await self._director.point("asks for a token")
        try:
            _, pair = self._ledger.refresh(refresh_token.reveal(), LIFETIME)
        except InvalidGrantError as exc:
            raise TokenError(Verdict.REFUSED, code="invalid_grant") from exc
        await self._director.point("gets a token")
        return TokenAnswer(
            access_token=Secret(pair.access_token),
            refresh_token=Secret(pair.refresh_token),
            expires_in=LIFETIME,
        )


@dataclass
class Process:
    broker: Broker
    refresher: Refresher
    feed: Any

    async def ask(self) -> AccessToken | None:
        try:
            return await self.broker.token_for(ANN, ASK, CALL)
        except SidecarError:
            return None


@dataclass
class Scene:
    """One store, one provider, an expired grant, and the processes and people of a test."""

    director: Director
    records: Callable[..., Any] = Stepwise
    fails: str = ""
    is_feed_late: bool = False
    processes: list[Process] = field(default_factory=list)
    imported: TokenSet | None = None

    async def begin(self) -> None:
        self.clock = SceneClock()
        self.ledger = Ledger(self.clock)
        self.storage = memory_storage(self.clock)
        self.plain = await self._store(self.storage.records)
        await self.plain.consented(self._consent(expired=True))
        self.store = await self._store(self.records(self.storage.records, self.director, fails=self.fails))

    async def _store(self, records: Any) -> GrantStore:
        store = GrantStore("notes", _keyring(), records, self.clock)
        opening, self.director.is_over = self.director.is_over, True
        await store.open()
        self.director.is_over = opening
        return store

    def process(self) -> Process:
        feed: Any = self.storage.feed
        if self.is_feed_late:
            feed = LateFeed(feed, self.director, str(len(self.processes)))
        refresher = Refresher(
            store=self.store,
            leases=self.storage.leases,
            feed=feed,
            endpoint=TokenDesk(self.ledger, self.director),  # type: ignore[arg-type]
            clock=self.clock,
            metrics=_metrics(),
            token_timeout=TOKEN_TIMEOUT,
        )
        broker = Broker(
            store=self.store,
            refresher=refresher,
            providers={"files": FILES},
            policies=PolicyEngine(Policies()),
            links=ConnectLinks(
                app="notes", base_url="https://notes.example.com", keyring=_keyring(), clock=self.clock
            ),
            feed=feed,
            clock=self.clock,
            metrics=_metrics(),
            limits=BrokerLimits(refresh_before=60.0, outage_grace=0.0),
        )
        self.processes.append(Process(broker, refresher, feed))
        return self.processes[-1]

    async def revoke(self) -> None:
        await self.director.point("looks")
        grant = await self.kept()
        if grant is not None:
            await self.store.remove(grant.id)

    async def import_again(self) -> None:
        consent = self._consent()
        while self.imported is None:
            with suppress(StoreUnavailableError):
                self.imported = (await self.store.consented(consent)).grant.tokens

    async def pause(self) -> None:
        """Let the clocks run on while everybody stands where they are."""
        await self.director.point("sleeps")
        self.clock.ahead += 60.0

    async def kept(self) -> Grant | None:
        grants = await self.plain.of_user(OWNER)
        assert len(grants) <= 1
        return grants[0] if grants else None

    async def settled(self) -> None:
        """Return once nothing is under way any more and every change was heard."""
        for process in self.processes:
            await process.refresher.close()
        for process in self.processes:
            if self.is_feed_late:
                await process.feed.drain()
        self.director.is_over = True

    def _consent(self, *, expired: bool = False) -> Consent:
        now = self.clock.now()
        pair = self.ledger.issue(Family(Holder(user="ann"), ()), LIFETIME)
        tokens = TokenSet(
            access_token=Secret(pair.access_token),
            refresh_token=Secret(pair.refresh_token),
            expires_at=now - 1 if expired else now + LIFETIME,
            obtained_at=now - LIFETIME if expired else now,
        )
        return Consent(owner=OWNER, provider="files", account=Account(), tokens=tokens)

    async def is_in_order(self) -> None:
        """Check what must be true at the end, whatever the order was."""
        kept = await self.kept()
        for process in self.processes:
            remembered = process.broker.recall(ANN, ASK, CALL)
            if kept is None:
                assert remembered is None
                with pytest.raises(NoDelegatedGrantError):
                    await process.broker.token_for(ANN, ASK, CALL)
            elif remembered is not None:
                assert remembered.value == kept.tokens.access_token
        # An import is newer than the answer to whatever was asked before it.
        assert kept is None or self.imported in (None, kept.tokens)
        is_alive = kept is not None and kept.status is Status.ACTIVE and not self.ledger.reuse_detected
        if is_alive and kept and kept.tokens.refresh_token:
            self.ledger.refresh(kept.tokens.refresh_token.reveal(), LIFETIME)


@cache
def _keyring() -> Keyring:
    return Keyring([EncryptionKey.generate("k")])


@cache
def _metrics() -> Metrics:
    return Metrics()


def scene(*parts: str, no_reuse: bool = True, **settings: Any) -> Callable[[Director], Any]:
    """Return a play in which every part acts at once; `ask` is a process of its own, `again` the same one."""

    async def play(director: Director) -> None:
        stage = Scene(director, **settings)
        await stage.begin()
        cast = {"revoke": stage.revoke, "import": stage.import_again, "pause": stage.pause}
        acting = []
        for number, part in enumerate(parts):
            if part == "ask":
                doing = stage.process().ask
            elif part == "again":
                doing = stage.processes[-1].ask
            else:
                doing = cast[part]
            acting.append(act(f"{part} {number}", doing()))
        await asyncio.gather(*acting)
        await stage.settled()

        await stage.is_in_order()
        if no_reuse:
            assert stage.ledger.reuse_detected == 0

    return play


@pytest.mark.parametrize(
    ("parts", "settings"),
    [
        (("ask", "revoke"), {"records": LateAnswers}),
        (("ask", "import"), {"records": LateAnswers}),
        (("ask", "revoke", "import"), {}),
        (("ask", "again", "revoke"), {}),
        (("ask", "ask"), {}),
        (("ask", "ask", "revoke"), {}),
        (("ask", "revoke"), {"is_feed_late": True}),
        (("ask", "import"), {"is_feed_late": True}),
        (("ask",), {"fails": "replace"}),
        (("ask", "revoke"), {"fails": "replace"}),
        (("ask", "import"), {"fails": "replace"}),
        (("ask", "ask"), {"fails": "replace"}),
        (("ask", "again"), {"fails": "begin_spending"}),
        (("ask", "revoke"), {"fails": "replace", "is_feed_late": True}),
        (("ask", "ask", "pause"), {"no_reuse": False}),
    ],
)
def test_in_every_order_one_live_set_is_kept_or_none_served(parts: tuple[str, ...], settings: Any) -> None:
    plays = in_every_order(scene(*parts, **settings), most=5_000)

    assert plays > 1
