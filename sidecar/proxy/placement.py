"""Put the provider's token where the provider reads it: a field, the query, or Basic. Set, never added.

A second value beside ours would leave it to the provider which one counts, so `rewrite` removes whatever
stands in the place, in every spelling, before it asks for the token to be written.

Scope: one place in one outgoing head, pure.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_plus

from sidecar.errors import BadUpstreamError
from sidecar.providers.model import Placement, PlacementKind

if TYPE_CHECKING:
    from sidecar.proxy.head import Field
    from sidecar.secret import Secret

# RFC 6750 §2.1's b64token has fewer; providers issue tokens with more, but never with space or control.
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def sendable(token: Secret) -> str:
    """Return the token's text; raises `BadUpstreamError` where it would end the field or the line."""
    text = token.reveal()
    if not _TOKEN.fullmatch(text):
        raise BadUpstreamError("The provider issued a token that cannot stand in a request.")
    return text


def token_field(placement: Placement, token: str) -> Field:
    """Return the field that carries the token in a header or Basic placement."""
    text = placement.format.replace("{token}", token)
    if placement.kind is PlacementKind.BASIC:
        text = "Basic " + base64.b64encode(text.encode()).decode("ascii")
    return placement.name.encode("ascii"), text.encode("latin-1")


def with_parameter(target: bytes, placement: Placement, token: str) -> bytes:
    """Return the target with the token as its last query parameter; the rest keeps its bytes."""
    text = placement.format.replace("{token}", token)
    parameter = f"{quote(placement.name, safe='')}={quote(text, safe='')}".encode("ascii")
    path, _, query = target.partition(b"?")
    return path + b"?" + (query + b"&" + parameter if query else parameter)


def without_parameter(target: bytes, placement: Placement) -> bytes:
    """Return the target without the parameters a form reader (WHATWG URL §5.1) would take for the place."""
    path, mark, query = target.partition(b"?")
    if not query:
        return target
    kept = [part for part in query.split(b"&") if _name_of(part) != placement.name]
    return path + mark + b"&".join(kept)


def _name_of(parameter: bytes) -> str:
    return unquote_plus(parameter.partition(b"=")[0].decode("ascii"))
