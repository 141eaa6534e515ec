"""Find the one credential a request carries, in whichever place its client can put it.

Every SDK sends its API key somewhere else, and to them our caller's JWT is that key. All places are looked
at, because a credential that was overlooked would travel on to the provider. Two different ones are refused:
picking one would let whoever can add a header choose who the caller is.

Scope: reading. Whether the credential is good is `sidecar.identity`; removing is `rewrite`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.errors import (
    BadRequestError,
    ConflictingCredentialsError,
    InvalidTokenError,
    MissingTokenError,
)
from sidecar.proxy.head import values_of
from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidecar.proxy.head import Fields

KEY_FIELDS: Final = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key", b"private-token"})
AUTHORIZATION_FIELDS: Final = frozenset({b"authorization", b"proxy-authorization"})
SUBPROTOCOLS: Final = b"sec-websocket-protocol"
SUBPROTOCOL_KEY: Final = b"openai-insecure-api-key."
# GitHub's convention for a token in Basic: the token is the user name, and this is the password.
BASIC_FILLER: Final = "x-oauth-basic"

_SCHEME: Final = re.compile(rb"([A-Za-z]+) +([^ ].*)", re.DOTALL)
_THREE_PARTS: Final = re.compile(r"[^.\s,]*\.[^.\s,]*\.[^.\s,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The credential and the fields it was read from.

    `places` are positions in the request's fields; `rewrite` removes what stood there. `is_sole` says that
    `Sidecar-Authorization` named it, so that every other place is removed unread.
    """

    value: Secret
    places: frozenset[int]
    is_sole: bool = False


def read_credential(
    fields: Fields, *, is_proxy_form: bool, is_service_key: Callable[[str], bool]
) -> Credential:
    """Return the request's credential.

    `is_proxy_form` says that the client takes us for its HTTP proxy, so that `Proxy-Authorization` is meant
    for us. Raises `MissingTokenError`, `InvalidTokenError` where what stands in the usual place cannot be a
    credential, and `ConflictingCredentialsError`.
    """
    own = values_of(fields, b"sidecar-authorization")
    if own:
        return _sole(own, is_service_key)
    read = [
        (place, text)
        for place, text in _offers(fields, is_proxy_form=is_proxy_form)
        if counts(text, is_service_key)
    ]
    different = {text for _, text in read}
    if len(different) > 1:
        raise ConflictingCredentialsError("Two different credentials were sent; send one.")
    if different:
        return Credential(value=Secret(different.pop()), places=frozenset(place for place, _ in read))
    if any(name.lower() == b"authorization" for name, _ in fields):
        raise InvalidTokenError("Authorization carries neither a JWT nor a service key.")
    raise MissingTokenError("Send the user's JWT or a service key as `Authorization: Bearer`.")


def _sole(values: list[bytes], is_service_key: Callable[[str], bool]) -> Credential:
    if len(values) > 1:
        raise BadRequestError("A request may carry one Sidecar-Authorization.")
    scheme, text = _split(values[0])
    # The field is ours, so a scheme is not needed; people write one all the same.
    text = text if scheme == "bearer" else values[0].decode("latin-1")
    if not counts(text, is_service_key):
        raise InvalidTokenError("Sidecar-Authorization carries neither a JWT nor a service key.")
    return Credential(value=Secret(text), places=frozenset(), is_sole=True)


def _offers(fields: Fields, *, is_proxy_form: bool) -> Iterator[tuple[int, str]]:
    """Give what stands in each place, counting or not."""
    for place, (raw_name, value) in enumerate(fields):
        name = raw_name.lower()
        if name == b"authorization" or (name == b"proxy-authorization" and is_proxy_form):
            yield place, _of_scheme(value)
        elif name in KEY_FIELDS:
            yield place, value.decode("latin-1")
        elif name == SUBPROTOCOLS:
            for member in value.split(b","):
                protocol = member.strip(b" \t")
                if protocol.startswith(SUBPROTOCOL_KEY):
                    yield place, protocol.removeprefix(SUBPROTOCOL_KEY).decode("latin-1")


def _of_scheme(value: bytes) -> str:
    scheme, text = _split(value)
    if scheme == "basic":
        return _of_basic(text)
    return text if scheme in ("bearer", "token") else ""


def _split(value: bytes) -> tuple[str, str]:
    """Split scheme and credential (RFC 9110 §11.4); the scheme in lower case."""
    match = _SCHEME.fullmatch(value)
    return (match[1].decode("ascii").lower(), match[2].decode("latin-1")) if match else ("", "")


def _of_basic(text: str) -> str:
    """Return the password of RFC 7617, or the user name where the password only fills the place."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    user, _, password = decoded.partition(":")
    return user if password in ("", BASIC_FILLER) else password


def counts(text: str, is_service_key: Callable[[str], bool]) -> bool:
    """Whether a text is a credential for us: shaped like a compact JWS (RFC 7515 §7.1), or a service key."""
    return bool(_THREE_PARTS.fullmatch(text)) or (bool(text) and is_service_key(text))
