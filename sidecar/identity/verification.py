"""Prove a token: its signature, then every claim that says for whom, by whom and when.

PyJWT verifies the signature and nothing else. Its claim checks take text for numbers, digits of any script
and instants beyond any calendar; what counts here is written out, each rule with a refusal of its own.

Scope: pure; the time is passed in. Who the token speaks of is `sidecar.identity.claims`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jwt import PyJWS

from sidecar.identity.bearer import ALGORITHMS, Bearer, Refusal, TokenRefusedError, parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.identity.keyset import VerificationKey

# 9999-12-31T23:59:59Z, the last second that calendars can write.
LAST_INSTANT: Final = 253_402_300_799

_SIGNATURES: Final = PyJWS(algorithms=sorted(ALGORITHMS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What a token must say.

    `issuer` is compared byte for byte. One of `audience` must be among the token's; an empty `audience`
    leaves the claim unread, and then `authorized_parties` (exact `azp`) must stand instead. Where both are
    given both must fit. `leeway` is seconds of difference between the provider's clock and ours.
    """

    issuer: str
    audience: frozenset[str] = frozenset()
    authorized_parties: frozenset[str] = frozenset()
    leeway: float = 30.0

    def __post_init__(self) -> None:
        if not self.audience and not self.authorized_parties:
            raise ValueError("a token for anybody is a token for nobody: name an audience or a party")


def verified_claims(
    bearer: Bearer, key: VerificationKey, *, expected: Expectations, now: float
) -> Mapping[str, Any]:
    """Return the claims of a token that is genuine, for us, and valid at `now` (epoch seconds).

    Raises `TokenRefusedError`. The payload is not read before its signature is good.
    """
    _check_signature(bearer, key)
    claims = parse_object(bearer.payload)
    _check_parties(claims, expected)
    _check_times(claims, now=now, leeway=expected.leeway)
    return claims


def _check_signature(bearer: Bearer, key: VerificationKey) -> None:
    # A key that may not verify this algorithm is never tried: that is how an RSA key becomes an HMAC secret.
    if bearer.algorithm not in key.algorithms:
        raise TokenRefusedError(Refusal.ALGORITHM)
    algorithm = _SIGNATURES.get_algorithm_by_name(bearer.algorithm)
    if not algorithm.verify(bearer.signing_input, key.public, bearer.signature):
        raise TokenRefusedError(Refusal.SIGNATURE)


def _check_parties(claims: Mapping[str, Any], expected: Expectations) -> None:
    if claims.get("iss") != expected.issuer:
        raise TokenRefusedError(Refusal.ISSUER)
    if isinstance(claims.get("events"), dict):
        # RFC 8417 §2.2: a security event token, a logout token among them, whatever its `typ` said.
        raise TokenRefusedError(Refusal.TYPE)
    if expected.audience and expected.audience.isdisjoint(_audience(claims.get("aud"))):
        raise TokenRefusedError(Refusal.AUDIENCE)
    party = claims.get("azp")
    if expected.authorized_parties and not (isinstance(party, str) and party in expected.authorized_parties):
        raise TokenRefusedError(Refusal.AUTHORIZED_PARTY)


def _audience(value: object) -> frozenset[str]:
    """RFC 7519 §4.1.3: a string, or a list of strings and nothing else."""
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in listed):
        return frozenset()
    return frozenset(listed)


def _check_times(claims: Mapping[str, Any], *, now: float, leeway: float) -> None:
    expires_at = _instant(claims, "exp")
    if expires_at is None:
        raise TokenRefusedError(Refusal.TIMES)
    starts = [at for name in ("nbf", "iat") if (at := _instant(claims, name)) is not None]
    if now >= expires_at + leeway:
        raise TokenRefusedError(Refusal.EXPIRED)
    if any(now < at - leeway for at in starts):
        raise TokenRefusedError(Refusal.NOT_YET_VALID)


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    """Read a NumericDate (RFC 7519 §2): a number, not text, not a truth value, within the calendar."""
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LAST_INSTANT:
        raise TokenRefusedError(Refusal.TIMES)
    return float(value)
