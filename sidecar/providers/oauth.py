"""Ask a provider's token endpoint for new tokens (RFC 6749 §6), once per call.

Nothing here tries again: a second attempt with the same refresh token is a decision about the grant, and it
belongs to whoever knows whether the first one may have reached the provider.

Scope: the request and its authentication. `answers` reads what comes back.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode

from sidecar.outbound.client import OutboundError
from sidecar.providers.answers import TokenAnswer, TokenError, Verdict, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.clock import Clock
    from sidecar.outbound.client import OutboundClient
    from sidecar.providers.model import OAuthClient, Provider
    from sidecar.secret import Secret

__all__ = ["TokenAnswer", "TokenEndpoint", "TokenError", "Verdict"]

MOST_ANSWER_BYTES: Final = 1 << 20
"""A token answer is some kilobytes; the largest JWTs in the wild stay far below a mebibyte."""
HEADERS: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    # Without it GitHub answers with a form.
    "Accept": "application/json",
}


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

    async def _call(self, provider: Provider, form: Mapping[str, str]) -> TokenAnswer:
        url = provider.endpoints.token_url
        if provider.client is None or not url:
            raise TokenError(Verdict.MISCONFIGURED, code="not_configured")
        headers, credentials = _authentication(provider.client)
        try:
            answer = await self._client.post(
                url,
                body=urlencode({**form, **credentials}).encode(),
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
