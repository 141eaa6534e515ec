"""Read from verified claims who the caller is.

Identity providers agree on `sub` and on little else: groups are `groups`, `roles`, a member of a nested
object, or a claim whose name is a URL. Which claim holds what is a value here, so that a new provider is a
row and not code.

Scope: pure. The claims have been verified before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.identity.bearer import Refusal, TokenRefusedError
from sidecar.identity.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.identity.bearer import TokenLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMap:
    """Which claim holds what.

    A name is first looked up as it stands, dots and all (Auth0's namespaced claims are URLs), then as a
    path into nested objects (Keycloak's `realm_access.roles`).
    """

    subject: str = "sub"
    groups: str = "groups"
    email: str = "email"
    name: str = "name"
    organisation: str = "org_id"


def principal_of(claims: Mapping[str, Any], names: ClaimMap, *, limits: TokenLimits) -> Principal:
    """Return the caller that verified claims describe.

    Raises `TokenRefusedError` for a subject that names nobody and for too many groups: to leave some out
    could leave out the one that denies. Any other claim of a wrong type is as good as absent.
    """
    issued_at = claims.get("iat")
    return Principal(
        issuer=claims["iss"],
        subject=_subject(_find(claims, names.subject), limits.subject_characters),
        groups=_groups(_find(claims, names.groups), limits.groups),
        email=_text(_find(claims, names.email)),
        name=_text(_find(claims, names.name)),
        organisation=_text(_find(claims, names.organisation)),
        issued_at=None if issued_at is None else float(issued_at),
        expires_at=float(claims["exp"]),
    )


def _find(claims: Mapping[str, Any], name: str) -> object:
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _subject(value: object, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest or _has_controls(value):
        raise TokenRefusedError(Refusal.SUBJECT)
    return value


def _has_controls(text: str) -> bool:
    """Whether any character is of Unicode's category Cc: it would break lines of logs and keys of stores."""
    return any(character < " " or "\x7f" <= character <= "\x9f" for character in text)


def _groups(value: object, most: int) -> frozenset[str]:
    """Read a list, or one name as plain text; text with separators could mean one group or several."""
    if isinstance(value, str) and not any(separator in value for separator in " ,"):
        value = [value]
    if not isinstance(value, list):
        return frozenset()
    if len(value) > most:
        raise TokenRefusedError(Refusal.GROUPS)
    return frozenset(one for one in value if isinstance(one, str) and one)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
