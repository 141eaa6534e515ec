"""Grants for tests: every field has a value, and a test names the ones it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.grants.model import Account, Grant, GrantId, Owner, Status, TokenSet, UserTag
from sidecar.grants.sealing import new_grant_id
from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

ALICE = Owner(issuer="https://idp.example.com/", subject="auth0|alice-canary")
ALICE_TAG = UserTag("a" * 26)


def token_set(
    access: str | None = "access-canary",
    refresh: str | None = "refresh-canary",
    *,
    scopes: Iterable[str] | None = None,
    expires_at: float | None = None,
) -> TokenSet:
    return TokenSet(
        access_token=Secret(access) if access else None,
        refresh_token=Secret(refresh) if refresh else None,
        expires_at=expires_at,
        scopes=None if scopes is None else frozenset(scopes),
        obtained_at=1_800_000_000.0,
    )


def make_grant(
    label: str = "",
    identifier: str = "",
    *,
    provider: str = "google",
    status: Status = Status.ACTIVE,
    grant_id: str = "",
    owner: Owner = ALICE,
    version: int = 1,
    tokens: TokenSet | None = None,
) -> Grant:
    return Grant(
        id=GrantId(grant_id) if grant_id else new_grant_id(ALICE_TAG),
        owner=owner,
        provider=provider,
        account=Account(label=label, identifier=identifier),
        tokens=tokens or token_set(),
        status=status,
        version=version,
        created_at=1_800_000_000.0,
        updated_at=1_800_000_001.5,
    )
