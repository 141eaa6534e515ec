"""Refuse the heads that two programs could read differently, before anything is decided from them.

llhttp accepts messages whose meaning depends on the reader: two credentials, a doubled Host, a length beside
a transfer coding, `Content_Length`. Whoever stands behind us may read them the other way, and the difference
is a request that was never authorised (request smuggling). All of them are refused with 400.

Scope: pure checks of one head, and how its body ends. Bytes that are no HTTP at all never get here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sidecar.errors import (
    BadRequestError,
    BadUpstreamError,
    HeadTooLargeError,
    MethodNotAllowedError,
)
from sidecar.proxy.head import (
    FIELD_VALUE,
    TOKEN,
    BodyKind,
    Fields,
    RequestHead,
    ResponseHead,
    family,
    members_of,
    values_of,
)

if TYPE_CHECKING:
    from sidecar.web.strict_handler import HeadLimits

VERSIONS: Final = frozenset({(1, 0), (1, 1)})
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
# Names that decide where a message ends, who sent it or where it goes. With `_` for `-` some servers read
# them as the real one, and every proxy in between does not (CVE-2015-0219).
SENSITIVE: Final = frozenset(
    {
        b"host",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"te",
        b"trailer",
        b"upgrade",
        b"keep-alive",
        b"proxy-connection",
        b"authorization",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"private-token",
        b"sec-websocket-protocol",
    }
)
CONTROL_PREFIX: Final = b"sidecar-"
# RFC 9110 §9.3.8: a TRACE is answered with the request itself, credentials included.
REFUSED_METHODS: Final = {
    "TRACE": "TRACE would send the request, credentials included, back as a body.",
    "CONNECT": "Tunnels are not served here. Point the client at a base URL (http://host:port/provider/...), "
    "or let it send http:// URLs in absolute-form.",
}


class BodyFraming(NamedTuple):
    """How a body ends, and its length where that is how; two are made for every exchange."""

    kind: BodyKind
    length: int = 0


NO_BODY: Final = BodyFraming(kind=BodyKind.NONE)
CHUNKED_BODY: Final = BodyFraming(kind=BodyKind.CHUNKED)


def check_request(head: RequestHead, limits: HeadLimits) -> BodyFraming:
    """Return how the request's body ends.

    Raises `HeadTooLargeError`, `MethodNotAllowedError` or `BadRequestError`.
    """
    _check_size(head, limits)
    if head.version not in VERSIONS:
        raise BadRequestError("Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    if head.method in REFUSED_METHODS:
        raise MethodNotAllowedError(REFUSED_METHODS[head.method])
    _check_names(head.fields)
    if len(values_of(head.fields, b"host")) != 1:
        raise BadRequestError("A request needs exactly one Host field.")
    if len(values_of(head.fields, b"authorization")) > 1:
        raise BadRequestError("A request may carry one Authorization field.")
    return _request_body(head)


def check_response(head: ResponseHead, *, method: str) -> BodyFraming:
    """Return how the body of the answer to a `method` request ends; raises `BadUpstreamError`.

    The parser reads answers leniently, and what it lets through would reach the caller as a second answer.
    """
    if head.version not in VERSIONS or not 100 <= head.status <= 999:
        raise BadUpstreamError("The provider's status line is not HTTP/1.1.")
    if not FIELD_VALUE.fullmatch(head.reason) or not all(
        TOKEN.fullmatch(name) and FIELD_VALUE.fullmatch(value) for name, value in head.fields
    ):
        raise BadUpstreamError("The provider's answer has a field that is not HTTP/1.1.")
    codings, lengths = _framing_fields(head.fields)
    if len(codings) + len(lengths) > 1 or not all(map(_DIGITS.fullmatch, lengths)):
        raise BadUpstreamError("The provider's answer does not say plainly where it ends.")
    if method == "HEAD" or head.status < 200 or head.status in (204, 304):
        return NO_BODY
    if lengths:
        return BodyFraming(kind=BodyKind.LENGTH, length=int(lengths[0]))
    if not codings:
        return BodyFraming(kind=BodyKind.UNTIL_CLOSE)
    if codings[0].lower() != b"chunked" or head.version == (1, 0):
        raise BadUpstreamError("The provider's answer has a transfer coding that is not chunked.")
    return CHUNKED_BODY


def upgrade_of(head: RequestHead) -> bytes:
    """Return the protocols a request asks to switch to (RFC 9110 §7.8); empty where it stays with HTTP/1.1.

    A body would have to be read first, and `h2c` would take what follows out of our sight: both are declined.
    """
    if (
        head.version < (1, 1)
        or b"upgrade" not in members_of(head.fields, b"connection")
        or any(_framing_fields(head.fields))
    ):
        return b""
    values = values_of(head.fields, b"upgrade")
    protocols = members_of(head.fields, b"upgrade")
    return b", ".join(values) if protocols and b"h2c" not in protocols else b""


def _check_size(head: RequestHead, limits: HeadLimits) -> None:
    # Four bytes a field for the colon, the space and the line's end; the request line has as many.
    size = len(head.method) + len(head.target) + sum(len(n) + len(v) + 4 for n, v in head.fields)
    if size > limits.size_bytes:
        raise HeadTooLargeError(f"A request head may have {limits.size_bytes} bytes.")
    if len(head.fields) > limits.fields:
        raise HeadTooLargeError(f"A request head may have {limits.fields} fields.")


def _check_names(fields: Fields) -> None:
    for name, value in fields:
        if not TOKEN.fullmatch(name) or not FIELD_VALUE.fullmatch(value):
            raise BadRequestError("A field of the request is malformed.")
        if b"_" in name and (family(name) in SENSITIVE or family(name).startswith(CONTROL_PREFIX)):
            raise BadRequestError("A framing, credential or control field is spelled with an underscore.")


def _request_body(head: RequestHead) -> BodyFraming:
    codings, lengths = _framing_fields(head.fields)
    if len(codings) + len(lengths) > 1:
        raise BadRequestError("Content-Length and Transfer-Encoding may stand once, and not together.")
    if codings:
        # RFC 9112 §6.1: HTTP/1.0 knows no transfer codings, so its reader would take the chunks for data.
        if codings[0] != b"chunked" or head.version == (1, 0):
            raise BadRequestError("The only Transfer-Encoding accepted is `chunked`, in HTTP/1.1.")
        return CHUNKED_BODY
    if not lengths:
        return NO_BODY
    if not _DIGITS.fullmatch(lengths[0]):
        raise BadRequestError("Content-Length must be a number.")
    return BodyFraming(kind=BodyKind.LENGTH, length=int(lengths[0]))


def _framing_fields(fields: Fields) -> tuple[list[bytes], list[bytes]]:
    return values_of(fields, b"transfer-encoding"), values_of(fields, b"content-length")
