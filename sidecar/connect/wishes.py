"""Read what a program asks for on behalf of its user: which account to connect, and where to return.

Scope: one JSON body in, one checked value out. No message repeats what was sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError, UnknownProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.connect.returning import ReturnOrigins
    from sidecar.providers.model import Provider

MEMBERS: Final = ("provider", "account", "scopes", "return_to")
# RFC 6749 §3.3.
SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
# All of it goes into a link and, sealed, into a cookie of at most 4,096 bytes.
ACCOUNT_CHARS: Final = 255
SCOPES_CHARS: Final = 1_000
RETURN_TO_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to connect; `scopes` come on top of the provider's configured ones."""

    provider: Provider
    account: str
    scopes: tuple[str, ...]
    return_to: str


def wish_of(
    fields: Mapping[str, object], *, providers: Mapping[str, Provider], returning: ReturnOrigins
) -> Wish:
    """Return the wish in a request's JSON; raises `BadRequestError` or `UnknownProviderError`."""
    if not set(MEMBERS).issuperset(fields):
        raise BadRequestError(f"There is an unknown member. Known are: {', '.join(MEMBERS)}.")
    return_to = _text(fields, "return_to", longest=RETURN_TO_CHARS)
    if return_to and not returning.allows(return_to):
        raise BadRequestError(
            "`return_to` must be a URL at an origin of the setting `connect.return_to`, without user and "
            "fragment."
        )
    return Wish(
        provider=_provider(_text(fields, "provider", longest=ACCOUNT_CHARS), providers),
        account=_text(fields, "account", longest=ACCOUNT_CHARS),
        scopes=_scopes(fields.get("scopes")),
        return_to=return_to,
    )


def _provider(name: str, providers: Mapping[str, Provider]) -> Provider:
    if not name:
        raise BadRequestError("`provider` must name the provider to connect.")
    if name not in providers:
        raise UnknownProviderError
    if not providers[name].is_connectable:
        raise BadRequestError(
            "This provider cannot be connected: it needs `authorize_url`, `token_url` and `client_id`.",
            provider=name,
        )
    return providers[name]


def _text(fields: Mapping[str, object], name: str, *, longest: int) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise BadRequestError(f"`{name}` must be a text of at most {longest} printable characters.")
    return value


def _scopes(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(
        isinstance(scope, str) and SCOPE.fullmatch(scope) for scope in parts
    ):
        raise BadRequestError("`scopes` must be a list of scopes, or one text with spaces between them.")
    if sum(map(len, parts)) > SCOPES_CHARS:
        raise BadRequestError(f"`scopes` may have {SCOPES_CHARS} characters together.")
    return tuple(dict.fromkeys(parts))
