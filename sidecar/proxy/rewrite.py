"""Make the head that goes out from the head that came in, and change nothing else.

Two mistakes are expensive here: a field that should have stayed behind (the user's JWT at a provider) and a
field that was made up or lost (a client that no longer works). So the rules are tables, everything that no
table names passes in order and byte for byte, and the result is searched for the credential once more.

Scope: pure, both directions. Framing is judged before, in `framing`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError
from sidecar.providers.model import PlacementKind
from sidecar.proxy.credentials import AUTHORIZATION_FIELDS, KEY_FIELDS, SUBPROTOCOL_KEY, SUBPROTOCOLS
from sidecar.proxy.framing import CONTROL_PREFIX, SENSITIVE, upgrade_of
from sidecar.proxy.head import (
    BodyKind,
    Field,
    Fields,
    RequestHead,
    ResponseHead,
    family,
    members_of,
    values_of,
)
from sidecar.proxy.links import rewritten
from sidecar.proxy.placement import sendable, token_field, with_parameter, without_parameter

if TYPE_CHECKING:
    from sidecar.proxy.address import Address
    from sidecar.proxy.credentials import Credential
    from sidecar.proxy.framing import BodyFraming
    from sidecar.secret import Secret

# Fields about one connection, which another connection must not see.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",  # RFC 9110 §7.6.1
        b"keep-alive",  # RFC 9110 §7.6.1
        b"proxy-connection",  # RFC 9110 §7.6.1
        b"te",  # RFC 9110 §10.1.4; `trailers` is kept
        b"transfer-encoding",  # RFC 9112 §6.1; ours stands in its place
        b"upgrade",  # RFC 9110 §7.8
        b"http2-settings",  # RFC 7540 §3.2.1
        b"proxy-authenticate",  # RFC 9110 §11.7.1
        b"proxy-authorization",  # RFC 9110 §11.7.2
        b"trailer",  # RFC 9110 §6.6.2; kept where trailers can follow
    }
)
# RFC 9110 §7.6.1: no connection option may name a field meant for all recipients. Who does it all the same
# wants to strip what decides about framing, target or content from the request behind us.
NEVER_OPTIONS: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"content-encoding",
        b"content-range",
        b"cache-control",
        b"date",
        b"authorization",
        b"set-cookie",
    }
)
# RFC 9110 §6.5.1 and §6.5.2.
NEVER_TRAILERS: Final = (
    HOP_BY_HOP | SENSITIVE | NEVER_OPTIONS | {b"expect", b"max-forwards", b"range", b"te", b"cookie"}
)
_SAFE_NAME: Final = re.compile(rb"[A-Za-z0-9-]{1,64}")


def outgoing_request(
    head: RequestHead, *, address: Address, credential: Credential, token: Secret
) -> RequestHead:
    """Return the head for the provider, the token in its place.

    Raises `BadRequestError` where the caller's credential also stands where nobody reads it, and
    `BadUpstreamError` for a token that cannot be sent.
    """
    text = sendable(token)
    placement = address.host.placement
    kept, slot = _kept(head.fields, address=address, credential=credential, token=text)
    target = address.target
    if placement.kind is PlacementKind.QUERY:
        target = without_parameter(target, placement)
    _refuse_leak(credential.value.reveal().encode("latin-1"), target, kept)
    if placement.kind is PlacementKind.QUERY:
        target = with_parameter(target, placement, text)
    else:
        kept.insert(slot, token_field(placement, text))
    if wanted := upgrade_of(head):
        kept += [(b"Connection", b"Upgrade"), (b"Upgrade", wanted)]
    return RequestHead(method=head.method, target=target, fields=tuple(kept))


def incoming_response(
    head: ResponseHead,
    *,
    address: Address,
    body: BodyFraming,
    to_version: tuple[int, int],
    takes_trailers: bool = False,
) -> tuple[Fields, BodyKind]:
    """Return the answer's fields for the caller, and how its body ends there.

    A body without a length is chunked, or for an HTTP/1.0 caller ended by closing. `takes_trailers` says that
    the caller sent `TE: trailers`.
    """
    kind = body.kind
    if kind in (BodyKind.CHUNKED, BodyKind.UNTIL_CLOSE):
        kind = BodyKind.CHUNKED if to_version >= (1, 1) else BodyKind.UNTIL_CLOSE
    dropped = _hop_by_hop(head.fields)
    if kind is BodyKind.CHUNKED and body.kind is BodyKind.CHUNKED:
        dropped -= {b"transfer-encoding", b"trailer"} if takes_trailers else {b"transfer-encoding"}
    fields = [
        (name, rewritten(name, value, address))
        for name, value in head.fields
        if name.lower() not in dropped and family(name) != b"sidecar-error"
    ]
    if kind is BodyKind.CHUNKED and body.kind is BodyKind.UNTIL_CLOSE:
        fields.append((b"Transfer-Encoding", b"chunked"))
    return tuple(fields), kind


def interim_fields(fields: Fields) -> Fields:
    """Return the fields of a 1xx answer (RFC 9110 §15.2) for the caller."""
    dropped = _hop_by_hop(fields)
    return tuple(
        field for field in fields if field[0].lower() not in dropped and family(field[0]) != b"sidecar-error"
    )


def switching_fields(fields: Fields) -> Fields | None:
    """Return the fields of a 101 answer for the caller, nothing if it names no protocol (RFC 9110 §7.8)."""
    if not members_of(fields, b"upgrade") or b"upgrade" not in members_of(fields, b"connection"):
        return None
    dropped = _hop_by_hop(fields) - {b"upgrade"}
    kept = [
        field for field in fields if field[0].lower() not in dropped and family(field[0]) != b"sidecar-error"
    ]
    return (*kept, (b"Connection", b"Upgrade"))


def trailer_fields(trailers: Fields) -> Fields:
    """Return the trailers that may go on.

    RFC 9110 §6.5.1: nothing about framing, routing, authentication or content may stand there.
    """
    return tuple(
        (name, value)
        for name, value in trailers
        if family(name) not in NEVER_TRAILERS and not family(name).startswith(CONTROL_PREFIX)
    )


def refuse_leak(credential: str, fields: Fields) -> None:
    """Raise `BadRequestError` where trailers carry the caller's credential."""
    _refuse_leak(credential.encode("latin-1"), b"", list(fields))


