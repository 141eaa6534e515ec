"""Ask a provider for a user's consent and for tokens (RFC 6749 §4.1, §6), once per call.

Nothing here tries again: a second attempt with the same refresh token is a decision about the grant, and it
belongs to whoever knows whether the first one may have reached the provider.

Scope: the requests and their authentication. `answers` reads what comes back.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, urlencode

from sidecar.outbound.client import OutboundError
from sidecar.providers.answers import TokenAnswer, TokenError, Verdict, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.clock import Clock
    from sidecar.outbound.client import OutboundClient
    from sidecar.providers.model import OAuthClient, Provider
    from sidecar.secret import Secret

__all__ = ["TokenAnswer", "TokenEndpoint", "TokenError", "Verdict", "authorization_url"]

MOST_ANSWER_BYTES: Final = 1 << 20
"""A token answer is some kilobytes; the largest JWTs in the wild stay far below a mebibyte."""
HEADERS: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    # Without it GitHub answers with a form.
    "Accept": "application/json",
}


def authorization_url(
    provider: Provider, *, redirect_uri: str, scopes: Sequence[str], state: str, verifier: Secret
) -> str:
    """Return where to send the user's browser (RFC 6749 §4.1.1), with PKCE S256 (RFC 7636).

    `provider` must be connectable. The verifier itself is not in the URL.
    """
    endpoints = provider.endpoints
    asked = {
        **dict(endpoints.authorize_extras),
        "response_type": "code",
        "client_id": provider.client.client_id if provider.client else "",
        "redirect_uri": redirect_uri,
        "scope": provider.scope_separator.join(scopes),
        "state": state,
        "code_challenge": _challenge(verifier),
        "code_challenge_method": "S256",
    }
    query = urlencode({name: value for name, value in asked.items() if value}, quote_via=quote)
    # A query that the endpoint has already stays (§3.1).
    joint = "&" if "?" in endpoints.authorize_url else "?"
    return f"{endpoints.authorize_url}{joint}{query}"


def _challenge(verifier: Secret) -> str:
    digest = hashlib.sha256(verifier.reveal().encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


class TokenEndpoint:
    """The token endpoints of all providers; `timeout` is one call's deadline in seconds."""

    __slots__ = ("_client", "_clock", "_timeout")

    def __init__(self, client: OutboundClient, *, timeout: float, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._timeout = timeout

    async def refresh(self, provider: Provider, refresh_token: Secret) -> TokenAnswer:
        """Spend `refresh_token`; the scopes are not named, so they stay what they were.

        Raises `TokenError`. A cancelled call may have spent the token as well.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        return await self._call(provider, form)

    async def exchange_code(
        self, provider: Provider, code: Secret, *, redirect_uri: str, verifier: Secret
    ) -> TokenAnswer:
        """Redeem an authorization code (§4.1.3); `redirect_uri` is the one the code was asked for with.

        Raises `TokenError`. A code works once, whatever comes of it.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        return await self._call(provider, form)

    async def _call(self, provider: Provider, form: Mapping[str, str]) -> TokenAnswer:
        url = provider.endpoints.token_url
        if provider.client is None or not url:
            raise TokenError(Verdict.MISCONFIGURED, code="not_configured")
        headers, credentials = _authentication(provider.client)
        # A JSON escape can put half a surrogate pair into a token; only the provider knows if it is good.
        members = urlencode({**form, **credentials}, errors="surrogatepass")
        try:
            answer = await self._client.post(
                url,
                body=members.encode(),
                headers={**HEADERS, **headers},
                timeout=self._timeout,
                max_bytes=MOST_ANSWER_BYTES,
                networks=provider.networks,
                ca_file=provider.ca_file,
            )
        except OutboundError as exc:
            raise TokenError(Verdict.UNAVAILABLE, code=exc.reason.value, may_be_spent=exc.was_sent) from exc
        return read_answer(
            answer.status,
            answer.headers,
            answer.body,
            separator=provider.scope_separator,
            now=self._clock.now(),
        )


def _authentication(client: OAuthClient) -> tuple[dict[str, str], dict[str, str]]:
    """Return the header fields and the form members that say who we are (RFC 6749 §2.3.1, §3.2.1)."""
    secret = client.client_secret.reveal() if client.client_secret else ""
    if client.auth_method == "client_secret_basic":
        # Both halves are form-encoded first, so that a colon or a letter beyond ASCII survives.
        pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, {}
    if client.auth_method == "client_secret_post":
        return {}, {"client_id": client.client_id, "client_secret": secret}
    return {}, {"client_id": client.client_id}
