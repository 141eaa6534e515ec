"""A grant as it may be shown: whose, where, whether it works. Never a token.

Scope: one mapping, for every surface and command that lists grants. Instants are epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.grants.model import Grant


def outline(grant: Grant) -> dict[str, object]:
    """Return what the grant's user may see; `expires_at` is the access token's, unknown `scopes` are null."""
    scopes = grant.tokens.scopes
    return {
        "id": grant.id,
        "provider": grant.provider,
        "account": grant.account.label or None,
        "account_id": grant.account.identifier or None,
        "status": grant.status.value,
        "scopes": None if scopes is None else sorted(scopes),
        "expires_at": grant.tokens.expires_at,
        "has_refresh_token": grant.tokens.refresh_token is not None,
        "created_at": grant.created_at,
        "updated_at": grant.updated_at,
    }


def outline_with_owner(grant: Grant) -> dict[str, object]:
    """Return what an operator may see: whose grant it is as well, and which version."""
    owner = {"issuer": grant.owner.issuer, "subject": grant.owner.subject}
    return outline(grant) | owner | {"version": grant.version}
