"""How long a token set is good, and when it is time to fetch the next.

A token refreshed only once it is dead makes every request wait for the token endpoint. So there are two
ends: from the soft one on, one background refresh runs while everybody is served; from the hard one on,
requests wait.

Scope: pure arithmetic on epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sidecar.grants.model import TokenSet

HARD_MARGIN: Final = 5.0
"""Seconds: a token must outlive its flight to the provider and a small difference of clocks."""
HARD_SHARE: Final = 0.1
SOFT_SHARE: Final = 0.2
"""Shares of the lifetime, so that a token of one minute is not due from its first second."""


class Freshness(StrEnum):
    """What a token set is good for now."""

    FRESH = "fresh"
    DUE = "due"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """When a token set becomes due and when it must not be used any more; infinite where it has no end."""

    due_at: float
    expired_at: float

    def judge(self, now: float) -> Freshness:
        if now >= self.expired_at:
            return Freshness.EXPIRED
        return Freshness.DUE if now >= self.due_at else Freshness.FRESH


FOREVER: Final = Ends(due_at=float("inf"), expired_at=float("inf"))
NEVER: Final = Ends(due_at=float("-inf"), expired_at=float("-inf"))


def ends_of(tokens: TokenSet, *, refresh_before: float, jitter: float = 0.0) -> Ends:
    """Return both ends of `tokens`.

    `refresh_before` is the widest soft window in seconds, `jitter` (0 to 1) narrows it by up to half, so
    that grants which expire together are not refreshed together. A set that cannot be refreshed is never
    due, it only expires.
    """
    if tokens.access_token is None:
        return NEVER
    if tokens.expires_at is None:
        return FOREVER
    lifetime = max(0.0, tokens.expires_at - tokens.obtained_at)
    expired_at = tokens.expires_at - min(HARD_MARGIN, HARD_SHARE * lifetime)
    if tokens.refresh_token is None:
        return Ends(due_at=expired_at, expired_at=expired_at)
    window = min(refresh_before, SOFT_SHARE * lifetime) * (1.0 - jitter / 2)
    return Ends(due_at=min(expired_at, tokens.expires_at - window), expired_at=expired_at)
