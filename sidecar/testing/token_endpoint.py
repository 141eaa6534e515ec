"""The token endpoint of the provider in a box (RFC 6749 §3.2), with every way it can fail.

What a broker does when a token call goes wrong decides whether users must connect again, so the failures
here are those that real endpoints produce, the silent one included: the request took effect and the answer
never came.

Scope: `authorization_code` with PKCE and `refresh_token`, client authentication by Basic and by form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote_plus

from sidecar.testing.keys import base64url
from sidecar.testing.ledger import Family, InvalidGrantError, Ledger, TokenPair
from sidecar.testing.waiting import Gate

if TYPE_CHECKING:
    from sidecar.testing.authorization import Authorization
    from sidecar.testing.messages import Fields, Request
    from sidecar.testing.serving import Exchange
    from sidecar.testing.waiting import Watch

JSON: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
HTML: Final = (("Content-Type", "text/html"),)
PAGE: Final = b"<!doctype html><title>Sorry</title><p>We will be back soon."


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFailure:
    """One wrong answer of the token endpoint.

    Status 0 closes the connection without an answer. `missing_bytes` are promised by `Content-Length` and
    never sent. With `processed` the request takes effect first: tokens rotate, and nobody learns of it.
    """

    status: int = 0
    body: bytes = b""
    headers: Fields = JSON
    missing_bytes: int = 0
    processed: bool = False


TOKEN_FAILURES: Final[dict[str, TokenFailure]] = {
    "request_timeout": TokenFailure(status=408),
    "too_early": TokenFailure(status=425),
    "rate_limited": TokenFailure(status=429, headers=(*JSON, ("Retry-After", "7"))),
    "server_error": TokenFailure(status=500, body=b'{"error":"server_error"}'),
    "bad_gateway_page": TokenFailure(status=502, body=PAGE, headers=HTML),
    "unavailable": TokenFailure(status=503, headers=(*JSON, ("Retry-After", "7"))),
    "invalid_client": TokenFailure(status=401, body=b'{"error":"invalid_client"}'),
    "invalid_grant": TokenFailure(status=400, body=b'{"error":"invalid_grant"}'),
    "page": TokenFailure(status=200, body=PAGE, headers=HTML),
    "truncated": TokenFailure(status=200, body=b'{"access_token":"at_', missing_bytes=200),
    # Some providers answer 200 whatever happened, and say it in the body alone.
    "error_with_200": TokenFailure(status=200, body=b'{"ok":false,"error":"internal_error"}'),
    "closed": TokenFailure(),
    "answer_lost": TokenFailure(processed=True),
}
"""Failures by name, so that a test can go through all of them."""


class OAuthError(Exception):
    """An error answer (RFC 6749 §5.2)."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class TokenEndpoint:
    """Issues tokens against codes and refresh tokens.

    - `calls`: how many requests arrived, of any kind.
    - `before`, `after`: gates before a request takes effect, and between that and the answer. A caller
      that hangs up while held changes nothing: the request is processed when the gate opens.
    - `expires_in`: the lifetime of access tokens issued from now on, in seconds.
    - `extras`: members added to each answer or replaced in it; None leaves a member out.
    """

    __slots__ = (
        "_authorization",
        "_client",
        "_failures",
        "_ledger",
        "_watch",
        "after",
        "before",
        "calls",
        "expires_in",
        "extras",
    )

    def __init__(
        self, ledger: Ledger, authorization: Authorization, *, client: tuple[str, str], watch: Watch
    ) -> None:
        self._ledger = ledger
        self._authorization = authorization
        self._client = client
        self._watch = watch
        self._failures: deque[TokenFailure] = deque()
        self.calls = 0
        self.before = Gate()
        self.after = Gate()
        self.expires_in = 3600.0
        self.extras: dict[str, Any] = {}

    def fail(self, failure: TokenFailure, *, times: int = 1) -> None:
        """Answer the next `times` requests with `failure`, after the failures ordered before."""
        self._failures.extend([failure] * times)

    def reset(self) -> None:
        """Behave again, and let go whoever waits."""
        self._failures.clear()
        self.extras.clear()
        self.before.release()
        self.after.release()

    async def handle(self, exchange: Exchange) -> None:
        await exchange.request.body.read()
        self.calls += 1
        self._watch.changed()
        await self.before.passed()
        failure = self._failures.popleft() if self._failures else None
        if failure is not None and not failure.processed:
            await _fail(exchange, failure)
            return
        status, document = self._processed(exchange.request)
        self._watch.changed()
        await self.after.passed()
        if failure is not None:
            await _fail(exchange, failure)
            return
        headers = (*JSON, ("WWW-Authenticate", "Basic")) if status == 401 else JSON
        await exchange.send(status, json.dumps(document).encode(), headers=headers)

    def authenticate(self, request: Request, form: dict[str, str]) -> None:
        """Raise `OAuthError` unless the client is ours (RFC 6749 §2.3.1)."""
        if (_basic(request) or (form.get("client_id"), form.get("client_secret"))) != self._client:
            raise OAuthError("invalid_client", 401)

    def _processed(self, request: Request) -> tuple[int, dict[str, Any]]:
        form = form_of(request)
        try:
            self.authenticate(request, form)
            return 200, self._granted(form)
        except InvalidGrantError:
            return 400, {"error": "invalid_grant"}
        except OAuthError as error:
            return error.status, {"error": error.code}

    def _granted(self, form: dict[str, str]) -> dict[str, Any]:
        match form.get("grant_type"):
            case "authorization_code":
                family = self._authorization.redeem(
                    form.get("code", ""),
                    redirect_uri=form.get("redirect_uri", ""),
                    challenge=_challenge(form),
                )
                return self._answer(family, self._ledger.issue(family, self.expires_in), spent="")
            case "refresh_token":
                spent = form.get("refresh_token", "")
                family, pair = self._ledger.refresh(spent, self.expires_in)
                return self._answer(family, pair, spent=spent)
            case _:
                raise OAuthError("unsupported_grant_type")

    def _answer(self, family: Family, pair: TokenPair, *, spent: str) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "access_token": pair.access_token,
            "token_type": "Bearer",
            "expires_in": int(self.expires_in),
            # A provider that does not rotate says nothing about the refresh token (RFC 6749 §6).
            "refresh_token": pair.refresh_token if pair.refresh_token != spent else None,
            "scope": " ".join(family.scopes),
        } | self.extras
        return {name: value for name, value in answer.items() if value is not None}


def form_of(request: Request) -> dict[str, str]:
    """Return the form a request carried, as far as its kept beginning goes."""
    return dict(parse_qsl(request.body.start.decode("latin-1"), keep_blank_values=True))


async def _fail(exchange: Exchange, failure: TokenFailure) -> None:
    if failure.status:
        length = ("Content-Length", str(len(failure.body) + failure.missing_bytes))
        await exchange.start(failure.status, (*failure.headers, length))
        await exchange.write(failure.body)
    if failure.missing_bytes or not failure.status:
        exchange.is_last = True


def _challenge(form: dict[str, str]) -> str:
    """Return the S256 challenge that belongs to the verifier (RFC 7636 §4.6)."""
    return base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())


def _basic(request: Request) -> tuple[str, str] | None:
    """Return id and secret of Basic authentication, each form-decoded as RFC 6749 §2.3.1 has it."""
    scheme, _, encoded = (request.header("authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise OAuthError("invalid_client", 401) from exc
    return unquote_plus(name), unquote_plus(password)
