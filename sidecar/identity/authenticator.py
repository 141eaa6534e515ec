"""Say who is calling: a user by a verified JWT, a service by its key.

The warm path is `recall`, which neither waits nor verifies; `authenticate` is the whole way and fills what
`recall` remembers. Both answer from the same rules, so a token is never good in one and bad in the other.

Scope: credentials in, callers out. Where in a request a credential stands is the surfaces' business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sidecar.errors import IdpUnavailableError, InvalidTokenError, TokenExpiredError
from sidecar.identity.bearer import ALGORITHMS, Refusal, TokenLimits, TokenRefusedError, parse_bearer
from sidecar.identity.claims import ClaimMap, principal_of
from sidecar.identity.service_keys import digest_of
from sidecar.identity.verification import Expectations, verified_claims
from sidecar.identity.verified import VerifiedTokens

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.identity.jwks import RemoteKeySet
    from sidecar.identity.principal import Caller, Principal
    from sidecar.identity.service_keys import ServiceKeys
    from sidecar.telemetry.metrics import Metrics

# Some fifteen thousand users with a few groups each; a fifth of what the whole process may take.
CACHE_BYTES: Final = 16 * 1024 * 1024

ACCEPTED: Final = "accepted"
RECALLED: Final = "recalled"
SERVICE: Final = "service"
IDP_UNAVAILABLE: Final = "idp_unavailable"
RESULTS: Final = (ACCEPTED, RECALLED, SERVICE, IDP_UNAVAILABLE, *(refusal.value for refusal in Refusal))
"""The words of `sidecar_jwt_verifications_total{result}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a user's token must say, which of its claims say who the user is, and how large it may be.

    `algorithms` narrows the accepted ones (RFC 8725 §3.1).
    """

    expected: Expectations
    claims: ClaimMap = field(default_factory=ClaimMap)
    limits: TokenLimits = field(default_factory=TokenLimits)
    algorithms: frozenset[str] = ALGORITHMS


class Authenticator:
    """Turns a credential into a `Caller`.

    Tokens are remembered as hashes, each until it expires and while the key set keeps its generation.
    """

    __slots__ = ("_clock", "_counts", "_keys", "_rules", "_services", "_verified")

    def __init__(
        self,
        rules: TokenRules,
        *,
        keys: RemoteKeySet,
        services: ServiceKeys,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._keys = keys
        self._services = services
        self._clock = clock
        self._verified = VerifiedTokens(max_bytes=CACHE_BYTES)
        self._counts = {result: metrics.jwt_verifications.labels(result=result) for result in RESULTS}

    def recall(self, credential: str) -> Caller | None:
        """Return the caller if that takes no verification; nothing says nothing about the credential."""
        principal = self._verified.get(
            digest_of(credential), generation=self._keys.generation, now=self._clock.now()
        )
        if principal is None:
            return self._service(credential)
        self._counts[RECALLED].inc()
        return principal

    async def authenticate(self, credential: str) -> Caller:
        """Return who the credential stands for.

        Raises `InvalidTokenError`, `TokenExpiredError`, or `IdpUnavailableError` while the issuer's keys
        could not be fetched even once.
        """
        service = self._service(credential)
        if service is not None:
            return service
        try:
            principal = await self._verify(credential)
        except TokenRefusedError as exc:
            self._counts[exc.refusal].inc()
            if exc.refusal is Refusal.EXPIRED:
                raise TokenExpiredError from exc
            raise InvalidTokenError from exc
        except IdpUnavailableError:
            self._counts[IDP_UNAVAILABLE].inc()
            raise
        self._counts[ACCEPTED].inc()
        return principal

    def _service(self, credential: str) -> Caller | None:
        service = self._services.find(credential)
        if service is not None:
            self._counts[SERVICE].inc()
        return service

    async def _verify(self, credential: str) -> Principal:
        rules = self._rules
        bearer = parse_bearer(credential, limits=rules.limits, algorithms=rules.algorithms)
        key = await self._keys.key_for(key_id=bearer.key_id, algorithm=bearer.algorithm)
        # Read in the same step in which the key was found: a key that leaves later must undo this.
        generation = self._keys.generation
        if key is None:
            raise TokenRefusedError(Refusal.UNKNOWN_KEY)
        claims = verified_claims(bearer, key, expected=rules.expected, now=self._clock.now())
        principal = principal_of(claims, rules.claims, limits=rules.limits)
        self._verified.put(
            digest_of(credential),
            principal,
            generation=generation,
            ends_at=principal.expires_at + rules.expected.leeway,
        )
        return principal
