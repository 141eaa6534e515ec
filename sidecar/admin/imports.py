"""Read an import: a token set that somebody else obtained, and whose it is.

Scope: pure; from the request's fields to a `Consent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidecar.admin.fields import instant, refuse_unknown, scopes, text, token
from sidecar.errors import BadRequestError, UnknownProviderError
from sidecar.grants.model import Account, Owner, TokenSet
from sidecar.grants.store import Consent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FIELDS: Final = (
    "issuer",
    "subject",
    "provider",
    "account",
    "access_token",
    "refresh_token",
    "expires_at",
    "scopes",
)
# OpenID Connect Core §2: a subject has at most 255 characters. Accounts are names of the same kind.
NAME_CHARS: Final = 255
URL_CHARS: Final = 2048


def consent_of(fields: Mapping[str, Any], *, issuer: str, providers: Collection[str], now: float) -> Consent:
    """Return what is imported; `issuer` stands in where the fields name none.

    Raises `BadRequestError` naming the field, or `UnknownProviderError`.
    """
    refuse_unknown(fields, FIELDS)
    subject = text(fields, "subject", longest=NAME_CHARS)
    provider = text(fields, "provider", longest=NAME_CHARS)
    if not subject or not provider:
        raise BadRequestError("An import needs `subject` and `provider`.")
    owner = Owner(issuer=text(fields, "issuer", longest=URL_CHARS) or issuer, subject=subject)
    account = Account(label=text(fields, "account", longest=NAME_CHARS))
    tokens = _tokens(fields, now)
    if provider not in providers:
        raise UnknownProviderError(
            f"`provider` names no configured provider. Configured are: {', '.join(sorted(providers))}."
        )
    return Consent(owner=owner, provider=provider, account=account, tokens=tokens)


def _tokens(fields: Mapping[str, Any], now: float) -> TokenSet:
    tokens = TokenSet(
        access_token=token(fields, "access_token"),
        refresh_token=token(fields, "refresh_token"),
        expires_at=instant(fields, "expires_at"),
        scopes=scopes(fields, "scopes"),
        obtained_at=now,
    )
    if tokens.access_token is None and tokens.refresh_token is None:
        raise BadRequestError("An import needs `access_token`, `refresh_token` or both.")
    return tokens
