"""Render an error as a problem document (RFC 9457), with the headers that mark it as ours.

A client must never take our refusal for the provider's, nor the other way round: `Sidecar-Error` and
`Proxy-Status` (RFC 9209) stand on every answer we make ourselves and on no answer of a provider.

Scope: pure rendering. Nothing of the request is in the document but its id.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sidecar.errors import SidecarError

CONTENT_TYPE: Final = "application/problem+json"
TYPE_BASE: Final = "urn:grant-sidecar:error:"

# RFC 9209 §2.3: the proxy error types that fit; where none does, `error` is left out.
PROXY_ERRORS: Final = {
    "bad_upstream": "http_protocol_error",
    "upstream_unreachable": "destination_unavailable",
    "upstream_tls": "tls_certificate_error",
    "upstream_timeout": "http_response_timeout",
    "destination_refused": "destination_ip_prohibited",
    "proxy_loop": "proxy_loop_detected",
}
# RFC 6750 §3.1: a request without any credential gets no error code.
BEARER_ERRORS: Final = {
    "missing_token": "Bearer",
    "invalid_token": 'Bearer error="invalid_token"',
    "token_expired": 'Bearer error="invalid_token", error_description="The token has expired"',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An answer of ours: status, header fields in order, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def problem_of(error: SidecarError, *, request_id: str) -> Problem:
    """Return the whole answer for `error`; the body ends with a newline, for people with a terminal."""
    body = json.dumps(_document(error, request_id)).encode() + b"\n"
    headers = [
        ("Content-Type", CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Sidecar-Error", error.code),
        ("Proxy-Status", _proxy_status(error)),
    ]
    if error.status in (401, 407):
        name = "WWW-Authenticate" if error.status == 401 else "Proxy-Authenticate"
        headers.append((name, BEARER_ERRORS.get(error.code, "Bearer")))
    if error.retry_after is not None:
        headers.append(("Retry-After", str(max(1, math.ceil(error.retry_after)))))
    return Problem(status=error.status, headers=tuple(headers), body=body)


def _document(error: SidecarError, request_id: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": TYPE_BASE + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request_id,
        "code": error.code,
        "retryable": error.retryable,
    }
    extras = {
        "provider": error.provider,
        "candidates": [dict(candidate) for candidate in error.candidates],
        "missing_scopes": list(error.missing_scopes),
        "connect_url": error.connect_url,
        "hint": error.hint,
    }
    return document | {name: value for name, value in extras.items() if value}


def _proxy_status(error: SidecarError) -> str:
    known = PROXY_ERRORS.get(error.code)
    kind = f"; error={known}" if known else ""
    return f'sidecar{kind}; details="{error.code}"'
