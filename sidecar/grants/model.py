"""A grant and the rules of its life.

A grant outlives many token sets: each refresh replaces the set and raises the version, and the version
alone decides whose write counts when two processes refresh at once.

Scope: values and transitions. Choosing among grants is `resolution`, keeping them is `store`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from sidecar.secret import Secret

GrantId = NewType("GrantId", str)
UserTag = NewType("UserTag", str)
"""A keyed hash of app, issuer and subject; it stands for the user wherever a name would leak."""


class Status(StrEnum):
    """Whether a grant can be used."""

    ACTIVE = "active"
    NEEDS_CONSENT = "needs_consent"


class Event(StrEnum):
    """What can happen to a grant while it exists; revocation removes it."""

    CONSENTED = "consented"
    REFRESHED = "refreshed"
    REFUSED = "refused"


TRANSITIONS: Final = {
    (Status.ACTIVE, Event.CONSENTED): Status.ACTIVE,
    (Status.ACTIVE, Event.REFRESHED): Status.ACTIVE,
    (Status.ACTIVE, Event.REFUSED): Status.NEEDS_CONSENT,
    (Status.NEEDS_CONSENT, Event.CONSENTED): Status.ACTIVE,
}
"""The legal steps. A dead grant is never refreshed, and nothing but consent brings it back."""


class IllegalTransitionError(Exception):
    """An event reached a grant in a status that does not know it; a bug of ours, never a caller's doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The person a grant belongs to: a subject means nothing without its issuer (RFC 7519 §4.1.2)."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Which of the user's accounts at the provider: a label people choose and the provider's own name."""

    label: str = ""
    identifier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """What a token endpoint gave us (RFC 6749 §5.1).

    `expires_at` is epoch seconds, none where the provider named no end; `obtained_at` is when we learnt the
    set. `scopes` is none where they are not known, which is not the same as empty.
    """

    access_token: Secret | None = None
    refresh_token: Secret | None = None
    expires_at: float | None = None
    scopes: frozenset[str] | None = None
    obtained_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A user's consent at a provider, with the newest token set."""

    id: GrantId
    owner: Owner
    provider: str
    account: Account
    tokens: TokenSet
    status: Status = Status.ACTIVE
    version: int = 1
    created_at: float
    updated_at: float

    def after(self, event: Event, *, at: float, tokens: TokenSet | None = None) -> Grant:
        """Return the grant as it is after `event`, one version later.

        Raises `IllegalTransitionError` for a step that is not in `TRANSITIONS`.
        """
        try:
            status = TRANSITIONS[self.status, event]
        except KeyError as exc:
            raise IllegalTransitionError(f"{event} in {self.status}") from exc
        return replace(
            self, status=status, tokens=tokens or self.tokens, version=self.version + 1, updated_at=at
        )
