"""Who is calling, once it is proven.

Scope: values only. `sidecar.identity.authenticator` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A user, as one verified JWT describes them.

    `issuer` and `subject` together name the person; a subject alone means nothing. `issued_at` and
    `expires_at` are the token's own instants (epoch seconds, the identity provider's clock).
    """

    issuer: str
    subject: str
    groups: frozenset[str] = frozenset()
    email: str = ""
    name: str = ""
    organisation: str = ""
    issued_at: float | None = None
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A caller without a user, known by a service key: a cron job, a webhook handler."""

    name: str
    providers: frozenset[str]


Caller = Principal | Service
