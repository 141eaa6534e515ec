"""Keep the issuer's keys at hand, whatever the issuer's day is like.

A key set is needed for every request and fetched once an hour. Fetching on demand alone makes every user
wait for a slow issuer; forgetting the keys when a fetch fails turns the issuer's outage into ours; fetching
for every unknown key id lets anybody make us hammer the issuer. So the keys are refreshed in the background
before their time, the last good ones stay through every failure, and a token with an unknown key id may ask
for one fetch per cool-down.

Scope: one issuer, one event loop. What makes a key usable is `sidecar.identity.keyset`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sidecar.errors import IdpUnavailableError
from sidecar.identity.discovery import DOCUMENT_BYTES, DiscoveryError, discover_jwks_uri
from sidecar.identity.keyset import KeySet, KeySetError, VerificationKey, parse_key_set
from sidecar.outbound.client import OutboundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.clock import Clock
    from sidecar.outbound.client import OutboundClient
    from sidecar.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

# Discovery and key set together: what a user who came first may be kept waiting.
FETCH_TIMEOUT: Final = 5.0
# An identity provider that fails is asked again this often, so its recovery is noticed within seconds.
RETRY_AFTER: Final = 5.0
# Without keys every request would like to try; once a second is enough to notice the recovery.
ATTEMPT_PAUSE: Final = 1.0
# panva/jose's default for `cooldownDuration`.
UNKNOWN_KEY_COOL_DOWN: Final = 30.0

# Issuers send from nothing to a day; a key taken out must not verify for longer than that, and an issuer
# that forbids caching is still asked no more than every five minutes.
DEFAULT_LIFETIME: Final = 3600.0
SHORTEST_LIFETIME: Final = 300.0
LONGEST_LIFETIME: Final = 86_400.0
# Early enough for several attempts before the lifetime ends.
REFRESH_AT: Final = 0.8

MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,10})", re.ASCII | re.IGNORECASE)
UNCACHED: Final = re.compile(r"(?:^|[\s,])no-(?:store|cache)(?:$|[\s,])", re.IGNORECASE)


class FetchResult(StrEnum):
    """How a fetch of the key set ended; the words of `sidecar_jwks_refresh_total{result}`."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    TOO_LARGE = "too_large"
    REFUSED_ADDRESS = "refused_address"
    BROKEN = "broken"
    DISCOVERY = "discovery"
    KEY_SET = "key_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLocation:
    """Where an issuer's keys are: at `jwks_uri`, or where the issuer's discovery document says.

    `ca_file` replaces the system's roots. `allows_insecure` accepts plain http from hosts that are not
    this machine.
    """

    issuer: str
    jwks_uri: str = ""
    ca_file: str = ""
    allows_insecure: bool = False


