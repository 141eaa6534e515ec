"""Refresh a grant exactly once, however many callers and processes want it.

A provider that rotates refresh tokens takes a second use for theft and revokes everything; a refresh whose
answer is lost loses the user. Every peer fails at one of the two. The order here is: one attempt per
process (single flight) -> one process at a time (lease, renewed while the call runs) -> read again under the
lease -> note that this refresh token is being spent -> call -> write if the version is still the one spent.

The version alone decides whose write counts; the lease only orders attempts. A new set is written before
its access token is used. If the store is away just then, the set is held and served, and written as soon as
the store is back; `close` waits for that.

Scope: one refresh. When one is due is `freshness`, what the token endpoint says is `sidecar.providers.oauth`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from sidecar.cache.singleflight import Singleflight
from sidecar.errors import (
    GrantRevokedError,
    ReauthRequiredError,
    RefreshUnavailableError,
    SidecarError,
    StoreUnavailableError,
)
from sidecar.grants.held import HeldSets
from sidecar.grants.model import Event, Grant, GrantId, Status, TokenSet
from sidecar.grants.records import Spending
from sidecar.grants.rest import Rests
from sidecar.providers.oauth import TokenError, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sidecar.cache.shared import ChangeFeed, Leases
    from sidecar.clock import Clock
    from sidecar.grants.store import GrantStore
    from sidecar.providers.model import Provider
    from sidecar.providers.oauth import TokenAnswer, TokenEndpoint
    from sidecar.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LEASE_TTL: Final = 10.0
"""Seconds; a killed holder blocks the others no longer than this. Renewed three times as often."""
NOTE_MARGIN: Final = 10.0
"""Seconds a spent note outlives the token call's own deadline: a paused process may still be answered."""
POLL_AFTER: Final = 0.25
"""Seconds between looks at the store while another process refreshes; the feed usually wakes us first."""


