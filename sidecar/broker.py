"""From a proven caller and what it asks for to a live access token.

On the warm path the answer is in memory and nothing leaves the process. A memory that outlives a revocation
would be a leak, so it is trusted only while the change feed would have told: every write to a user's grants,
in any process, empties that user's memory at once, and a feed that has been deaf sends every request to the
store. Where the store is away too, memory serves for `outage_grace` and no longer.

Scope: policy, choice, memory. Refreshing is `sidecar.grants.refresh`.
"""

from __future__ import annotations

import logging
import zlib
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.cache.singleflight import Singleflight
from sidecar.errors import (
    BadRequestError,
    NoDelegatedGrantError,
    PolicyDeniedError,
    ReauthRequiredError,
    ScopeReauthRequiredError,
    SidecarError,
    StoreUnavailableError,
)
from sidecar.grants.access import AccessToken
from sidecar.grants.freshness import Freshness, ends_of
from sidecar.grants.memory import Remembered, TokenMemory
from sidecar.grants.model import Owner
from sidecar.grants.refresh import can_refresh
from sidecar.grants.resolution import Ask, account_name, choose, require_scopes, to_repair
from sidecar.grants.sealing import user_of
from sidecar.identity.principal import Principal, Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.cache.shared import ChangeFeed
    from sidecar.clock import Clock
    from sidecar.grants.connect import ConnectLinks
    from sidecar.grants.freshness import Ends
    from sidecar.grants.memory import UserMemory
    from sidecar.grants.model import Grant, GrantId, UserTag
    from sidecar.grants.refresh import Refresher
    from sidecar.grants.store import GrantStore
    from sidecar.identity.principal import Caller
    from sidecar.policies.evaluation import PolicyEngine
    from sidecar.policies.model import Call
    from sidecar.providers.model import Provider
    from sidecar.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

BACKGROUND_RETRY: Final = 5.0
"""Seconds between background refreshes of one remembered token."""
MOST_REFRESHES: Final = 2
"""A set that another process wrote may be due already; one that we just fetched is used as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """Seconds: the soft window before a token's end, and how long memory serves without a store."""

    refresh_before: float = 300.0
    outage_grace: float = 60.0