class RemoteKeySet:
    """An issuer's keys, kept fresh between `start` and `close`.

    One fetch is in flight at a time and everybody who needs it waits for that one, so an older answer can
    never arrive after a newer. `generation` changes when a key left or changed, and only then: whatever
    was verified under an older generation must be verified again.
    """

    __slots__ = (
        "_asked_at",
        "_clock",
        "_discovered",
        "_due_at",
        "_fetched_at",
        "_keys",
        "_last",
        "_location",
        "_metrics",
        "_outbound",
        "_runner",
        "_running",
        "_tried_at",
        "generation",
    )

    def __init__(
        self, location: KeyLocation, *, outbound: OutboundClient, clock: Clock, metrics: Metrics
    ) -> None:
        self._location = location
        self._outbound = outbound
        self._clock = clock
        self._metrics = metrics
        self.generation = 0
        self._keys = KeySet()
        self._discovered = ""
        self._last: FetchResult | None = None
        self._fetched_at: float | None = None
        # Monotonic instants: when a fetch last ended, one for an unknown key last began, the next is due.
        self._tried_at = -math.inf
        self._asked_at = -math.inf
        self._due_at = -math.inf
        self._running: asyncio.Task[None] | None = None
        self._runner: asyncio.Task[None] | None = None
        metrics.jwks_age.set_function(lambda: math.inf if self.age is None else self.age)

    @property
    def has_keys(self) -> bool:
        """Whether a key set was ever fetched; once true it stays so."""
        return len(self._keys) > 0

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched, none before the first time."""
        return None if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    @property
    def is_degraded(self) -> bool:
        """Whether the last fetch failed, so that the keys are the last good ones or none."""
        return self._last not in (None, FetchResult.OK)

    def start(self) -> None:
        """Fetch now and keep refreshing; returns at once, whether or not the issuer is there."""
        self._runner = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End the background task and the fetch in flight."""
        tasks = [task for task in (self._runner, self._running) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def key_for(self, *, key_id: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key a token names, asking the issuer again where none is known.

        Raises `IdpUnavailableError` while there is no key set at all. Waits no longer than two fetches.
        """
        key = self._keys.find(key_id=key_id, algorithm=algorithm)
        # A fetch that was already running may have begun before the key was published: hence up to two.
        for _ in range(2):
            if key is not None or not self._may_ask():
                break
            await self._refresh()
            key = self._keys.find(key_id=key_id, algorithm=algorithm)
        if not self.has_keys:
            raise IdpUnavailableError(retry_after=RETRY_AFTER)
        return key

    async def refresh_if_due(self) -> None:
        """Fetch if the keys' time has come; the background task calls this, and tests with a clock."""
        if self._clock.monotonic() >= self._due_at:
            await self._refresh()

    async def _run(self) -> None:
        while True:
            try:
                await self.refresh_if_due()
            except Exception:
                log.exception("the key set's refresh failed; it goes on")
            # Never asleep for long: a fetch on somebody's demand may have moved the next one.
            left = self._due_at - self._clock.monotonic()
            await asyncio.sleep(min(max(left, 0.0), RETRY_AFTER))

    def _may_ask(self) -> bool:
        """Whether a request may wait for a fetch; if that fetch is a new one, the cool-down begins."""
        if self._running is not None:
            return True
        now = self._clock.monotonic()
        if not self.has_keys:
            return now - self._tried_at >= ATTEMPT_PAUSE
        if now - self._asked_at < UNKNOWN_KEY_COOL_DOWN:
            return False
        self._asked_at = now
        return True

    async def _refresh(self) -> None:
        """Join the fetch in flight, or start one; it belongs to all, so nobody's cancellation ends it."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._fetch())
            self._running.add_done_callback(self._ended)
        task = self._running
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._running = None

    async def _fetch(self) -> None:
        # Stands unless the fetch succeeds, however it ends.
        self._due_at = self._clock.monotonic() + RETRY_AFTER
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                result = await self._fetched()
        except OutboundError as exc:
            result = FetchResult(exc.reason.value)
        except TimeoutError:
            result = FetchResult.TIMEOUT
        except DiscoveryError:
            result = FetchResult.DISCOVERY
        except KeySetError:
            result = FetchResult.KEY_SET
        self._note(result)

    async def _fetched(self) -> FetchResult:
        uri = self._location.jwks_uri or self._discovered or await self._discover()
        # Unless this works, the address may be the reason: the next attempt looks it up again.
        self._discovered = ""
        answer = await self._outbound.get(
            uri, timeout=FETCH_TIMEOUT, max_bytes=DOCUMENT_BYTES, ca_file=self._location.ca_file
        )
        if answer.status != 200:
            raise KeySetError("the key set was not served with status 200")
        self._adopt(parse_key_set(answer.body), lifetime=lifetime_of(answer.headers))
        self._discovered = uri
        return FetchResult.OK

    async def _discover(self) -> str:
        return await discover_jwks_uri(
            self._outbound,
            self._location.issuer,
            timeout=FETCH_TIMEOUT,
            ca_file=self._location.ca_file,
            allows_insecure=self._location.allows_insecure,
        )

    def _adopt(self, keys: KeySet, *, lifetime: float) -> None:
        if not keys.keeps(self._keys):
            self.generation += 1
        self._keys = keys
        self._fetched_at = self._clock.monotonic()
        self._due_at = self._fetched_at + REFRESH_AT * lifetime

    def _note(self, result: FetchResult) -> None:
        self._metrics.jwks_refresh.labels(result=result.value).inc()
        self._tried_at = self._clock.monotonic()
        before, self._last = self._last, result
        # An outage is one line, not one every five seconds.
        if result is before:
            return
        if result is not FetchResult.OK:
            log.warning("the identity provider's keys could not be fetched: %s", result.value)
        elif before is not None:
            log.info("the identity provider's keys are up to date again")


def lifetime_of(headers: Mapping[str, str]) -> float:
    """Return for how many seconds a key set counts as fresh, by its `Cache-Control` and our bounds."""
    control = headers.get("cache-control", "")
    if UNCACHED.search(control):
        return SHORTEST_LIFETIME
    match = MAX_AGE.search(control)
    wanted = float(match[1]) if match else DEFAULT_LIFETIME
    return min(max(wanted, SHORTEST_LIFETIME), LONGEST_LIFETIME)