class Refresher:
    """Refreshes grants of one process; shared state is in the store, the leases and the notes.

    `token_timeout` is the deadline of one token call in seconds.
    """

    def __init__(
        self,
        *,
        store: GrantStore,
        leases: Leases,
        feed: ChangeFeed,
        endpoint: TokenEndpoint,
        clock: Clock,
        metrics: Metrics,
        token_timeout: float,
    ) -> None:
        self._store = store
        self._leases = leases
        self._feed = feed
        self._endpoint = endpoint
        self._clock = clock
        self._metrics = metrics
        self._token_timeout = token_timeout
        self._flights: Singleflight[GrantId, Grant] = Singleflight()
        self._held = HeldSets(store)
        self._rests = Rests(clock)

    async def refresh(self, grant: Grant, provider: Provider) -> Grant:
        """Return the grant with a set newer than `grant`'s, refreshed by us or by somebody else.

        A cancelled caller does not cancel the refresh. Raises `ReauthRequiredError` (the provider refused
        the newest refresh token), `GrantRevokedError` (it is gone), `RefreshUnavailableError` and
        `StoreUnavailableError` (try again; nothing is lost).
        """
        return await self._flights.do(grant.id, lambda: self._run(grant, provider))

    def refresh_in_background(self, grant: Grant, provider: Provider) -> None:
        """Start a refresh nobody waits for; a failure is counted and tried again when next asked."""
        if not self._rests.left(grant.id):
            self._flights.start(grant.id, lambda: self._run(grant, provider))

    async def close(self) -> None:
        """Wait until running refreshes have ended and every held set is written."""
        await self._flights.drain()
        await self._held.drain()

    async def _run(self, grant: Grant, provider: Provider) -> Grant:
        held = self._held.newer_than(grant)
        if held is not None:
            return held
        rest = self._rests.left(grant.id)
        if rest:
            raise _unavailable(grant, retry_after=rest)
        owner = secrets.token_hex(8)
        give_up_at = self._clock.monotonic() + self._token_timeout + NOTE_MARGIN
        # Heard from before the first try on: what is written between a try and the wait must not be missed.
        with self._changes_of(grant) as changed:
            while not await self._leases.acquire(grant.id, owner=owner, ttl=LEASE_TTL):
                current = _usable(await self._store.get(grant.id), grant)
                if _is_newer(current, grant):
                    return current
                if self._clock.monotonic() > give_up_at:
                    raise _unavailable(grant, retry_after=1.0)
                await _change_or_poll(changed)
        async with self._renewing(grant.id, owner):
            return await self._under_lease(grant, provider)

    async def _under_lease(self, grant: Grant, provider: Provider) -> Grant:
        while True:
            current = _usable(await self._store.get(grant.id), grant)
            if _is_newer(current, grant):
                return current
            if self._held.newer_than(current) is not None:
                # The store is back with a token that we have spent; its successor is written in a moment.
                raise _unavailable(grant, retry_after=1.0)
            until = self._clock.now() + self._token_timeout + NOTE_MARGIN
            spending = await self._store.begin_spending(current, until=until)
            if spending is Spending.STANDING:
                # Somebody may have spent this refresh token and died with the answer: spending it again
                # would be read as theft. The note says how long nobody may.
                raise _unavailable(grant, retry_after=1.0)
            if spending is Spending.STARTED:
                return await self._spend(current, provider)

    async def _spend(self, grant: Grant, provider: Provider) -> Grant:
        asked_at, started_at = self._clock.now(), self._clock.monotonic()
        if grant.tokens.refresh_token is None:
            raise _reauth(grant)
        try:
            answer = await self._endpoint.refresh(provider, grant.tokens.refresh_token)
        except TokenError as exc:
            self._count(provider, exc.verdict.value, started_at)
            return await self._after_failure(grant, exc)
        self._count(provider, "refreshed", started_at)
        self._rests.succeeded(grant.id)
        # The new life is counted from the question: this process may have been stopped with the answer in
        # its socket for longer than the token lives.
        tokens = _merged(grant, answer, asked_at)
        return await self._keep(grant, grant.after(Event.REFRESHED, at=self._clock.now(), tokens=tokens))

    async def _keep(self, spent: Grant, renewed: Grant) -> Grant:
        try:
            written = await self._store.replace(renewed, version=spent.version)
        except StoreUnavailableError:
            self._held.hold(renewed, spent_version=spent.version)
            return renewed
        return renewed if written else await self._overtaken(spent, renewed)

    async def _overtaken(self, spent: Grant, renewed: Grant) -> Grant:
        """Somebody wrote between our read and our write: theirs counts, a removal included."""
        current = _usable(await self._store.get(spent.id), spent)
        log.info("a refreshed token set was overtaken", extra={"provider": spent.provider})
        return current if _is_newer(current, spent) else renewed

    async def _after_failure(self, grant: Grant, failure: TokenError) -> Grant:
        if failure.verdict is Verdict.REFUSED:
            dead = grant.after(Event.REFUSED, at=self._clock.now(), tokens=_without_tokens(grant))
            if await self._store.replace(dead, version=grant.version):
                raise _reauth(grant)
            return _usable(await self._store.get(grant.id), grant)
        level = logging.ERROR if failure.verdict is Verdict.MISCONFIGURED else logging.WARNING
        told = {"provider": grant.provider, "reason": failure.code, "may_be_spent": failure.may_be_spent}
        log.log(level, "a token call failed", extra=told)
        retry_after = self._rests.failed(grant.id, asked=failure.retry_after)
        # The call has ended for us, so no answer of it can still arrive and be written: waiting for the note
        # would help nobody. It stands only when its writer was killed or paused.
        await self._store.end_spending(grant)
        raise _unavailable(grant, retry_after=retry_after)

    @asynccontextmanager
    async def _renewing(self, name: str, owner: str) -> AsyncIterator[None]:
        renewer = asyncio.get_running_loop().create_task(self._renew(name, owner))
        try:
            yield
        finally:
            renewer.cancel()
            await asyncio.wait([renewer])
            try:
                await self._leases.release(name, owner=owner)
            except StoreUnavailableError:
                # It ends by itself within LEASE_TTL.
                log.debug("a lease was left to run out")

    async def _renew(self, name: str, owner: str) -> None:
        while True:
            await asyncio.sleep(LEASE_TTL / 3)
            try:
                await self._leases.renew(name, owner=owner, ttl=LEASE_TTL)
            except StoreUnavailableError:
                # The call goes on: if its base version is still current, its answer is written.
                log.debug("a lease could not be renewed")

    @contextmanager
    def _changes_of(self, grant: Grant) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the grant may have been written."""
        changed = asyncio.Event()
        stop = self._feed.listen(lambda tag: changed.set() if not tag or tag in grant.id else None)
        try:
            yield changed
        finally:
            stop()

    def _count(self, provider: Provider, result: str, started_at: float) -> None:
        self._metrics.token_refresh.labels(provider.name, result).inc()
        took = self._clock.monotonic() - started_at
        self._metrics.token_refresh_duration.labels(provider.name).observe(took)


def can_refresh(grant: Grant, provider: Provider) -> bool:
    """Say whether there is something to refresh with, somewhere to do it, and a client to do it as."""
    is_possible = provider.client is not None and bool(provider.endpoints.token_url)
    return is_possible and grant.tokens.refresh_token is not None


async def _change_or_poll(changed: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_AFTER):
            await changed.wait()
    changed.clear()


def _usable(current: Grant | None, asked: Grant) -> Grant:
    if current is None:
        raise GrantRevokedError(provider=asked.provider)
    if current.status is Status.NEEDS_CONSENT:
        raise _reauth(asked)
    return current


def _is_newer(current: Grant, asked: Grant) -> bool:
    return current.version > asked.version


def _merged(grant: Grant, answer: TokenAnswer, asked_at: float) -> TokenSet:
    """Fill what the answer leaves out: no new refresh token or scope means the old one (RFC 6749 §6)."""
    return TokenSet(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token or grant.tokens.refresh_token,
        expires_at=None if answer.expires_in is None else asked_at + answer.expires_in,
        scopes=grant.tokens.scopes if answer.scopes is None else answer.scopes,
        obtained_at=asked_at,
    )


def _without_tokens(grant: Grant) -> TokenSet:
    return TokenSet(scopes=grant.tokens.scopes, obtained_at=grant.tokens.obtained_at)


def _reauth(grant: Grant) -> SidecarError:
    return ReauthRequiredError(
        "The provider no longer accepts this grant. Let the user connect the account again.",
        provider=grant.provider,
    )


def _unavailable(grant: Grant, *, retry_after: float) -> SidecarError:
    return RefreshUnavailableError(
        "The access token has expired and cannot be refreshed right now. Try again when Retry-After says.",
        provider=grant.provider,
        retry_after=retry_after,
    )