class Broker:
    """Gives access tokens to proven callers, one per call, never another user's."""

    def __init__(
        self,
        *,
        store: GrantStore,
        refresher: Refresher,
        providers: Mapping[str, Provider],
        policies: PolicyEngine,
        links: ConnectLinks,
        feed: ChangeFeed,
        clock: Clock,
        metrics: Metrics,
        limits: BrokerLimits,
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._providers = providers
        self._policies = policies
        self._links = links
        self._feed = feed
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._hits = metrics.token_cache_requests.labels("memory", "hit")
        self._misses = metrics.token_cache_requests.labels("memory", "miss")
        self._memory = TokenMemory(clock)
        self._renewals: Singleflight[GrantId, None] = Singleflight()
        self._stop_listening = feed.listen(self._memory.forget)

    async def close(self) -> None:
        """Wait for background refreshes and end the listening."""
        await self._renewals.drain()
        self._stop_listening()

    def recall(self, caller: Caller, ask: Ask, call: Call) -> AccessToken | None:
        """Judge the call and return its token from memory; none means that `find` has to look further.

        Does not wait. Raises `PolicyDeniedError` and `BadRequestError`.
        """
        self._judge(caller, call)
        if not self._feed.is_current:
            return None
        found = self._recall(caller, ask)
        (self._hits if found else self._misses).inc()
        return found

    async def token_for(self, caller: Caller, ask: Ask, call: Call) -> AccessToken:
        """Judge the call and return the live access token of the one grant that fits.

        Raises `PolicyDeniedError`, `BadRequestError`, and what `find` raises.
        """
        token = self.recall(caller, ask, call)
        return await self.find(caller, ask) if token is None else token

    async def find(self, caller: Caller, ask: Ask) -> AccessToken:
        """Return the live access token of the one grant that fits, for a call that `recall` has judged.

        Raises the errors of choosing (`NoDelegatedGrantError`, `AmbiguousGrantError`, `ReauthRequiredError`,
        `ScopeReauthRequiredError`), of refreshing, and `StoreUnavailableError`.
        """
        try:
            return await self._look_up(caller, ask)
        except StoreUnavailableError:
            remembered = self._recall(caller, ask) if self._is_in_grace() else None
            if remembered is None:
                raise
            return remembered
        except (NoDelegatedGrantError, ReauthRequiredError, ScopeReauthRequiredError) as exc:
            raise await self._invited(caller, ask, exc) from exc

    def _judge(self, caller: Caller, call: Call) -> None:
        if isinstance(caller, Service) and call.provider not in caller.providers:
            raise PolicyDeniedError("This service may not use this provider.", provider=call.provider)
        decision = self._policies.decide(
            call,
            groups=caller.groups if isinstance(caller, Principal) else frozenset(),
            service=caller.name if isinstance(caller, Service) else "",
        )
        for effect, mode in decision.counts:
            self._metrics.policy_decisions.labels(effect, mode).inc()
        if not decision.is_allowed:
            raise PolicyDeniedError("A policy refuses this call.", provider=call.provider)

    def _recall(self, caller: Caller, ask: Ask) -> AccessToken | None:
        memory = self._memory.find(_caller_key(caller, ask))
        remembered = memory.get((_service_name(caller), ask)) if memory else None
        if remembered is None:
            return None
        now = self._clock.now()
        freshness = remembered.ends.judge(now)
        if freshness is Freshness.EXPIRED:
            return None
        if freshness is Freshness.DUE and now >= remembered.retry_at:
            remembered.retry_at = now + BACKGROUND_RETRY
            grant = remembered.token.grant
            self._renewals.start(grant, lambda: self._renew(grant))
        return remembered.token

    async def _look_up(self, caller: Caller, ask: Ask) -> AccessToken:
        memory = self._memory_of(caller, ask)
        epoch = memory.epoch
        provider = self._providers[ask.provider]
        found = await self._find(caller, ask)
        require_scopes(found, provider.scopes)
        is_hit = self._freshness(found) is not Freshness.EXPIRED
        self._metrics.token_cache_requests.labels("store", "hit" if is_hit else "miss").inc()
        grant = await self._made_fresh(found, provider)
        # A refresh may bring fewer scopes than there were (RFC 6749 §6).
        require_scopes(grant, provider.scopes)
        remembered = Remembered(token=self._access(grant), ends=self._ends(grant))
        memory.put((_service_name(caller), ask), remembered, epoch=epoch)
        return remembered.token

    async def _made_fresh(self, grant: Grant, provider: Provider) -> Grant:
        for _ in range(MOST_REFRESHES):
            freshness = self._freshness(grant)
            if freshness is Freshness.DUE and can_refresh(grant, provider):
                self._refresher.refresh_in_background(grant, provider)
            if freshness is not Freshness.EXPIRED:
                return grant
            grant = await self._refreshed(grant, provider)
        # What was fetched a moment ago is used as it is, however short its life.
        return grant

    async def _find(self, caller: Caller, ask: Ask) -> Grant:
        try:
            grants = await self._grants_of(caller, ask)
            grant = choose(grants, ask)
        except SidecarError as exc:
            self._metrics.grant_resolution.labels(ask.provider, exc.code).inc()
            raise
        self._metrics.grant_resolution.labels(ask.provider, "resolved").inc()
        return grant

    async def _grants_of(self, caller: Caller, ask: Ask) -> Sequence[Grant]:
        if isinstance(caller, Principal):
            return await self._store.of_user(Owner(issuer=caller.issuer, subject=caller.subject))
        grant = None if ask.grant is None else await self._store.get(ask.grant)
        return () if grant is None else (grant,)

    async def _refreshed(self, grant: Grant, provider: Provider) -> Grant:
        if not can_refresh(grant, provider):
            raise ReauthRequiredError(
                "The access token has expired and the grant has nothing to refresh it with. "
                "Let the user connect the account again.",
                provider=grant.provider,
            )
        return await self._refresher.refresh(grant, provider)

    async def _renew(self, grant_id: GrantId) -> None:
        try:
            grant = await self._store.get(grant_id)
            if grant is None or self._freshness(grant) is Freshness.FRESH:
                return
            provider = self._providers[grant.provider]
            if can_refresh(grant, provider):
                await self._refresher.refresh(grant, provider)
        except SidecarError as exc:
            # Everybody is served with the token that is still good; whoever comes after its end waits.
            log.warning("a background refresh failed", extra={"code": exc.code, "provider": exc.provider})

    def _access(self, grant: Grant) -> AccessToken:
        if grant.tokens.access_token is None:
            raise StoreUnavailableError("The grant holds no access token.", provider=grant.provider)
        return AccessToken(
            value=grant.tokens.access_token,
            grant=grant.id,
            version=grant.version,
            expires_at=grant.tokens.expires_at,
        )

    def _freshness(self, grant: Grant) -> Freshness:
        return self._ends(grant).judge(self._clock.now())

    def _ends(self, grant: Grant) -> Ends:
        # The same for every process, another for every grant.
        jitter = zlib.crc32(grant.id.encode()) / 2**32
        return ends_of(grant.tokens, refresh_before=self._limits.refresh_before, jitter=jitter)

    def _memory_of(self, caller: Caller, ask: Ask) -> UserMemory:
        key = _caller_key(caller, ask)
        return self._memory.find(key) or self._memory.open(key, self._tag_of(caller, ask))

    def _tag_of(self, caller: Caller, ask: Ask) -> UserTag:
        if isinstance(caller, Principal):
            return self._store.tag(Owner(issuer=caller.issuer, subject=caller.subject))
        if ask.grant is None:
            raise BadRequestError("A service names the grant it uses in Sidecar-Grant.")
        tag = user_of(ask.grant)
        if tag is None:
            raise NoDelegatedGrantError(
                "There is no grant that fits this id and provider.", provider=ask.provider
            )
        return tag

    def _is_in_grace(self) -> bool:
        since = self._feed.deaf_since
        return since is None or self._clock.monotonic() - since <= self._limits.outage_grace

    async def _invited(self, caller: Caller, ask: Ask, error: SidecarError) -> SidecarError:
        """Return the error with where the user can give what is missing, if this provider can be connected.

        It is another error: all who waited for one refresh are told the same one, and not all are the user.
        """
        own = copy(error)
        if not isinstance(caller, Principal) or not self._providers[ask.provider].is_connectable:
            return own
        account = ask.account or ""
        if not isinstance(error, NoDelegatedGrantError):
            broken = to_repair(await self._grants_of(caller, ask), ask)
            account = account_name(broken) if broken else account
        own.connect_url, _ = self._links.invite(caller, ask.provider, account=account)
        return own


def _caller_key(caller: Caller, ask: Ask) -> tuple[str, str]:
    """Name the user whose grants the caller asks for; a service asks for the owner of the grant it names."""
    if isinstance(caller, Principal):
        return caller.issuer, caller.subject
    return "", ask.grant or ""


def _service_name(caller: Caller) -> str:
    return caller.name if isinstance(caller, Service) else ""
