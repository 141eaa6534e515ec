"""Which tokens a provider gave to whom, and which refresh tokens are spent.

Strict rotation is the rule a broker is measured by: each refresh token works once, and the second use of a
spent one is read as theft and ends the whole family (RFC 9700 §4.14.2).

Scope: state and its rules, no network. The oldest tokens are forgotten beyond `LIMIT`.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from sidecar.clock import Clock

V = TypeVar("V")

# Some hundred bytes each: a long randomised run fits, and a runaway test does not fill the machine.
LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose a token is: a user, and which of that user's accounts at the provider."""

    user: str
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a provider hands out; `expires_at` is when the access token ends, in epoch seconds."""

    access_token: str
    refresh_token: str
    expires_at: float


class InvalidGrantError(Exception):
    """The refresh token or code is unknown, spent or revoked."""


class Family:
    """All tokens that come from one consent; they are revoked together."""

    __slots__ = ("holder", "is_revoked", "scopes")

    def __init__(self, holder: Holder, scopes: tuple[str, ...]) -> None:
        self.holder = holder
        self.scopes = scopes
        self.is_revoked = False


class _Access:
    __slots__ = ("expires_at", "family")

    def __init__(self, family: Family, expires_at: float) -> None:
        self.family = family
        self.expires_at = expires_at


class _Refresh:
    __slots__ = ("family", "is_spent")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.is_spent = False


class Ledger:
    """The tokens of one provider.

    `rotates` says whether a refresh hands out a new refresh token and spends the old one. `refreshes`
    counts the successful ones by (user, account); `reuse_detected` the attempts with a spent token.
    """

    __slots__ = ("_access", "_clock", "_refresh", "refreshes", "reuse_detected", "rotates")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._access: dict[str, _Access] = {}
        self._refresh: dict[str, _Refresh] = {}
        self.rotates = True
        self.refreshes: Counter[tuple[str, str]] = Counter()
        self.reuse_detected = 0

    def issue(self, family: Family, expires_in: float) -> TokenPair:
        refresh_token = f"rt_{secrets.token_urlsafe(24)}"
        self._refresh[refresh_token] = _Refresh(family)
        _forget_oldest(self._refresh)
        return self._with_access(family, refresh_token, expires_in)

    def refresh(self, refresh_token: str, expires_in: float) -> tuple[Family, TokenPair]:
        """Spend `refresh_token`; raises `InvalidGrantError`, and revokes the family on reuse."""
        found = self._refresh.get(refresh_token)
        if found is None or found.family.is_revoked:
            raise InvalidGrantError
        if found.is_spent:
            self.reuse_detected += 1
            found.family.is_revoked = True
            raise InvalidGrantError
        holder = found.family.holder
        self.refreshes[holder.user, holder.account] += 1
        if not self.rotates:
            return found.family, self._with_access(found.family, refresh_token, expires_in)
        found.is_spent = True
        return found.family, self.issue(found.family, expires_in)

    def live(self, access_token: str) -> Family | None:
        """Return whose token this is, or nothing where it is unknown, expired or revoked."""
        found = self._access.get(access_token)
        if found is None or found.family.is_revoked or found.expires_at <= self._clock.now():
            return None
        return found.family

    def expire(self, access_token: str) -> None:
        """Let the token be over now, whatever was said when it was issued."""
        found = self._access.get(access_token)
        if found is not None:
            found.expires_at = self._clock.now()

    def revoke(self, token: str) -> None:
        """Revoke as RFC 7009 §2.1: with a refresh token goes its whole family; unknown tokens are ignored."""
        refresh = self._refresh.get(token)
        if refresh is not None:
            refresh.family.is_revoked = True
        self._access.pop(token, None)

    def _with_access(self, family: Family, refresh_token: str, expires_in: float) -> TokenPair:
        access_token = f"at_{secrets.token_urlsafe(24)}"
        expires_at = self._clock.now() + expires_in
        self._access[access_token] = _Access(family, expires_at)
        _forget_oldest(self._access)
        return TokenPair(access_token=access_token, refresh_token=refresh_token, expires_at=expires_at)


def _forget_oldest(tokens: dict[str, V]) -> None:
    if len(tokens) > LIMIT:
        del tokens[next(iter(tokens))]
