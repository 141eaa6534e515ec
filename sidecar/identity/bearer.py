"""Read a compact JWT strictly, before any signature is looked at.

Libraries accept padded base64, members that stand twice, extensions they do not know and any `typ`; each of
these has been a way to make two readers of one token disagree. What is not exactly a signed JWT of RFC 7515
§7.1 and RFC 7519 §7.2 is refused here, with a reason of its own.

Scope: pure. Nothing read here is proven yet; `verification` proves it.
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn

# Tokens nest three or four deep; the bound is there so that nobody can choose how deep we recurse.
MAX_DEPTH: Final = 16

SHAPE: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""What an identity provider signs with (RFC 7518 §3.1, RFC 8037); never `none`, never a shared secret."""

TYPES: Final = frozenset({"jwt", "application/jwt", "at+jwt", "application/at+jwt"})
"""Access and ID tokens (RFC 9068 §2.1). A logout, event or proof token of the same issuer is no login."""

# RFC 7515 §4.1.11 and RFC 7797: whoever sets these wants to be read in another way than ours.
UNSUPPORTED: Final = ("crit", "zip", "b64")


class Refusal(StrEnum):
    """Why a token is refused; counted, never shown to the caller."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    ALGORITHM = "algorithm"
    HEADER = "header"
    TYPE = "type"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    AUTHORIZED_PARTY = "authorized_party"
    TIMES = "times"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    SUBJECT = "subject"
    GROUPS = "groups"


class TokenRefusedError(Exception):
    """A token that is not accepted, and the rule it broke; nothing of the token is in it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """How much of a token is read; what is larger is refused.

    16 KiB hold twice the largest Entra ID tokens with groups. OpenID Connect Core 1.0 §2 allows a subject
    255 characters. A thousand groups are five times what Entra ID puts in before it gives a link instead.
    """

    token_bytes: int = 16 * 1024
    subject_characters: int = 255
    groups: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Bearer:
    """A token taken apart; only the header has been read, and nothing is proven."""

    algorithm: str
    key_id: str | None
    signing_input: bytes
    payload: bytes
    signature: bytes


def parse_bearer(text: str, *, limits: TokenLimits, algorithms: frozenset[str] = ALGORITHMS) -> Bearer:
    """Take a compact JWT apart and judge its header; raises `TokenRefusedError`.

    `algorithms` narrows those that are accepted and never adds any. Keys offered by the token itself
    (`jku`, `jwk`, `x5u`, `x5c`) are not looked at.
    """
    if len(text) > limits.token_bytes:
        raise TokenRefusedError(Refusal.TOO_LARGE)
    match = SHAPE.fullmatch(text)
    if match is None:
        raise TokenRefusedError(Refusal.MALFORMED)
    header, payload, signature = (_base64url(part) for part in match.groups())
    members = parse_object(header)
    _judge(members, algorithms & ALGORITHMS)
    return Bearer(
        algorithm=members["alg"],
        key_id=members.get("kid"),
        signing_input=text.rpartition(".")[0].encode("ascii"),
        payload=payload,
        signature=signature,
    )


def parse_object(raw: bytes) -> dict[str, Any]:
    """Read one JSON object: UTF-8, no member twice, numbers finite, at most 16 levels deep.

    Raises `TokenRefusedError` with `MALFORMED`. Strings without a UTF-8 form (half a surrogate pair) are
    refused as well: they could be neither hashed nor stored later.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_members,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        _require_plain(value)
    except (ValueError, RecursionError):
        # The cause would carry the text it could not read.
        raise TokenRefusedError(Refusal.MALFORMED) from None
    if not isinstance(value, dict):
        raise TokenRefusedError(Refusal.MALFORMED)
    return value


def _judge(header: dict[str, Any], algorithms: frozenset[str]) -> None:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRefusedError(Refusal.ALGORITHM)
    if any(name in header for name in UNSUPPORTED):
        raise TokenRefusedError(Refusal.HEADER)
    if "kid" in header and not isinstance(header["kid"], str):
        raise TokenRefusedError(Refusal.HEADER)
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise TokenRefusedError(Refusal.TYPE)


def _base64url(part: str) -> bytes:
    """Decode without padding (RFC 7515 §2); one value has one spelling, so the unused bits must be zero."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise TokenRefusedError(Refusal.MALFORMED) from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode("ascii"):
        raise TokenRefusedError(Refusal.MALFORMED)
    return raw


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519 §4 lets a reader refuse a name that stands twice; taking the last one is how two disagree."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that no float holds")
    return number


def _require_plain(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        for text in level:
            if isinstance(text, str):
                # Raises UnicodeEncodeError, a ValueError, for half a surrogate pair.
                text.encode()
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise ValueError("too deep")


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []
