"""Refuse the heads that aiohttp lets through although two readers could take them differently.

A doubled credential, a transfer coding that HTTP/1.0 does not know, a target that names another host: what
stands between a browser and us may read these the other way, and the difference is somebody else's request.

Scope: the listeners that aiohttp serves to its end (control, ops). The data plane has rules of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError, HeadTooLargeError

if TYPE_CHECKING:
    from aiohttp import web

    from sidecar.web.strict_handler import HeadLimits

VERSIONS: Final = frozenset({(1, 0), (1, 1)})
HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
ONCE: Final = ("Host", "Authorization", "Sidecar-Authorization", "Content-Type")


def check_head(request: web.BaseRequest, limits: HeadLimits) -> None:
    """Raise `BadRequestError` or `HeadTooLargeError` for a head that must not reach a handler."""
    _check_size(request, limits)
    if tuple(request.version) not in VERSIONS:
        raise BadRequestError("Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    if not request.raw_path.startswith("/"):
        raise BadRequestError("The request target must be a path; this listener is no proxy.")
    if "#" in request.raw_path:
        # RFC 9112 §3.2: a fragment stays with the client. Readers differ on whether it belongs to the path.
        raise BadRequestError("The request target must not have a fragment.")
    for name in ONCE:
        if len(request.headers.getall(name, ())) > 1:
            raise BadRequestError(f"{name} stands more than once.")
    host = request.headers.get("Host")
    if host is not None and not HOST.fullmatch(host):
        raise BadRequestError("Host is not a host name with an optional port.")
    _check_framing(request)


def _check_size(request: web.BaseRequest, limits: HeadLimits) -> None:
    # Per field the colon, the space and the line's end; per request line two spaces, the version, its end.
    size = len(request.method) + len(request.raw_path) + 12
    size += sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
    if size > limits.size_bytes:
        raise HeadTooLargeError


def _check_framing(request: web.BaseRequest) -> None:
    codings = request.headers.getall("Transfer-Encoding", ())
    if codings and (tuple(codings) != ("chunked",) or request.version < (1, 1)):
        raise BadRequestError("The only Transfer-Encoding accepted is `chunked`, in HTTP/1.1.")
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        raise BadRequestError("The only expectation known is `100-continue`.")