def _kept(fields: Fields, *, address: Address, credential: Credential, token: str) -> tuple[list[Field], int]:
    """Return the fields that go on, and the position at which the token's field stands among them.

    That is where the first removed credential stood, so that the order of a caller's fields survives.
    """
    placement = address.host.placement
    places = AUTHORIZATION_FIELDS | (KEY_FIELDS if credential.is_sole else frozenset())
    if placement.kind is not PlacementKind.QUERY:
        places |= {family(placement.name.encode("ascii"))}
    dropped = _hop_by_hop(fields) - {b"transfer-encoding"}
    if values_of(fields, b"transfer-encoding"):
        dropped -= {b"trailer"}
    kept: list[Field] = []
    slot: int | None = None
    for position, (name, value) in enumerate(fields):
        lower = name.lower()
        if lower == SUBPROTOCOLS:
            kept.extend(_subprotocols(name, value, credential, token=token))
        elif position in credential.places or family(name) in places:
            slot = len(kept) if slot is None else slot
        elif lower == b"host":
            kept.append((name, address.host.origin.authority.encode("ascii")))
        elif lower == b"te" and b"trailers" in members_of(fields, b"te"):
            kept.append((name, b"trailers"))
        elif lower not in dropped and not family(name).startswith(CONTROL_PREFIX):
            kept.append((name, value))
    return kept, len(kept) if slot is None else slot


def _hop_by_hop(fields: Fields) -> frozenset[bytes]:
    named = frozenset(members_of(fields, b"connection"))
    return HOP_BY_HOP | (named - NEVER_OPTIONS)


def _subprotocols(name: bytes, value: bytes, credential: Credential, *, token: str) -> list[Field]:
    """Return the offered subprotocols (RFC 6455 §11.3.4) with the caller's key replaced by the token."""
    secret = SUBPROTOCOL_KEY + credential.value.reveal().encode("latin-1")
    members = [member.strip(b" \t") for member in value.split(b",")]
    if credential.is_sole:
        kept = [member for member in members if not member.startswith(SUBPROTOCOL_KEY)]
    else:
        kept = [SUBPROTOCOL_KEY + token.encode("ascii") if m == secret else m for m in members]
    if kept == members:
        return [(name, value)]
    return [(name, b", ".join(kept))] if kept else []


def _refuse_leak(credential: bytes, target: bytes, fields: list[Field]) -> None:
    """Refuse a head that would carry the caller's credential to the provider in some other place."""
    where = "the request target" if credential in target else ""
    for name, value in fields:
        if credential in value:
            where = name.decode("ascii") if _SAFE_NAME.fullmatch(name) else "a field"
        elif credential in name:
            where = "the name of a field"
    if where:
        raise BadRequestError(f"The credential also stands in {where}, and would reach the provider there.")
